// Laws of the check of the split itself.

import Statistics
import Testing

@Suite struct SampleRatioTests {
    /// The largest evidence over `requests` requests of a split that says `said` and does `done`.
    private func evidence(seed: UInt64, said: Double, done: Double, requests: Int) -> Double {
        var random = SplitMix64(seed: seed)
        var check = SampleRatio()
        for _ in 0..<(requests / 100) {
            let candidate = (0..<100).reduce(0) { n, _ in n + (random.uniform() < done ? 1 : 0) }
            check.add(share: said, candidate: candidate, stable: 100 - candidate)
        }
        return check.wealth.maxLogE
    }

    @Test("a split that does what it says is never suspected", arguments: 1...20 as ClosedRange<UInt64>)
    func honest(seed: UInt64) {
        for share in [0.01, 0.05, 0.5] {
            let most = evidence(seed: seed, said: share, done: share, requests: 20_000)
            #expect(most < SampleRatio.logThreshold, "seed \(seed)")
        }
    }

    @Test("a split that gives a tenth too much, or too little, is found", arguments: [0.055, 0.045])
    func skewed(done: Double) {
        let most = evidence(seed: 3, said: 0.05, done: done, requests: 200_000)
        #expect(most > SampleRatio.logThreshold)
    }
}

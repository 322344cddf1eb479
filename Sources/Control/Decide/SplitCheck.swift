// Is the split what the weights say? Bets on which version requests were assigned to, whatever became of
// them: evidence that reaches 1,000 means that the router is broken, never a model, so it alerts and cuts
// nothing. Only for random splits: sticky keys come in heaps, and no coin is thrown per request.
// Place: one per model, stepped by control after its guardrails.
// Source: guardrails/statistics.md, section 2, point 10.

import Metrics
import Rollout
import Statistics

/// The sample-ratio checks of a model's candidates.
struct SplitCheck: Sendable {
    fileprivate struct Test: Sendable {
        var ratio = SampleRatio()
        var share: Double?
        var sinceEpoch = 0
        var isBroken = false
    }

    private var tests: [Int: Test] = [:]
    private var next: UInt64

    /// Ticks after a tick's end in which cores may still count into it.
    private static let graceTicks: UInt64 = 2

    /// One candidate's test as it is saved.
    struct Saved: Codable, Equatable, Sendable {
        var wealth: Wealth
        var share: Double?
        var sinceEpoch: Int
        var isBroken: Bool
    }

    /// - Parameter saved: what an earlier process had of a version.
    init(from: Tick, versions: Range<Int> = 0..<0, saved: (Int) -> Saved? = { _ in nil }) {
        next = from.number
        for version in versions {
            guard let kept = saved(version) else { continue }
            tests[version] = Test(
                ratio: SampleRatio(restoring: kept.wealth), share: kept.share, sinceEpoch: kept.sinceEpoch,
                isBroken: kept.isBroken)
        }
    }

    /// What must survive a restart, by version name; nil where nothing was looked at.
    func saved(_ name: (Int) -> String) -> [String: Saved]? {
        guard !tests.isEmpty else { return nil }
        return Dictionary(
            uniqueKeysWithValues: tests.map { version, test in
                (
                    name(version),
                    Saved(
                        wealth: test.ratio.wealth, share: test.share, sinceEpoch: test.sinceEpoch,
                        isBroken: test.isBroken)
                )
            })
    }

    /// Takes in the ticks that are over.
    /// - Parameters:
    ///   - candidates: indices of the versions that are compared with stable.
    ///   - read: the pair of a candidate and stable in a tick.
    /// - Returns: the candidates whose split is proven broken, each once.
    mutating func step(
        now: Tick, candidates: some Sequence<Int>, read: (_ candidate: Int, Tick) -> PairTick?
    ) -> [Int] {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets / 2))
        next = max(next, oldest)
        var broken: [Int] = []
        let end = now.number - min(now.number, Self.graceTicks)
        guard next < end else { return [] }
        for candidate in candidates {
            var test = tests[candidate] ?? Test()
            for number in next..<end {
                guard let pair = read(candidate, Tick(number: number)), let share = pair.split?.share else {
                    continue
                }
                test.take(share, pair)
            }
            if !test.isBroken, test.ratio.wealth.maxLogE >= SampleRatio.logThreshold {
                test.isBroken = true
                broken.append(candidate)
            }
            tests[candidate] = test
        }
        next = end
        return broken
    }

    /// Natural log of the largest evidence against the split so far; nil: not looked at.
    func logE(_ candidate: Int) -> Double? { tests[candidate]?.ratio.wealth.maxLogE }

    func isBroken(_ candidate: Int) -> Bool { tests[candidate]?.isBroken ?? false }
}

extension SplitCheck.Test {
    mutating func take(_ share: Double, _ pair: PairTick) {
        if share != self.share || sinceEpoch >= BetGrid.epochRequests {
            if self.share != nil { ratio.newEpoch() }
            self.share = share
            sinceEpoch = 0
        }
        let (candidate, stable) = (pair.candidate.randomised.started, pair.stable.randomised.started)
        sinceEpoch += Int(candidate)
        ratio.add(share: share, candidate: Int(candidate), stable: Int(stable))
    }
}

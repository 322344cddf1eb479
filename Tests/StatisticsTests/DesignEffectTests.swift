// Dependence in time: what it is measured to be, and that the bets that account for it stay fair.

import Foundation
import Statistics
import Testing

/// SplitMix64.
private struct Coins {
    var state: UInt64

    mutating func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
    }

    mutating func count(_ n: Int, _ p: Double) -> Int {
        (0..<n).reduce(0) { sum, _ in sum + (uniform() < p ? 1 : 0) }
    }
}

@Suite struct DesignEffectTests {
    /// The effect after blocks of 50 and 200 requests whose shares of slow ones are as given.
    private func effect(_ blocks: UInt64, _ share: (UInt64, inout Coins) -> (Double, Double)) -> Double {
        var (design, coins) = (DesignEffect(), Coins(state: 7))
        for block in 0..<blocks {
            design.enter(block: block)
            let (p, q) = share(block, &coins)
            let (ours, theirs) = (coins.count(50, p), coins.count(200, q))
            design.add(
                candidateSlow: ours, candidateFast: 50 - ours, stableSlow: theirs,
                stableFast: 200 - theirs)
        }
        design.enter(block: blocks)
        return design.effect
    }

    @Test("nothing known is 3; independent requests come near 1, also of versions that differ")
    func independent() {
        #expect(effect(0) { _, _ in (0.1, 0.1) } == 3)
        #expect(effect(400) { _, _ in (0.1, 0.1) } < 1.3)
        #expect(effect(400) { _, _ in (0.3, 0.1) } < 1.6)
        #expect(effect(400) { block, _ in block < 200 ? (0.1, 0.1) : (0.2, 0.2) } < 1.6)
    }

    @Test("a version whose requests are slow together now and then has a large effect")
    func clustered() {
        let found = effect(400) { _, coins in (coins.uniform() < 0.05 ? 0.6 : 0.01, 0.01) }
        #expect(found > 4, "\(found)")
    }

    @Test("of one version alone: independent requests come near 1, failing together now and then far above")
    func alone() {
        func effect(_ share: (UInt64, inout Coins) -> Double) -> Double {
            var (design, coins) = (DesignEffect(), Coins(state: 8))
            for block in 0..<200 as Range<UInt64> {
                design.enter(block: block)
                for _ in 0..<5 {
                    let slow = coins.count(80, share(block, &coins))
                    design.add(aloneSlow: slow, fast: 80 - slow)
                }
            }
            design.enter(block: 200)
            return design.effect
        }
        #expect(effect { _, _ in 0.01 } < 1.5)
        #expect(effect { block, _ in block < 100 ? 0.01 : 0.03 } < 2.5)
        #expect(effect { block, _ in block % 12 == 0 ? 0.3 : 0.001 } > 10)
    }

    @Test("a regression that begins is no noise: the effect stays small after it")
    func onset() {
        let before = effect(40) { _, _ in (0.1, 0.1) }
        let after = effect(60) { block, _ in (block < 40 ? 0.1 : 0.5, 0.1) }
        #expect(after < before + 2, "\(before), then \(after)")
    }

    @Test("a tolerant bet is fair although one slot in twenty is arbitrary, and rests after a capped one")
    func tolerant() {
        // A slot's factor is at most e^3 where it is arbitrary, at most 1 on average elsewhere.
        let mean = (0.95 * 1 + 0.05 * exp(3)) / (1 + 0.05 * (exp(3) - 1))
        #expect(abs(mean - 1) < 1e-12)
        var test = RelativeQuantile(quantile: 0.5)
        var cap = BurstCap(.tolerant)
        var last = 0.0
        var gains: [Double] = []
        for slot in 0..<8 as Range<UInt64> {
            cap.enter(slot: slot)
            for _ in 0..<20 {
                test.apply(
                    share: 0.5, candidate: .init(slow: 10, fast: 0), stable: .init(slow: 5, fast: 5),
                    cap: &cap)
            }
            let now = test.wealth.staked.max() ?? 0
            gains.append(now - last)
            last = now
        }
        // The first gain starts from the stake of an alternative.
        for slot in 1..<8 {
            if slot % 2 == 1 {
                #expect(gains[slot] == 0, "\(gains)")
            } else {
                #expect(gains[slot] > 1 && gains[slot] <= BurstCap.standard, "\(gains)")
            }
        }
    }
}

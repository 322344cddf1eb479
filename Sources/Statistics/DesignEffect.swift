// How much less requests say than so many independent ones: replicas pause, queues form, and then a moment's
// requests are slow together. The difference of the versions' shares is looked at in blocks of time; of
// independent requests its standardised value varies with variance 1 from block to block, of others by more,
// and that factor is the design effect. A bet's log factors are divided by it.
//
// Successive blocks are compared with each other, so a lasting difference, which is what is looked for, is
// no noise. Invariant: the effect in force was learned from earlier blocks alone and is at least 1; so a
// tempered bet stays fair: E[L^x] <= E[L]^x <= 1 for 0 < x <= 1. Source: guardrails/dependence.md, 3.

import Glibc

/// The design effect of a comparison of shares, block by block.
public struct DesignEffect: Sendable {
    /// What is assumed before anything is known, and the blocks that the assumption weighs.
    public static let prior = 3.0
    public static let priorBlocks = 4.0

    /// Slow requests and all, by version: of the block under way, and of those before it.
    private var block = Counts()
    private var past = Counts()
    /// The lower half of the block's number; not one before there is a block.
    private var number = UInt32.max
    /// The standardised difference of the last block; not a number before there is one.
    private var last = Float.nan
    /// Halved squares of successive differences, and how many.
    private var sum: Float = 0
    private var count: Float = 0

    /// In half the space: a count that came to the end of 32 bits would stay there.
    private struct Counts: Sendable {
        var candidateSlow: UInt32 = 0
        var candidate: UInt32 = 0
        var stableSlow: UInt32 = 0
        var stable: UInt32 = 0

        static func += (a: inout Counts, b: Counts) {
            a.add(Int(b.candidateSlow), Int(b.candidate), Int(b.stableSlow), Int(b.stable))
        }

        mutating func add(_ candidateSlow: Int, _ candidate: Int, _ stableSlow: Int, _ stable: Int) {
            self.candidateSlow = UInt32(clamping: Int(self.candidateSlow) + candidateSlow)
            self.candidate = UInt32(clamping: Int(self.candidate) + candidate)
            self.stableSlow = UInt32(clamping: Int(self.stableSlow) + stableSlow)
            self.stable = UInt32(clamping: Int(self.stable) + stable)
        }
    }

    public init() {}

    /// What the bets of the block under way are divided by.
    public var effect: Double {
        let known = DesignEffect.prior * DesignEffect.priorBlocks + Double(sum)
        return max(1, known / (DesignEffect.priorBlocks + Double(count)))
    }

    /// Says which block the next tick belongs to; the schedule of blocks is a matter of time alone.
    /// - Returns: whether another block has begun.
    @discardableResult
    public mutating func enter(block number: UInt64) -> Bool {
        let low = UInt32(truncatingIfNeeded: number)
        guard low != self.number else { return false }
        self.number = low
        close()
        return true
    }

    /// Counts a tick.
    public mutating func add(
        candidateSlow: Int, candidateFast: Int, stableSlow: Int, stableFast: Int
    ) {
        block.add(candidateSlow, candidateSlow + candidateFast, stableSlow, stableSlow + stableFast)
    }

    /// Counts a tick of stable alone: how its share varies from block to block.
    public mutating func add(aloneSlow slow: Int, fast: Int) {
        block.add(0, DesignEffect.certain, slow, slow + fast)
    }

    /// Requests of a version that is known for sure: none is slow, and they add no noise.
    private static let certain = 1 << 24

    private mutating func close() {
        guard block.candidate > 0, block.stable > 0 else { return }
        defer {
            past += block
            block = Counts()
        }
        guard past.candidate > 0, past.stable > 0 else { return }
        // Half a request of either kind, so that a share that was never seen has a variance.
        func variance(_ slow: UInt32, _ all: UInt32) -> Double {
            let share = (Double(slow) + 0.5) / (Double(all) + 1)
            return share * (1 - share)
        }
        let (n, m) = (Double(block.candidate), Double(block.stable))
        let scale =
            variance(past.candidateSlow, past.candidate) / n + variance(past.stableSlow, past.stable) / m
        let difference = Double(block.candidateSlow) / n - Double(block.stableSlow) / m
        let z = Float(difference / scale.squareRoot())
        if !last.isNaN {
            sum += (z - last) * (z - last) / 2
            count += 1
        }
        last = z
    }
}

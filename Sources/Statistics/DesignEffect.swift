// How much less requests say than so many independent ones: replicas pause, queues form, and then a moment's
// requests are slow together. The difference of the versions' shares is looked at in blocks of time; of
// independent requests its standardised value varies with variance 1 from block to block, of others by more,
// and that factor is the design effect. A bet's log factors are divided by it.
//
// Successive blocks are compared with each other, so a lasting difference, which is what is looked for, is no
// noise. Invariant: the effect in force was learned from earlier blocks alone and is at least 1; so a tempered
// bet stays fair: E[L^x] <= E[L]^x <= 1 for 0 < x <= 1. Source: guardrails/dependence.md, section 3.

import Glibc

/// The design effect of a comparison of shares, block by block.
public struct DesignEffect: Sendable {
    /// What is assumed before anything is known, and the blocks that the assumption weighs.
    public static let prior = 3.0
    public static let priorBlocks = 6.0

    /// Slow requests and all, by version: of the block under way, and of those before it.
    private var block = Counts()
    private var past = Counts()
    private var number: UInt64?
    /// The standardised difference of the last block; not a number before there is one.
    private var last = Double.nan
    /// Halved squares of successive differences, and how many.
    private var sum = 0.0
    private var count = 0.0

    private struct Counts: Sendable {
        var candidateSlow = 0.0
        var candidate = 0.0
        var stableSlow = 0.0
        var stable = 0.0

        static func += (a: inout Counts, b: Counts) {
            a.candidateSlow += b.candidateSlow
            a.candidate += b.candidate
            a.stableSlow += b.stableSlow
            a.stable += b.stable
        }
    }

    public init() {}

    /// What the bets of the block under way are divided by.
    public var effect: Double {
        let known = DesignEffect.prior * DesignEffect.priorBlocks + sum
        return max(1, known / (DesignEffect.priorBlocks + count))
    }

    /// Says which block the next tick belongs to; the schedule of blocks is a matter of time alone.
    /// - Returns: whether another block has begun.
    @discardableResult
    public mutating func enter(block number: UInt64) -> Bool {
        guard number != self.number else { return false }
        self.number = number
        close()
        return true
    }

    /// Counts a tick.
    public mutating func add(
        candidateSlow: Int, candidateFast: Int, stableSlow: Int, stableFast: Int
    ) {
        block.candidateSlow += Double(candidateSlow)
        block.candidate += Double(candidateSlow + candidateFast)
        block.stableSlow += Double(stableSlow)
        block.stable += Double(stableSlow + stableFast)
    }

    private mutating func close() {
        guard block.candidate > 0, block.stable > 0 else { return }
        defer {
            past += block
            block = Counts()
        }
        guard past.candidate > 0, past.stable > 0 else { return }
        // Half a request of either kind, so that a share that was never seen has a variance.
        func variance(_ slow: Double, _ all: Double) -> Double {
            let share = (slow + 0.5) / (all + 1)
            return share * (1 - share)
        }
        let scale =
            variance(past.candidateSlow, past.candidate) / block.candidate
            + variance(past.stableSlow, past.stable) / block.stable
        let difference = block.candidateSlow / block.candidate - block.stableSlow / block.stable
        let z = difference / scale.squareRoot()
        if !last.isNaN {
            sum += (z - last) * (z - last) / 2
            count += 1
        }
        last = z
    }
}

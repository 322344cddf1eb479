// A candidate without weight is compared by copies: every copied request is seen by both versions. Pairs
// need not be joined. A bet that is fair when a coin sends each request to one version with probability 1/2
// is fair when both get it: the expected factor of a pair is 1 + A + B + AB + C, where A and B are what
// either side gains on average, A + B <= 0 by the bet's odds, so that (1 + A)(1 + B) <= 1, and C is the
// covariance of the two factors, which pull in opposite directions: it is negative or none where versions
// tend to stumble over the same requests, or have nothing to do with each other. For rare events C is never
// needed.
//
// Invariant: what is unknown of a side counts against the bet: guardrails take the candidate's for good and
// stable's for bad, gates the other way round. Source: guardrails/statistics.md, section 2, point 9.

import Metrics

/// What a bet hopes to show.
enum BetSide {
    /// The candidate is worse: guardrails.
    case worse
    /// It is not: gates.
    case notWorse
}

extension PairTick {
    /// The tick as a comparison with stable sees it: by the coin, or by copies where the candidate has no
    /// weight.
    func compared(for side: BetSide) -> PairTick {
        guard isOfCopies else { return self }
        var pair = self
        pair.split = .copies
        pair.candidate.randomised = candidate.copied.knowing(unknownIsGood: side == .worse)
        pair.stable.randomised = stable.copied.knowing(unknownIsGood: side == .notWorse)
        return pair
    }

    /// Whether copies are what is compared in it.
    var isOfCopies: Bool {
        guard let split, split.candidatePPM == 0, split.stablePPM > 0 else { return false }
        return candidate.copied.started > 0 || stable.copied.started > 0
    }

    /// The tick without the candidate's copies: what its users got.
    var withoutCopies: PairTick {
        var pair = self
        pair.candidate.copied = ArmCounts()
        return pair
    }
}

extension PairSplit {
    /// Of every pair one side is the candidate's: shares of one half, and unlike any split of users.
    static let copies = PairSplit(candidatePPM: 1, stablePPM: 1)
}

extension ArmTick {
    /// All that the version answered as a candidate, users' requests and copies.
    func answered(for side: BetSide) -> ArmCounts {
        var sum = all
        sum += copied.knowing(unknownIsGood: side == .worse)
        return sum
    }
}

extension ArmCounts {
    /// The counts with what is unknown taken for good, or for failed.
    func knowing(unknownIsGood: Bool) -> ArmCounts {
        guard unknown > 0 else { return self }
        var counts = self
        counts.unknown = 0
        guard unknownIsGood else {
            counts.failed += unknown
            counts.rejections.first += unknown
            counts.cancels.first += unknown
            counts.empties.first += unknown
            return counts
        }
        counts.fast0 += unknown
        counts.fast1 += unknown
        counts.fast2 += unknown
        counts.fast3 += unknown
        counts.fast4 += unknown
        counts.fast5 += unknown
        return counts
    }
}

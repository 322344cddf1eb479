// What a stage with traffic of both has shown of stable: the limit of `PinnedStable` is taken from it while
// stable has little traffic or none. A rule keeps the stage that says most of stable, so that a short visit
// to another weight, or a bake in which stable gets a handful of requests, does not replace a good one; among
// stages of ten thousand requests the newest counts. Requests count for fewer by their design effect.
// Place: kept by `SequentialGuard` when a stage ends, saved, and handed to rules that measure the same.
// Invariant: which stage is kept depends on how many requests there were, never on how many of them were bad,
// so the limit is no likelier to be too low than that of any single stage.

import Statistics

/// Stable's and the candidate's counts of one stage.
struct StableReference: Sendable, Hashable, Codable {
    /// Requests of stable, by what they are worth, from which on a newer stage replaces a larger one.
    private static let enough = 10_000.0

    var counts: EpochCounts
    /// As how many independent requests no more than one of them counts, at least 1.
    var effect: Double
    /// Stable's answers to what the candidate failed then.
    var retries: Retries
    /// The last tick of the stage; nil where clocks do not compare.
    var until: UInt64?
    /// Whether "stable" was its control arm.
    var isAgainstControl: Bool

    /// How many independent requests of stable the stage is worth.
    var worth: Double { Double(counts.stableRequests) / max(1, effect) }

    /// The one that says more of stable; nil where neither says anything.
    static func better(_ kept: StableReference?, _ newer: StableReference) -> StableReference? {
        guard let kept, kept.counts.stableRequests > 0, kept.isAgainstControl == newer.isAgainstControl
        else { return newer.counts.stableRequests > 0 ? newer : nil }
        return newer.worth >= min(kept.worth, enough) ? newer : kept
    }
}

/// What a rule keeps for the time without stable's traffic, made when there is something to keep.
struct StableAside: Sendable {
    var reference: StableReference?
    /// What goes on then: none before there has been such a time.
    var pinned: PinnedStable?
}

extension GuardrailSpec {
    /// Whether what this rule has counted of stable is what another one would have counted: the measure is
    /// the same, whatever its name, alpha, ratio and action. Where a sticky key's failures count once a
    /// minute they are fewer than all, so a rule that counts all cannot be held to them.
    public func countsStable(as other: GuardrailSpec) -> Bool {
        guard isRequestBet, other.isRequestBet, measure == other.measure, time == other.time else {
            return false
        }
        return measure.event != .failure || !countsKeysOnce || other.countsKeysOnce
    }
}

extension PairSplit {
    /// Whether stable has no weight beside the candidate's.
    var isCandidateAlone: Bool { stablePPM == 0 && candidatePPM > 0 }

    /// Whether stable has so little beside the candidate, a tenth of the two at most, that its live requests
    /// may be too few to compare with.
    var isStableThin: Bool {
        stablePPM > 0 && candidatePPM > 0 && UInt64(stablePPM) * 9 <= UInt64(candidatePPM)
    }
}

// The control arm of a rollout: a part of stable as large as the candidate and as young, which the candidate
// is compared with in place of all of stable. To cores it is one more version, with connections of its own;
// to everybody else it is stable, under stable's name.
// Place: read by ConfigLoader+Control, weighed by PlanBuilder, compared by WatchedModel+Control.
// Invariant: what it gets is taken from stable alone, never more than the candidate has nor than it leaves to
// the rest of stable, which it is held against in its turn.

import Rollout

/// A part of stable that is measured by itself.
package struct ControlArm: Sendable, Hashable {
    /// Its entry among the model's versions; no file can write such a name.
    package var version: String
    /// The largest share of the requests that it takes, parts per million.
    package var sharePPM: UInt32
    /// Whether servers of its own answer; else stable's do.
    package var hasOwnEndpoints: Bool

    /// The name of a stable version's control arm.
    package static func name(of stable: String) -> String { "\(stable) (control)" }

    /// Its weight beside a candidate's, out of what is left for stable.
    package func weight(beside candidate: UInt32, of rest: UInt32) -> UInt32 {
        min(candidate, sharePPM, rest / 2)
    }

    /// How a bound on stable's servers is divided where they serve both. Together they have no more than the
    /// bound; stable has its share of the traffic, and each has at least an eighth, for what comes at once.
    static func divided(_ bound: Int, stablePPM: UInt32) -> (stable: Int, control: Int) {
        guard bound > 1 else { return (bound, 0) }
        let least = max(1, bound / 8)
        let asked = (UInt64(bound) * UInt64(stablePPM) + 999_999) / 1_000_000
        let stable = min(max(Int(clamping: asked), least), bound - least)
        return (stable, bound - stable)
    }
}

extension ModelConfig {
    /// The control arm as the file has it, whoever a registry names.
    package var control: ControlArm? { writtenRollout?.control }

    /// The name that clients, logs and metrics know a version by.
    package func label(of version: String) -> String { version == control?.version ? stable : version }

    /// A version's share in a state, whose weights know no control arm.
    package func weight(of version: String, under state: RolloutState) -> UInt32 {
        weight(
            of: version, under: state.weights, isControlWithdrawn: state.climb?.controlWithdrawn != nil)
    }

    /// The same where the weights that were decided are `weights`.
    package func weight(
        of version: String, under weights: [String: UInt32], isControlWithdrawn: Bool = false
    ) -> UInt32 {
        let own = weights[version] ?? 0
        guard !isControlWithdrawn, let control, let candidate = rollout?.program.candidate,
            version == stable || version == control.version
        else { return own }
        let rest = weights[stable] ?? 0
        let part = control.weight(beside: weights[candidate] ?? 0, of: rest)
        return version == stable ? rest - part : part
    }
}

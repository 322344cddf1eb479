// The part of the status page about a staged rollout: where it stands, what it has seen there, and what it
// waits for, in the machine's own words.
// Invariant: what is shown as waited for is what the machine was asked at the last tick.

import Metrics
import Rollout

extension StatusSnapshot.Model {
    /// The rollout of the model's program; null without one.
    func rollout(wallMicros: UInt64) -> JSON {
        guard let program = state.setup.program, let climb = state.climb else { return .null }
        let seen = config.versions.indices.filter { !readings[$0].isEmpty }.map {
            VersionReadings(version: config.versions[$0].name, readings: readings[$0])
        }
        let blockers = RolloutMachine.blockers(
            state, seen, stage: stage, conditions: conditions, wallMicros: wallMicros)
        return [
            "id": .string(climb.id), "candidate": .string(climb.candidate),
            "attempt": .integer(Int64(climb.attempt)), "place": .string(climb.place.word),
            "stage": climb.place.stage.map { .integer(Int64($0 + 1)) } ?? .null,
            "stages": .integer(Int64(program.stages.count)),
            "entered_at": .string(Timestamp.text(wallMicros: climb.enteredMicros)),
            "approved": .bool(climb.isApproved), "dry_run": .bool(program.isDryRun),
            "waiting_for": .array(blockers.map { .string($0.sentence) }),
            "seen": stage?.json ?? .null,
            "preflight": ["verdict": .string(conditions.preflight.word), "reason": .string(preflight)],
            "blackout": .optional(conditions.blackout),
            "shadow": .optional(state.shadow.map { Notation.text(ppm: $0.ppm) }),
        ]
    }
}

extension Climb.Place {
    /// The place's word in status.
    var word: String {
        switch self {
        case .before: "before"
        case .stage: "stage"
        case .baking: "bake"
        }
    }

    /// Index of the stage.
    var stage: Int? {
        if case .stage(let i) = self { return i }
        return nil
    }
}

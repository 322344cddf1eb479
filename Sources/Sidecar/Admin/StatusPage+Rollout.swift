// The part of the status page about a staged rollout: where it stands, what it has seen there, and what it
// waits for, in the machine's own words.
// Invariant: what is shown as waited for is what the machine was asked at the last tick.

import Config
import Control
import Metrics
import Payload
import Rollout

extension StatusSnapshot.Model {
    /// The rollout of the model's program; null without one.
    func rollout(wallMicros: UInt64) -> JSON {
        guard let program = state.setup.program, let climb = state.climb else { return .null }
        // Without guardrails there is nothing to read, and nothing is waited for.
        let seen = config.versions.indices.filter { !readings[$0].isEmpty || !isGuarded }.map {
            VersionReadings(version: config.versions[$0].name, readings: readings[$0])
        }
        let blockers = RolloutMachine.blockers(
            state, seen, stage: stage, conditions: conditions, wallMicros: wallMicros)
        return [
            "id": .string(climb.id), "candidate": .string(climb.candidate),
            "attempt": .integer(Int64(climb.attempt)), "place": .string(place(climb)),
            "stage": climb.place.stage.map { .integer(Int64($0 + 1)) } ?? .null,
            "stages": .integer(Int64(program.stages.count)),
            "entered_at": .string(Timestamp.text(wallMicros: climb.enteredMicros)),
            "approved": .bool(climb.isApproved), "dry_run": .bool(program.isDryRun),
            "waiting_for": .array(blockers.map { .string($0.sentence) }),
            "seen": stage?.json ?? .null,
            "preflight": [
                "verdict": .string(conditions.preflight.word),
                "reason": .string(preflight.isEmpty ? "the checks have not answered yet" : preflight),
            ],
            "blackout": .optional(conditions.blackout),
            "shadow": .optional(state.shadow.map { Notation.text(ppm: $0.ppm) }),
            "control": config.control.map(control) ?? .null,
        ]
    }
}

extension StatusSnapshot.Model {
    /// The arm that the candidate is compared with.
    private func control(_ arm: ControlArm) -> JSON {
        let ppm = config.weight(of: arm.version, under: state)
        let withdrawn = state.climb?.controlWithdrawn
        return [
            "version": .string(arm.version), "weight": .string(Notation.text(ppm: ppm)),
            "share_max": .string(Notation.text(ppm: arm.sharePPM)),
            "own_endpoints": .bool(arm.hasOwnEndpoints),
            "withdrawn": withdrawn.map {
                [
                    "at": .string(Timestamp.text(wallMicros: $0.wallMicros)),
                    "guardrail": .string($0.guardrail), "reason": .string($0.reason),
                ]
            } ?? .null,
        ]
    }

    /// Where the rollout is, as a word; a rollout that came to its end says so, also after a later cut.
    private func place(_ climb: Climb) -> String {
        switch state.phase {
        case .promoted(let record): record.version == climb.candidate ? "promoted" : climb.place.word
        case .cut: climb.promotedMicros != nil ? "promoted" : climb.place.word
        case .split, .paused, .waiting, .stage, .baking, .held: climb.place.word
        }
    }

    /// Whether there is a guardrail for whoever is under trial; nothing is missing where nobody is.
    var isGuarded: Bool { !config.allGuardrails.isEmpty || config.candidates.isEmpty }
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

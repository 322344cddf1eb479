// What a rollout's program did, as journal lines: stages, holds, ends, and what a dry run would have done.
// Place: beside EventText, which has the events of every rollout.
// Invariant: member names are an interface; new ones may come, none changes its meaning.

import Config
import Metrics
import Payload
import Rollout

extension JournalEvent {
    /// Actor, sentence and members of a program's event.
    static func tell(
        step event: RolloutEvent
    ) -> (actor: String, reason: String, details: [JSON.Member]) {
        switch event {
        case .stage(let record), .baking(let record):
            return (record.actor, record.reason, record.members)
        case .held(let record, let climb):
            return (record.actor, record.reason, climb.members + [.init("cause", .string(record.cause.word))])
        case .experimentEnded(let record):
            let shares = Dictionary(uniqueKeysWithValues: record.weights.map { ($0.version, $0.ppm) })
            return (
                VerbRequest.weir, "the experiment has ended",
                record.climb.members + [
                    .init("weights", JSON(shares: shares)), .init("evidence", record.stage?.json ?? .null),
                    .init("readings", .array(record.readings.map(\.json))),
                ]
            )
        case .wouldHave(let record):
            return (
                VerbRequest.weir, record.reason,
                [
                    .init("would_have", .string(record.what.rawValue)),
                    .init("version", .string(record.version)),
                    .init("reading", record.reading?.json ?? .null),
                ]
            )
        case .alertInstead(let version, let reading, let because):
            return (
                VerbRequest.weir, "\(reading.reason); \(because)",
                [
                    .init("version", .string(version)),
                    .init("instead_of", .string(reading.action.rawValue)), .init("because", .string(because)),
                    .init("reading", reading.json),
                ]
            )
        case .configured, .verb, .cut, .promoted, .weights, .alert, .recovery, .overruled, .controlWithdrawn:
            preconditionFailure("EventText tells \(event.kind)")
        }
    }
}

extension Climb {
    fileprivate var members: [JSON.Member] {
        let place: JSON =
            switch place {
            case .before: "before"
            case .stage(let i): .integer(Int64(i + 1))
            case .baking: "bake"
            }
        return [
            .init("rollout", .string(id)), .init("attempt", .integer(Int64(attempt))),
            .init("version", .string(candidate)), .init("stage", place),
        ]
    }
}

extension StageRecord {
    fileprivate var members: [JSON.Member] {
        climb.members + [
            .init("stages", .integer(Int64(stages))), .init("weight", .string(Notation.text(ppm: weightPPM))),
            .init("shadow", .string(Notation.text(ppm: shadowPPM))),
            .init("evidence", evidence?.json ?? .null),
        ]
    }
}

extension StageReading {
    /// The reading in status and journal.
    package var json: JSON {
        [
            "watched_s": .number(Double(watchedMicros) / 1_000_000), "requests": .integer(Int64(requests)),
            "keys": .integer(Int64(keys)), "gates": .array(gates.map(\.json)),
        ]
    }
}

extension GateReading {
    /// The reading in status and journal.
    var json: JSON {
        func number(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }
        return [
            "name": .string(name), "rule": .string(rule), "verdict": .string(verdict.rawValue),
            "progress": .number(progress), "candidate": number(candidate), "stable": number(stable),
            "candidate_requests": .integer(Int64(candidateRequests)),
            "stable_requests": .integer(Int64(stableRequests)), "max_log_e": number(maxLogE),
            "reason": .string(reason),
        ]
    }
}

extension HoldRecord.Cause {
    /// The cause's word in status and journal.
    var word: String {
        switch self {
        case .operatorsVerb: "operator"
        case .guardrails: "guardrails"
        case .deadline: "deadline"
        case .experimentEnded: "experiment_ended"
        case .configuration: "configuration"
        case .dryRunEnded: "dry_run_ended"
        }
    }
}

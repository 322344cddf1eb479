// What the rollout machine did, as journal lines: a sentence for people and the evidence as members.
// Place: between `RolloutMachine`, which knows no text, and `Journal`, which knows no rollout.
// Invariant: member names are an interface, as kinds are; new ones may come, none changes its meaning.

import Config
import Metrics
import Payload
import Rollout

extension JournalEvent {
    /// The line for an event of the rollout machine.
    init(_ event: RolloutEvent, model: String, at wallMicros: UInt64) {
        let told = Self.tell(event)
        self.init(
            at: wallMicros, Kind(rawValue: event.kind) ?? .overruled, model: model, actor: told.actor,
            reason: told.reason, details: told.details)
    }

    private static func tell(
        _ event: RolloutEvent
    ) -> (actor: String, reason: String, details: [JSON.Member]) {
        switch event {
        case .configured(let setup):
            return (
                VerbRequest.weir, "the config names \(setup.stable) stable",
                [
                    .init("stable", .string(setup.stable)),
                    .init("candidates", .array(setup.candidates.map(JSON.string))),
                    .init("weights", JSON(shares: setup.weights)),
                ]
            )
        case .verb(let request, let answer):
            let said = answer.said
            var details: [JSON.Member] = [
                .init("verb", .string(request.verb.word)), .init("accepted", .bool(said.isAccepted)),
                .init("answer", .string(said.sentence)), .init("force", .bool(request.force)),
            ]
            details += request.verb.arguments
            return (request.actor, request.reason, details)
        case .cut(let record): return (record.actor, record.reason, record.members)
        case .promoted(let record):
            return (record.actor, record.reason, [.init("version", .string(record.version))])
        case .weights(let weights, let actor, let reason):
            let shares = Dictionary(uniqueKeysWithValues: weights.map { ($0.version, $0.ppm) })
            return (actor, reason, [.init("weights", JSON(shares: shares))])
        case .alert(let version, let reading):
            return (
                VerbRequest.weir, reading.reason,
                [.init("version", .string(version)), .init("reading", reading.json)]
            )
        case .recovery(let cutID, let reading):
            return (
                VerbRequest.weir, reading.reason,
                [.init("cut", .string(cutID)), .init("recovery", reading.json)]
            )
        case .controlWithdrawn(let record, let reading):
            return (
                VerbRequest.weir, record.reason,
                [.init("version", .string(record.version)), .init("reading", reading.json)]
            )
        case .overruled(let sentence): return (VerbRequest.weir, sentence, [])
        case .alertInstead, .stage, .baking, .held, .experimentEnded, .wouldHave:
            return tell(step: event)
        }
    }
}

extension RolloutEvent {
    /// The event in one line of the process's log.
    func headline(_ reason: String) -> String {
        switch self {
        case .verb(let request, let answer):
            let said = answer.said
            let why = reason.isEmpty ? "" : " (\(reason))"
            return "\(request.verb.word)\(said.isAccepted ? "" : " refused"): \(said.sentence)\(why)"
        case .promoted(let record):
            let why = record.actor == VerbRequest.weir ? ", \(reason)" : ""
            return "promoted: \(record.version) has all weight\(why)"
        case .weights(let weights, _, _):
            let list = weights.map { "\($0.version) \(Notation.text(ppm: $0.ppm))" }
            return "weights: " + list.joined(separator: ", ")
        case .configured, .cut, .alert, .recovery, .overruled, .alertInstead, .stage, .baking, .held,
            .experimentEnded, .wouldHave, .controlWithdrawn:
            return "\(kind): \(reason)"
        }
    }
}

extension JSON {
    /// Weights as percentages, by version name.
    package init(shares: [String: UInt32]) {
        self = .object(
            shares.sorted { $0.key < $1.key }.map { .init($0.key, .string(Notation.text(ppm: $0.value))) })
    }
}

extension VerbAnswer {
    var said: (isAccepted: Bool, sentence: String) {
        switch self {
        case .accepted(let sentence): (true, sentence)
        case .refused(let sentence): (false, sentence)
        }
    }
}

extension RolloutVerb {
    /// The verb's arguments as members of its journal line.
    var arguments: [JSON.Member] {
        switch self {
        case .rollback(let version), .promote(let version):
            version.map { [.init("version", .string($0))] } ?? []
        case .unquarantine(let version): [.init("version", .string(version))]
        case .weights(let weights): [.init("weights", JSON(shares: weights))]
        case .pause, .resume, .start, .approve, .skip, .retry, .hold: []
        }
    }
}

extension CutRecord {
    var members: [JSON.Member] {
        [
            .init("cut", .string(id)), .init("versions", .array(versions.map(JSON.string))),
            .init("guardrail", .optional(guardrail)),
            .init("weights_before", JSON(shares: weightsBefore)),
            .init("evidence", .array(evidence.map(\.json))),
        ]
    }

    package var json: JSON {
        .object(
            [
                .init("at", .string(Timestamp.text(wallMicros: wallMicros))),
                .init("actor", .string(actor)), .init("reason", .string(reason)),
            ] + members)
    }
}

extension RecoveryReading {
    package var json: JSON {
        [
            "verdict": .string(verdict.rawValue), "requests": .integer(Int64(requests)),
            "events": .integer(Int64(events)), "threshold": .number(threshold), "reason": .string(reason),
            "latency": latency.map {
                [
                    "requests": .integer(Int64($0.requests)), "slow": .integer(Int64($0.slow)),
                    "over_us": .integer(Int64($0.micros)), "threshold": .number($0.threshold),
                    "time": .string($0.time ?? "total"),
                ]
            } ?? .null,
            "values": values.map {
                [
                    "count": .integer(Int64($0.count)), "mean": $0.mean.map(JSON.number) ?? .null,
                    "threshold": .number($0.threshold),
                ]
            } ?? .null,
        ]
    }
}

extension GuardrailReading {
    /// The reading in status, journal and reports.
    package var json: JSON {
        func number(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }
        return [
            "name": .string(name), "rule": .string(rule), "verdict": .string(verdict.rawValue),
            "action": .string(action.rawValue), "progress": .number(progress),
            "candidate": number(candidate), "stable": number(stable), "threshold": number(threshold),
            "candidate_requests": .integer(Int64(candidateRequests)),
            "stable_requests": .integer(Int64(stableRequests)),
            "candidate_events": .integer(Int64(candidateEvents)),
            "stable_events": .integer(Int64(stableEvents)), "log_e": number(logE),
            "max_log_e": number(maxLogE), "alpha": number(alpha), "reason": .string(reason),
            "unanswered": unanswered.map { .integer(Int64($0)) } ?? .null,
            "dry_run": .bool(isDryRun), "asleep": .bool(asleepSince != nil),
            "pinned": .bool(isPinned),
            "runbook_url": .optional(runbookURL),
        ]
    }
}

// What a cut came to: when it began, when it was decided and obeyed, whom it cost what, and whether stable
// recovered. One per cut; complete when the recovery check has answered. Journaled as `report`, shown by
// `weir report`.
// Invariant: a plain value that outlives a restart; counts are those of the process that was cut in, and
// `exposedSince` says from when on they count.

import Payload
import Rollout

/// The report of one cut.
package struct RollbackReport: Sendable, Equatable, Codable {
    package var model: String
    package var stable: String
    /// The cut itself: id, versions, rule, actor, sentence, evidence, weights before.
    package var cut: CutRecord
    /// The model's epoch before and after it: what caches are keyed on.
    package var epochBefore: UInt64
    package var epochAfter: UInt64
    package var runbookURL: String?
    /// Since when the counts below count; wall clock, microseconds since 1970, as are all times here.
    package var exposedSince: UInt64?
    /// When the first bad request of the trouble started; nil when none was found. With `isFirstBadBound` it
    /// may have begun earlier than the evidence reaches.
    package var firstBad: UInt64?
    package var isFirstBadBound = false
    /// No request was assigned to the cut versions later than this; nil when none is remembered.
    package var lastRequest: UInt64?
    /// From the verdict until no core assigned to the cut versions any more, at most; nanoseconds.
    package var cutNanos: UInt64?
    /// Requests that the versions were assigned, the failed ones, and those that stable answered instead.
    package var requests: UInt64 = 0
    package var failures: UInt64 = 0
    package var shielded: UInt64 = 0
    /// Failures that clients did not see, because stable or another attempt answered; nil in reports of
    /// earlier releases.
    package var rescued: UInt64?
    /// After a cut for latency: requests that a client felt as too slow; nil else.
    package var slow: UInt64?
    /// By what that was judged, fixed at the cut, and which of it found the most; nil in reports of earlier
    /// releases.
    var slowLimits: [SlowLimit]?
    package var slowBy: SlowLimit?
    /// After a cut by 3xx and 4xx answers, cancels (these after one for latency as well) or empty answers: so
    /// many of them, beyond the share that stable had at the trip; after a cut because clients left without
    /// an answer, these since it began; nil else.
    package var events: UInt64?
    /// What the rule that tripped is over; nil for an operator's cut and in reports of earlier releases.
    package var measure: Measure?
    /// Requests of the versions that had not ended, and those that stable had been asked for and had not
    /// answered, when the counts were taken; nil in reports of earlier releases.
    package var unfinished: UInt64?
    /// Copies that the versions were sent, and the failed ones.
    package var copies: UInt64?
    package var copyFailures: UInt64?
    /// nil while the check runs, and when it was ended by an operator.
    package var recovery: RecoveryReading?
    /// When the report was complete; nil while it is open: until the check has answered and the versions'
    /// requests have ended.
    package var completedAt: UInt64?

    /// Clients that got a failure, waited longer than the rule allows, or got what the rule was over. Copies
    /// have no clients.
    package var harmed: UInt64 {
        let saved = rescued ?? shielded
        return min(requests, (failures > saved ? failures - saved : 0) + (slow ?? 0) + (events ?? 0))
    }

    /// What harmed clients beside failures, in words; nil: nothing else.
    private var harm: String? {
        if slow != nil { return "were too slow" }
        return switch measure {
        case nil, .failures?, .latency?, .values?, .health?: nil
        case .unanswered?: "were left without an answer"
        case .rejected?: "were answered with 3xx or 4xx"
        case .cancelled?: "were given up"
        case .empty?: "were answered empty"
        }
    }

    /// Whether its time to detect says something about the rule: a guardrail decided, on trouble whose
    /// beginning was seen, and stable did not turn out to have it as well.
    var isSound: Bool {
        cut.guardrail != nil && firstBad != nil && !isFirstBadBound && recovery?.verdict != .notRecovered
    }

    /// From the first bad request to the verdict, in microseconds.
    package var detectMicros: UInt64? {
        firstBad.map { cut.wallMicros > $0 ? cut.wallMicros - $0 : 0 }
    }

    /// The reading that tripped.
    package var trip: GuardrailReading? {
        cut.guardrail.flatMap { name in cut.evidence.first { $0.name == name && $0.verdict == .fail } }
    }

    package init(
        model: String, stable: String, cut: CutRecord, epochBefore: UInt64, epochAfter: UInt64,
        runbookURL: String? = nil
    ) {
        self.model = model
        self.stable = stable
        self.cut = cut
        self.epochBefore = epochBefore
        self.epochAfter = epochAfter
        self.runbookURL = runbookURL
    }
}

extension RollbackReport {
    /// What a rule can be over, as far as it says who was harmed. The words are an interface.
    package enum Measure: String, Sendable, Codable {
        case failures, latency, health, values
        case rejected = "non_2xx"
        case cancelled = "cancels"
        case empty
        /// Clients left that had waited for nothing, though nothing failed.
        case unanswered

        init(_ measure: GuardrailSpec.Measure) {
            switch measure {
            case .errorRate: self = .failures
            case .non2xx: self = .rejected
            case .cancels: self = .cancelled
            case .empty: self = .empty
            case .latency: self = .latency
            case .health: self = .health
            case .feedback, .drift, .missing, .confidence, .cost: self = .values
            }
        }
    }
}

extension RecoveryVerdict {
    /// The verdict in a sentence.
    var words: String {
        switch self {
        case .watching: "still watched"
        case .recovered: "recovered"
        case .notRecovered: "not recovered"
        case .undecided: "undecided"
        }
    }
}

extension RollbackReport {
    /// The members of the report, as in the journal and at `/reports`.
    package var members: [JSON.Member] {
        func time(_ micros: UInt64?) -> JSON {
            micros.map { .string(Timestamp.text(wallMicros: $0)) } ?? .null
        }
        func millis(_ micros: UInt64?) -> JSON { micros.map { .number(Double($0) / 1_000) } ?? .null }
        return [
            .init("cut", .string(cut.id)), .init("versions", .array(cut.versions.map(JSON.string))),
            .init("stable", .string(stable)), .init("guardrail", .optional(cut.guardrail)),
            .init("rule", .optional(trip?.rule)), .init("alpha", trip?.alpha.map(JSON.number) ?? .null),
            .init("cut_by", .string(cut.actor)), .init("cut_reason", .string(cut.reason)),
            .init("first_bad_at", time(firstBad)), .init("first_bad_or_earlier", .bool(isFirstBadBound)),
            .init("verdict_at", time(cut.wallMicros)), .init("last_request_at", time(lastRequest)),
            .init("detected_ms", millis(detectMicros)),
            .init("cut_us", cutNanos.map { .number(Double($0) / 1_000) } ?? .null),
            .init("exposed_since", time(exposedSince)), .init("requests", .count(requests)),
            .init("failures", .count(failures)), .init("shielded", .count(shielded)),
            .init("rescued", rescued.map(JSON.count) ?? .null), .init("slow", slow.map(JSON.count) ?? .null),
            .init("slow_by", .optional(slowBy?.sentence)),
            .init("measure", .optional(measure?.rawValue)), .init("events", events.map(JSON.count) ?? .null),
            .init("unfinished", unfinished.map(JSON.count) ?? .null),
            .init("copies", copies.map(JSON.count) ?? .null),
            .init("copy_failures", copyFailures.map(JSON.count) ?? .null),
            .init("harmed", .count(harmed)), .init("recovery", recovery?.json ?? .null),
            .init("completed_at", time(completedAt)),
            .init("weights_before", JSON(shares: cut.weightsBefore)),
            .init("epoch_before", .count(epochBefore)), .init("epoch_after", .count(epochAfter)),
            .init("runbook_url", .optional(runbookURL)),
            .init("evidence", .array(cut.evidence.map(\.json))),
        ]
    }

    /// The report at `/reports`.
    package var json: JSON { .object([.init("model", .string(model))] + members) }

    /// The report in a sentence.
    package var sentence: String {
        var parts = ["\(cut.versions.joined(separator: ", ")) cut back to \(stable)"]
        if let detectMicros {
            parts.append("\(Self.text(micros: detectMicros)) after the first bad request")
        }
        if let cutNanos { parts.append("obeyed within \(Self.text(micros: cutNanos / 1_000 + 1))") }
        if let copies, requests == 0 {
            parts.append("\(copyFailures ?? 0) of \(copies) copies failed, which no client saw")
        } else {
            let how = "failed\(harm.map { " or \($0)" } ?? "") for clients"
            let saved = rescued ?? shielded
            let mended =
                saved < shielded
                ? "\(shielded) were sent again to stable, \(saved) failures ended well"
                : "\(shielded) were shielded"
            parts.append("\(harmed) of \(requests) requests \(how), \(mended)")
        }
        parts.append(recovery.map { "stable: \($0.verdict.words)" } ?? "the recovery check has no answer")
        return parts.joined(separator: "; ")
    }

    /// The journal line of the complete report.
    var event: JournalEvent {
        JournalEvent(
            at: completedAt ?? cut.wallMicros, .report, model: model, reason: sentence, details: members)
    }

    private static func text(micros: UInt64) -> String {
        switch micros {
        case ..<10_000: "\(micros) us"
        case ..<10_000_000: "\(micros / 1_000) ms"
        default: "\(micros / 1_000_000) s"
        }
    }
}

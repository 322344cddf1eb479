// What the outside is told of a decision: the journal's line as a value, with what sinks ask for by name. It
// is made from the line in any case (from the event as it happens, from the file after a crash), so a notice
// that is sent again is the same notice, with the same delivery id.
//
// Invariant: the member names of `json` and the words of `Kind` are an interface (Actions.md lists them).

import Config
import Payload

/// A decision that others are told of.
package struct Notice: Sendable, Hashable {
    package typealias Kind = NoticeKind

    package var kind: Kind
    package var model: String
    /// The versions that it is about: cut, promoted, watched.
    package var versions: [String]
    /// The version to fall back to, as configured then; nil when the line does not say.
    package var stable: String?
    /// "weir" or who called the verb.
    package var actor: String
    package var reason: String
    /// Of the model's rollout; what `x-weir-epoch` said before and says now.
    package var epochBefore: UInt64?
    package var epochAfter: UInt64?
    /// The cut that this is, or that is being recovered from.
    package var cutID: String?
    package var runbookURL: String?
    /// Readings of guardrails, or of the recovery check.
    package var evidence: JSON
    /// Of the decision, microseconds since 1970.
    package var wallMicros: UInt64

    /// The notice in a journal event; nil where nobody need be told.
    package init?(_ event: JournalEvent) {
        guard let kind = Kind(event), let model = event.model else { return nil }
        func detail(_ name: String) -> JSON? { event.details.first { $0.name == name }?.value }
        self.kind = kind
        self.model = model
        versions = detail("versions")?.elements.compactMap(\.string) ?? []
        if let version = detail("version")?.string { versions.append(version) }
        stable = detail("stable")?.string
        actor = event.actor
        reason = event.reason
        epochBefore = detail("epoch_before")?.integer.flatMap { UInt64(exactly: $0) }
        epochAfter = detail("epoch_after")?.integer.flatMap { UInt64(exactly: $0) }
        cutID = detail("cut")?.string
        runbookURL = detail("runbook_url")?.string
        evidence = detail("evidence") ?? detail("recovery") ?? detail("reading") ?? .null
        wallMicros = event.wallMicros
    }

    /// Whether the disk may still undo it: traffic is given only when that is durable.
    var givesTraffic: Bool {
        switch kind {
        case .promote, .start, .stage: true
        case .cut, .hold, .recovery, .alert, .sampleRatio, .unserved, .served: false
        }
    }

    /// The same for every attempt, also after a restart, and different for every decision.
    package var deliveryID: String {
        // Long reasons are shortened in the journal; their beginning is not.
        let beginning = String(decoding: reason.utf8.prefix(512), as: UTF8.self)
        let parts = [kind.rawValue, model, Timestamp.text(wallMicros: wallMicros), actor, beginning]
        return String(Digest.sha256(parts.joined(separator: "\u{0}")).prefix(32))
    }

    /// Whether the recovery check found stable as it was before.
    package var isRecovered: Bool { kind == .recovery && evidence["verdict"]?.string == "recovered" }

    /// The notice as sinks get it.
    package var json: JSON {
        func epoch(_ value: UInt64?) -> JSON { value.map(JSON.count) ?? .null }
        return [
            "schema": "weir.notice/1", "event": .string(kind.rawValue), "delivery": .string(deliveryID),
            "model": .string(model), "versions": .array(versions.map(JSON.string)),
            "stable": .optional(stable), "actor": .string(actor), "reason": .string(reason),
            "epoch_before": epoch(epochBefore), "epoch_after": epoch(epochAfter), "cut": .optional(cutID),
            "runbook_url": .optional(runbookURL), "evidence": evidence,
            "at": .string(Timestamp.text(wallMicros: wallMicros)),
        ]
    }

    /// One line for a person.
    package var headline: String {
        let names = versions.joined(separator: ", ")
        switch kind {
        case .cut: return "\(model): \(names) was cut, all traffic is back on \(stable ?? "stable")"
        case .promote: return "\(model): \(names) has all traffic"
        case .hold: return "\(model): the rollout of \(names) is held"
        case .recovery:
            return "\(model): \(isRecovered ? "recovered" : "not recovered") after \(cutID ?? "a cut")"
        case .alert: return "\(model): a warning about \(names)"
        case .sampleRatio: return "\(model): \(names) does not get the share that its weight says"
        case .unserved: return "\(model): users are not served"
        case .served: return "\(model): users are served again"
        case .start: return "\(model): the rollout of \(names) has begun"
        case .stage: return "\(model): the rollout of \(names) came to another stage"
        }
    }
}

extension Notice.Kind {
    /// What a journal event is to those outside; nil: nothing.
    init?(_ event: JournalEvent) {
        switch event.kind {
        case .cut: self = .cut
        case .promoted: self = .promote
        case .recovery: self = .recovery
        case .alert, .wouldHave, .control: self = .alert
        case .held: self = .hold
        case .baking: self = .stage
        case .sampleRatio: self = .sampleRatio
        case .unserved: self = .unserved
        case .served: self = .served
        case .stage:
            let stage = event.details.first { $0.name == "stage" }?.value
            self = stage?.integer == 1 ? .start : .stage
        case .started, .stopped, .configLoaded, .configRefused, .source, .configured, .verb, .weights,
            .overruled,
            .experimentEnded, .preflight, .group, .health, .actionDone, .actionFailed, .journalRecovered,
            .journalGap, .journalRestored, .stateRecovered, .checkpoint, .journalReserve, .journalRotated,
            .journalPruned, .report:
            return nil
        }
    }
}

extension JournalEvent {
    /// The event in a line of the journal; nil when it is none that this build knows.
    package init?(line: JSON) {
        guard let kind = line["kind"]?.string.flatMap(Kind.init(rawValue:)),
            let at = line["at"]?.string.flatMap(Timestamp.wallMicros), let actor = line["actor"]?.string,
            let reason = line["reason"]?.string
        else { return nil }
        let own: Set = ["seq", "at", "kind", "model", "actor", "reason", "state", "prev"]
        self.init(
            at: at, kind, model: line["model"]?.string, actor: actor, reason: reason,
            details: line.members.filter { !own.contains($0.name) })
    }
}

/// Who tells the outside of decisions: what the control loop needs of the actions.
package protocol NoticeSink: Sendable {
    /// The names of the actions that are to be told.
    func owed(_ notice: Notice) -> [String]
    /// Tells every action that wants to know; never waits.
    func post(_ notice: Notice)
}

extension ActionConfig {
    /// Whether the action is told of this decision.
    package func wants(_ notice: Notice) -> Bool {
        kinds.contains(notice.kind) && (models.isEmpty || models.contains(notice.model))
    }
}

// What stands in a journal line besides the chain: who did what to which model, why, and on which numbers.
// The words in `Kind` are an interface: people grep for them and pipelines match on them.
// Invariant: a line is one line of JSON, at most `lineBytesMax` long, whatever was in the event.

import Payload

/// One event of the journal, before it has a place in the chain.
package struct JournalEvent: Sendable, Hashable {
    /// What happened.
    package enum Kind: String, Sendable, CaseIterable {
        /// The process took the state directory over, and gave it back.
        case started, stopped
        /// A config was loaded, or refused and nothing changed.
        case configLoaded = "config_loaded"
        case configRefused = "config_refused"
        /// A registry's alias moved, and the config stays what it is: to a version that is not mapped, or to
        /// another one that stands for the same version of ours.
        case source
        /// What the rollout machine did: see `RolloutEvent`.
        case configured, verb, cut, promoted, weights, alert, recovery, overruled, stage, baking, held
        case experimentEnded = "experiment_ended"
        case wouldHave = "would_have"
        /// The control arm gave its traffic back to the rest of stable.
        case control
        /// What the checks before a rollout found, when it changed.
        case preflight
        /// A cut reached the other members of a group, or some of them.
        case group
        /// An endpoint changed between healthy and unhealthy.
        case health
        /// A sink has been told of a decision; an attempt failed, or the notice was given up (`final`).
        case actionDone = "action_done"
        case actionFailed = "action_failed"
        /// The last line was torn by a crash and moved aside; nothing acknowledged was lost.
        case journalRecovered = "journal_recovered"
        /// Lines that had been written are missing or altered.
        case journalGap = "journal_gap"
        /// The start applied lines that `rollouts.json` did not include, or rebuilt it.
        case stateRecovered = "state_recovered"
        /// All that is decided, at the beginning of a file: with it no earlier file is needed to know it.
        case checkpoint
        /// The disk is full and decisions go into the reserve; and it is filled again.
        case journalReserve = "journal_reserve"
        /// The journal can be written again after a failure.
        case journalRestored = "journal_restored"
        /// The first line of a file that goes on from a rotated one; and rotated files that were removed.
        case journalRotated = "journal_rotated"
        case journalPruned = "journal_pruned"
        /// What a cut came to, once the recovery check has answered: see `RollbackReport`.
        case report
        /// The split between two versions is not what the weights say: the router is broken, not a model.
        case sampleRatio = "sample_ratio"
        /// Nearly all of a model's requests fail, whichever version they are assigned to; and that is over.
        case unserved, served
    }

    package var wallMicros: UInt64
    package var kind: Kind
    package var model: String?
    /// "weir" for the machine's own acts, else who asked, as far as known.
    package var actor: String
    /// A sentence.
    package var reason: String
    /// The evidence: further members of the line, in order.
    package var details: [JSON.Member]
    /// What a restart must know of it; the member `state`.
    var change: StateChange?

    package init(
        at wallMicros: UInt64, _ kind: Kind, model: String? = nil, actor: String = "weir", reason: String,
        details: [JSON.Member] = []
    ) {
        self.wallMicros = wallMicros
        self.kind = kind
        self.model = model
        self.actor = actor
        self.reason = reason
        self.details = details
    }

    /// A line's greatest length without its `state`. Longer reasons are cut, longer details are left out and
    /// said to be.
    static let lineBytesMax = 256 << 10

    /// The line for this event, without its newline.
    func line(sequence: UInt64, previous: ChainHash) -> [UInt8] {
        let full = text(sequence: sequence, previous: previous, reason: reason, details: details)
        guard full.count - (change?.bytes.count ?? 0) > Self.lineBytesMax else { return full }
        let short = String(decoding: reason.utf8.prefix(4_096), as: UTF8.self)
        let note = JSON.Member("left_out", .string("details of a line of \(full.count) bytes"))
        return text(sequence: sequence, previous: previous, reason: short, details: [note])
    }

    private func text(
        sequence: UInt64, previous: ChainHash, reason: String, details: [JSON.Member]
    ) -> [UInt8] {
        var members: [JSON.Member] = [
            .init("seq", .count(sequence)),
            .init("at", .string(Timestamp.text(wallMicros: wallMicros))),
            .init("kind", .string(kind.rawValue)),
        ]
        if let model { members.append(.init("model", .string(model))) }
        members.append(.init("actor", .string(actor)))
        members.append(.init("reason", .string(reason)))
        let taken: Set = ["seq", "at", "kind", "model", "actor", "reason", "state", "prev"]
        members.append(contentsOf: details.filter { !taken.contains($0.name) })
        guard let change else {
            members.append(.init("prev", .string(previous.hex)))
            return Array(JSON.object(members).text.utf8)
        }
        let end = Array(",\"prev\":\"\(previous.hex)\"}".utf8)
        return Array(JSON.object(members).text.utf8.dropLast()) + Array(",\"state\":".utf8) + change.bytes
            + end
    }
}

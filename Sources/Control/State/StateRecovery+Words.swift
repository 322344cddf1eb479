// What a start found, in words: journal lines, a sentence for the log, and one for those who ask whether all
// is well.
// Place: read by `Sidecar` (log, readiness, status) and `OfflineUnquarantine` (journal).
// Invariant: a gap is never called recovered.

import Payload

extension StateRecovery {
    /// Whether the state differs from what the file says, or the file does not name the journal's last line;
    /// a first start too, so that a state that is missing later was taken away.
    var isToBeSaved: Bool { isFirst || !told.isEmpty }

    /// All but lines after a clean stop's state that decided nothing.
    private var told: [Finding] {
        findings.filter { finding in
            if case .replayed(_, _, let what) = finding { return !what.isEmpty }
            return true
        }
    }

    /// The journal lines of what was found. Where the journal did not say all that is decided, it does now.
    func events(at wallMicros: UInt64) -> [JournalEvent] {
        let events = told.map { finding in
            JournalEvent(
                at: wallMicros, finding.isGap ? .journalGap : .stateRecovered, reason: finding.sentence,
                details: finding.details)
        }
        let isWhole = findings.allSatisfy { if case .replayed = $0 { true } else { false } }
        return isWhole ? events : events + withholdings(at: wallMicros) + state.checkpoint(at: wallMicros)
    }

    /// A line for each model whose weight is withheld.
    private func withholdings(at wallMicros: UInt64) -> [JournalEvent] {
        withheld.sorted { $0.key < $1.key }.compactMap { name, rollout in
            guard case .cut(let record) = rollout.phase else { return nil }
            var event = JournalEvent(
                at: wallMicros, .held, model: name,
                reason: "all weight is withheld at \(rollout.setup.stable): \(record.reason)",
                details: [
                    .init("versions", .array(rollout.setup.candidates.map(JSON.string))),
                    .init("stable", .string(rollout.setup.stable)), .init("cut", .string(record.id)),
                    .init("cause", "decisions_lost"),
                    .init("weights_before", JSON(shares: record.weightsBefore)),
                ])
            event.change = StateChange(models: [name: rollout], groups: state.groupTrips)
            return event
        }
    }

    /// What was lost, for the readiness page and the status; nil: nothing.
    package var loss: String? {
        let lost = findings.filter(\.isLoss).map(\.sentence)
        return lost.isEmpty ? nil : lost.joined(separator: "; ")
    }

    /// Whose weight is withheld and what ends that; nil: nobody's.
    package static func withheld(_ models: some Collection<String>) -> String? {
        guard !models.isEmpty else { return nil }
        let names = models.sorted().prefix(20).joined(separator: ", ")
        let more = models.count > 20 ? " and \(models.count - 20) more" : ""
        return "all weight is withheld at stable in \(names)\(more), because a line that is gone may have "
            + "cut a version: look at what was decided, then resume, weights, rollback, or promote by force"
    }

    /// What was applied, for the status; nil: nothing.
    package var gain: String? {
        let gained = findings.filter { !$0.isLoss && $0.isNoteworthy }.map(\.sentence)
        return gained.isEmpty ? nil : gained.joined(separator: "; ")
    }

    /// Journal lines that the state did not include.
    var linesReplayed: UInt64 {
        told.reduce(0) { sum, finding in
            if case .replayed(_, let lines, _) = finding { return sum + lines }
            return sum
        }
    }
}

extension StateRecovery.Finding {
    /// Whether something is gone, or is not what it was.
    var isLoss: Bool {
        switch self {
        case .replayed, .unmarked: false
        case .rebuilt, .behind, .gap, .forked, .forgotten, .headless, .otherHead: true
        }
    }

    var isFork: Bool { if case .forked = self { true } else { false } }

    /// Whether journal lines are gone, or are not what they were.
    var isGap: Bool {
        switch self {
        case .replayed, .unmarked, .rebuilt, .headless: false
        case .behind, .gap, .forked, .forgotten, .otherHead: true
        }
    }

    /// Whether a person should be told.
    var isNoteworthy: Bool {
        switch self {
        case .replayed(_, _, let what): !what.isEmpty
        case .unmarked(let what): !what.isEmpty
        case .rebuilt, .behind, .gap, .forked, .forgotten, .headless, .otherHead: true
        }
    }

    var sentence: String {
        switch self {
        case .replayed(let after, let lines, let what):
            "rollouts.json included the journal up to line \(after); \(lines) newer lines were read"
                + Self.list(what, "applied")
        case .rebuilt(let lines, let models):
            "rollouts.json was missing and is rebuilt from \(lines) journal lines: \(models) models; their "
                + "evidence starts anew, and reports and the ledger over rollouts are gone"
        case .unmarked(let what):
            "rollouts.json is of a release that named no journal line" + Self.list(what, "applied")
        case .behind(let last, let mark):
            (last == 0 ? "the journal is missing or empty" : "the journal ends with line \(last)")
                + ", and rollouts.json includes line \(mark): \(Self.range(last + 1, mark)) gone; what was "
                + "decided until then is in rollouts.json"
        case .gap(let from, let to):
            "of the journal \(Self.range(from, to)) gone, and rollouts.json did not include that"
        case .forked(let line, let what):
            "the journal is not the one that rollouts.json was saved with, from line \(line) on; what "
                + "rollouts.json says is in force" + Self.list(what, "barred as well")
        case .forgotten(let from, let to):
            "journal.head remembers \(to) lines, and \(Self.range(from, to)) neither in the journal nor in "
                + "rollouts.json: what was decided there is not known"
        case .headless(let why, let isVouchedFor):
            "journal.head says nothing of the journal's end: \(why); "
                + (isVouchedFor
                    ? "nothing is missing there, by rollouts.json, which includes the journal's last line"
                    : "whether lines are missing there is not known")
        case .otherHead(let line):
            "journal.head remembers another line \(line) than the journal has: one of the two was changed"
        }
    }

    private static func range(_ first: UInt64, _ last: UInt64) -> String {
        first == last ? "line \(first) is" : "lines \(first) to \(last) are"
    }

    private static func list(_ what: [StateReplay.Applied], _ did: String) -> String {
        what.isEmpty
            ? ""
            : "; \(did): " + what.prefix(20).map { "\($0.what) (line \($0.line))" }.joined(separator: ", ")
                + (what.count > 20 ? " and \(what.count - 20) more" : "")
    }

    fileprivate var details: [JSON.Member] {
        switch self {
        case .replayed(let after, let lines, let what):
            [.init("after", .count(after)), .init("lines", .count(lines)), .init("applied", Self.json(what))]
        case .rebuilt(let lines, let models):
            [.init("lines", .count(lines)), .init("models", .integer(Int64(models)))]
        case .unmarked(let what): [.init("applied", Self.json(what))]
        case .behind(let last, let mark): [.init("lines", .count(last)), .init("remembered", .count(mark))]
        case .gap(let from, let to): [.init("from", .count(from)), .init("to", .count(to))]
        case .forgotten(let from, let to): [.init("from", .count(from)), .init("to", .count(to))]
        case .headless: []
        case .otherHead(let line): [.init("line", .count(line))]
        case .forked(let line, let what):
            [.init("line", .count(line)), .init("applied", Self.json(what))]
        }
    }

    private static func json(_ what: [StateReplay.Applied]) -> JSON {
        .array(what.prefix(100).map { ["line": .count($0.line), "what": .string($0.what)] })
    }
}

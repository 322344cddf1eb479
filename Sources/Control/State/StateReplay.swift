// Journal lines applied to a state, one after the other. A line of a history that can be trusted sets what it
// says; one that cannot be (another history's, or a broken chain's) only bars versions.
// Place: the inner part of `StateRecovery`; a pure function of lines.
// Invariant: applying a line twice is applying it once; a version that any line bars never gets weight by a
// line that is not trusted.

import Payload
import Rollout

/// A state that catches up with its journal.
struct StateReplay {
    /// A line that made a difference.
    struct Applied: Sendable, Equatable {
        var line: UInt64
        /// "cut-1 of recommender", "promote of recommender".
        var what: String

        /// Whether it says no more than what the config says.
        var isFirst: Bool { what.hasPrefix("\(JournalEvent.Kind.configured.rawValue) of ") }
    }

    var state: SavedState
    private(set) var applied: [Applied] = []
    /// Models with a cut on record that no later line with a state covers: lines of earlier releases.
    private(set) var uncovered: [String: String] = [:]
    /// Parts of a checkpoint, until all are there.
    private var parts: (seen: Int, models: [String: RolloutState]) = (0, [:])

    init(_ state: SavedState) { self.state = state }

    /// How far a line is believed.
    enum Trust {
        case whole
        /// Bars count; `newer`: only those of cuts that the state has not counted.
        case bars(newer: Bool)
    }

    /// Applies a line.
    /// - Throws: when its `state` cannot be read.
    mutating func take(_ line: JournalHistory.Line, _ trust: Trust) throws(StateProblem) {
        guard let value = line.value else { return }
        let number = line.number ?? 0
        guard value["state"] != nil else { return takeOld(value, number) }
        let change: StateChange
        do {
            guard let read = try StateChange.read(line.bytes) else { return }
            change = read
        } catch {
            throw .corrupt(
                path: JournalFiles.active, what: "line \(number) has a state that cannot be read (\(error))")
        }
        switch trust {
        case .whole: apply(change, number, word(value))
        case .bars(let newer): bar(change, number, newer)
        }
    }

    private func word(_ value: JSON) -> String {
        value["cut"]?.line ?? value["verb"]?.line ?? value["kind"]?.line ?? "a line"
    }

    private mutating func apply(_ change: StateChange, _ number: UInt64, _ word: String) {
        for (name, rollout) in change.models.sorted(by: { $0.key < $1.key }) {
            uncovered[name] = nil
            guard state.models[name]?.rollout != rollout else { continue }
            let before = state.models[name]
            var model = before ?? SavedState.Model(rollout: rollout)
            model.rollout = rollout
            // A bar ends the evidence; what follows it starts anew.
            for version in rollout.quarantined.keys { model.watches[version] = nil }
            state.models[name] = model
            report(name, rollout, before?.rollout)
            promote(name, rollout, before?.rollout)
            applied.append(Applied(line: number, what: ForeignText.line("\(word) of \(name)", bytesMax: 256)))
        }
        for verb in change.answered ?? [] where !state.answered.contains(verb) { state.answered.append(verb) }
        if state.answered.count > SavedState.answeredMax {
            state.answered.removeFirst(state.answered.count - SavedState.answeredMax)
        }
        state.groupTrips = change.groups ?? []
    }

    /// Opens the report of a cut that the desk does not know, without the counts, which nobody has.
    private mutating func report(_ name: String, _ rollout: RolloutState, _ before: RolloutState?) {
        guard case .cut(let record) = rollout.phase, !record.isWithheld else { return }
        var desk = state.reports ?? ReportDesk.Saved()
        let known = (desk.complete[name] ?? []).map(\.cut.id) + [desk.open[name]?.cut.id].compactMap { $0 }
        guard !known.contains(record.id) else { return }
        desk.open[name] = RollbackReport(
            model: name, stable: rollout.setup.stable, cut: record, epochBefore: before?.epoch ?? 0,
            epochAfter: rollout.epoch)
        desk.tallies[name, default: Tally()].note(record)
        state.reports = desk
    }

    /// Counts a promotion that the ledger does not know; one that is resumed it does.
    private mutating func promote(_ name: String, _ rollout: RolloutState, _ before: RolloutState?) {
        guard case .promoted(let record) = rollout.phase else { return }
        switch before?.phase {
        case .promoted(let known)? where known.wallMicros == record.wallMicros: return
        case .cut(let cut)? where cut.interrupted?.promotion?.wallMicros == record.wallMicros: return
        default: break
        }
        var desk = state.reports ?? ReportDesk.Saved()
        desk.tallies[name, default: Tally()].note(promoted: record.version)
        state.reports = desk
    }

    // MARK: Bars

    /// Bars what another state has quarantined.
    mutating func bar(_ other: SavedState, line: UInt64) {
        bar(StateChange(models: other.models.mapValues(\.rollout), groups: other.groupTrips), line, false)
    }

    private mutating func bar(_ change: StateChange, _ number: UInt64, _ newer: Bool) {
        for (name, rollout) in change.models.sorted(by: { $0.key < $1.key }) {
            for (version, record) in rollout.quarantined.sorted(by: { $0.key < $1.key }) {
                if newer, Self.count(record.cutID) <= state.models[name]?.rollout.cutCount ?? 0 { continue }
                bar(version, of: name, number, record.cutID, record.reason, at: record.wallMicros)
            }
        }
    }

    /// A line of an earlier release, which carries no state: a cut that the state has not counted is made up
    /// for; a state that is being rebuilt cannot know what else it was.
    private mutating func takeOld(_ value: JSON, _ number: UInt64) {
        guard value["kind"]?.string == JournalEvent.Kind.cut.rawValue, let name = value["model"]?.string,
            let cut = value["cut"]?.string
        else { return }
        guard let rollout = state.models[name]?.rollout else {
            uncovered[name] = cut
            return
        }
        guard Self.count(cut) > rollout.cutCount else { return }
        let at = value["at"]?.string.flatMap(Timestamp.wallMicros) ?? 0
        for version in value["versions"]?.elements.compactMap(\.string) ?? [] {
            bar(version, of: name, number, cut, value["reason"]?.string ?? "", at: at)
        }
    }

    /// 7 of "cut-7".
    private static func count(_ cut: String) -> Int { Int(cut.split(separator: "-").last ?? "") ?? 0 }

    private mutating func bar(
        _ version: String, of name: String, _ number: UInt64, _ cut: String, _ reason: String, at: UInt64
    ) {
        guard let before = state.models[name]?.rollout, before.quarantined[version] == nil,
            version != before.setup.stable
        else { return }
        var after = before
        if before.setup.candidates.contains(version) {
            let request = VerbRequest(verb: .rollback(version: version), actor: "weir", reason: reason)
            after = RolloutMachine.step(before, .verb(request), wallMicros: at).state
        } else {
            after.quarantined[version] = QuarantineRecord(cutID: cut, wallMicros: at, reason: reason)
        }
        state.models[name]?.rollout = after
        state.models[name]?.watches[version] = nil
        report(name, after, before)
        applied.append(Applied(line: number, what: ForeignText.line("\(cut) of \(name)", bytesMax: 256)))
    }

    // MARK: Checkpoints

    /// Takes a line of a checkpoint in; true when it completes one: from here on nothing earlier is needed.
    mutating func isCheckpoint(_ line: JournalHistory.Line) -> Bool {
        guard line.kind == JournalEvent.Kind.checkpoint.rawValue, let part = line.value?["part"]?.integer,
            let count = line.value?["parts"]?.integer,
            let change = try? StateChange.read(line.bytes)
        else {
            parts = (0, [:])
            return false
        }
        if part == 1 { parts = (0, [:]) }
        guard part == Int64(parts.seen + 1) else { return false }
        parts.seen += 1
        parts.models.merge(change.models) { $1 }
        guard part == count else { return false }
        for (name, rollout) in parts.models { state.models[name] = SavedState.Model(rollout: rollout) }
        uncovered = [:]
        return true
    }
}

// The start's comparison of the state with the journal, which is the truth: a state that is older catches up,
// one that is missing is rebuilt, and a journal that is shorter than the state, or another one, is said.
//
//   rollouts.json                     the journal               what happens
//   names its last line               as it was                 nothing
//   names an earlier line             goes on after it          the later lines are applied
//   names no line (earlier release)   any                       cuts that it has not counted count as bars
//   names a line                      ends before it, missing   the state holds; gap
//   names a line                      has another there         the state holds; the journal's bars as well
//   names a line                      ends before it, whole     the same: the state is of another journal
//   any                               lost lines after both     gap; what they decided is not known
//   any                               a head that says nothing, said; the files' numbers hold, and weight is
//                                     or another last line      withheld unless the state names the last line
//   missing                           whole, or from a          rebuilt, without evidence
//                                     checkpoint on
//   missing                           anything else             no start
//   missing                           there is none             a first start
//
// Where a line that is gone may have decided something, nobody knows whether it cut a version: then all
// weight is withheld until an operator's verb (`RolloutMachine.withheld`).
//
// Invariant: what is applied here is written to `rollouts.json` before anything new is decided on top of it
// can be acknowledged; applied again after another crash, it gives the same state.

import Config
import Platform
import Rollout

/// What a start knows after reading the state directory.
package struct StateRecovery {
    /// What was not as a clean stop leaves it.
    enum Finding: Equatable, Sendable {
        /// Lines after the one that the state includes were applied.
        case replayed(after: UInt64, lines: UInt64, what: [StateReplay.Applied])
        /// The state was missing.
        case rebuilt(lines: UInt64, models: Int)
        /// The state is of a release that named no line; what the journal bars beyond it.
        case unmarked([StateReplay.Applied])
        /// The state includes a line that the journal does not have.
        case behind(last: UInt64, mark: UInt64)
        /// Lines between the state's and the next one that is there.
        case gap(from: UInt64, to: UInt64)
        /// The journal is not the one that the state was saved with; from that line on.
        case forked(line: UInt64, [StateReplay.Applied])
        /// Lines that the journal's head remembers, and that neither the journal nor the state includes.
        case forgotten(from: UInt64, to: UInt64)
        /// The head says nothing of the journal's end. Where the state includes the journal's last line the
        /// two vouch for each other, else nobody knows whether lines are gone there.
        case headless(String, isVouchedFor: Bool)
        /// The head remembers another line of that number than the journal has.
        case otherHead(line: UInt64)
    }

    package private(set) var state = SavedState()
    private(set) var findings: [Finding] = []
    /// Whether there was neither state nor journal.
    private(set) var isFirst = false
    /// Why nobody knows what was decided last; nil when what is known is all.
    private var unknown: String?
    /// Models whose weight is withheld for that, by name: what the journal is to say of each.
    package private(set) var withheld: [String: RolloutState] = [:]

    /// - Parameters:
    ///   - saved: the state file's content; nil when there is none.
    ///   - directory: for messages.
    ///   - wallMicros: now, for the record of what is withheld.
    init(
        _ saved: SavedState?, _ journal: any JournalStorage, directory: String,
        at wallMicros: UInt64 = Clock.wallMicros()
    ) throws(StateProblem) {
        let head: HeadReading
        do throws(SystemFailure) {
            head = try HeadReading(journal)
        } catch {
            throw StateDirectory.unreadable(error, directory + "/" + JournalFiles.head, in: directory)
        }
        do throws(HistoryFailure<StateProblem>) {
            if let saved {
                try catchUp(saved, JournalHistory(journal), head)
            } else {
                try rebuild(JournalHistory(journal), head, directory)
            }
        } catch {
            switch error {
            case .visitor(let problem): throw problem
            case .system(let failure):
                throw StateDirectory.unreadable(
                    failure, directory + "/" + JournalFiles.active, in: directory)
            }
        }
        for name in state.models.keys { withhold(name, at: wallMicros) }
    }

    // MARK: What is not known

    /// Withholds the weight of models that only the config knows: what is gone may be all that was ever said
    /// of them.
    package mutating func withhold(_ models: [ModelConfig], at wallMicros: UInt64) {
        guard unknown != nil else { return }
        for model in models where state.models[model.name] == nil {
            let first = RolloutMachine.start(RolloutSetup(model), wallMicros: wallMicros)
            state.models[model.name] = SavedState.Model(rollout: first)
            withhold(model.name, at: wallMicros)
        }
    }

    private mutating func withhold(_ name: String, at wallMicros: UInt64) {
        guard let unknown, let before = state.models[name]?.rollout,
            let after = RolloutMachine.withheld(before, reason: unknown, wallMicros: wallMicros)
        else { return }
        state.models[name]?.rollout = after
        withheld[name] = after
    }

    // MARK: A state that is there

    private mutating func catchUp(
        _ saved: SavedState, _ history: JournalHistory, _ head: HeadReading
    ) throws(HistoryFailure<StateProblem>) {
        state = saved
        guard let mark = saved.journal else {
            var replay = StateReplay(saved)
            try history.each(from: 1) { line throws(StateProblem) in
                try replay.take(line, .bars(newer: true))
            }
            state = replay.state
            findings.append(.unmarked(replay.applied))
            return try judge(head, history, last: Self.lastLine(history), mark: 0)
        }
        var walk = Walk(mark, saved)
        try history.each(from: max(1, mark.line)) { line throws(StateProblem) in try walk.take(line) }
        do throws(StateProblem) {
            try walk.finish(head.head)
        } catch {
            throw .visitor(error)
        }
        let last = walk.last?.number ?? Self.lastLine(history)
        if walk.last == nil, mark.line > 0 {
            if last > 0, head.head?.lines == last {
                try adoptBars(of: history, &walk.replay)
                findings.append(.forked(line: last, walk.replay.applied))
            } else {
                findings.append(.behind(last: last, mark: mark.line))
                // The head may say that nothing came after what the state includes.
                let isAll = head.head == JournalHead(lines: mark.line, hash: ChainHash(hex: mark.hash))
                if !isAll { unknown = findings.last?.sentence }
            }
        } else if let line = walk.forkedAt {
            if line == mark.line { try adoptBars(of: history, &walk.replay) }
            findings.append(.forked(line: line, walk.replay.applied))
        } else if walk.newer > 0 {
            if let gap = walk.gap {
                findings.append(.gap(from: gap.lowerBound, to: gap.upperBound))
                if !walk.isCovered { unknown = findings.last?.sentence }
            }
            findings.append(.replayed(after: mark.line, lines: walk.newer, what: walk.replay.applied))
        }
        state = walk.replay.state
        if let finding = findings.first(where: \.isFork) { unknown = finding.sentence }
        try judge(head, history, last: last, mark: mark.line)
    }

    /// Takes what the head says of the journal's end.
    private mutating func judge(
        _ head: HeadReading, _ history: JournalHistory, last: UInt64, mark: UInt64
    ) throws(HistoryFailure<StateProblem>) {
        switch try Self.verdict(head, history, last: last) {
        case .vouches: break
        case .unreadable(let why):
            let isVouchedFor = mark > 0 && last == mark
            findings.append(.headless(why, isVouchedFor: isVouchedFor))
            if !isVouchedFor { unknown = unknown ?? findings.last?.sentence }
        case .altered(let line):
            guard !findings.contains(where: \.isFork) else { return }
            findings.append(.otherHead(line: line))
            // The state has the hash of the line that it includes, and was found to agree.
            if last != mark { unknown = unknown ?? findings.last?.sentence }
        case .missing(let remembered):
            let known = max(last, mark)
            guard remembered > known else { return }
            findings.append(.forgotten(from: known + 1, to: remembered))
            unknown = findings.last?.sentence
        }
    }

    private static func verdict(
        _ head: HeadReading, _ history: JournalHistory, last: UInt64
    ) throws(HistoryFailure<StateProblem>) -> HeadVerdict {
        do throws(SystemFailure) {
            return try head.verdict(last: last) { number throws(SystemFailure) in
                try history.hash(of: number)
            }
        } catch {
            throw .system(error)
        }
    }

    /// The number of the journal's last line; 0: there is none.
    private static func lastLine(_ history: JournalHistory) -> UInt64 {
        let tail = try? JournalTail(history.storage, JournalFiles.active)
        let before = try? history.storage.rotated().last.flatMap { try JournalTail(history.storage, $0) }
        return (tail ?? nil)?.sequence ?? before?.sequence ?? 0
    }

    /// Of a journal that the state does not go on from: what is quarantined at its end stays so.
    private func adoptBars(
        of history: JournalHistory, _ replay: inout StateReplay
    ) throws(HistoryFailure<StateProblem>) {
        var whole = StateReplay(SavedState())
        var end: UInt64 = 0
        try history.each(from: 1) { line throws(StateProblem) in
            end = line.number ?? end
            try whole.take(line, .whole)
        }
        replay.bar(whole.state, line: end)
    }

    /// The lines from the state's on. Each is applied when the next one, or the head, has vouched for it.
    private struct Walk {
        let mark: JournalMark
        var replay: StateReplay
        var last: (number: UInt64, hash: String)?
        var newer: UInt64 = 0
        var gap: ClosedRange<UInt64>?
        var forkedAt: UInt64?
        /// Whether a checkpoint after the gap says all that is decided.
        private(set) var isCovered = false
        private var checkpoints = StateReplay(SavedState())
        /// The line that nothing has vouched for yet.
        private var open: JournalHistory.Line?

        init(_ mark: JournalMark, _ saved: SavedState) {
            self.mark = mark
            replay = StateReplay(saved)
            if mark.line == 0 { last = (0, mark.hash) }
        }

        mutating func take(_ line: JournalHistory.Line) throws(StateProblem) {
            defer { if let number = line.number { last = (number, line.hash.hex) } }
            if let number = line.number, number == mark.line {
                if line.hash.hex != mark.hash { forkedAt = number }
                return
            }
            let before = last ?? (mark.line, mark.hash)
            if let number = line.number, last == nil, number > mark.line + 1 {
                // What came in between is gone, and with it the proof that this goes on from there.
                gap = mark.line + 1...number - 1
            } else if forkedAt == nil, line.number != before.number + 1 || line.previous != before.hash {
                // Numbers that were lost once are not given again; a gap line says so.
                let isNoted = line.number ?? 0 > before.number && isNote(line)
                if !isNoted { forkedAt = line.number ?? before.number + 1 }
            }
            newer += 1
            if checkpoints.isCheckpoint(line) { isCovered = true }
            try applyOpen()
            open = line
        }

        /// Takes what the head says of the last line.
        mutating func finish(_ head: JournalHead?) throws(StateProblem) {
            if let line = open, let head, head.lines == line.number, head.hash != line.hash {
                forkedAt = forkedAt ?? line.number
            }
            try applyOpen()
        }

        private mutating func applyOpen() throws(StateProblem) {
            guard let line = open else { return }
            open = nil
            try replay.take(line, forkedAt == nil ? .whole : .bars(newer: false))
        }

        private func isNote(_ line: JournalHistory.Line) -> Bool {
            line.kind == JournalEvent.Kind.journalGap.rawValue
                || line.kind == JournalEvent.Kind.journalRotated.rawValue
        }
    }

    // MARK: A state that is missing

    private mutating func rebuild(
        _ history: JournalHistory, _ reading: HeadReading, _ directory: String
    ) throws(HistoryFailure<StateProblem>) {
        var replay = StateReplay(SavedState())
        var last: (number: UInt64, hash: String) = (0, ChainHash.origin.hex)
        var lines: UInt64 = 0
        var broken: String?
        try history.each(from: 1) { line throws(StateProblem) in
            lines += 1
            let number = line.number ?? 0
            if number != last.number + 1 || line.previous != last.hash {
                broken =
                    last.number == 0
                    ? "it begins with line \(number), and what came before is gone"
                    : "line \(number) does not go on from line \(last.number)"
            }
            last = (number, line.hash.hex)
            if replay.isCheckpoint(line) { broken = nil }
            try replay.take(line, .whole)
        }
        switch try Self.verdict(reading, history, last: last.number) {
        case .vouches: break
        case .missing(let remembered):
            broken =
                "journal.head remembers \(remembered) lines, and the journal ends with line \(last.number)"
        case .altered(let line):
            broken = broken ?? "journal.head remembers another line \(line) than the journal has"
        case .unreadable(let why): broken = "journal.head says nothing of the journal's end: \(why)"
        }
        if broken == nil, !replay.uncovered.isEmpty {
            let cuts = replay.uncovered.sorted { $0.key < $1.key }.map { "\($0.value) of \($0.key)" }
            broken =
                "lines of an earlier release do not say what is decided now (\(cuts.joined(separator: ", ")))"
        }
        if let broken { throw .visitor(.lost(directory: directory, what: broken)) }
        state = replay.state
        guard lines > 0 else {
            isFirst = true
            return
        }
        if replay.applied.allSatisfy(\.isFirst) {
            // Killed before the first state was saved: nothing that a person has done is in it.
            findings.append(.replayed(after: 0, lines: lines, what: replay.applied))
        } else {
            findings.append(.rebuilt(lines: lines, models: state.models.count))
        }
    }
}

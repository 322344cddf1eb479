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
//   missing                           whole, or from a          rebuilt, without evidence
//                                     checkpoint on
//   missing                           anything else             no start
//   missing                           there is none             a first start
//
// Invariant: what is applied here is written to `rollouts.json` before anything new is decided on top of it
// can be acknowledged; applied again after another crash, it gives the same state.

import Platform
import Rollout

/// What a start knows after reading the state directory.
struct StateRecovery {
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
    }

    private(set) var state = SavedState()
    private(set) var findings: [Finding] = []
    /// Whether there was neither state nor journal.
    private(set) var isFirst = false

    /// - Parameters:
    ///   - saved: the state file's content; nil when there is none.
    ///   - directory: for messages.
    init(
        _ saved: SavedState?, _ journal: any JournalStorage, directory: String
    ) throws(StateProblem) {
        do throws(HistoryFailure<StateProblem>) {
            if let saved {
                try catchUp(saved, JournalHistory(journal))
            } else {
                try rebuild(JournalHistory(journal), directory)
            }
        } catch {
            switch error {
            case .visitor(let problem): throw problem
            case .system(let failure):
                throw StateDirectory.unreadable(
                    failure, directory + "/" + JournalFiles.active, in: directory)
            }
        }
    }

    // MARK: A state that is there

    private mutating func catchUp(
        _ saved: SavedState, _ history: JournalHistory
    ) throws(HistoryFailure<StateProblem>) {
        state = saved
        guard let mark = saved.journal else {
            var replay = StateReplay(saved)
            try history.each(from: 1) { line throws(StateProblem) in
                try replay.take(line, .bars(newer: true))
            }
            state = replay.state
            findings.append(.unmarked(replay.applied))
            return
        }
        var walk = Walk(mark, saved)
        try history.each(from: max(1, mark.line)) { line throws(StateProblem) in try walk.take(line) }
        let head = ((try? history.storage.readHead()) ?? nil).flatMap(JournalHead.init(bytes:))
        do throws(StateProblem) {
            try walk.finish(head)
        } catch {
            throw .visitor(error)
        }
        let last = walk.last?.number ?? Self.lastLine(history)
        if walk.last == nil, mark.line > 0 {
            if last > 0, head?.lines == last {
                try adoptBars(of: history, &walk.replay)
                findings.append(.forked(line: last, walk.replay.applied))
            } else {
                findings.append(.behind(last: last, mark: mark.line))
            }
        } else if let line = walk.forkedAt {
            if line == mark.line { try adoptBars(of: history, &walk.replay) }
            findings.append(.forked(line: line, walk.replay.applied))
        } else if walk.newer > 0 {
            if let gap = walk.gap { findings.append(.gap(from: gap.lowerBound, to: gap.upperBound)) }
            findings.append(.replayed(after: mark.line, lines: walk.newer, what: walk.replay.applied))
        }
        state = walk.replay.state
        let known = max(last, mark.line)
        if let head, head.lines > known { findings.append(.forgotten(from: known + 1, to: head.lines)) }
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
        _ history: JournalHistory, _ directory: String
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
        var head: JournalHead?
        do throws(SystemFailure) {
            head = try history.storage.readHead().flatMap(JournalHead.init(bytes:))
        } catch {
            throw .system(error)
        }
        if let head, head.lines > last.number {
            broken =
                "journal.head remembers \(head.lines) lines, and the journal ends with line \(last.number)"
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

// The append-only, hash-chained journal: one JSON object per line, each with the SHA-256 of the whole line
// before it (`prev`, without the newline), so `sed -n 4p journal.jsonl | tr -d '\n' | sha256sum` is what
// line 5 must carry. Numbers and chain go on from file to file: see `Journal+Rotation`.
//
// Invariant: `append` returns only after fsync; a line is acknowledged then and never rewritten. A failed
// append leaves the durable prefix as it was. One thread calls; the state lock keeps other processes out.

import Config
import Platform

/// The journal of one state directory.
package struct Journal {
    let storage: any JournalStorage
    let rules: JournalConfig
    /// Lines that are durable; the next one is number `lines + 1`.
    private(set) var lines: UInt64
    /// Hash of the last durable line.
    private(set) var hash: ChainHash
    /// Bytes of the durable lines in the file that is written; anything beyond is rest of a failed append.
    var bytesDurable: Int
    private var mayHaveRest = false
    /// The next line's number is not the one after the last line's: lines in between are gone.
    private(set) var isAhead = false
    /// What opening had to repair, not yet journaled.
    private(set) var findings: [Finding] = []
    /// Number of the last line before the file that is written, and when that file begins (wall clock).
    var linesBefore: UInt64 = 0
    var beganAt: UInt64
    var rotation = Rotation()
    /// Bytes that the file began with, which say nothing new.
    private(set) var bytesBegun = 0

    /// What was wrong with the journal when it was opened.
    enum Finding: Equatable {
        /// - Parameter movedTo: nil: a full disk had no room for it.
        case tornLine(bytes: Int, movedTo: String?)
        case missing(lines: UInt64, remembered: UInt64)
        case altered(line: UInt64)
    }

    /// Opens and repairs. Only ends of files are read; a torn last line goes to a file of its own. Numbers go
    /// on after every line that is remembered, by `journal.head` or by the state (`mark`): one that was lost
    /// is never given again.
    package init(
        opening storage: any JournalStorage, rules: JournalConfig = JournalConfig(),
        after mark: JournalMark? = nil, wallMicros: UInt64
    ) throws(SystemFailure) {
        self.storage = storage
        self.rules = rules
        let tail = try JournalTail(storage, JournalFiles.active)
        let rotated = try storage.rotated().last
        bytesDurable = tail?.bytesComplete ?? 0
        beganAt = wallMicros
        lines = 0
        hash = .origin
        if let rotated, let before = try JournalTail(storage, rotated), let last = before.last {
            linesBefore =
                if let number = before.sequence { number } else {
                    (JournalFiles.firstLine(of: rotated) ?? 1) - 1 + (try JournalTail.count(storage, rotated))
                }
            (lines, hash) = (linesBefore, ChainHash(of: last))
            // A crash between the renaming and the first line of the new file leaves that line to us.
            if bytesDurable == 0 {
                rotation.previous = Rotation.Closed(name: rotated, last: lines, hash: hash)
            }
        }
        if let last = tail?.last {
            lines =
                if let number = tail?.sequence { number } else {
                    linesBefore + (try JournalTail.count(storage, JournalFiles.active))
                }
            hash = ChainHash(of: last)
            beganAt = try JournalTail.begin(storage, JournalFiles.active) ?? wallMicros
        }
        if let open = tail?.open, !open.isEmpty { try repair(open, wallMicros) }
        try compareHead()
        if let mark, mark.line > lines { goOn(after: mark.line, ChainHash(hex: mark.hash)) }
    }

    private mutating func goOn(after line: UInt64, _ hash: ChainHash) {
        (lines, self.hash) = (line, hash)
        isAhead = true
        // A file that is empty begins with the next line.
        if bytesDurable == 0 { linesBefore = line }
    }

    /// Moves the rest behind the last whole line aside.
    private mutating func repair(_ open: [UInt8], _ wallMicros: UInt64) throws(SystemFailure) {
        let name = "journal.torn-\(lines + 1)-\(wallMicros)"
        var moved: String? = name
        do throws(SystemFailure) {
            moved = try storage.setAside(open, name: name)
        } catch {
            // It was never acknowledged: a full disk must not keep Weir from starting for its sake.
            guard error.errno.isOutOfSpace else { throw error }
            moved = nil
        }
        try storage.truncate(to: bytesDurable)
        try storage.sync()
        findings.append(.tornLine(bytes: open.count, movedTo: moved))
    }

    private mutating func compareHead() throws(SystemFailure) {
        let reading = try HeadReading(storage)
        // Of an earlier line than the last nothing is said here: numbers go on all the same.
        switch reading.verdict(last: lines, hash: { $0 == lines ? hash : nil }) {
        case .missing(let remembered):
            findings.append(.missing(lines: lines, remembered: remembered))
            if let head = reading.head { goOn(after: head.lines, head.hash) }
        case .altered(let line): findings.append(.altered(line: line))
        case .vouches, .unreadable: break
        }
    }

    /// Appends the events as one durable step; a file that begins says first what came before it.
    /// - Parameter gaps: what is written before even that, since the first line's number is ahead.
    /// - Throws: when the disk refuses; then none of them counts as written and the chain is as before.
    mutating func append(
        _ events: [JournalEvent], after gaps: [JournalEvent] = []
    ) throws(SystemFailure) {
        guard let first = gaps.first ?? events.first else { return }
        try dropRest()
        var bytes: [UInt8] = []
        var last = hash
        let all = gaps + rotation.begin(at: first.wallMicros) + events
        for (i, event) in all.enumerated() {
            let line = event.line(sequence: lines + UInt64(i) + 1, previous: last)
            last = ChainHash(of: line)
            bytes.append(contentsOf: line)
            bytes.append(UInt8(ascii: "\n"))
        }
        mayHaveRest = true
        do throws(SystemFailure) {
            try storage.append(bytes)
            try storage.sync()
        } catch {
            // At once, so that a later start does not find what the caller is told was refused.
            try? dropRest()
            throw error
        }
        mayHaveRest = false
        isAhead = false
        rotation.previous = nil
        lines += UInt64(all.count)
        hash = last
        bytesDurable += bytes.count
        // The head is a convenience for verification: without it the lines are still durable.
        try? storage.writeHead(JournalHead(lines: lines, hash: hash).bytes)
    }

    /// Takes back what a failed append may have left.
    mutating func dropRest() throws(SystemFailure) {
        guard mayHaveRest else { return }
        try storage.truncate(to: bytesDurable)
        mayHaveRest = false
    }

    /// Appends the events, and before them, once, what opening found. Rotates when it is time.
    /// - Parameter checkpoint: what a file that goes on from another one says first of all.
    mutating func appendNoting(
        _ events: [JournalEvent], at wallMicros: UInt64, checkpoint: () -> [JournalEvent] = { [] }
    ) throws(SystemFailure) {
        rotateIfDue(at: wallMicros)
        if bytesDurable == 0 { beganAt = wallMicros }
        // A gap first, also before what a file begins with: it is the line whose number jumps.
        var gaps = findings.filter(\.isGap).map { $0.event(at: wallMicros) }
        var others = findings.filter { !$0.isGap }.map { $0.event(at: wallMicros) }
        for event in events {
            if isAhead, event.kind == .journalGap { gaps.append(event) } else { others.append(event) }
        }
        let isNew = rotation.previous != nil
        let first = isNew ? checkpoint() : []
        if !first.isEmpty {
            try append(first, after: gaps)
            bytesBegun = bytesDurable
            findings.removeAll(where: \.isGap)
            gaps = []
        } else if isNew {
            bytesBegun = 0
        }
        try append(others, after: gaps)
        findings = []
        prune(at: wallMicros)
    }
}

extension Journal.Finding {
    /// Whether lines are not what they were.
    var isGap: Bool {
        switch self {
        case .tornLine: false
        case .missing, .altered: true
        }
    }

    func event(at wallMicros: UInt64) -> JournalEvent {
        switch self {
        case .tornLine(let bytes, let name):
            JournalEvent(
                at: wallMicros, .journalRecovered,
                reason:
                    "the last line was torn by a crash: \(bytes) bytes "
                    + (name.map { "moved to \($0)" } ?? "dropped, for the disk is full")
                    + "; it had never been acknowledged",
                details: [.init("bytes", .integer(Int64(bytes))), .init("moved_to", .optional(name))])
        case .missing(let lines, let remembered):
            JournalEvent(
                at: wallMicros, .journalGap,
                reason: "the journal has \(lines) lines, but journal.head remembers \(remembered): "
                    + "\(remembered - lines) acknowledged lines at its end are gone",
                details: [.init("lines", .count(lines)), .init("remembered", .count(remembered))])
        case .altered(let line):
            JournalEvent(
                at: wallMicros, .journalGap,
                reason: "line \(line), the last one, is not the line that was written",
                details: [.init("line", .count(line))])
        }
    }
}

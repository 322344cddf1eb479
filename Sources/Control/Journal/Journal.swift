// The append-only, hash-chained journal: one JSON object per line, each with the SHA-256 of the whole line
// before it (`prev`, without the newline), so `sed -n 4p journal.jsonl | tr -d '\n' | sha256sum` is what
// line 5 must carry.
//
// Invariant: `append` returns only after fsync; a line is acknowledged then and never rewritten. A failed
// append leaves the durable prefix as it was. One thread calls; the state lock keeps other processes out.

import Platform

/// The journal of one state directory.
struct Journal {
    private let storage: any JournalStorage
    /// Lines that are durable; the next one is number `lines + 1`.
    private(set) var lines: UInt64
    /// Hash of the last durable line.
    private(set) var hash: ChainHash
    /// Bytes of the durable lines; anything beyond is rest of a failed append.
    private var bytesDurable: Int
    private var mayHaveRest = false
    /// What opening had to repair, not yet journaled.
    private(set) var findings: [Finding] = []

    /// What was wrong with the journal when it was opened.
    enum Finding: Equatable {
        case tornLine(bytes: Int, movedTo: String)
        case missing(lines: UInt64, remembered: UInt64)
        case altered(line: UInt64)
    }

    /// Opens and repairs. The file is read once, in pieces; a torn last line goes to a file of its own.
    init(opening storage: any JournalStorage, wallMicros: UInt64) throws(SystemFailure) {
        self.storage = storage
        var scan = LineScan()
        try storage.scan { scan.take($0) }
        lines = scan.lines
        hash = scan.lines == 0 ? .origin : ChainHash(of: scan.last)
        bytesDurable = scan.bytesComplete
        if !scan.open.isEmpty {
            let name = "journal.torn-\(lines + 1)-\(wallMicros)"
            let moved = try storage.setAside(scan.open, name: name)
            try storage.truncate(to: bytesDurable)
            try storage.sync()
            findings.append(.tornLine(bytes: scan.open.count, movedTo: moved))
        }
        if let bytes = try storage.readHead(), let head = JournalHead(bytes: bytes) {
            if head.lines > lines {
                findings.append(.missing(lines: lines, remembered: head.lines))
            } else if head.lines == lines, head.hash != hash {
                findings.append(.altered(line: lines))
            }
        }
    }

    /// Appends the events as one durable step.
    /// - Throws: when the disk refuses; then none of them counts as written and the chain is as before.
    mutating func append(_ events: [JournalEvent]) throws(SystemFailure) {
        guard !events.isEmpty else { return }
        if mayHaveRest {
            try storage.truncate(to: bytesDurable)
            mayHaveRest = false
        }
        var bytes: [UInt8] = []
        var last = hash
        for (i, event) in events.enumerated() {
            let line = event.line(sequence: lines + UInt64(i) + 1, previous: last)
            last = ChainHash(of: line)
            bytes.append(contentsOf: line)
            bytes.append(UInt8(ascii: "\n"))
        }
        mayHaveRest = true
        try storage.append(bytes)
        try storage.sync()
        mayHaveRest = false
        lines += UInt64(events.count)
        hash = last
        bytesDurable += bytes.count
        // The head is a convenience for verification: without it the lines are still durable.
        try? storage.writeHead(JournalHead(lines: lines, hash: hash).bytes)
    }

    /// Appends the events, and before them, once, what opening found.
    mutating func appendNoting(_ events: [JournalEvent], at wallMicros: UInt64) throws(SystemFailure) {
        try append(findings.map { $0.event(at: wallMicros) } + events)
        findings = []
    }
}

extension Journal.Finding {
    func event(at wallMicros: UInt64) -> JournalEvent {
        switch self {
        case .tornLine(let bytes, let name):
            JournalEvent(
                at: wallMicros, .journalRecovered,
                reason:
                    "the last line was torn by a crash: \(bytes) bytes moved to \(name); it had never been "
                    + "acknowledged",
                details: [.init("bytes", .integer(Int64(bytes))), .init("moved_to", .string(name))])
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

/// Splits a stream of bytes into lines, keeping only the last complete one and the open rest.
struct LineScan {
    var lines: UInt64 = 0
    var last: [UInt8] = []
    var open: [UInt8] = []
    var bytesComplete = 0

    mutating func take(_ piece: [UInt8]) {
        var rest = piece[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            open.append(contentsOf: rest[..<end])
            lines += 1
            bytesComplete += open.count + 1
            last = open
            open.removeAll(keepingCapacity: true)
            rest = rest[(end + 1)...]
        }
        open.append(contentsOf: rest)
    }
}

// The walk of `AuditVerify` along the chain: lines of all files in their order, each judged by its
// neighbours, then the two ends: what must have come before the first line, and what the head remembers of
// the last. Invariant: a line is blamed once per problem, so that one edit makes one finding.

import Payload
import Platform

/// The state of a verification.
struct AuditWalk {
    struct Line {
        var digest: ChainHash
        var sequence: Int64?
        var previous: String?
        var isGap: Bool
        /// Index of its file, and its 1-based line there.
        var file: Int
        var number: Int
    }

    private(set) var lines: [Line] = []
    private(set) var findings: [AuditReport.Finding] = []
    private(set) var pruned = 0
    private var names: [String] = []
    /// Files on record as removed: the last number and hash of each.
    private var prunes: [(last: Int64, hash: String)] = []

    /// The files by the numbers of their first lines; files that do not say stay at the end.
    static func inOrder(_ files: [AuditFile]) -> [AuditFile] {
        files.map { file in
            let first = file.bytes.prefix { $0 != UInt8(ascii: "\n") }
            return (file: file, seq: (try? JSON(parsing: first))?["seq"]?.integer ?? .max)
        }.sorted { $0.seq < $1.seq }.map(\.file)
    }

    mutating func take(_ file: AuditFile, isLast: Bool) {
        names.append(file.name)
        var start = file.bytes.startIndex
        var number = 0
        while let end = file.bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            number += 1
            lines.append(read(file.bytes[start..<end], number))
            start = end + 1
        }
        guard start < file.bytes.endIndex else { return }
        let why =
            isLast
            ? "has no end: it was never acknowledged; the next start moves it aside"
            : "has no end: the file was cut off in it"
        report(names.count - 1, number + 1, .torn, why)
    }

    private mutating func read(_ bytes: ArraySlice<UInt8>, _ number: Int) -> Line {
        let value = try? JSON(parsing: bytes)
        let kind = value?["kind"]?.string
        if kind == JournalEvent.Kind.journalPruned.rawValue {
            for file in value?["files"]?.elements ?? [] {
                guard let last = JournalNumber.line(file["last"]), let hash = file["hash"]?.string else {
                    continue
                }
                prunes.append((Int64(last), hash))
            }
        }
        return Line(
            digest: ChainHash(of: bytes), sequence: JournalNumber.line(value?["seq"]).map(Int64.init),
            previous: value?["prev"]?.string,
            isGap: kind == JournalEvent.Kind.journalGap.rawValue, file: names.count - 1, number: number)
    }

    private mutating func report(
        _ file: Int, _ line: Int, _ problem: AuditReport.Problem, _ sentence: String
    ) {
        let name = names.indices.contains(file) ? names[file] : JournalFiles.active
        guard !findings.contains(where: { $0.file == name && $0.line == line && $0.problem == problem })
        else { return }
        findings.append(.init(file: name, line: line, problem: problem, sentence: sentence))
    }

    private mutating func report(_ line: Line, _ problem: AuditReport.Problem, _ sentence: String) {
        report(line.file, line.number, problem, sentence)
    }

    // MARK: Judging

    /// Judges every line; `files` have been taken in their order.
    mutating func finish(head reading: HeadReading, isWhole: Bool) {
        let head = reading.head
        let base = judgeStart(isWhole: isWhole)
        // Lines that are gone from the middle are blamed there; the last one that is left has its number.
        let end = max(base &+ Int64(lines.count) &+ skipped(base), lines.last?.sequence ?? 0)
        // The head stands in for the last line's successor.
        let vouched =
            head == nil || Int64(clamping: head?.lines ?? 0) != end || head?.hash == lines.last?.digest
        for i in lines.indices { judge(i, vouched: vouched, base: base) }
        judge(reading, end: end)
    }

    /// - Returns: the number of the line before the first.
    private mutating func judgeStart(isWhole: Bool) -> Int64 {
        guard let first = lines.first, let sequence = first.sequence, sequence > 1 else { return 0 }
        if !isWhole { return sequence - 1 }
        if prunes.contains(where: { $0.last == sequence - 1 && $0.hash == first.previous }) {
            pruned = Int(sequence - 1)
            return sequence - 1
        }
        report(
            first, .removed,
            "has seq \(sequence) where 1 was due: what came before is gone, and no journal_pruned line"
                + " accounts for it")
        return sequence - 1
    }

    /// Numbers that were not given again after their lines were lost, by what gap lines say.
    private func skipped(_ base: Int64) -> Int64 {
        lines.indices.reduce(0) { $0 &+ max(0, jump(at: $1, base)) }
    }

    /// By how much a gap line's number is ahead of what was due.
    private func jump(at i: Int, _ base: Int64) -> Int64 {
        guard lines[i].isGap, let sequence = lines[i].sequence else { return 0 }
        let before = i == 0 ? base : lines[i - 1].sequence ?? base &+ Int64(i)
        return sequence &- before &- 1
    }

    /// Whether line `i` carries the hash of the one before. The first of a part has nobody to ask.
    private func isLinked(_ i: Int, base: Int64) -> Bool {
        if i > 0 { return lines[i].previous == lines[i - 1].digest.hex }
        return base > 0 || lines[i].previous == ChainHash.origin.hex
    }

    private mutating func judge(_ i: Int, vouched: Bool, base: Int64) {
        let line = lines[i]
        guard let sequence = line.sequence, line.previous != nil else {
            return report(line, .notALine, "is not a journal line (a JSON object with seq and prev)")
        }
        if line.isGap {
            report(line, .gap, "notes that lines written before it were missing or altered at a start")
        }
        let expected = i == 0 ? base &+ 1 : (lines[i - 1].sequence ?? base &+ Int64(i)) &+ 1
        // The line says itself what is missing before it.
        if line.isGap, sequence > expected { return }
        if sequence > expected {
            return report(
                line, .removed,
                "has seq \(sequence) where \(expected) was due: lines were removed before it")
        }
        if sequence < expected {
            return report(
                line, .reordered, "has seq \(sequence) where \(expected) was due: out of order or inserted")
        }
        guard !isLinked(i, base: base) else { return }
        let successorAgrees = i + 1 < lines.count ? isLinked(i + 1, base: base) : vouched
        if i > 0, successorAgrees {
            report(lines[i - 1], .altered, "was changed: the line after it carries another hash for it")
        } else {
            report(line, .altered, "was changed: it does not carry the hash of the line before")
        }
    }

    private mutating func judge(_ reading: HeadReading, end: Int64) {
        let line = { [lines] (number: UInt64) in lines.last { $0.sequence == Int64(number) } }
        switch reading.verdict(last: UInt64(max(0, end)), hash: { line($0)?.digest }) {
        case .vouches: return
        case .unreadable(let why):
            let sentence = "says nothing of the journal's end: \(why)"
            findings.append(
                .init(file: JournalFiles.head, line: 1, problem: .notALine, sentence: sentence))
        case .missing(let remembered):
            report(
                lines.last?.file ?? 0, (lines.last?.number ?? 0) + 1, .removed,
                "is missing: journal.head remembers \(remembered) lines, there are \(end)")
        case .altered(let number):
            guard let line = line(number),
                !findings.contains(where: { $0.file == names[line.file] && $0.line == line.number })
            else { return }
            report(line, .altered, "was changed: journal.head carries another hash for it")
        }
    }
}

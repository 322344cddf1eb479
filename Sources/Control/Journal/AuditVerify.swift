// Checks a journal's chain from its first line to its last and names the line where history was touched.
//
// Theory: line n+1 carries the hash of line n, and numbers run 1, 2, 3, … . If the link n → n+1 is broken,
// one of the two was touched: n+1 when the link n+1 → n+2 is broken as well, else n. Numbers tell removal
// (a jump) from insertion and reordering (a step back). `journal.head` vouches for the last line, which has
// no successor. Someone who rewrites all later lines and the head is beyond any chain without an outside
// witness: keep `weir audit verify`'s final hash elsewhere to catch that.

import Platform

/// The result of checking a journal.
public struct AuditReport: Sendable, Equatable {
    /// One place where the journal is not as it was written.
    public struct Finding: Sendable, Equatable, CustomStringConvertible {
        /// 1-based line of the file.
        public var line: Int
        public var problem: Problem
        public var sentence: String

        public var description: String { "line \(line): \(sentence)" }
    }

    /// What kind of thing happened to the line.
    public enum Problem: String, Sendable {
        case notALine = "not_a_line"
        case altered, removed, reordered, torn, gap
    }

    public var findings: [Finding]
    public var lines: Int
    /// Hash of the last line: what a witness should keep.
    public var hash: String

    public var isIntact: Bool { findings.isEmpty }

    /// The report for `--output json`.
    public var json: JSON {
        [
            "intact": .bool(isIntact), "lines": .integer(Int64(lines)), "hash": .string(hash),
            "findings": .array(
                findings.map {
                    [
                        "line": .integer(Int64($0.line)), "problem": .string($0.problem.rawValue),
                        "sentence": .string($0.sentence),
                    ]
                }),
        ]
    }
}

/// Verification of a journal's bytes.
public enum AuditVerify {
    private struct Line {
        var digest: ChainHash
        var sequence: Int64?
        var previous: String?
        var kind: String?
    }

    /// - Parameters:
    ///   - journal: the bytes of `journal.jsonl`.
    ///   - head: the bytes of `journal.head`, when there is one.
    public static func check(journal: [UInt8], head: [UInt8]?) -> AuditReport {
        var pieces = journal.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let rest = pieces.popLast() ?? []
        let lines = pieces.map(read)
        let head = head.flatMap(JournalHead.init(bytes:))
        // The head stands in for the last line's successor.
        let vouched = head == nil || head?.lines != UInt64(lines.count) || head?.hash == lines.last?.digest
        var findings: [AuditReport.Finding] = []
        for i in lines.indices { check(lines, at: i, vouched: vouched, into: &findings) }
        if !rest.isEmpty {
            findings.append(
                .init(
                    line: lines.count + 1, problem: .torn,
                    sentence: "has no end: it was never acknowledged; the next start moves it aside"))
        }
        check(lines, against: head, into: &findings)
        return AuditReport(
            findings: findings, lines: lines.count, hash: (lines.last?.digest ?? .origin).hex)
    }

    private static func read(_ bytes: ArraySlice<UInt8>) -> Line {
        let value = try? JSON(parsing: bytes)
        return Line(
            digest: ChainHash(of: bytes), sequence: value?["seq"]?.integer, previous: value?["prev"]?.string,
            kind: value?["kind"]?.string)
    }

    private static func isLinked(_ lines: [Line], _ i: Int) -> Bool {
        lines[i].previous == (i == 0 ? ChainHash.origin : lines[i - 1].digest).hex
    }

    private static func check(
        _ lines: [Line], at i: Int, vouched: Bool, into findings: inout [AuditReport.Finding]
    ) {
        let number = i + 1
        func report(_ line: Int, _ problem: AuditReport.Problem, _ sentence: String) {
            guard !findings.contains(where: { $0.line == line && $0.problem == problem }) else { return }
            findings.append(.init(line: line, problem: problem, sentence: sentence))
        }
        guard let sequence = lines[i].sequence, lines[i].previous != nil else {
            report(number, .notALine, "is not a journal line (a JSON object with seq and prev)")
            return
        }
        if lines[i].kind == JournalEvent.Kind.journalGap.rawValue {
            report(number, .gap, "notes that lines written before it were missing or altered at a start")
        }
        let expected = i == 0 ? 1 : (lines[i - 1].sequence ?? Int64(i)) + 1
        if sequence > expected {
            report(
                number, .removed,
                "has seq \(sequence) where \(expected) was due: lines were removed before it")
            return
        }
        if sequence < expected {
            report(
                number, .reordered, "has seq \(sequence) where \(expected) was due: out of order or inserted")
            return
        }
        guard !isLinked(lines, i) else { return }
        let successorAgrees = i + 1 < lines.count ? isLinked(lines, i + 1) : vouched
        if i > 0, successorAgrees {
            report(number - 1, .altered, "was changed: line \(number) carries another hash for it")
        } else {
            report(number, .altered, "was changed: it does not carry the hash of the line before")
        }
    }

    private static func check(
        _ lines: [Line], against head: JournalHead?, into findings: inout [AuditReport.Finding]
    ) {
        guard let head else { return }
        if head.lines > UInt64(lines.count) {
            findings.append(
                .init(
                    line: lines.count + 1, problem: .removed,
                    sentence:
                        "is missing: journal.head remembers \(head.lines) lines, there are \(lines.count)"))
        } else if head.lines > 0, lines[Int(head.lines) - 1].digest != head.hash {
            let number = Int(head.lines)
            guard !findings.contains(where: { $0.line == number }) else { return }
            findings.append(
                .init(
                    line: number, problem: .altered,
                    sentence: "was changed: journal.head carries another hash for it"))
        }
    }
}

extension AuditVerify {
    /// Checks the journal of a state directory as it lies there; a running Weir may go on writing meanwhile.
    /// - Throws: when the journal cannot be read; a missing one is an error too.
    public static func check(directory: String) throws(SystemFailure) -> AuditReport {
        // The head first: it is never ahead of a journal that is read after it.
        let head = try? File.readAll(FileStorage.headPath(in: directory), bytesMax: 4 << 10)
        let journal = try File.readAll(FileStorage.journalPath(in: directory), bytesMax: 4 << 30)
        return check(journal: journal, head: head)
    }
}

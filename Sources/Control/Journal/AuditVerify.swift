// Checks a journal's chain from its first line to its last, over all its files, and names the file and line
// where history was touched.
//
// Theory: line n+1 carries the hash of line n, and numbers run 1, 2, 3, … through all files. If the link
// n → n+1 is broken, one of the two was touched: n+1 when the link n+1 → n+2 is broken as well, else n.
// Numbers tell removal (a jump) from insertion and reordering (a step back). Files that were pruned are
// accounted for by a `journal_pruned` line further on, which carries the last number and hash of each.
// `journal.head` vouches for the last line, which has no successor. Someone who rewrites all later lines and
// the head is beyond any chain without an outside witness: keep `weir audit verify`'s final hash elsewhere.

import Payload
import Platform

/// The result of checking a journal.
package struct AuditReport: Sendable, Equatable {
    /// One place where the journal is not as it was written.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        /// The file's name.
        package var file: String
        /// 1-based line of the file.
        package var line: Int
        package var problem: Problem
        package var sentence: String

        package var description: String { "\(file) line \(line): \(sentence)" }
    }

    /// What kind of thing happened to the line.
    package enum Problem: String, Sendable {
        case notALine = "not_a_line"
        case altered, removed, reordered, torn, gap
    }

    package var findings: [Finding]
    /// Lines in all files.
    package var lines: Int
    package var files: Int
    /// Lines before the first one, removed by `keep` and accounted for.
    package var pruned: Int
    /// Hash of the last line: what a witness should keep.
    package var hash: String
    /// Why nobody knows whether lines are gone from its end; nil: something remembers the last one, or files
    /// were given by name.
    package var openEnd: String?
    /// How `rollouts.json` stands to it.
    package var state = AuditState.notCompared

    /// Whether nothing says that the journal is not as it was written: neither its lines nor `rollouts.json`.
    package var isIntact: Bool { findings.isEmpty && !state.contradictsJournal }

    /// What can be said of the lines, in words.
    package var verdict: String {
        guard findings.isEmpty else { return "NOT intact: \(Plural.text(findings.count, "finding"))" }
        guard isIntact else { return "NOT intact: lines that rollouts.json includes are gone or changed" }
        return openEnd.map { "intact as far as can be told: \($0)" } ?? "intact"
    }

    /// 0 when all is there, 1 when the journal is not as it was written, 4 when nobody knows, else what the
    /// state says.
    package var exitCode: Int32 { findings.isEmpty ? openEnd == nil ? state.exitCode : 4 : 1 }

    /// The report for `--output json`.
    package var json: JSON {
        [
            // null: nobody knows.
            "intact": isIntact && openEnd != nil ? .null : .bool(isIntact), "open_end": .optional(openEnd),
            "files": .integer(Int64(files)), "lines": .integer(Int64(lines)),
            "pruned": .integer(Int64(pruned)), "hash": .string(hash),
            "findings": .array(
                findings.map {
                    [
                        "file": .string($0.file), "line": .integer(Int64($0.line)),
                        "problem": .string($0.problem.rawValue), "sentence": .string($0.sentence),
                    ]
                }),
            "state": [
                "verdict": .string(state.verdict.rawValue), "whole": .bool(state.isWhole),
                "sentence": .string(state.sentence),
            ],
        ]
    }
}

/// A file of a journal.
package struct AuditFile: Sendable {
    package var name: String
    package var bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

/// Verification of a journal's bytes.
package enum AuditVerify {
    /// - Parameters:
    ///   - files: the journal's files in their order.
    ///   - head: the bytes of `journal.head`, when there is one.
    ///   - isWhole: whether lines before the first one must be accounted for; off for single files.
    package static func check(files: [AuditFile], head: [UInt8]?, isWhole: Bool = true) -> AuditReport {
        check(files: files, HeadReading(bytes: head), isWhole: isWhole)
    }

    static func check(files: [AuditFile], _ head: HeadReading, isWhole: Bool) -> AuditReport {
        var walk = AuditWalk()
        for (i, file) in files.enumerated() {
            walk.take(file, isLast: i == files.count - 1)
        }
        walk.finish(head: head, isWhole: isWhole)
        return AuditReport(
            findings: walk.findings, lines: walk.lines.count, files: files.count, pruned: walk.pruned,
            hash: (walk.lines.last?.digest ?? .origin).hex)
    }

    /// - Parameter journal: the bytes of a `journal.jsonl` that was never rotated.
    package static func check(journal: [UInt8], head: [UInt8]?) -> AuditReport {
        check(files: [AuditFile(name: JournalFiles.active, bytes: journal)], head: head)
    }

    /// Checks the journal of a state directory as it lies there, by the directory's descriptor as a start
    /// does it: what a start refuses to open is not read here either. A running Weir may go on writing,
    /// rotating and pruning meanwhile.
    /// - Throws: when the journal cannot be read; a missing one is an error too, where there is no state.
    package static func check(directory path: String) throws(SystemFailure) -> AuditReport {
        let directory = try Directory(path, links: .followed)
        let storage = FileStorage(directory)
        var attempts = 0
        while true {
            attempts += 1
            do throws(SystemFailure) {
                // The head first: it is never ahead of a journal that is read after it.
                let state = try DiskFiles(directory).readAll(
                    StateDirectory.statePath(in: path), bytesMax: 256 << 20)
                let head = Self.head(storage)
                let names = try storage.rotated()
                var files: [AuditFile] = []
                for name in names { files.append(try read(name, in: directory)) }
                do throws(SystemFailure) {
                    files.append(try read(JournalFiles.active, in: directory))
                } catch {
                    // Killed between closing a file and beginning the next: the closed ones are all. Beside a
                    // state a missing journal is a finding.
                    guard error.errno == .noSuchFile, !names.isEmpty || state != nil else { throw error }
                }
                if try storage.rotated() != names, attempts < 5 { continue }
                var report = check(files: files, head, isWhole: true)
                report.state = AuditState(state, files, storage)
                report.openEnd = openEnd(head, state, files)
                // A running Weir writes the state a moment after the line.
                if !report.state.isWhole || report.openEnd != nil, attempts < 5 {
                    if let poller = try? Poller(eventsMax: 1) { MailboxWait(poller).wait(timeoutMillis: 20) }
                    continue
                }
                return report
            } catch {
                // A file that was pruned or renamed between listing and reading.
                guard error.errno == .noSuchFile, attempts < 5 else { throw error }
            }
        }
    }

    /// Whether neither head nor state remembers the journal's last line, so that lines may have been cut off.
    private static func openEnd(_ head: HeadReading, _ state: [UInt8]?, _ files: [AuditFile]) -> String? {
        guard head == .missing else { return nil }
        let last = files.reversed().lazy.compactMap { file in
            file.bytes.split(separator: UInt8(ascii: "\n")).last.flatMap { JournalHistory.Line($0).number }
        }.first
        let saved = state.flatMap { try? SavedState.decoded($0, path: "rollouts.json") }
        let why = "no journal.head remembers its last line, and "
        guard let mark = saved?.journal else { return why + "no state to compare it with" }
        return mark.line >= last ?? 0 ? nil : why + "rollouts.json includes line \(mark.line) only"
    }

    /// What a start refuses to open is a finding here.
    private static func head(_ storage: FileStorage) -> HeadReading {
        do throws(SystemFailure) {
            return try HeadReading(storage)
        } catch {
            return .unreadable("\(error)")
        }
    }

    private static func read(_ name: String, in directory: Directory) throws(SystemFailure) -> AuditFile {
        AuditFile(name: name, bytes: try directory.readAll(name, bytesMax: 4 << 30))
    }

    /// Checks files given by path, in the order of their first lines; what came before them is not judged.
    package static func check(paths: [String]) throws(SystemFailure) -> AuditReport {
        var files: [AuditFile] = []
        for path in paths { files.append(try read(path)) }
        return check(files: AuditWalk.inOrder(files), head: nil, isWhole: false)
    }

    private static func read(_ path: String) throws(SystemFailure) -> AuditFile {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return AuditFile(name: name, bytes: try File.readAll(path, bytesMax: 4 << 30))
    }
}

// Reading the journal for people: filters over its lines, the last so many of them, and following a journal
// that grows and rotates. Offline: only files are read, so it works beside a running Weir and after a crash;
// they are opened as the start opens them (`Directory`), so that no link shows another file's lines.
// Invariant: lines come in the order of their numbers, each once, and unchanged.

import Config
import Payload
import Platform

/// Which journal lines are wanted; what is nil does not restrict.
package struct AuditFilter: Sendable {
    package var model: String?
    /// Any of these kinds; empty: all.
    package var kinds: Set<String> = []
    /// Wall clock, microseconds since 1970; from `since` on, and before `until`.
    package var since: UInt64?
    package var until: UInt64?
    /// Part of the actor's name.
    package var actor: String?
    /// The cut's id, such as `cut-3`, in whatever the line says of it.
    package var cut: String?

    package init() {}

    /// A point in time as a person writes it: RFC 3339, a date, or a duration before `now`.
    package static func time(_ text: String, now: UInt64) -> UInt64? {
        if let ago = try? Notation.duration(text) { return now > ago.micros ? now - ago.micros : 0 }
        return Timestamp.wallMicros(text.utf8.count == 10 ? text + "T00:00:00Z" : text)
    }

    /// Whether a line is wanted.
    func admits(_ line: JSON) -> Bool {
        if let model, line["model"]?.string != model { return false }
        if !kinds.isEmpty, !kinds.contains(line["kind"]?.string ?? "") { return false }
        if let actor, line["actor"]?.string?.contains(actor) != true { return false }
        if let cut, line["cut"]?.string != cut, line["cut"]?["cut"]?.string != cut { return false }
        guard since != nil || until != nil else { return true }
        guard let at = line["at"]?.string.flatMap(Timestamp.wallMicros) else { return false }
        return at >= since ?? 0 && at < until ?? .max
    }
}

/// One line of the journal.
package struct AuditLine: Sendable {
    /// As it stands in the file.
    package var text: String
    package var value: JSON

    /// Time, kind, model, actor and reason, for a terminal.
    package var summary: String {
        let kind = value["kind"]?.line ?? "?"
        var words = [value["seq"]?.integer.map { "\($0)" } ?? "?", value["at"]?.line ?? "?", kind]
        if let model = value["model"]?.line { words.append(model) }
        words.append("[\(value["actor"]?.line ?? "?")]")
        if let verb = value["verb"]?.line {
            words.append(verb)
            if let version = value["version"]?.line { words.append(version) }
            if let weights = value["weights"]?.members, !weights.isEmpty {
                words.append(
                    weights.map { "\(JSON.string($0.name).line ?? "")=\($0.value.line ?? "")" }
                        .joined(separator: ", "))
            }
            if value["force"]?.bool == true { words.append("by force") }
            let isRefused = value["accepted"]?.bool == false
            if let answer = value["answer"]?.line {
                words.append("-> \(isRefused ? "refused: " : "")\(answer)")
            }
        } else if kind == JournalEvent.Kind.weights.rawValue, let weights = value["weights"]?.members {
            words.append(
                weights.map { "\(JSON.string($0.name).line ?? "") \($0.value.line ?? "")" }
                    .joined(separator: ", "))
        }
        if let cut = value["cut"]?.line { words.append(cut) }
        if let reason = value["reason"]?.line, !reason.isEmpty { words.append(reason) }
        let problems = (value["problems"]?.elements ?? []).compactMap(\.line)
        if !problems.isEmpty {
            let more = problems.count > 3 ? "; and \(problems.count - 3) more" : ""
            words.append(problems.prefix(3).joined(separator: "; ") + more)
        }
        return words.joined(separator: "  ")
    }
}

/// A journal that is read, and read on.
package struct AuditReader {
    private let path: String
    /// Opened by the first read.
    private var opened: Directory?
    /// The file that is being read, how far, and the number of the last line that was given out.
    private var open: (name: String, first: [UInt8])?
    private var offset = 0
    private var last: Int64 = 0
    private static let pieceBytes = 1 << 20

    package init(directory: String) { path = directory }

    /// Hands over every wanted line that has come since the last call; at the first call, all of them.
    /// - Throws: when a file cannot be read; no journal at all is an error at the first call.
    package mutating func read(
        _ filter: AuditFilter, _ take: (AuditLine) -> Void
    ) throws(SystemFailure) {
        let directory = try openDirectory()
        var names = JournalFiles.inOrder(try directory.list().map(\.name)) + [JournalFiles.active]
        // What was read to its end and has the name that it had needs no second look.
        if let open, let i = names.firstIndex(of: open.name), try head(open.name, directory) == open.first {
            names.removeFirst(i)
        } else {
            offset = 0
            // A file before one that begins at or before the next line holds nothing new.
            while names.count > 1, let next = JournalFiles.firstLine(of: names[1]), next <= last + 1 {
                names.removeFirst()
            }
        }
        for (i, name) in names.enumerated() {
            do throws(SystemFailure) {
                try read(name, directory, filter, take)
            } catch {
                // Between closing a file and beginning the next there is none; pruned ones vanish.
                let isOnly = names.count == 1 && open == nil
                guard error.errno == .noSuchFile, !isOnly else { throw error }
            }
            if i < names.count - 1 { offset = 0 }
        }
    }

    private mutating func openDirectory() throws(SystemFailure) -> Directory {
        if let opened { return opened }
        let directory = try Directory(path, links: .followed)
        opened = directory
        return directory
    }

    /// The first bytes of a file, which tell it from another one of its name: they hold its first number
    /// and the hash before it.
    private func head(_ name: String, _ directory: Directory) throws(SystemFailure) -> [UInt8]? {
        do throws(SystemFailure) {
            return try File.read(
                try directory.openRead(name), from: 0, count: 256, path: directory.path(of: name))
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }

    private mutating func read(
        _ name: String, _ directory: Directory, _ filter: AuditFilter, _ take: (AuditLine) -> Void
    ) throws(SystemFailure) {
        let path = directory.path(of: name)
        let file = try directory.openRead(name)
        var rest: [UInt8] = []
        var position = offset
        while true {
            let piece = try File.read(file, from: position, count: Self.pieceBytes, path: path)
            if piece.isEmpty { break }
            position += piece.count
            rest += piece
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                give(rest[start..<end], filter, take)
                start = end + 1
            }
            rest.removeFirst(start)
        }
        offset = position - rest.count
        open = (name, try File.read(file, from: 0, count: 256, path: path))
    }

    private mutating func give(_ bytes: ArraySlice<UInt8>, _ filter: AuditFilter, _ take: (AuditLine) -> Void)
    {
        guard let value = try? JSON(parsing: bytes) else { return }
        if let number = value["seq"]?.integer {
            // A file that was renamed while it was read comes again under its new name.
            guard number > last else { return }
            last = number
        }
        guard filter.admits(value) else { return }
        take(AuditLine(text: String(decoding: bytes, as: UTF8.self), value: value))
    }
}

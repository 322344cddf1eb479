// What an earlier process owed: decisions whose journal line names actions of which no later line says that
// they were done or given up. The journal is the outbox, so a decision and the promise to tell of it become
// durable in one step, and there is no second file that could contradict it.
// Invariant: lines that are no notices, are torn, or come from another release are passed over.

import Control
import Payload
import Platform

/// A notice that an action has not been told of.
struct OwedNotice: Equatable {
    var action: String
    var notice: Notice
}

/// Reads the end of a journal.
enum OwedNotices {
    /// Bytes of the journal's end that are looked through: days of decisions, a blink of reading.
    static let tailBytesMax = 16 << 20

    /// What the lines, oldest first, leave open; in their order.
    static func find(in lines: some Sequence<ArraySlice<UInt8>>) -> [OwedNotice] {
        var open: [OwedNotice] = []
        for line in lines {
            guard let value = try? JSON(parsing: line) else { continue }
            if let names = value["actions"]?.elements.compactMap(\.string), !names.isEmpty {
                guard let notice = JournalEvent(line: value).flatMap({ Notice($0) }) else { continue }
                open += names.map { OwedNotice(action: $0, notice: notice) }
            } else if let action = value["action"]?.string, let id = value["delivery"]?.string,
                value["kind"]?.string == JournalEvent.Kind.actionDone.rawValue
                    || value["final"]?.bool == true
            {
                open.removeAll { $0.action == action && $0.notice.deliveryID == id }
            }
        }
        return open
    }

    /// What the journal files of a state directory leave open: the last of them, as far back as the bound.
    static func find(in directory: String) -> [OwedNotice] {
        var bytes: [UInt8] = []
        guard let files = try? Directory(directory, links: .followed) else { return [] }
        for name in names(in: files) where bytes.count < tailBytesMax {
            bytes = tail(name, of: files, bytesMax: tailBytesMax - bytes.count) + bytes
        }
        return find(in: bytes.split(separator: UInt8(ascii: "\n")))
    }

    /// The journal's files, newest first.
    private static func names(in files: Directory) -> [String] {
        let rotated = JournalFiles.inOrder((try? files.list())?.map(\.name) ?? [])
        return [JournalFiles.active] + rotated.reversed()
    }

    /// The last bytes of a file, from the beginning of a line on; empty when it cannot be read.
    private static func tail(_ name: String, of files: Directory, bytesMax: Int) -> [UInt8] {
        let path = files.path(of: name)
        guard let file = try? files.openRead(name), let size = try? File.size(file, path: path) else {
            return []
        }
        let from = max(0, size - bytesMax)
        let tail = (try? File.read(file, from: from, count: size - from, path: path)) ?? []
        if from == 0 { return tail }
        guard let first = tail.firstIndex(of: UInt8(ascii: "\n")) else { return [] }
        return Array(tail[(first + 1)...])
    }
}

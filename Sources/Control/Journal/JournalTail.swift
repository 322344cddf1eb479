// The end of a journal file, read backwards in pieces until its last line is whole: a start reads some
// kilobytes however long the journal is.
// Invariant: bytes after the last newline are `open`; a line that was never ended was never acknowledged.

import Payload
import Platform

/// The last complete line of a file, and what stands behind it.
struct JournalTail {
    /// Without its newline; nil when the file has no complete line.
    var last: [UInt8]?
    /// Bytes behind the last newline.
    var open: [UInt8] = []
    /// Size of the file without them.
    var bytesComplete = 0

    /// Bytes that are read at a time; a line is mostly far shorter.
    private static let pieceBytes = 64 << 10

    /// - Returns: nil when there is no such file.
    init?(_ storage: any JournalStorage, _ name: String) throws(SystemFailure) {
        guard let size = try storage.size(of: name) else { return nil }
        var bytes: [UInt8] = []
        var start = size
        var ends: [Int] = []
        while start > 0, ends.count < 2 {
            let count = min(Self.pieceBytes, start)
            start -= count
            bytes = try storage.read(name, from: start, count: count) + bytes
            ends = Self.lastNewlines(bytes)
        }
        guard let end = ends.first else {
            open = bytes
            return
        }
        let begin = ends.count > 1 ? ends[1] + 1 : 0
        last = Array(bytes[begin..<end])
        open = Array(bytes[(end + 1)...])
        bytesComplete = size - open.count
    }

    /// Where the last newline stands, and the one before it.
    private static func lastNewlines(_ bytes: [UInt8]) -> [Int] {
        var found: [Int] = []
        for i in bytes.indices.reversed() where bytes[i] == UInt8(ascii: "\n") {
            found.append(i)
            if found.count == 2 { break }
        }
        return found
    }

    /// The number that the last line carries; nil when it carries none.
    var sequence: UInt64? {
        last.flatMap { JournalNumber.line(try? JSON(parsing: $0)["seq"]) }
    }

    /// When the first line of a file was written; nil when it does not say.
    static func begin(_ storage: any JournalStorage, _ name: String) throws(SystemFailure) -> UInt64? {
        let bytes = try storage.read(name, from: 0, count: JournalEvent.lineBytesMax + 1)
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")),
            let at = try? JSON(parsing: bytes[..<end])["at"]?.string
        else { return nil }
        return Timestamp.wallMicros(at)
    }

    /// How many lines a file has: for a last line that does not say its number.
    static func count(_ storage: any JournalStorage, _ name: String) throws(SystemFailure) -> UInt64 {
        var lines: UInt64 = 0
        var offset = 0
        while true {
            let piece = try storage.read(name, from: offset, count: pieceBytes)
            if piece.isEmpty { return lines }
            for byte in piece where byte == UInt8(ascii: "\n") { lines += 1 }
            offset += piece.count
        }
    }
}

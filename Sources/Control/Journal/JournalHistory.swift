// The journal read again: its whole lines, oldest first, over all its files, from a line on.
// Place: at the start, to apply what the state does not include; and in `weir audit verify`.
// Invariant: of the files' ends only as much is read as reaches back to the line that was asked for.

import Payload
import Platform

/// Reads lines of a journal in their order.
struct JournalHistory {
    /// One whole line.
    struct Line {
        var bytes: ArraySlice<UInt8>
        /// nil when it is no JSON.
        var value: JSON?
        var hash: ChainHash
        /// nil when it carries none.
        var number: UInt64?

        init(_ bytes: ArraySlice<UInt8>) {
            self.bytes = bytes
            hash = ChainHash(of: bytes)
            value = try? JSON(parsing: bytes)
            number = JournalNumber.line(value?["seq"])
        }

        var previous: String? { value?["prev"]?.string }
        var kind: String? { value?["kind"]?.string }
    }

    let storage: any JournalStorage

    init(_ storage: any JournalStorage) { self.storage = storage }

    /// How much of a file's end is read at first; as much again when that does not reach back far enough.
    private static let pieceBytes = 64 << 10

    /// Hands over the lines from number `first` on, where there is such a line, else from the first one after
    /// it; all lines of a file whose numbers cannot be read.
    func each<E: Error>(
        from first: UInt64, _ visit: (Line) throws(E) -> Void
    ) throws(HistoryFailure<E>) {
        var parts: [(name: String, bytes: [UInt8])] = []
        do throws(SystemFailure) {
            for name in try storage.rotated() + [JournalFiles.active] { parts.append((name, [])) }
            var from = parts.count
            for i in parts.indices.reversed() {
                from = i
                // The next file's name says where this one ends.
                if i + 1 < parts.count, let next = JournalFiles.firstLine(of: parts[i + 1].name),
                    next <= first
                {
                    from = i + 1
                    break
                }
                let (bytes, isEnough) = try end(of: parts[i].name, from: first)
                parts[i].bytes = bytes
                if isEnough { break }
                // A whole file that is not the last one is read again when its turn comes.
                if i + 1 < parts.count { parts[i].bytes = [] }
            }
            parts.removeFirst(from)
        } catch {
            throw .system(error)
        }
        for part in parts {
            var bytes = part.bytes
            if bytes.isEmpty {
                do throws(SystemFailure) {
                    bytes = try storage.read(part.name, from: 0, count: try storage.size(of: part.name) ?? 0)
                } catch {
                    throw .system(error)
                }
            }
            do throws(E) {
                try Self.lines(bytes, from: first, visit)
            } catch {
                throw .visitor(error)
            }
        }
    }

    /// The hash of a line; nil when there is none of that number.
    func hash(of number: UInt64) throws(SystemFailure) -> ChainHash? {
        var found: ChainHash?
        do throws(HistoryFailure<Never>) {
            try each(from: number) { (line: Line) throws(Never) in
                if line.number == number { found = line.hash }
            }
        } catch {
            switch error {
            case .system(let failure): throw failure
            }
        }
        return found
    }

    private static func lines<E: Error>(
        _ bytes: [UInt8], from first: UInt64, _ visit: (Line) throws(E) -> Void
    ) throws(E) {
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = Line(bytes[start..<end])
            if line.number ?? .max >= first { try visit(line) }
            start = end + 1
        }
    }

    /// The end of a file from a line on that is not after `first`; the whole file when there is none.
    private func end(of name: String, from first: UInt64) throws(SystemFailure) -> ([UInt8], isEnough: Bool) {
        guard let size = try storage.size(of: name), size > 0 else { return ([], false) }
        var count = Self.pieceBytes
        while true {
            let start = max(0, size - count)
            let bytes = try storage.read(name, from: start, count: size - start)
            var begin = bytes.startIndex
            if start > 0 {
                guard let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
                    count *= 2
                    continue
                }
                begin = newline + 1
            }
            let line = bytes[begin...].prefix { $0 != UInt8(ascii: "\n") }
            let isEnough = Line(line).number.map { $0 <= first } ?? false
            if isEnough || start == 0 { return (Array(bytes[begin...]), isEnough) }
            count *= 2
        }
    }
}

/// Why a journal was not read to its end.
enum HistoryFailure<E: Error>: Error {
    case system(SystemFailure)
    case visitor(E)
}

// Lines that pass, copied in runs. A line that stands in the buffer exactly as it would be written anew (a
// start line of HTTP/1.1, or "name: value" CRLF without other white space) is not taken apart again:
// neighbours of that kind leave in one copy. What reaches the peer is byte for byte what line-by-line writing
// gives.
// Invariant: a run holds validated lines only; any other line ends it.

import Wire

/// A stretch of field lines that leave as they came. Flush it before anything else is written.
struct HeadRun {
    private var start = 0
    private var end = 0

    /// An empty run, or one that begins with a start line.
    ///
    /// - Parameter line: where a validated start line that passes lies, its CRLF included.
    init(line: Range<Int> = 0..<0) {
        start = line.lowerBound
        end = line.upperBound
    }

    /// Takes a field that passes.
    ///
    /// - Parameter next: where the line after it starts.
    @inline(__always)
    mutating func pass(
        _ field: Field, next: Int, of bytes: UnsafeRawBufferPointer, to out: inout HeadWriter
    ) {
        let from = Int(field.name.start)
        let value = Int(field.value.start)
        let isCanonical =
            value == field.name.end &+ 2 && field.value.end &+ 2 == next && bytes[value &- 1] == 0x20
        guard isCanonical else {
            flush(bytes, to: &out)
            out.append(field, of: bytes.bytes)
            return
        }
        if end != from {
            flush(bytes, to: &out)
            start = from
        }
        end = next
    }

    /// Writes the run.
    @inline(__always)
    mutating func flush(_ bytes: UnsafeRawBufferPointer, to out: inout HeadWriter) {
        guard end > start else { return }
        // Bound: both ends come from lines that the parser found in these bytes.
        precondition(end <= bytes.count)
        out.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = 0
        end = 0
    }
}

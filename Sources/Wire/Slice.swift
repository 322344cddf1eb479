// Offsets into a receive buffer.
//
// Place: how a parsed head refers to its bytes.
// Invariant: a slice that a parse returned lies inside the bytes that were parsed.

/// A run of bytes in the buffer that was parsed, as offsets: a head is never copied to be understood.
@frozen public struct Slice: Sendable, Equatable {
    /// Offset of the first byte.
    public var start: UInt32
    /// Number of bytes.
    public var count: UInt32

    @inlinable @inline(__always)
    public init(start: UInt32, count: UInt32) {
        self.start = start
        self.count = count
    }

    /// The run `start..<end`; both lie inside a head, and heads are below 2 GiB (`HeadLimits`).
    @inlinable @inline(__always)
    init(from start: Int, to end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: end &- start)
    }

    /// Offset of the byte after the last.
    @inlinable @inline(__always)
    public var end: Int { Int(start) &+ Int(count) }

    @inlinable @inline(__always)
    public var isEmpty: Bool { count == 0 }

    /// The offsets as a range of `Int`.
    @inlinable @inline(__always)
    public var range: Range<Int> { Int(start)..<end }

    /// No bytes, at offset 0.
    public static let empty = Slice(start: 0, count: 0)
}

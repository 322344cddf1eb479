// Offsets into a receive buffer, and the only two ways in which Wire reads bytes of one.
//
// Place: everything in this target that looks at a peer's bytes goes through `byte(at:)` or `word(at:)`.
// Invariant: a read outside the span is impossible. `word(at:)` gives zeros for bytes beyond the end, so that
// a scan sees a NUL there, stops, and finds by its position that it ran out of bytes.

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

extension RawSpan {
    /// The byte at `offset`, checked against the span's bounds.
    @inlinable @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        // Bound: checked by the standard library; one byte has no alignment.
        unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The eight bytes from `offset` on, the first in the lowest bits; zeros stand for bytes beyond the end.
    @inlinable @inline(__always)
    func word(at offset: Int) -> UInt64 {
        if offset &+ 8 <= byteCount {
            // Bound: checked by the standard library once more, which also catches a negative offset.
            return UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        return lastWord(at: offset)
    }

    /// `word(at:)` where fewer than eight bytes remain.
    @inlinable @inline(never)
    func lastWord(at offset: Int) -> UInt64 {
        guard offset < byteCount else { return 0 }
        if byteCount >= 8 {
            // The span's last eight bytes, shifted so that `offset` comes first: 1...7 bytes fall out.
            let last = unsafeLoadUnaligned(fromByteOffset: byteCount - 8, as: UInt64.self)
            return UInt64(littleEndian: last)
                &>> UInt64(truncatingIfNeeded: (offset &- (byteCount &- 8)) &* 8)
        }
        var word: UInt64 = 0
        var index = byteCount
        while index > offset {
            index &-= 1
            word = word &<< 8 | UInt64(byte(at: index))
        }
        return word
    }
}

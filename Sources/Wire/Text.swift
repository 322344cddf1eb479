// The bytes under the scans: a span with its two bounds computed once.
//
// Place: every look that Wire takes at a peer's bytes goes through `byte(at:)` or `word(at:)`.
// Invariant: a read outside the span is impossible, whatever the offset: each is checked here, with one
// comparison. `word(at:)` gives zeros for bytes beyond the end, so that a scan sees a NUL there, stops, and
// finds by its position that it ran out of bytes.
// Why not RawSpan itself: its word loads cost two comparisons each, and a method of ours cannot return one.

/// Borrowed bytes; valid inside the closure of `RawSpan.withText`, and never stored beyond it.
@frozen @usableFromInline
struct Text {
    @usableFromInline let base: UnsafeRawPointer
    @usableFromInline let byteCount: Int
    /// Offsets below it have eight bytes.
    @usableFromInline let wordLimit: UInt

    /// - Precondition: `base` is valid for `byteCount` (0 or more) bytes.
    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, _ byteCount: Int) {
        self.base = base
        self.byteCount = byteCount
        wordLimit = UInt(bitPattern: max(0, byteCount &- 7))
    }

    /// The byte at `offset`.
    @inlinable @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        // A negative offset is a huge unsigned one.
        precondition(UInt(bitPattern: offset) < UInt(bitPattern: byteCount), "a byte outside the span")
        // Bound: the line above.
        return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// The eight bytes from `offset` (0 or more) on, the first in the lowest bits; zeros stand for bytes
    /// beyond the end.
    @inlinable @inline(__always)
    func word(at offset: Int) -> UInt64 {
        guard _fastPath(UInt(bitPattern: offset) < wordLimit) else { return lastWord(at: offset) }
        // Bound: the line above; a negative offset is a huge unsigned one.
        return UInt64(littleEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// `word(at:)` where fewer than eight bytes remain.
    @inlinable @inline(never)
    func lastWord(at offset: Int) -> UInt64 {
        precondition(offset >= 0, "a word outside the span")
        guard offset < byteCount else { return 0 }
        if byteCount >= 8 {
            // Bound: the last eight bytes; of them, 1...7 are before `offset` and are shifted out.
            let last = unsafe base.loadUnaligned(fromByteOffset: byteCount &- 8, as: UInt64.self)
            return UInt64(littleEndian: last) &>> UInt64(truncatingIfNeeded: (offset &- byteCount &+ 8) &* 8)
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

extension RawSpan {
    /// Calls `body` with the first `count` bytes, or with all if there are fewer.
    @inlinable @inline(__always)
    func withText<Result, Failure: Error>(
        _ count: Int = .max, _ body: (Text) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBytes { (bytes) throws(Failure) -> Result in
            // An empty span may have no address; no byte of the stand-in is ever read.
            guard let base = bytes.baseAddress else { return try body(Text(Text.nowhere, 0)) }
            return try body(Text(base, min(bytes.count, max(0, count))))
        }
    }
}

extension Text {
    @usableFromInline
    static var nowhere: UnsafeRawPointer { UnsafeRawPointer(bitPattern: 8).unsafelyUnwrapped }
}

// A run of bytes inside the request's buffer or a plan's image, and the three comparisons that assignment
// makes with it, eight bytes at a time. The only loads of this folder that follow a pointer into peer
// bytes.
// Invariant: no load leaves [base, base + count); tails are read by a second, overlapping load.

/// Borrowed bytes; valid for the call that they are passed to.
struct ByteView {
    let base: UnsafeRawPointer
    let count: Int

    @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    /// - Precondition: `at` is below `count`.
    @inline(__always)
    subscript(at: Int) -> UInt8 { base.load(fromByteOffset: at, as: UInt8.self) }

    /// Eight bytes at `pointer`, the first in the lowest place.
    @inline(__always)
    static func word(_ pointer: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: pointer.loadUnaligned(as: UInt64.self))
    }

    /// Four bytes at `pointer`, the first in the lowest place.
    @inline(__always)
    static func halfWord(_ pointer: UnsafeRawPointer) -> UInt32 {
        UInt32(littleEndian: pointer.loadUnaligned(as: UInt32.self))
    }

    /// Whether the bytes at `a` and `b` agree.
    @inline(__always)
    static func agree(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
        if count >= 8 {
            var at = 0
            let last = count &- 8
            while at < last {
                if word(a + at) != word(b + at) { return false }
                at &+= 8
            }
            return word(a + last) == word(b + last)
        }
        return short(a, count) == short(b, count)
    }

    /// Whether `bytes`, letters lowered, agree with `lowered`. `fold` holds 0x20 where `lowered` has a
    /// letter and 0 elsewhere, so that only letters match in both cases.
    @inline(__always)
    static func agree(
        _ bytes: UnsafeRawPointer, lowered: UnsafeRawPointer, fold: UnsafeRawPointer, _ count: Int
    ) -> Bool {
        if count >= 8 {
            var at = 0
            let last = count &- 8
            while at < last {
                if word(bytes + at) | word(fold + at) != word(lowered + at) { return false }
                at &+= 8
            }
            return word(bytes + last) | word(fold + last) == word(lowered + last)
        }
        return short(bytes, count) | short(fold, count) == short(lowered, count)
    }

    /// At most seven bytes, packed so that equal runs and only they give equal words for one `count`.
    @inline(__always)
    static func short(_ at: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 4 {
            return UInt64(halfWord(at)) | UInt64(halfWord(at + (count &- 4))) &<< 32
        }
        if count == 0 { return 0 }
        let first = UInt64(at.load(as: UInt8.self))
        let middle = UInt64(at.load(fromByteOffset: count &>> 1, as: UInt8.self))
        let last = UInt64(at.load(fromByteOffset: count &- 1, as: UInt8.self))
        return first | middle &<< 8 | last &<< 16
    }

    /// A bit by length and first letter, for 64-bit filters of names. Not for no bytes.
    @inline(__always)
    var filterBit: UInt64 {
        1 &<< (UInt64(truncatingIfNeeded: count) &* 7 &+ UInt64(self[0] | 0x20))
    }

    /// The offset of the first `one` or `other` in [at, end) from `base`, or `end`. Eight bytes a step.
    /// - Precondition: `base` is the start of the buffer: a last load may reach back before `at`.
    @inline(__always)
    static func first(
        _ one: UInt8, or other: UInt8, from at: Int, to end: Int, base: UnsafeRawPointer
    ) -> Int {
        let ones = UInt64(one) &* 0x0101_0101_0101_0101
        let others = UInt64(other) &* 0x0101_0101_0101_0101
        var at = at
        while end &- at >= 8 {
            let marks = zeroBytes(word(base + at) ^ ones) | zeroBytes(word(base + at) ^ others)
            if marks != 0 { return at &+ marks.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        if at == end { return end }
        if end >= 8 {
            // The last eight bytes; those before `at` fall out, zeros come in.
            let rest = word(base + (end &- 8)) &>> UInt64(truncatingIfNeeded: (8 &- (end &- at)) &* 8)
            let marks = zeroBytes(rest ^ ones) | zeroBytes(rest ^ others)
            return marks == 0 ? end : min(end, at &+ marks.trailingZeroBitCount &>> 3)
        }
        while at < end {
            let byte = base.load(fromByteOffset: at, as: UInt8.self)
            if byte == one || byte == other { return at }
            at &+= 1
        }
        return end
    }

    /// 0x80 in the lowest zero byte of `word`; nothing below it, anything above.
    @inline(__always)
    private static func zeroBytes(_ word: UInt64) -> UInt64 {
        (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
    }

    /// A hash of the bytes that ignores the case of letters: for the tables of names and hosts, whose keys
    /// come from the config. A peer that finds collisions gains one comparison.
    @inline(__always)
    var foldedHash: UInt32 {
        let fold: UInt64 = 0x2020_2020_2020_2020
        let factor: UInt64 = 0x9FB2_1C65_1E98_DF25
        var sum = UInt64(truncatingIfNeeded: count) &* factor
        if count >= 8 {
            let last = count &- 8
            var at = 0
            while at < last {
                sum = (sum ^ (ByteView.word(base + at) | fold)) &* factor
                sum ^= sum &>> 32
                at &+= 8
            }
            sum = (sum ^ (ByteView.word(base + last) | fold)) &* factor
        } else {
            sum = (sum ^ (ByteView.short(base, count) | fold)) &* factor
        }
        return UInt32(truncatingIfNeeded: sum &>> 32)
    }
}

/// A header name without case, as words: for up to 16 bytes all of it, for more its two ends.
struct FoldedName: BitwiseCopyable, Equatable {
    var first: UInt64
    var last: UInt64
    var count: UInt32

    @inline(__always)
    init(first: UInt64, last: UInt64, count: UInt32) {
        self.first = first
        self.last = last
        self.count = count
    }

    /// Tells all tokens (RFC 9110, section 5.6.2) apart but `^` and `~`, which no known header has.
    @inline(__always)
    init(_ name: ByteView) {
        let fold: UInt64 = 0x2020_2020_2020_2020
        count = UInt32(truncatingIfNeeded: name.count)
        if name.count >= 8 {
            first = ByteView.word(name.base) | fold
            last = ByteView.word(name.base + (name.count &- 8)) | fold
        } else {
            first = ByteView.short(name.base, name.count) | fold
            last = 0
        }
    }

    @inline(__always)
    static func == (a: FoldedName, b: FoldedName) -> Bool {
        (a.first ^ b.first) | (a.last ^ b.last) | UInt64(a.count ^ b.count) == 0
    }

    /// A hash of the words and the count.
    @inline(__always)
    var hash: UInt32 {
        let mixed = (first ^ (last &<< 23 | last &>> 41) ^ UInt64(count)) &* 0x9FB2_1C65_1E98_DF25
        return UInt32(truncatingIfNeeded: mixed &>> 32)
    }
}

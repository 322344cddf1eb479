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

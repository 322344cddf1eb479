// xxHash64: the hash behind sticky keys and value tables. Seeded, fast on short inputs, and written down in
// a specification that other languages implement, so that anybody can recompute who was given what.
// Invariant: equal on every machine (little-endian lanes), whatever the alignment of the input.
// Source: github.com/Cyan4973/xxHash, doc/xxhash_spec.md, version 0.2.0.

enum XXHash64 {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    /// The hash of `bytes`.
    static func hash(_ bytes: ByteView, seed: UInt64) -> UInt64 {
        var at = bytes.base
        var left = bytes.count
        var sum: UInt64
        if left >= 32 {
            sum = stripes(&at, &left, seed: seed)
        } else {
            sum = seed &+ prime5
        }
        sum &+= UInt64(truncatingIfNeeded: bytes.count)
        while left >= 8 {
            sum = rotate(sum ^ round(0, ByteView.word(at)), 27) &* prime1 &+ prime4
            at += 8
            left &-= 8
        }
        if left >= 4 {
            let half = UInt64(ByteView.halfWord(at))
            sum = rotate(sum ^ (half &* prime1), 23) &* prime2 &+ prime3
            at += 4
            left &-= 4
        }
        while left > 0 {
            let byte = UInt64(at.load(as: UInt8.self))
            sum = rotate(sum ^ (byte &* prime5), 11) &* prime1
            at += 1
            left &-= 1
        }
        return avalanche(sum)
    }

    /// The hash of the eight little-endian bytes of `word`.
    @inline(__always)
    static func hash(_ word: UInt64, seed: UInt64) -> UInt64 {
        let sum = (seed &+ prime5 &+ 8) ^ round(0, word)
        return avalanche(rotate(sum, 27) &* prime1 &+ prime4)
    }

    /// The hash of the sixteen little-endian bytes of two words.
    @inline(__always)
    static func hash(_ first: UInt64, _ second: UInt64, seed: UInt64) -> UInt64 {
        var sum = seed &+ prime5 &+ 16
        sum = rotate(sum ^ round(0, first), 27) &* prime1 &+ prime4
        sum = rotate(sum ^ round(0, second), 27) &* prime1 &+ prime4
        return avalanche(sum)
    }

    /// Whole stripes of 32 bytes in four lanes; leaves `at` behind the last one.
    @inline(never)
    private static func stripes(_ at: inout UnsafeRawPointer, _ left: inout Int, seed: UInt64) -> UInt64 {
        var lane1 = seed &+ prime1 &+ prime2
        var lane2 = seed &+ prime2
        var lane3 = seed
        var lane4 = seed &- prime1
        repeat {
            lane1 = round(lane1, ByteView.word(at))
            lane2 = round(lane2, ByteView.word(at + 8))
            lane3 = round(lane3, ByteView.word(at + 16))
            lane4 = round(lane4, ByteView.word(at + 24))
            at += 32
            left &-= 32
        } while left >= 32
        var sum = rotate(lane1, 1) &+ rotate(lane2, 7) &+ rotate(lane3, 12) &+ rotate(lane4, 18)
        sum = merge(sum, lane1)
        sum = merge(sum, lane2)
        sum = merge(sum, lane3)
        return merge(sum, lane4)
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotate(lane &+ input &* prime2, 31) &* prime1
    }

    @inline(__always)
    private static func merge(_ sum: UInt64, _ lane: UInt64) -> UInt64 {
        (sum ^ round(0, lane)) &* prime1 &+ prime4
    }

    @inline(__always)
    private static func avalanche(_ sum: UInt64) -> UInt64 {
        var sum = sum
        sum ^= sum &>> 33
        sum = sum &* prime2
        sum ^= sum &>> 29
        sum = sum &* prime3
        return sum ^ (sum &>> 32)
    }

    @inline(__always)
    private static func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
        word &<< bits | word &>> (64 &- bits)
    }
}

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
    @inline(__always)
    static func hash(_ bytes: ByteView, seed: UInt64) -> UInt64 {
        if bytes.count >= 32 { return longHash(bytes, seed: seed) }
        let sum = seed &+ prime5 &+ UInt64(truncatingIfNeeded: bytes.count)
        return tail(sum, bytes.base, bytes.count)
    }

    @inline(never)
    private static func longHash(_ bytes: ByteView, seed: UInt64) -> UInt64 {
        let sum = stripes(bytes, seed: seed) &+ UInt64(truncatingIfNeeded: bytes.count)
        return tail(sum, bytes.base + (bytes.count & ~31), bytes.count & 31)
    }

    /// Up to 31 bytes that fill no stripe: words, half a word, bytes; without a loop.
    @inline(__always)
    private static func tail(_ start: UInt64, _ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var sum = start
        var at = base
        if count & 16 != 0 {
            sum = word(word(sum, ByteView.word(at)), ByteView.word(at + 8))
            at += 16
        }
        if count & 8 != 0 {
            sum = word(sum, ByteView.word(at))
            at += 8
        }
        if count & 4 != 0 {
            let half = UInt64(ByteView.halfWord(at))
            sum = rotate(sum ^ (half &* prime1), 23) &* prime2 &+ prime3
            at += 4
        }
        if count & 2 != 0 {
            sum = byte(byte(sum, at.load(as: UInt8.self)), at.load(fromByteOffset: 1, as: UInt8.self))
            at += 2
        }
        if count & 1 != 0 { sum = byte(sum, at.load(as: UInt8.self)) }
        return avalanche(sum)
    }

    @inline(__always)
    private static func word(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        rotate(sum ^ round(0, word), 27) &* prime1 &+ prime4
    }

    @inline(__always)
    private static func byte(_ sum: UInt64, _ byte: UInt8) -> UInt64 {
        rotate(sum ^ (UInt64(byte) &* prime5), 11) &* prime1
    }

    /// The hash of the eight little-endian bytes of `word`.
    @inline(__always)
    static func hash(_ word: UInt64, seed: UInt64) -> UInt64 {
        avalanche(self.word(seed &+ prime5 &+ 8, word))
    }

    /// The hash of the sixteen little-endian bytes of two words.
    @inline(__always)
    static func hash(_ first: UInt64, _ second: UInt64, seed: UInt64) -> UInt64 {
        avalanche(word(word(seed &+ prime5 &+ 16, first), second))
    }

    /// Whole stripes of 32 bytes in four lanes.
    @inline(__always)
    private static func stripes(_ bytes: ByteView, seed: UInt64) -> UInt64 {
        var lane1 = seed &+ prime1 &+ prime2
        var lane2 = seed &+ prime2
        var lane3 = seed
        var lane4 = seed &- prime1
        var at = bytes.base
        let end = at + (bytes.count & ~31)
        while at < end {
            lane1 = round(lane1, ByteView.word(at))
            lane2 = round(lane2, ByteView.word(at + 8))
            lane3 = round(lane3, ByteView.word(at + 16))
            lane4 = round(lane4, ByteView.word(at + 24))
            at += 32
        }
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

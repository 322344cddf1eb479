// Eight bytes at a time: the arithmetic that finds, folds and compares bytes inside a 64-bit word.
//
// Place: the inner loops of the head parser and of the cookie and query scans.
// Invariant: of the marks that `zeroBytes` and `bytesBelow` return, the lowest is exact; a borrow can raise a
// false mark only above a true one. `firstMarked` reads the lowest mark and nothing else.
// Source: "Hacker's Delight", 2nd edition, section 6-1; measured against SIMD16 in favour of plain words.

@usableFromInline
enum Words {
    /// `byte` in each of the eight places.
    @inlinable @inline(__always)
    static func all(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

    /// Top bit of each byte.
    @inlinable @inline(__always)
    static var tops: UInt64 { 0x8080_8080_8080_8080 }

    /// Marks bytes that are zero.
    @inlinable @inline(__always)
    static func zeroBytes(_ word: UInt64) -> UInt64 { (word &- all(1)) & ~word & tops }

    /// Marks bytes equal to `byte`.
    @inlinable @inline(__always)
    static func bytes(_ word: UInt64, equalTo byte: UInt8) -> UInt64 { zeroBytes(word ^ all(byte)) }

    /// Marks bytes below `bound`, which is at most 0x80.
    @inlinable @inline(__always)
    static func bytes(_ word: UInt64, below bound: UInt8) -> UInt64 { (word &- all(bound)) & ~word & tops }

    /// Index 0...7 of the lowest mark; 8 if there is none.
    @inlinable @inline(__always)
    static func firstMarked(_ marks: UInt64) -> Int { marks.trailingZeroBitCount &>> 3 }

    /// The word with its bytes from `count` (0...8) on set to zero.
    @inlinable @inline(__always)
    static func keep(_ count: Int, of word: UInt64) -> UInt64 {
        count >= 8 ? word : word & ~(UInt64.max &<< UInt64(truncatingIfNeeded: count &* 8))
    }

    /// The word with A...Z as a...z. Only letters change: folding by `| 0x20` alone would turn CR into "-".
    @inlinable @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        let sevenBits = word & ~tops
        let fromA = sevenBits &+ all(0x80 - 0x41)
        let aboveZ = sevenBits &+ all(0x80 - 0x5B)
        let isUpper = (fromA ^ aboveZ) & ~word & tops
        return word | isUpper &>> 2
    }

    /// Up to eight characters as the word they make in a buffer; folds to a constant.
    @inlinable @inline(__always)
    static func of(_ text: StaticString) -> UInt64 {
        var word: UInt64 = 0
        var index = text.utf8CodeUnitCount
        while index > 0 {
            index &-= 1
            word = word &<< 8 | UInt64(text.utf8Start[index])
        }
        return word
    }
}

/// Classes of single bytes, as 128-bit sets.
@usableFromInline
enum ByteClass {
    /// RFC 9110 section 5.6.2: "!#$%&'*+-.^_`|~", digits, letters.
    @inlinable @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        has(byte, low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
    }

    /// A character of a host as Weir accepts it: letters, digits and "-._~". Sub-delims and percent-encoding
    /// are legal in a reg-name (RFC 3986 section 3.2.2) but no host that resolves has them.
    @inlinable @inline(__always)
    static func isHost(_ byte: UInt8) -> Bool {
        has(byte, low: 0x03FF_6000_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }

    /// Space or horizontal tab (OWS and BWS, RFC 9110 section 5.6.3).
    @inlinable @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    @inlinable @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Value of a hexadecimal digit, or nil.
    @inlinable @inline(__always)
    static func hex(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    @inlinable @inline(__always)
    static func has(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
        let set = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && (set &>> UInt64(byte & 0x3F)) & 1 == 1
    }
}

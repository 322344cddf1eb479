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

    /// The word as the strictest server reads a name that it makes a variable of: letters in lower case, and
    /// all that is neither letter nor digit as "-".
    @inlinable @inline(__always)
    static func folded(_ word: UInt64) -> UInt64 {
        let others = (notPlainName(word) &>> 7) &* 0xFF
        return (word | all(0x20)) & ~others | all(0x2D) & others
    }

    /// Marks bytes that are neither letters nor digits nor "-": what nearly all field names consist of. Every
    /// mark is exact, not only the lowest.
    @inlinable @inline(__always)
    static func notPlainName(_ word: UInt64) -> UInt64 {
        let sevenBits = word & ~tops
        let folded = sevenBits | all(0x20)
        let letters = (folded &+ all(0x80 - 0x61)) ^ (folded &+ all(0x80 - 0x7B))
        let digits = (sevenBits &+ all(0x80 - 0x30)) ^ (sevenBits &+ all(0x80 - 0x3A))
        let notDash = (sevenBits ^ all(0x2D)) &+ all(0x7F)
        return ~(letters | digits | ~notDash) & tops | word & tops
    }

    /// Marks bytes that are neither letters nor digits nor "-" nor ".": what nearly all hosts
    /// consist of. Every mark is exact, not only the lowest.
    @inlinable @inline(__always)
    static func notPlain(_ word: UInt64) -> UInt64 {
        let sevenBits = word & ~tops
        let folded = sevenBits | all(0x20)
        let letters = (folded &+ all(0x80 - 0x61)) ^ (folded &+ all(0x80 - 0x7B))
        // "-", ".", "/" and the digits are neighbours.
        let others = (sevenBits &+ all(0x80 - 0x2D)) ^ (sevenBits &+ all(0x80 - 0x3A))
        let notSlash = (sevenBits ^ all(0x2F)) &+ all(0x7F)
        return ~(letters | (others & notSlash)) & tops | word & tops
    }

    /// Marks bytes that stop a value: below 0x20, or 0x7F.
    @inlinable @inline(__always)
    static func controls(_ word: UInt64) -> UInt64 {
        ((word &- all(0x20)) | ((word ^ all(0x7F)) &- all(1))) & ~word & tops
    }

    /// The number that the first `count` (1...8) bytes spell in decimal digits; nil if one is no digit.
    @inlinable @inline(__always)
    static func decimal(_ word: UInt64, _ count: Int) -> UInt64? {
        // Digits at the top, zeros below them: the places of a number of eight digits.
        let shift = UInt64(truncatingIfNeeded: (8 &- count) &* 8)
        var digits = (word ^ all(0x30)) &<< shift
        // A byte above 9 reaches the top bit with 0x76, or has it.
        if ((digits & ~tops) &+ all(0x76) | digits) & tops != 0 { return nil }
        // Neighbours become pairs (at most 99), pairs fours (9,999), fours eights.
        digits = (digits &* 10 &+ (digits &>> 8)) & 0x00FF_00FF_00FF_00FF
        digits = (digits &* 100 &+ (digits &>> 16)) & 0x0000_FFFF_0000_FFFF
        return (digits &* 10_000 &+ (digits &>> 32)) & 0xFFFF_FFFF
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

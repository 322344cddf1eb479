// Regular expressions over bytes, for conditions on headers, cookies, query parameters and paths. Parsed
// once at load, compiled to a table; a match costs one table step per byte of the value, never a backtrack,
// so no value that a peer sends can make it slow.
// Syntax: literals . [a-z] [^a-z] \d \w \s (and \D \W \S) \t \n \r \f \v \xHH, ^ $ ( ) (?: ) | * + ? {m}
// {m,} {m,n}. A match may start and end anywhere unless ^ or $ says otherwise. Quantifiers are plain.

/// A compiled regular expression.
public struct Pattern: Sendable, Hashable {
    /// The expression as it was written.
    public let text: String
    let automaton: Automaton

    /// - Parameter text: the expression; characters beyond ASCII stand for their UTF-8 bytes.
    /// - Throws: a failure that names the byte at which `text` stops making sense, or its size as a table
    ///   when that is beyond `PatternLimits`.
    public init(_ text: String) throws(PatternFailure) {
        var parser = PatternParser(text)
        let tree = try parser.parse()
        self.text = text
        automaton = try AutomatonBuilder.automaton(for: [(tree, 0)])
    }

    /// Whether the pattern matches somewhere in `bytes`; linear in their number.
    public func matches(_ bytes: RawSpan) -> Bool {
        bytes.withUnsafeBytes { raw in
            automaton.withTable { $0.run(over: raw) != 0 }
        }
    }

    public static func == (a: Pattern, b: Pattern) -> Bool { a.text == b.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// Why a text is not a pattern.
public struct PatternFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// Offset in bytes of the place in the text.
    public var position: Int
    /// What stands there ("end of pattern", "`)`").
    public var found: String
    /// What would have made sense there, or what to do.
    public var expected: String

    public var description: String {
        "at byte \(position): found \(found), expected \(expected)"
    }
}

/// The bounds of one pattern's table. Beyond: `PatternFailure` at load.
public enum PatternLimits {
    /// Bytes of the text.
    public static let textBytesMax = 1_024
    /// Groups within groups.
    public static let depthMax = 32
    /// The largest m or n of {m,n}.
    public static let repeatMax = 256
    /// Positions of the expression with repetitions written out.
    public static let positionsMax = 2_048
    /// States of the table: at most 1,024 × 256 × 2 bytes.
    public static let statesMax = 1_024
}

/// A set of byte values.
struct ByteSet: Hashable, Sendable {
    private(set) var words: SIMD4<UInt64> = .zero

    static let all = ByteSet(ranges: [0...255])
    static let digits = ByteSet(ranges: [0x30...0x39])
    static let wordBytes = ByteSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ByteSet(ranges: [0x09...0x0D, 0x20...0x20])

    init() {}

    init(_ byte: UInt8) { insert(byte) }

    init(ranges: [ClosedRange<UInt8>]) {
        for range in ranges { insert(range) }
    }

    mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }

    mutating func insert(_ range: ClosedRange<UInt8>) {
        for byte in range { insert(byte) }
    }

    mutating func formUnion(_ other: ByteSet) { words |= other.words }

    var inverted: ByteSet {
        var set = self
        set.words = ~words
        return set
    }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }
}

/// The parsed form of a pattern.
indirect enum PatternTree: Sendable {
    case empty
    case bytes(ByteSet)
    case start
    case end
    case sequence([PatternTree])
    case alternatives([PatternTree])
    /// `max` nil: without bound.
    case repetition(PatternTree, min: Int, max: Int?)
}

// The text of a pattern to its tree, by recursive descent: alternatives of sequences of quantified atoms.
// Runs when a config is loaded; the text is the operator's, the depth is bounded all the same.
// Invariant: every failure names the byte where it stands and what was expected there.

/// alternatives = sequence { "|" sequence };  sequence = { atom [quantifier] };
/// atom = literal | "." | class | escape | "^" | "$" | "(" ["?:"] alternatives ")"
struct PatternParser {
    private let text: [UInt8]
    private var at = 0
    private var depth = 0

    init(_ text: String) { self.text = Array(text.utf8) }

    mutating func parse() throws(PatternFailure) -> PatternTree {
        guard text.count <= PatternLimits.textBytesMax else {
            at = PatternLimits.textBytesMax
            throw failure(expected: "a pattern of at most \(PatternLimits.textBytesMax) bytes")
        }
        let tree = try alternatives()
        guard at == text.count else { throw failure(expected: "an opening ( before it, or \\)") }
        return tree
    }

    private mutating func alternatives() throws(PatternFailure) -> PatternTree {
        var branches = [try sequence()]
        while skip("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(PatternFailure) -> PatternTree {
        var parts: [PatternTree] = []
        while let byte = peek, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let start = at
            let part = try atom()
            parts.append(try quantified(part, from: start))
        }
        return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func quantified(_ part: PatternTree, from start: Int) throws(PatternFailure)
        -> PatternTree
    {
        let tree: PatternTree
        if skip("*") {
            tree = .repetition(part, min: 0, max: nil)
        } else if skip("+") {
            tree = .repetition(part, min: 1, max: nil)
        } else if skip("?") {
            tree = .repetition(part, min: 0, max: 1)
        } else if skip("{") {
            tree = try counted(part)
        } else {
            return part
        }
        switch part {
        case .start, .end:
            at = start
            throw failure(expected: "something other than an anchor to repeat")
        case .empty, .bytes, .sequence, .alternatives, .repetition:
            break
        }
        if let byte = peek, "*+?{".utf8.contains(byte) {
            throw failure(
                expected: "no second quantifier (a match is yes or no: lazy and possessive change nothing)")
        }
        return tree
    }

    /// Behind "{": m} or m,} or m,n}.
    private mutating func counted(_ part: PatternTree) throws(PatternFailure) -> PatternTree {
        let min = try number()
        guard skip(",") else {
            guard skip("}") else { throw failure(expected: "`,` or `}`") }
            return .repetition(part, min: min, max: min)
        }
        if skip("}") { return .repetition(part, min: min, max: nil) }
        let start = at
        let max = try number()
        guard max >= min else {
            at = start
            throw failure(expected: "a number not below \(min)")
        }
        guard skip("}") else { throw failure(expected: "`}`") }
        return .repetition(part, min: min, max: max)
    }

    private mutating func number() throws(PatternFailure) -> Int {
        let start = at
        var value = 0
        while let byte = peek, ByteSet.digits.contains(byte) {
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
            guard value <= PatternLimits.repeatMax else {
                at = start
                throw failure(expected: "a number of at most \(PatternLimits.repeatMax)")
            }
            at += 1
        }
        guard at > start else { throw failure(expected: "a number (a literal brace is \\{)") }
        return value
    }

    private mutating func atom() throws(PatternFailure) -> PatternTree {
        let byte = text[at]
        switch byte {
        case UInt8(ascii: "."):
            at += 1
            return .bytes(.all)
        case UInt8(ascii: "^"):
            at += 1
            return .start
        case UInt8(ascii: "$"):
            at += 1
            return .end
        case UInt8(ascii: "("):
            return try group()
        case UInt8(ascii: "["):
            return .bytes(try byteClass())
        case UInt8(ascii: "\\"):
            return .bytes(try escape())
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"):
            throw failure(expected: "something to repeat before it (a literal one is \\\(character(at: at)))")
        default:
            return literal()
        }
    }

    /// One character: a byte of ASCII, or all UTF-8 bytes of a character beyond.
    private mutating func literal() -> PatternTree {
        let first = at
        at += 1
        while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
        let parts = text[first..<at].map { PatternTree.bytes(ByteSet($0)) }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func group() throws(PatternFailure) -> PatternTree {
        let opening = at
        at += 1
        if skip("?") {
            guard skip(":") else { throw failure(expected: "`:` (the only group with ? is (?: ))") }
        }
        depth += 1
        guard depth <= PatternLimits.depthMax else {
            throw failure(expected: "at most \(PatternLimits.depthMax) groups within each other")
        }
        let tree = try alternatives()
        guard skip(")") else { throw failure(expected: "`)` for the `(` at byte \(opening)") }
        depth -= 1
        return tree
    }

    private mutating func byteClass() throws(PatternFailure) -> ByteSet {
        let opening = at
        at += 1
        let isInverted = skip("^")
        var set = ByteSet()
        var isFirst = true
        while let byte = peek {
            if byte == UInt8(ascii: "]"), !isFirst {
                at += 1
                return isInverted ? set.inverted : set
            }
            isFirst = false
            let start = at
            let low = try member()
            if peek == UInt8(ascii: "-"), at + 1 < text.count, text[at + 1] != UInt8(ascii: "]") {
                at += 1
                set.formUnion(try range(from: low, start: start))
            } else {
                set.formUnion(low)
            }
        }
        throw failure(expected: "`]` for the `[` at byte \(opening)")
    }

    private mutating func range(from low: ByteSet, start: Int) throws(PatternFailure) -> ByteSet {
        let middle = at
        let high = try member()
        guard let first = low.onlyByte, let last = high.onlyByte else {
            at = low.onlyByte == nil ? start : middle
            throw failure(expected: "a single byte as the end of a range")
        }
        guard first <= last else {
            at = middle
            throw failure(expected: "a byte not below the range's start")
        }
        return ByteSet(ranges: [first...last])
    }

    /// One member of a class: a byte or an escape.
    private mutating func member() throws(PatternFailure) -> ByteSet {
        let byte = text[at]
        if byte == UInt8(ascii: "\\") { return try escape() }
        guard byte < 0x80 else {
            throw failure(expected: "ASCII inside [ ] (write characters beyond as alternatives in a group)")
        }
        at += 1
        return ByteSet(byte)
    }

    private mutating func escape() throws(PatternFailure) -> ByteSet {
        at += 1
        guard let byte = peek else { throw failure(expected: "a character after the backslash") }
        switch byte {
        case UInt8(ascii: "d"): return step(.digits)
        case UInt8(ascii: "D"): return step(ByteSet.digits.inverted)
        case UInt8(ascii: "w"): return step(.wordBytes)
        case UInt8(ascii: "W"): return step(ByteSet.wordBytes.inverted)
        case UInt8(ascii: "s"): return step(.space)
        case UInt8(ascii: "S"): return step(ByteSet.space.inverted)
        case UInt8(ascii: "t"): return step(ByteSet(0x09))
        case UInt8(ascii: "n"): return step(ByteSet(0x0A))
        case UInt8(ascii: "v"): return step(ByteSet(0x0B))
        case UInt8(ascii: "f"): return step(ByteSet(0x0C))
        case UInt8(ascii: "r"): return step(ByteSet(0x0D))
        case UInt8(ascii: "x"):
            at += 1
            let high = try hexDigit()
            let low = try hexDigit()
            return ByteSet(high << 4 | low)
        default:
            guard byte > 0x20, byte < 0x7F, !ByteSet.wordBytes.contains(byte) else {
                throw failure(
                    expected: "one of d D w W s S t n r f v xHH, or a punctuation mark to take literally")
            }
            return step(ByteSet(byte))
        }
    }

    private mutating func hexDigit() throws(PatternFailure) -> UInt8 {
        guard let byte = peek else { throw failure(expected: "a hexadecimal digit") }
        at += 1
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
        default:
            at -= 1
            throw failure(expected: "a hexadecimal digit")
        }
    }

    private mutating func step(_ set: ByteSet) -> ByteSet {
        at += 1
        return set
    }

    private var peek: UInt8? { at < text.count ? text[at] : nil }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private func character(at position: Int) -> String {
        var end = position + 1
        while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
        return String(decoding: text[position..<end], as: UTF8.self)
    }

    private func failure(expected: String) -> PatternFailure {
        PatternFailure(
            position: at, found: at < text.count ? "`\(character(at: at))`" : "end of pattern",
            expected: expected)
    }
}

extension ByteSet {
    /// The set's byte, when it has exactly one.
    fileprivate var onlyByte: UInt8? {
        var found: UInt8?
        for byte in UInt8.min...UInt8.max where contains(byte) {
            guard found == nil else { return nil }
            found = byte
        }
        return found
    }
}

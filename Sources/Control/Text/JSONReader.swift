// A strict JSON reader (RFC 8259) for bytes that others wrote: admin bodies, journal lines, status pages.
// Invariant: any bytes give a value or a `JSONProblem`, never a trap; depth is bounded, so is recursion;
// a duplicate member name is refused, because two readers could take different ones.

/// Why bytes are not JSON.
public struct JSONProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// Offset of the byte that could not be read.
    public var offset: Int
    public var expected: String

    public var description: String { "not JSON at byte \(offset): expected \(expected)" }
}

extension JSON {
    /// Nesting beyond this is refused.
    static let depthMax = 64

    /// Reads exactly one value, spaces around it allowed.
    public init(parsing bytes: some Collection<UInt8>) throws(JSONProblem) {
        var reader = JSONReader(bytes: Array(bytes))
        self = try reader.document()
    }

    public init(parsing text: String) throws(JSONProblem) {
        try self.init(parsing: text.utf8)
    }
}

struct JSONReader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONProblem) -> JSON {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw problem("the end") }
        return value
    }

    private func problem(_ expected: String) -> JSONProblem { JSONProblem(offset: at, expected: expected) }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONProblem) -> JSON {
        guard depth < JSON.depthMax else { throw problem("at most \(JSON.depthMax) levels") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: String, _ value: JSON) throws(JSONProblem) -> JSON {
        for byte in word.utf8 where !take(byte) { throw problem(word) }
        return value
    }

    private mutating func object(depth: Int) throws(JSONProblem) -> JSON {
        at += 1
        var members: [JSON.Member] = []
        var names: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw problem("a member name") }
            let name = try string()
            guard names.insert(name).inserted else { throw problem("\(name) only once") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw problem("':'") }
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw problem("',' or '}'") }
        }
    }

    private mutating func array(depth: Int) throws(JSONProblem) -> JSON {
        at += 1
        var elements: [JSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw problem("',' or ']'") }
        }
    }

    private mutating func string() throws(JSONProblem) -> String {
        at += 1
        var out: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw problem("UTF-8") }
                at += 1
                return text
            case UInt8(ascii: "\\"):
                at += 1
                out.append(contentsOf: try escape().utf8)
            case 0..<0x20: throw problem("no control byte inside a string")
            default:
                out.append(byte)
                at += 1
            }
        }
        throw problem("'\"'")
    }

    private mutating func escape() throws(JSONProblem) -> String {
        guard let byte = next else { throw problem("an escape") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return String(try scalar())
        default: throw problem("an escape of RFC 8259")
        }
    }

    private mutating func scalar() throws(JSONProblem) -> Character {
        let high = try hex4()
        if let scalar = Unicode.Scalar(high) { return Character(scalar) }
        guard high < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw problem("a low surrogate")
        }
        let low = try hex4()
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw problem("a low surrogate") }
        return Character(scalar)
    }

    private mutating func hex4() throws(JSONProblem) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw problem("four hex digits")
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    private mutating func digits() -> Int {
        let from = at
        while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
        return at - from
    }

    private mutating func number() throws(JSONProblem) -> JSON {
        let from = at
        _ = take(UInt8(ascii: "-"))
        let leadsWithZero = next == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !(leadsWithZero && whole > 1) else {
            at = from
            throw problem("a value")
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard digits() > 0 else { throw problem("a digit") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard digits() > 0 else { throw problem("a digit") }
        }
        let text = String(decoding: bytes[from..<at], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            at = from
            throw problem("a number that a double can hold")
        }
        return .number(value)
    }
}

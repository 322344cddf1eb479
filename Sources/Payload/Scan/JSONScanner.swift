// A strict JSON scanner for bytes that arrive in pieces. One state per place in the grammar, so that a
// document may be cut anywhere; the stack of containers is one word, so nothing recurses or allocates:
//   value -"{"-> firstName -DQUOTE-> name text -> colon -":"-> value      value -"["-> firstElement
//   value -DQUOTE-> text <-> escape, hex, lowBackslash, lowU, utf8        value -digit-> the number states
//   value -"t" "f" "n"-> word      after a value: comma inside a container, done outside
// Invariant: any bytes end in done, in a state that wants more, or in a problem; never in a trap. What is
// accepted is RFC 8259 with valid UTF-8, whole surrogate pairs and at most `depthMax` open containers.

struct JSONScanner {
    /// Containers that may be open at once.
    static let depthMax = 64

    enum State: UInt8 {
        case value, firstElement, firstName, name, colon, comma, done, word
        case text, escape, hex, lowBackslash, lowU, utf8
        case minus, zero, whole, point, fraction, exponent, exponentSign, exponentDigits
    }

    var state = State.value
    /// Bytes taken in.
    private(set) var offset = 0
    /// The byte that did not fit, and what was expected there.
    private(set) var refused: (offset: Int, expected: StaticString)?
    /// Open containers, and which of them are arrays: bit 0 is the innermost.
    private var depth = 0
    private var arrays: UInt64 = 0
    /// Of a word: its kind and the bytes still to come, the next one lowest.
    private var kind = JSONKind.null
    private var rest: UInt64 = 0
    /// Whether the text under way is a member's name.
    var isName = false
    /// Of a \u escape: digits to come, its value, and the half of a pair before it.
    var hexLeft = 0
    var hexValue: UInt32 = 0
    var highSurrogate: UInt32 = 0
    /// Of a UTF-8 sequence: bytes to come, and the bounds of the next one.
    var utf8Left = 0
    var utf8Low: UInt8 = 0x80
    var utf8High: UInt8 = 0xBF

    /// Takes a piece; after a problem, nothing more.
    mutating func take(_ bytes: RawSpan, _ sink: inout some JSONSink) {
        // The iteration stays inside the span.
        bytes.withUnsafeBytes { buffer in
            for byte in buffer {
                if refused != nil { return }
                step(byte, &sink)
                offset += 1
            }
        }
    }

    /// Ends the document; a number at its very end ends with it.
    /// - Returns: whether a whole document was read.
    mutating func finish(_ sink: inout some JSONSink) -> Bool {
        guard refused == nil else { return false }
        if depth == 0, isWholeNumber { endNumber(&sink) }
        return state == .done
    }

    /// Why the bytes are no JSON document; for a document that just ends too early, where it ends.
    var problem: ScanProblem? {
        if let refused { return ScanProblem(offset: refused.offset, expected: "\(refused.expected)") }
        return state == .done ? nil : ScanProblem(offset: offset, expected: "more, not the end")
    }

    mutating func refuse(_ expected: StaticString) { refused = (offset, expected) }

    private var isInArray: Bool { arrays & 1 == 1 }

    private mutating func step(_ byte: UInt8, _ sink: inout some JSONSink) {
        switch state {
        case .text, .escape, .hex, .lowBackslash, .lowU, .utf8: stepText(byte, &sink)
        case .value, .firstElement, .firstName, .name, .colon, .comma, .done:
            if byte != 0x20, byte != 0x0A, byte != 0x0D, byte != 0x09 { stepStructure(byte, &sink) }
        case .word: stepWord(byte, &sink)
        case .minus, .zero, .whole, .point, .fraction, .exponent, .exponentSign, .exponentDigits:
            stepNumber(byte, &sink)
        }
    }

    // MARK: Structure

    private mutating func stepStructure(_ byte: UInt8, _ sink: inout some JSONSink) {
        switch state {
        case .firstElement where byte == UInt8(ascii: "]"): close(.array, &sink)
        case .value, .firstElement: beginValue(byte, &sink)
        case .firstName where byte == UInt8(ascii: "}"): close(.object, &sink)
        case .firstName, .name:
            guard byte == UInt8(ascii: "\"") else { return refuse("a member name in double quotes") }
            isName = true
            state = .text
            sink.beginName()
        case .colon:
            guard byte == UInt8(ascii: ":") else { return refuse("':'") }
            state = .value
        case .comma:
            switch byte {
            case UInt8(ascii: ","): state = isInArray ? .value : .name
            case UInt8(ascii: "]") where isInArray: close(.array, &sink)
            case UInt8(ascii: "}") where !isInArray: close(.object, &sink)
            default: isInArray ? refuse("',' or ']'") : refuse("',' or '}'")
            }
        case .done, .word, .text, .escape, .hex, .lowBackslash, .lowU, .utf8, .minus, .zero, .whole, .point,
            .fraction, .exponent, .exponentSign, .exponentDigits:
            refuse("the end")
        }
    }

    private mutating func beginValue(_ byte: UInt8, _ sink: inout some JSONSink) {
        switch byte {
        case UInt8(ascii: "{"): open(.object, &sink)
        case UInt8(ascii: "["): open(.array, &sink)
        case UInt8(ascii: "\""):
            isName = false
            state = .text
            sink.begin(.string, at: offset)
        case UInt8(ascii: "t"): beginWord(.true, 0x65_7572, &sink)
        case UInt8(ascii: "f"): beginWord(.false, 0x6573_6C61, &sink)
        case UInt8(ascii: "n"): beginWord(.null, 0x6C_6C75, &sink)
        case UInt8(ascii: "-"), 0x30...0x39:
            state = byte == 0x30 ? .zero : byte == UInt8(ascii: "-") ? .minus : .whole
            sink.begin(.number, at: offset)
            sink.text(byte)
        default: refuse("a value")
        }
    }

    private mutating func open(_ kind: JSONKind, _ sink: inout some JSONSink) {
        guard depth < Self.depthMax else { return refuse("at most 64 open objects and arrays") }
        depth += 1
        arrays = arrays << 1 | (kind == .array ? 1 : 0)
        state = kind == .array ? .firstElement : .firstName
        sink.begin(kind, at: offset)
    }

    private mutating func close(_ kind: JSONKind, _ sink: inout some JSONSink) {
        depth -= 1
        arrays >>= 1
        sink.end(kind, at: offset + 1)
        endValue()
    }

    /// What follows a whole value.
    mutating func endValue() { state = depth == 0 ? .done : .comma }

    // MARK: Words

    private mutating func beginWord(_ kind: JSONKind, _ rest: UInt64, _ sink: inout some JSONSink) {
        self.kind = kind
        self.rest = rest
        state = .word
        sink.begin(kind, at: offset)
    }

    private mutating func stepWord(_ byte: UInt8, _ sink: inout some JSONSink) {
        guard UInt64(byte) == rest & 0xFF else { return refuse("true, false or null") }
        rest >>= 8
        guard rest == 0 else { return }
        sink.end(kind, at: offset + 1)
        endValue()
    }

    // MARK: Numbers

    private var isWholeNumber: Bool {
        state == .zero || state == .whole || state == .fraction || state == .exponentDigits
    }

    private mutating func endNumber(_ sink: inout some JSONSink) {
        sink.end(.number, at: offset)
        endValue()
    }

    private mutating func stepNumber(_ byte: UInt8, _ sink: inout some JSONSink) {
        let isDigit = byte >= 0x30 && byte <= 0x39
        let isExponent = byte | 0x20 == UInt8(ascii: "e")
        switch state {
        case .minus where isDigit: state = byte == 0x30 ? .zero : .whole
        case .whole where isDigit, .fraction where isDigit, .exponentDigits where isDigit: break
        case .zero where byte == UInt8(ascii: "."), .whole where byte == UInt8(ascii: "."): state = .point
        case .zero where isExponent, .whole where isExponent, .fraction where isExponent: state = .exponent
        case .point where isDigit: state = .fraction
        case .exponent where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"): state = .exponentSign
        case .exponent where isDigit, .exponentSign where isDigit: state = .exponentDigits
        default:
            guard isWholeNumber else { return refuse("a digit") }
            endNumber(&sink)
            return step(byte, &sink)
        }
        sink.text(byte)
    }
}

// The inside of a string: plain bytes, escapes, surrogate pairs, UTF-8. What the sink gets is the decoded
// content, byte by byte, so that `"\u0061"` and `"a"` are the same name.
// Invariant: the sink only ever gets whole prefixes of valid UTF-8; half of a pair is refused.
// Sources: RFC 8259 section 7; Unicode 16, table 3-7 (well-formed UTF-8).

extension JSONScanner {
    mutating func stepText(_ byte: UInt8, _ sink: inout some JSONSink) {
        switch state {
        case .text:
            switch byte {
            case UInt8(ascii: "\""): endText(&sink)
            case UInt8(ascii: "\\"): state = .escape
            case 0..<0x20: refuse("no control character inside a string")
            case 0x20..<0x80: put(byte, &sink)
            default: beginSequence(byte, &sink)
            }
        case .utf8:
            guard (utf8Low...utf8High).contains(byte) else { return refuse("UTF-8") }
            (utf8Low, utf8High) = (0x80, 0xBF)
            utf8Left -= 1
            if utf8Left == 0 { state = .text }
            put(byte, &sink)
        case .escape: stepEscape(byte, &sink)
        case .hex: stepHex(byte, &sink)
        case .lowBackslash:
            guard byte == UInt8(ascii: "\\") else { return refuse("the other half of a surrogate pair") }
            state = .lowU
        case .lowU, .value, .firstElement, .firstName, .name, .colon, .comma, .done, .word, .minus, .zero,
            .whole,
            .point, .fraction, .exponent, .exponentSign, .exponentDigits:
            guard byte == UInt8(ascii: "u") else { return refuse("the other half of a surrogate pair") }
            (hexLeft, hexValue) = (4, 0)
            state = .hex
        }
    }

    private func put(_ byte: UInt8, _ sink: inout some JSONSink) {
        if isName { sink.nameByte(byte) } else { sink.text(byte) }
    }

    private mutating func endText(_ sink: inout some JSONSink) {
        if isName {
            sink.endName()
            state = .colon
        } else {
            sink.end(.string, at: offset + 1)
            endValue()
        }
    }

    private mutating func beginSequence(_ byte: UInt8, _ sink: inout some JSONSink) {
        switch byte {
        case 0xC2...0xDF: utf8Left = 1
        case 0xE0...0xEF: utf8Left = 2
        case 0xF0...0xF4: utf8Left = 3
        default: return refuse("UTF-8")
        }
        switch byte {
        case 0xE0: utf8Low = 0xA0
        case 0xED: utf8High = 0x9F
        case 0xF0: utf8Low = 0x90
        case 0xF4: utf8High = 0x8F
        default: break
        }
        state = .utf8
        put(byte, &sink)
    }

    private mutating func stepEscape(_ byte: UInt8, _ sink: inout some JSONSink) {
        state = .text
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): put(byte, &sink)
        case UInt8(ascii: "b"): put(0x08, &sink)
        case UInt8(ascii: "f"): put(0x0C, &sink)
        case UInt8(ascii: "n"): put(0x0A, &sink)
        case UInt8(ascii: "r"): put(0x0D, &sink)
        case UInt8(ascii: "t"): put(0x09, &sink)
        case UInt8(ascii: "u"):
            (hexLeft, hexValue, highSurrogate) = (4, 0, 0)
            state = .hex
        default: refuse("an escape of RFC 8259")
        }
    }

    private mutating func stepHex(_ byte: UInt8, _ sink: inout some JSONSink) {
        let folded = byte | 0x20
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case _ where folded >= 0x61 && folded <= 0x66: digit = folded - 0x61 + 10
        default: return refuse("four hexadecimal digits")
        }
        hexValue = hexValue << 4 | UInt32(digit)
        hexLeft -= 1
        if hexLeft == 0 { endHex(&sink) }
    }

    /// Four digits are there: a character, or half of one.
    private mutating func endHex(_ sink: inout some JSONSink) {
        let isHigh = (0xD800...0xDBFF).contains(hexValue)
        let isLow = (0xDC00...0xDFFF).contains(hexValue)
        if highSurrogate != 0 {
            guard isLow else { return refuse("the other half of a surrogate pair") }
            put(scalar: 0x10000 + (highSurrogate - 0xD800) << 10 + (hexValue - 0xDC00), &sink)
        } else if isHigh {
            highSurrogate = hexValue
            state = .lowBackslash
            return
        } else if isLow {
            return refuse("the first half of a surrogate pair before the second")
        } else {
            put(scalar: hexValue, &sink)
        }
        state = .text
    }

    private func put(scalar value: UInt32, _ sink: inout some JSONSink) {
        func low6(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(value >> shift & 0x3F) }
        switch value {
        case 0..<0x80: put(UInt8(value), &sink)
        case 0x80..<0x800:
            put(0xC0 | UInt8(value >> 6), &sink)
            put(low6(0), &sink)
        case 0x800..<0x10000:
            put(0xE0 | UInt8(value >> 12), &sink)
            put(low6(6), &sink)
            put(low6(0), &sink)
        default:
            put(0xF0 | UInt8(value >> 18 & 0x07), &sink)
            put(low6(12), &sink)
            put(low6(6), &sink)
            put(low6(0), &sink)
        }
    }
}

// Text that a stranger wrote, on its way out: to a terminal, a log line, a page, a message or a JSON string.
// A peer, a model server, a registry or a caller may write anything. What does not show itself (a control
// character, a direction override, an invisible character, a line separator) could move the cursor, hide or
// reorder words, or forge a line, so it is written as an escape that everybody can see.
//
// Theory: one form serves every border: JSON's `\u009b`. In a JSON string it keeps the data intact, because a
// reader gets the character back; on a line it is plain ASCII. What was escaped once is not changed by a
// second pass, so each border can do it without asking what came before.
// Invariant: what comes out is valid UTF-8, and every scalar in it `isPlain`, but for the line feeds of a
// page.
// Source: RFC 8259 section 7, RFC 3629 section 4, ECMA-48 for C0 and C1, Unicode Technical Report 36.

/// Escapes and bounds text that a stranger wrote.
public enum ForeignText {
    /// Bytes of one text on a line of ours; what is longer ends with `…`.
    public static let lineBytesMax = 4_096

    /// Whether a scalar shows itself: no control or format character, no line or paragraph separator, nothing
    /// that is drawn as nothing, nothing private or unassigned.
    public static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value >= 0x20 }
        if scalar.properties.isDefaultIgnorableCodePoint { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            return false
        default: return true
        }
    }

    /// The text as a part of one line.
    /// - Parameter bytesMax: bound of the result, at least 8; it is cut between two characters.
    public static func line(_ text: String, bytesMax: Int = lineBytesMax) -> String {
        if text.utf8.count <= bytesMax, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
        return line(text.utf8.span, bytesMax: bytesMax)
    }

    /// The bytes as a part of one line; one that is not UTF-8 is written as %XX.
    public static func line(bytes: some Collection<UInt8>, bytesMax: Int = lineBytesMax) -> String {
        // More cannot show: no byte takes less than one byte of the result, but for what makes it longer.
        line(Array(bytes.prefix(bytesMax + 4)).span, bytesMax: bytesMax)
    }

    /// The beginning of a text that is to be quoted, unescaped, cut between two characters.
    public static func shortened(_ text: String, bytesMax: Int = lineBytesMax) -> String {
        if text.utf8.count <= bytesMax { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: bytesMax)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return text[..<end] + "…"
    }

    /// A page of ours with foreign text in it: its line feeds stay, since whoever composed it has put every
    /// foreign text on one line.
    public static func page(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || $0 == 0x0A }) { return text }
        var out: [UInt8] = []
        var writer = ForeignTextWriter(.page)
        writer.append(text.utf8.span, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Appends the text as a JSON string, quotes included.
    public static func quote(_ text: String, to out: inout String) {
        out += "\""
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) {
            out += text
        } else {
            var bytes: [UInt8] = []
            var writer = ForeignTextWriter(.json)
            writer.append(text.utf8.span, to: &bytes)
            out += String(decoding: bytes, as: UTF8.self)
        }
        out += "\""
    }

    /// Appends the bytes as a JSON string, quotes included; one that is not UTF-8 is written as %XX, which is
    /// what it would be in a URL.
    public static func quote(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        out.append(0x22)
        var writer = ForeignTextWriter(.json)
        writer.append(bytes, to: &out)
        out.append(0x22)
    }

    private static func line(_ bytes: Span<UInt8>, bytesMax: Int) -> String {
        precondition(bytesMax >= 8, "room for the mark of what was cut")
        var out: [UInt8] = []
        var writer = ForeignTextWriter(.line)
        writer.bytesMax = bytesMax
        writer.append(bytes, to: &out)
        return String(decoding: out, as: UTF8.self)
    }
}

/// Writes bytes, character by character, as one of the borders wants them.
private struct ForeignTextWriter {
    /// What the text becomes part of.
    enum Border {
        /// A line of prose; quotes and backslashes stay.
        case line
        /// As a line, with line feeds.
        case page
        /// The inside of a JSON string.
        case json
    }

    let border: Border
    /// Of `out`; the text is cut where it would grow longer.
    var bytesMax = Int.max

    init(_ border: Border) { self.border = border }

    mutating func append(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        let start = out.count
        // Where the text can be cut so that the mark still fits.
        var end = start
        var i = 0
        while i < bytes.count {
            i += appendCharacter(bytes, i, to: &out)
            guard bytesMax < .max else { continue }
            if out.count - start > bytesMax {
                out.removeSubrange(end...)
                out += "…".utf8
                return
            }
            if out.count - start <= bytesMax - 3 { end = out.count }
        }
    }

    /// Appends the character at `i`.
    /// - Returns: its bytes.
    private func appendCharacter(_ bytes: Span<UInt8>, _ i: Int, to out: inout [UInt8]) -> Int {
        let byte = bytes[i]
        switch byte {
        case 0x22 where border == .json, 0x5C where border == .json: Self.escape(letter: byte, to: &out)
        case 0x20..<0x7F: out.append(byte)
        case 0x0A where border == .page: out.append(byte)
        case 0x0A: Self.escape(letter: 0x6E, to: &out)
        case 0x0D: Self.escape(letter: 0x72, to: &out)
        case 0x09: Self.escape(letter: 0x74, to: &out)
        case 0..<0x20, 0x7F: Self.escape(UInt32(byte), to: &out)
        default: return appendBeyondASCII(bytes, i, to: &out)
        }
        return 1
    }

    private func appendBeyondASCII(_ bytes: Span<UInt8>, _ i: Int, to out: inout [UInt8]) -> Int {
        guard let (scalar, length) = Self.scalar(bytes, i) else {
            out += [0x25, Self.upper(bytes[i] >> 4), Self.upper(bytes[i] & 15)]
            return 1
        }
        if ForeignText.isPlain(scalar) {
            for k in 0..<length { out.append(bytes[i + k]) }
        } else if scalar.value < 0x1_0000 {
            Self.escape(scalar.value, to: &out)
        } else {
            // Bound: a scalar is at most 10FFFF.
            let rest = scalar.value - 0x1_0000
            Self.escape(0xD800 + rest >> 10, to: &out)
            Self.escape(0xDC00 + rest & 0x3FF, to: &out)
        }
        return length
    }

    /// The scalar of the well-formed sequence at `i`, and its bytes; nil when there is none (RFC 3629: no
    /// overlong form, no surrogate, nothing beyond U+10FFFF).
    private static func scalar(_ bytes: Span<UInt8>, _ i: Int) -> (Unicode.Scalar, Int)? {
        let length: Int
        let second: ClosedRange<UInt8>
        switch bytes[i] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard i + length <= bytes.count, second.contains(bytes[i + 1]) else { return nil }
        // The first byte has 7 - length bits of the scalar, each other one 6.
        var value = UInt32(bytes[i]) & (0x7F >> UInt32(length))
        for k in 1..<length {
            guard bytes[i + k] & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(bytes[i + k] & 0x3F)
        }
        return Unicode.Scalar(value).map { ($0, length) }
    }

    /// A backslash and a letter. Appended one by one: bodies are long, and full of quotes.
    private static func escape(letter: UInt8, to out: inout [UInt8]) {
        out.append(0x5C)
        out.append(letter)
    }

    /// `\u` and four digits.
    private static func escape(_ unit: UInt32, to out: inout [UInt8]) {
        escape(letter: 0x75, to: &out)
        for shift in [12, 8, 4, 0] as [UInt32] {
            let digit = UInt8(unit >> shift & 15)
            out.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    private static func upper(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x37 + digit }
}

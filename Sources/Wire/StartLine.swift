// The scans that take a request line and a status line apart; targets have a file of their own.
//
// Place: HeadParser+Request and HeadParser+Response; the usual case is inlined there.
// Invariant: one space between the parts; the version is HTTP/1.0 or HTTP/1.1 in capitals.
// Source: RFC 9112 sections 2.2, 2.3, 3 and 4.

extension Text {
    /// Offset of the request line, behind empty lines.
    @inline(__always)
    func afterEmptyLines() throws(Stop) -> Int {
        guard byteCount > 0 else { throw .short }
        return byte(at: 0) > 0x20 ? 0 : try afterSomeEmptyLines()
    }

    @inline(never)
    private func afterSomeEmptyLines() throws(Stop) -> Int {
        // One is asked for by RFC 9112 section 2.2; some clients end a body with two.
        let emptyLinesMax = 4
        var at = 0
        while at < byteCount, byte(at: at) == 0x0D {
            if at == 2 * emptyLinesMax { throw .refused(.leadingEmptyLines) }
            at = try lineEnd(at: at)
        }
        guard at < byteCount else { throw .short }
        if byte(at: at) == 0x0A { throw .refused(.bareLF) }
        return at
    }

    /// The method and the offset of the space after it.
    @inline(__always)
    func method(from start: Int) throws(Stop) -> (Method, Int) {
        let word = self.word(at: start)
        let length = Words.firstMarked(Words.bytes(word, equalTo: 0x20))
        // With its space, so that a zero byte before the space is not taken for the end of a shorter word.
        let method = length < 8 ? Method(word: Words.keep(length &+ 1, of: word)) : .other
        return method == .other ? (.other, try endOfRareMethod(start)) : (method, start &+ length)
    }

    @inline(never)
    private func endOfRareMethod(_ start: Int) throws(Stop) -> Int {
        // A longer method gets 501 (RFC 9112 section 3).
        let methodBytesMax = 32
        var at = start
        while at < byteCount, ByteClass.isToken(byte(at: at)) {
            at += 1
            if at - start > methodBytesMax { throw .refused(.methodTooLong) }
        }
        guard at < byteCount else { throw .short }
        guard at > start, byte(at: at) == 0x20 else { throw .refused(.methodSyntax) }
        return at
    }

    /// Reads "HTTP/1.0" or "HTTP/1.1"; returns the minor version.
    @inline(__always)
    func version(from start: Int) throws(Stop) -> UInt8 {
        let word = self.word(at: start)
        // The two differ in the lowest bit of the last byte.
        if word | 1 << 56 == Words.of("HTTP/1.1") { return UInt8(truncatingIfNeeded: word &>> 56) & 1 }
        throw versionStop(from: start)
    }

    /// What is wrong with a version that is neither 1.0 nor 1.1.
    @inline(never)
    private func versionStop(from start: Int) -> Stop {
        var index = 0
        while index < 8 {
            guard start + index < byteCount else { return .short }
            let byte = byte(at: start + index)
            let isExpected =
                switch index {
                case 5, 7: ByteClass.isDigit(byte)
                case 6: byte == 0x2E
                default: byte == UInt8(truncatingIfNeeded: Words.of("HTTP/") &>> UInt64(index * 8))
                }
            guard isExpected else { return .refused(.versionSyntax) }
            index += 1
        }
        return .refused(.versionUnsupported)
    }

    /// Offset after the CRLF at `at`.
    @inline(__always)
    func lineEnd(at: Int) throws(Stop) -> Int {
        guard word(at: at) & 0xFFFF == Words.of("\r\n") else { throw lineEndStop(at) }
        return at &+ 2
    }

    @inline(never)
    private func lineEndStop(_ at: Int) -> Stop {
        guard at < byteCount else { return .short }
        switch byte(at: at) {
        case 0x0D: return at + 1 < byteCount ? .refused(.bareCR) : .short
        case 0x0A: return .refused(.bareLF)
        default: return .refused(.requestLine)
        }
    }

    /// Reads " 200", one space and three digits, at offset 8.
    @inline(__always)
    func status() throws(Stop) -> UInt16 {
        guard byteCount >= 13 else { throw .short }
        guard byte(at: 8) == 0x20 else { throw .refused(.statusLine) }
        let hundreds = byte(at: 9) &- 0x30
        let tens = byte(at: 10) &- 0x30
        let ones = byte(at: 11) &- 0x30
        guard hundreds >= 1, hundreds <= 5, tens < 10, ones < 10 else { throw .refused(.statusCode) }
        // At most 599.
        return UInt16(hundreds) &* 100 &+ UInt16(tens) &* 10 &+ UInt16(ones)
    }

    /// Offset of the reason, which may be empty. Its space may be missing: many servers leave it out, and no
    /// byte of a reason means anything.
    @inline(__always)
    func startOfReason() throws(Stop) -> Int {
        switch byte(at: 12) {
        case 0x20: return 13
        case 0x0D: return 12
        case 0x0A: throw .refused(.bareLF)
        default: throw .refused(.statusCode)
        }
    }
}

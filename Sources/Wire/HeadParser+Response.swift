// The status line and what a response head as a whole must obey.
//
// Place: called by HeadParser.response(_:scanned:to:).
// Invariant: status 100...599; a response without body by its status or its request's method has framing
// `.none` whatever its fields claim.
// Source: RFC 9112 sections 4 and 6.3; RFC 9110 sections 15.2.2 and 8.6.

extension HeadParser {
    mutating func responseHead(_ text: RawSpan, to method: Method) throws(Stop) -> ResponseHead {
        begin()
        guard text.byteCount > 0 else { throw .short }
        let minorVersion = try responseVersion(text)
        let status = try status(text)
        let reasonStart = try startOfReason(text)
        let reasonEnd = try endOfValue(text, reasonStart)
        guard reasonEnd <= limits.lineBytesMax else { throw .refused(.statusLine) }

        let end = try fieldLines(text, from: reasonEnd &+ 2, isTrailer: false)
        let options = try connectionOptions(text)
        let framing = try responseFraming(text, status, minorVersion, method)
        if status == 101 {
            guard minorVersion == 1, options.upgrade, notes.upgrade >= 0 else {
                throw .refused(.switchingProtocols)
            }
        }
        let isReusable = status != 101 && framing != .untilClose && !hasStrayFraming(text, status)
        return ResponseHead(
            status: status,
            minorVersion: minorVersion,
            keepsAlive: isReusable && options.keepsAlive(minorVersion),
            upgrade: status == 101,
            framing: framing,
            reason: Slice(from: reasonStart, to: reasonEnd),
            fieldCount: storedCount,
            byteCount: end)
    }

    @inline(__always)
    private func responseVersion(_ text: RawSpan) throws(Stop) -> UInt8 {
        let word = text.word(at: 0)
        if word == Words.of("HTTP/1.1") { return 1 }
        if word == Words.of("HTTP/1.0") { return 0 }
        throw versionStop(text, from: 0)
    }

    /// Reads " 200": one space and three digits.
    @inline(__always)
    private func status(_ text: RawSpan) throws(Stop) -> UInt16 {
        guard text.byteCount >= 13 else { throw .short }
        guard text.byte(at: 8) == 0x20 else { throw .refused(.statusLine) }
        let hundreds = text.byte(at: 9) &- 0x30
        let tens = text.byte(at: 10) &- 0x30
        let ones = text.byte(at: 11) &- 0x30
        guard hundreds >= 1, hundreds <= 5, tens < 10, ones < 10 else { throw .refused(.statusCode) }
        // At most 599.
        return UInt16(hundreds) &* 100 &+ UInt16(tens) &* 10 &+ UInt16(ones)
    }

    /// The reason may be empty, and its space may be missing: many servers leave it out, and no byte of a
    /// reason means anything.
    @inline(__always)
    private func startOfReason(_ text: RawSpan) throws(Stop) -> Int {
        switch text.byte(at: 12) {
        case 0x20: return 13
        case 0x0D: return 12
        case 0x0A: throw .refused(.bareLF)
        default: throw .refused(.statusCode)
        }
    }

    /// Whether a response that has no body by its status claims one: what follows it cannot be trusted.
    @inline(__always)
    private func hasStrayFraming(_ text: RawSpan, _ status: UInt16) -> Bool {
        guard status < 200 || status == 204 else { return false }
        if notes.transferEncoding >= 0 { return true }
        guard notes.contentLength >= 0 else { return false }
        let value = fields[notes.contentLength].value
        return value.count != 1 || text.byte(at: Int(value.start)) != 0x30
    }
}

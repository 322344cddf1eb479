// What a response head as a whole must obey.
//
// Place: called by HeadParser.response(_:scanned:to:).
// Invariant: status 100...599; a response without body by its status or its request's method has framing
// `.none` whatever its fields claim.
// Source: RFC 9112 sections 4 and 6.3; RFC 9110 sections 15.2.2 and 8.6.

extension HeadParser {
    mutating func responseHead(_ text: Text, to method: Method) throws(Stop) -> ResponseHead {
        begin()
        guard text.byteCount > 0 else { throw .short }
        let minorVersion = try text.version(from: 0)
        let status = try text.status()
        let reasonStart = try text.startOfReason()
        let reasonEnd = try text.endOfValue(reasonStart).line
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
        if notes.contentLength >= 0, status < 200 || status == 204 {
            // No length is sent with these (RFC 9110 section 8.6); one that came ends here.
            fields[Int(notes.contentLength)].isHopByHop = true
        }
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

    /// Whether a response that has no body by its status claims one: what follows it cannot be trusted.
    @inline(__always)
    private func hasStrayFraming(_ text: Text, _ status: UInt16) -> Bool {
        guard status < 200 || status == 204 else { return false }
        if notes.transferEncoding >= 0 { return true }
        guard notes.contentLength >= 0 else { return false }
        let value = fields[Int(notes.contentLength)].value
        return value.count != 1 || text.byte(at: Int(value.start)) != 0x30
    }
}

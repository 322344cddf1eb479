// What a request head as a whole must obey.
//
// Place: called by HeadParser.request(_:scanned:). Order: start line, field lines, what they mean together.
// Invariant: there is exactly one well-formed Host (HTTP/1.0: at most one); CONNECT and TRACE never
// leave this file.
// Source: RFC 9112 sections 3 and 6.3; RFC 9110 sections 7.2, 9.3.6, 9.3.8 and 10.1.1.

extension HeadParser {
    mutating func requestHead(_ text: Text) throws(Stop) -> RequestHead {
        begin()
        let methodStart = try text.afterEmptyLines()
        let (method, methodEnd) = try text.method(from: methodStart)
        let target = try text.target(from: methodEnd &+ 1, method)
        let minorVersion = try text.version(from: target.whole.end &+ 1)
        let lineEnd = try text.lineEnd(at: target.whole.end &+ 9)
        guard lineEnd &- 2 &- methodStart <= limits.lineBytesMax else { throw .refused(.targetTooLong) }
        if method == .connect || method == .trace { throw refusedMethod(method) }

        let end = try fieldLines(text, from: lineEnd, isTrailer: false)
        let options = try connectionOptions(text)
        let framing = try requestFraming(text, minorVersion)
        let expectsContinue = notes.expect < 0 ? false : try expectsContinue(text, minorVersion, framing)
        let authority = try authority(text, target.authority, minorVersion)
        return RequestHead(
            method: method,
            form: target.form,
            minorVersion: minorVersion,
            keepsAlive: options.keepsAlive(minorVersion),
            expectsContinue: expectsContinue,
            upgrade: minorVersion == 1 && options.upgrade && isUpgradeUsable(text),
            framing: framing,
            methodName: Slice(from: methodStart, to: methodEnd),
            target: target.whole,
            path: target.path,
            query: target.query,
            authority: authority,
            fieldCount: storedCount,
            byteCount: end)
    }

    @inline(never)
    private func refusedMethod(_ method: Method) -> Stop {
        .refused(method == .connect ? .connectMethod : .traceMethod)
    }

    /// The authority that counts: the target's if it has one, else Host's. Host is checked in either case.
    @inline(__always)
    private func authority(
        _ text: Text, _ ofTarget: Slice, _ minorVersion: UInt8
    ) throws(Stop) -> Slice {
        guard notes.host >= 0 else {
            if minorVersion == 1 { throw .refused(.hostMissing) }
            return ofTarget
        }
        let host = fields[Int(notes.host)].value
        if host.isEmpty { throw .refused(.hostMissing) }
        try text.checkAuthority(host)
        return ofTarget.isEmpty ? host : ofTarget
    }

    /// Whether Expect asks for 100; any other expectation is refused.
    @inline(never)
    private func expectsContinue(
        _ text: Text, _ minorVersion: UInt8, _ framing: BodyFraming
    ) throws(Stop) -> Bool {
        // HTTP/1.0 knows no expectations (RFC 9110 section 10.1.1).
        guard minorVersion == 1 else { return false }
        let value = fields[Int(notes.expect)].value
        let start = Int(value.start)
        guard value.count == 12, Words.lowercased(text.word(at: start)) == Words.of("100-cont"),
            Words.lowercased(text.word(at: start &+ 4)) == Words.of("continue")
        else { throw .refused(.expectation) }
        return framing != .none && framing != .length(0)
    }
}

// The request line and what a request head as a whole must obey.
//
// Place: called by HeadParser.request(_:scanned:).
// Invariant: one space between method, target and version; the target is visible ASCII without "#"; there is
// exactly one well-formed Host (HTTP/1.0: at most one).
// Source: RFC 9112 sections 2.2, 3 and 6.3; RFC 9110 sections 7.2, 9.3.6, 9.3.8 and 10.1.1.

extension HeadParser {
    /// The longest method that is looked at; a longer one gets 501 (RFC 9112 section 3).
    private static let methodBytesMax = 32
    /// Empty lines skipped before a request line.
    private static let emptyLinesMax = 4

    mutating func requestHead(_ text: RawSpan) throws(Stop) -> RequestHead {
        begin()
        lineStart = try afterEmptyLines(text)
        let methodEnd = try endOfMethod(text, lineStart)
        let methodName = Slice(from: lineStart, to: methodEnd)
        let method = method(text, methodName)
        let target = try target(text, from: methodEnd &+ 1, method)
        let minorVersion = try version(text, from: target.whole.end &+ 1)
        let lineEnd = try lineEnd(text, at: target.whole.end &+ 9)
        guard lineEnd &- 2 &- lineStart <= limits.lineBytesMax else { throw .refused(.targetTooLong) }
        if method == .connect { throw .refused(.connectMethod) }

        let end = try fieldLines(text, from: lineEnd, isTrailer: false)
        let options = try connectionOptions(text)
        let framing = try requestFraming(text, minorVersion)
        if method == .trace && framing != .none { throw .refused(.contentNotAllowed) }
        return RequestHead(
            method: method,
            form: target.form,
            minorVersion: minorVersion,
            keepsAlive: options.keepsAlive(minorVersion),
            expectsContinue: try expectsContinue(text, minorVersion, framing),
            upgrade: minorVersion == 1 && options.upgrade && isUpgradeUsable(text),
            framing: framing,
            methodName: methodName,
            target: target.whole,
            path: target.path,
            query: target.query,
            authority: try authority(text, target.authority, minorVersion),
            fieldCount: storedCount,
            byteCount: end)
    }

    /// Skips CRLFs before the request line.
    @inline(__always)
    private func afterEmptyLines(_ text: RawSpan) throws(Stop) -> Int {
        guard text.byteCount > 0 else { throw .short }
        return text.byte(at: 0) > 0x20 ? 0 : try afterSomeEmptyLines(text)
    }

    @inline(never)
    private func afterSomeEmptyLines(_ text: RawSpan) throws(Stop) -> Int {
        var at = 0
        while at < text.byteCount, text.byte(at: at) == 0x0D {
            if at == 2 * Self.emptyLinesMax { throw .refused(.leadingEmptyLines) }
            at = try lineEnd(text, at: at)
        }
        guard at < text.byteCount else { throw .short }
        if text.byte(at: at) == 0x0A { throw .refused(.bareLF) }
        return at
    }

    /// Offset of the space after the method.
    @inline(__always)
    private func endOfMethod(_ text: RawSpan, _ start: Int) throws(Stop) -> Int {
        let marks = Words.bytes(text.word(at: start), equalTo: 0x20)
        let end = start &+ Words.firstMarked(marks)
        if marks != 0, end > start, Method(word: Words.keep(end &- start, of: text.word(at: start))) != .other
        {
            return end
        }
        return try endOfRareMethod(text, start)
    }

    @inline(never)
    private func endOfRareMethod(_ text: RawSpan, _ start: Int) throws(Stop) -> Int {
        var at = start
        while at < text.byteCount, ByteClass.isToken(text.byte(at: at)) {
            at += 1
            if at - start > Self.methodBytesMax { throw .refused(.methodTooLong) }
        }
        guard at < text.byteCount else { throw .short }
        guard at > start, text.byte(at: at) == 0x20 else { throw .refused(.methodSyntax) }
        return at
    }

    @inline(__always)
    private func method(_ text: RawSpan, _ name: Slice) -> Method {
        guard name.count < 8 else { return .other }
        return Method(word: Words.keep(Int(name.count), of: text.word(at: Int(name.start))))
    }

    /// Reads "HTTP/1.0" or "HTTP/1.1"; returns the minor version.
    @inline(__always)
    private func version(_ text: RawSpan, from start: Int) throws(Stop) -> UInt8 {
        let word = text.word(at: start)
        if word == Words.of("HTTP/1.1") { return 1 }
        if word == Words.of("HTTP/1.0") { return 0 }
        throw versionStop(text, from: start)
    }

    /// Offset after the CRLF at `at`.
    @inline(__always)
    func lineEnd(_ text: RawSpan, at: Int) throws(Stop) -> Int {
        guard at &+ 1 < text.byteCount, text.byte(at: at) == 0x0D, text.byte(at: at &+ 1) == 0x0A else {
            throw lineEndStop(text, at)
        }
        return at &+ 2
    }

    @inline(never)
    private func lineEndStop(_ text: RawSpan, _ at: Int) -> Stop {
        guard at < text.byteCount else { return .short }
        switch text.byte(at: at) {
        case 0x0D: return at + 1 < text.byteCount ? .refused(.bareCR) : .short
        case 0x0A: return .refused(.bareLF)
        default: return .refused(notes.isInFields ? .controlByte : .requestLine)
        }
    }

    /// What is wrong with a version that is neither 1.0 nor 1.1.
    @inline(never)
    func versionStop(_ text: RawSpan, from start: Int) -> Stop {
        var index = 0
        while index < 8 {
            guard start + index < text.byteCount else { return .short }
            let byte = text.byte(at: start + index)
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

    private func expectsContinue(
        _ text: RawSpan, _ minorVersion: UInt8, _ framing: BodyFraming
    ) throws(Stop) -> Bool {
        guard notes.expect >= 0, minorVersion == 1 else { return false }
        let value = fields[notes.expect].value
        let start = Int(value.start)
        guard value.count == 12, Words.lowercased(text.word(at: start)) == Words.of("100-cont"),
            Words.lowercased(text.word(at: start &+ 4)) == Words.of("continue")
        else { throw .refused(.expectation) }
        return framing != .none && framing != .length(0)
    }
}

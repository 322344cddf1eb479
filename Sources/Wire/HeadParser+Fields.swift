// Field lines: name, colon, value, CRLF, up to the blank line.
//
// Place: the second part of every head, and the whole of a trailer section.
// Invariant: names are tokens (1 byte or more) directly followed by the colon; values hold no control byte
// but HTAB; each line ends with CRLF and none continues the one before.
// Source: RFC 9112 section 5, RFC 9110 sections 5.1, 5.5 and 5.6.

extension HeadParser {
    /// Reads field lines from `start` on into `fields`; returns the offset after the blank line.
    mutating func fieldLines(_ text: RawSpan, from start: Int, isTrailer: Bool) throws(Stop) -> Int {
        notes.isInFields = true
        var at = start
        while true {
            lineStart = at
            let colon = endOfName(text, at)
            guard colon > at, colon < text.byteCount, text.byte(at: colon) == 0x3A else {
                return try endOfSection(text, at, colon)
            }
            let known = KnownField.named(text, at: at, count: colon &- at)
            if known == .none || known == .weir { try checkToken(text, at, colon) }
            let start = afterBlanks(text, colon &+ 1)
            let end = try endOfValue(text, start)
            guard end &- at <= limits.lineBytesMax else { throw .refused(.fieldLineTooLong) }
            try append(
                Field(
                    name: Slice(from: at, to: colon),
                    value: Slice(from: start, to: beforeBlanks(text, start, end)),
                    known: known, isHopByHop: known.isHopByHop),
                isTrailer)
            at = end &+ 2
        }
    }

    /// Offset of the first colon, blank or control byte, or of the end.
    @inline(__always)
    private func endOfName(_ text: RawSpan, _ start: Int) -> Int {
        var at = start
        while true {
            let word = text.word(at: at)
            let marks = Words.bytes(word, equalTo: 0x3A) | Words.bytes(word, below: 0x21)
            at &+= Words.firstMarked(marks)
            if marks != 0 { return at }
        }
    }

    /// Refuses a name that is not a token.
    @inline(__always)
    private func checkToken(_ text: RawSpan, _ start: Int, _ end: Int) throws(Stop) {
        var at = start
        while at < end {
            guard ByteClass.isToken(text.byte(at: at)) else { throw .refused(.fieldName) }
            at &+= 1
        }
        // Gateways that turn "-" into "_" (CGI, WSGI) would read these as the framing fields.
        let count = end &- start
        if count == 14 || count == 17 { try checkLookalike(text, start, count) }
    }

    @inline(never)
    private func checkLookalike(_ text: RawSpan, _ start: Int, _ count: Int) throws(Stop) {
        let first = Words.lowercased(text.word(at: start))
        let last = Words.lowercased(text.word(at: start + count - 8))
        if count == 14 && first == Words.of("content_") && last == Words.of("t_length")
            || count == 17 && first == Words.of("transfer") && last == Words.of("encoding")
                && text.byte(at: start + 8) == 0x5F
        {
            throw .refused(.fieldNameAmbiguous)
        }
    }

    /// Offset of the first byte from `start` on that is neither space nor tab.
    @inline(__always)
    private func afterBlanks(_ text: RawSpan, _ start: Int) -> Int {
        var at = start
        while at < text.byteCount, ByteClass.isBlank(text.byte(at: at)) { at &+= 1 }
        return at
    }

    /// `end` without the spaces and tabs before it.
    @inline(__always)
    private func beforeBlanks(_ text: RawSpan, _ start: Int, _ end: Int) -> Int {
        var at = end
        while at > start, ByteClass.isBlank(text.byte(at: at &- 1)) { at &-= 1 }
        return at
    }

    /// Offset of the CR of the CRLF that ends the value at `start`.
    @inline(__always)
    func endOfValue(_ text: RawSpan, _ start: Int) throws(Stop) -> Int {
        var at = start
        while true {
            let word = text.word(at: at)
            let marks = Words.bytes(word, below: 0x20) | Words.bytes(word, equalTo: 0x7F)
            at &+= Words.firstMarked(marks)
            if marks == 0 { continue }
            if at &+ 1 < text.byteCount, text.byte(at: at) == 0x0D, text.byte(at: at &+ 1) == 0x0A {
                return at
            }
            try checkControl(text, at)
            at &+= 1
        }
    }

    /// Lets a tab inside a value pass; anything else at `at` ends the pass.
    @inline(never)
    private func checkControl(_ text: RawSpan, _ at: Int) throws(Stop) {
        guard at < text.byteCount else { throw .short }
        switch text.byte(at: at) {
        case 0x09: return
        case 0x0D: if at + 1 < text.byteCount { throw .refused(.bareCR) } else { throw .short }
        case 0x0A: throw .refused(.bareLF)
        default: throw .refused(.controlByte)
        }
    }

    /// The blank line, or what stands in the place of a field line or of its colon.
    /// - Parameters:
    ///   - start: start of the line.
    ///   - stop: the first colon, blank or control byte in it, or the end of the bytes.
    @inline(never)
    private func endOfSection(_ text: RawSpan, _ start: Int, _ stop: Int) throws(Stop) -> Int {
        guard stop < text.byteCount else { throw .short }
        switch text.byte(at: stop) {
        case 0x0D:
            guard stop + 1 < text.byteCount else { throw .short }
            guard text.byte(at: stop + 1) == 0x0A else { throw .refused(.bareCR) }
            guard stop == start else { throw .refused(.colonMissing) }
            return stop + 2
        case 0x0A: throw .refused(.bareLF)
        case 0x3A: throw .refused(.fieldNameEmpty)
        case 0x09, 0x20:
            if stop == start { throw .refused(.lineFolding) }
            let next = afterBlanks(text, stop)
            guard next < text.byteCount else { throw .short }
            throw .refused(text.byte(at: next) == 0x3A ? .spaceBeforeColon : .fieldName)
        default: throw .refused(.controlByte)
        }
    }

    @inline(__always)
    private mutating func append(_ field: Field, _ isTrailer: Bool) throws(Stop) {
        guard storedCount < limits.fieldsMax else { throw .refused(.fieldsTooMany) }
        let index = storedCount
        fields[index] = field
        storedCount = index &+ 1
        if isTrailer {
            try noteTrailer(field.known, index)
        } else if field.known.isNoted {
            try note(field.known, index)
        }
    }

    /// Remembers where framing and routing fields are; refuses a second one.
    private mutating func note(_ known: KnownField, _ index: Int) throws(Stop) {
        switch known {
        case .host:
            if notes.host >= 0 { throw .refused(.hostRepeated) }
            notes.host = index
        case .contentLength:
            if notes.contentLength >= 0 { throw .refused(.contentLengthRepeated) }
            notes.contentLength = index
        case .transferEncoding:
            if notes.transferEncoding >= 0 { throw .refused(.transferEncodingRepeated) }
            notes.transferEncoding = index
        case .connection:
            notes.connectionCount &+= 1
        case .upgrade:
            if notes.upgrade >= 0 { notes.isUpgradeUsable = false }
            notes.upgrade = index
        case .expect:
            if notes.expect >= 0 { throw .refused(.expectation) }
            notes.expect = index
        default:
            break
        }
    }

    private func noteTrailer(_ known: KnownField, _ index: Int) throws(Stop) {
        switch known {
        case .host, .contentLength, .transferEncoding: throw .refused(.trailerField)
        default: if known.isDroppedFromTrailers { fields[index].isHopByHop = true }
        }
    }
}

extension KnownField {
    /// Whether the field says something about framing, routing or the connection.
    @inline(__always)
    var isNoted: Bool { self != .none && rawValue <= KnownField.expect.rawValue }
}

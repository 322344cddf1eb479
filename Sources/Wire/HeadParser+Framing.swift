// What the fields of a head mean together: the framing of the body, and the fate of the connection.
//
// Place: after the field lines, before a head is handed out.
// Invariant: a body has one reading or the message is refused. There is no "last one wins", no repair.
// Source: RFC 9112 sections 6 and 9; RFC 9110 sections 5.6.1, 7.6.1, 7.8 and 8.6.

/// What the Connection fields of a head say.
struct ConnectionOptions {
    var close = false
    var keepAlive = false
    var upgrade = false

    @inline(__always)
    func keepsAlive(_ minorVersion: UInt8) -> Bool { !close && (minorVersion == 1 || keepAlive) }
}

extension HeadParser {
    /// Elements of all Connection fields of a head; each unknown one costs a walk over the fields.
    private static let connectionOptionsMax = 64

    /// Reads the Connection fields and marks the fields they name as hop-by-hop.
    @inline(__always)
    func connectionOptions(_ text: Text) throws(Stop) -> ConnectionOptions {
        notes.hasConnection ? try readConnection(text) : ConnectionOptions()
    }

    @inline(never)
    private func readConnection(_ text: Text) throws(Stop) -> ConnectionOptions {
        var options = ConnectionOptions()
        var count = 0
        for index in 0..<storedCount where fields[index].known == .connection {
            var list = ListCursor(fields[index].value)
            while let element = list.next(text) {
                count += 1
                guard count <= Self.connectionOptionsMax else { throw .refused(.connectionOptionsTooMany) }
                if !element.isEmpty { try readOption(text, element, &options) }
            }
        }
        return options
    }

    private func readOption(
        _ text: Text, _ element: Slice, _ options: inout ConnectionOptions
    ) throws(Stop) {
        let start = Int(element.start)
        let count = Int(element.count)
        let first = Words.lowercased(text.word(at: start))
        if count == 5 && Words.keep(5, of: first) == Words.of("close") {
            options.close = true
            return
        }
        switch KnownField.named(text, at: start, count: count) {
        case .keepAlive: options.keepAlive = true
        case .upgrade: options.upgrade = true
        case .te, .connection, .proxyConnection, .transferEncoding: break
        case .host, .contentLength: throw .refused(.connectionNamesFraming)
        case .none, .lookalike, .weir: try markNamed(text, element)
        // Fields of the message, not of the connection (RFC 9110 section 7.6.1 forbids to name them): they
        // pass, as with nginx and HAProxy. Or a client could take away what a proxy before us has added.
        case .proxyAuthenticate, .proxyAuthorization, .trailer, .expect, .contentType, .contentEncoding,
            .accept, .acceptEncoding, .acceptLanguage, .userAgent, .cookie, .setCookie, .authorization,
            .forwarded, .forwardedFor, .forwardedProto, .forwardedHost, .forwardedPort, .via, .requestID,
            .traceparent, .tracestate, .idempotencyKey, .retryAfter, .date, .server, .location,
            .cacheControl, .etag:
            break
        }
    }

    /// Marks every field with the name at `option`, letters compared without case.
    private func markNamed(_ text: Text, _ option: Slice) throws(Stop) {
        for at in option.range where !ByteClass.isToken(text.byte(at: at)) {
            throw .refused(.connectionSyntax)
        }
        for index in 0..<storedCount where fields[index].name.count == option.count {
            if text.isSameName(fields[index].name, option) { fields[index].isHopByHop = true }
        }
    }

    /// The framing of a request's body (RFC 9112 section 6.3, rules 3-7 without their leniency).
    @inline(__always)
    func requestFraming(_ text: Text, _ minorVersion: UInt8) throws(Stop) -> BodyFraming {
        if notes.transferEncoding >= 0 { return try chunkedFraming(text, minorVersion) }
        if notes.contentLength >= 0 { return .length(try contentLength(text)) }
        return .none
    }

    /// The framing of a response's body. Framing fields are checked even where they do not count.
    func responseFraming(
        _ text: Text, _ status: UInt16, _ minorVersion: UInt8, _ method: Method
    ) throws(Stop) -> BodyFraming {
        var framing = BodyFraming.untilClose
        if notes.transferEncoding >= 0 {
            framing = try chunkedFraming(text, minorVersion)
        } else if notes.contentLength >= 0 {
            framing = .length(try contentLength(text))
        }
        let hasNoBody = method == .head || status < 200 || status == 204 || status == 304
        return hasNoBody ? .none : framing
    }

    @inline(never)
    private func chunkedFraming(_ text: Text, _ minorVersion: UInt8) throws(Stop) -> BodyFraming {
        if notes.contentLength >= 0 { throw .refused(.contentLengthAndTransferEncoding) }
        if minorVersion == 0 { throw .refused(.transferEncodingInHTTP10) }
        let value = fields[Int(notes.transferEncoding)].value
        guard isChunked(text, value) else { throw try wrongCoding(text, value) }
        return .chunked
    }

    private func isChunked(_ text: Text, _ slice: Slice) -> Bool {
        slice.count == 7
            && Words.keep(7, of: Words.lowercased(text.word(at: Int(slice.start)))) == Words.of("chunked")
    }

    /// What is wrong with a Transfer-Encoding other than "chunked" alone.
    private func wrongCoding(_ text: Text, _ value: Slice) throws(Stop) -> Stop {
        var chunkedCount = 0
        var endsChunked = false
        var list = ListCursor(value)
        while let element = list.next(text) {
            var end = Int(element.start)
            while end < element.end, ByteClass.isToken(text.byte(at: end)) { end += 1 }
            let name = Slice(from: Int(element.start), to: end)
            endsChunked = isChunked(text, name)
            let hasParameters = end < element.end
            if hasParameters {
                let isParameter = text.byte(at: end) == 0x3B || ByteClass.isBlank(text.byte(at: end))
                guard isParameter, !endsChunked else { return .refused(.transferEncodingSyntax) }
            }
            if name.isEmpty { return .refused(.transferEncodingSyntax) }
            if endsChunked { chunkedCount += 1 }
        }
        if chunkedCount > 1 { return .refused(.transferEncodingRepeated) }
        return .refused(endsChunked ? .transferEncodingUnsupported : .transferEncodingNotChunked)
    }

    /// Digits only, at most Int64.max: the sum of two lengths still fits UInt64.
    @inline(__always)
    private func contentLength(_ text: Text) throws(Stop) -> UInt64 {
        let value = fields[Int(notes.contentLength)].value
        if value.count &- 1 < 8 {
            guard let length = Words.decimal(text.word(at: Int(value.start)), Int(value.count)) else {
                throw .refused(.contentLengthSyntax)
            }
            return length
        }
        return try longContentLength(text, value)
    }

    @inline(never)
    private func longContentLength(_ text: Text, _ value: Slice) throws(Stop) -> UInt64 {
        if value.isEmpty { throw .refused(.contentLengthSyntax) }
        for at in value.range where !ByteClass.isDigit(text.byte(at: at)) {
            throw .refused(.contentLengthSyntax)
        }
        var length: UInt64 = 0
        for at in value.range {
            let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
            let digit = UInt64(text.byte(at: at) - 0x30)
            guard !overflow, tens <= UInt64(Int64.max) - digit else { throw .refused(.contentLengthTooLarge) }
            length = tens + digit
        }
        return length
    }

    /// Whether there is one Upgrade field whose protocols may become a tunnel. HTTP/2 and TLS may not: what
    /// would flow through that tunnel is more requests, past the validator ("h2c smuggling").
    func isUpgradeUsable(_ text: Text) -> Bool {
        guard notes.upgrade >= 0, notes.isUpgradeUsable else { return false }
        var list = ListCursor(fields[Int(notes.upgrade)].value)
        var isUsable = false
        while let element = list.next(text) {
            if element.isEmpty { continue }
            let first = Words.lowercased(text.word(at: Int(element.start)))
            if Words.keep(2, of: first) == Words.of("h2") || Words.keep(3, of: first) == Words.of("tls")
                || Words.keep(4, of: first) == Words.of("http")
            {
                return false
            }
            for at in element.range where !ByteClass.isToken(text.byte(at: at)) && text.byte(at: at) != 0x2F {
                return false
            }
            isUsable = true
        }
        return isUsable
    }
}

/// Walks the comma-separated elements of a value; elements come trimmed and may be empty.
struct ListCursor {
    private var at: Int
    private let end: Int

    init(_ value: Slice) {
        at = Int(value.start)
        end = value.end
    }

    mutating func next(_ text: Text) -> Slice? {
        guard at <= end else { return nil }
        var start = at
        var stop = at
        while stop < end, text.byte(at: stop) != 0x2C { stop += 1 }
        at = stop + 1
        while start < stop, ByteClass.isBlank(text.byte(at: start)) { start += 1 }
        while stop > start, ByteClass.isBlank(text.byte(at: stop - 1)) { stop -= 1 }
        return Slice(from: start, to: stop)
    }
}

extension Text {
    /// Whether two runs of equal length are the same name, letters compared without case.
    fileprivate func isSameName(_ one: Slice, _ other: Slice) -> Bool {
        var index = 0
        let count = Int(one.count)
        while index < count {
            let rest = min(8, count - index)
            let left = Words.lowercased(word(at: Int(one.start) + index))
            let right = Words.lowercased(word(at: Int(other.start) + index))
            guard Words.keep(rest, of: left) == Words.keep(rest, of: right) else { return false }
            index += 8
        }
        return true
    }
}

// Request targets and authorities.
//
// Place: between method and version of a request line; and the value of Host.
// Invariant: path and query are passed on as sent: neither decoded nor normalised (model servers put colons
// into paths, and a proxy that decodes disagrees with somebody). An authority has no userinfo.
// Source: RFC 9112 section 3.2, RFC 3986 section 3.2.

/// A request target taken apart.
struct Target {
    var form: TargetForm
    var whole: Slice
    var path: Slice
    var query: Slice
    /// Of the absolute form; empty otherwise.
    var authority: Slice
}

extension HeadParser {
    /// Reads the target at `start` up to the space after it.
    @inline(__always)
    func target(_ text: RawSpan, from start: Int, _ method: Method) throws(Stop) -> Target {
        let pathEnd = endOfPath(text, start)
        var end = pathEnd
        var query = Slice.empty
        if end < text.byteCount, text.byte(at: end) == 0x3F {
            end = endOfQuery(text, pathEnd &+ 1)
            query = Slice(from: pathEnd &+ 1, to: end)
        }
        guard end < text.byteCount else { throw .short }
        guard end > start, text.byte(at: end) == 0x20 else { throw targetStop(text, start, end) }
        let path = Slice(from: start, to: pathEnd)
        let whole = Slice(from: start, to: end)
        if text.byte(at: start) == 0x2F {
            return Target(form: .origin, whole: whole, path: path, query: query, authority: .empty)
        }
        return try rareTarget(text, whole, path, query, method)
    }

    /// Offset of the first "?", "#" or byte that no target has.
    @inline(__always)
    private func endOfPath(_ text: RawSpan, _ start: Int) -> Int {
        var at = start
        while true {
            let word = text.word(at: at)
            let marks =
                Words.bytes(word, below: 0x21) | word & Words.tops | Words.bytes(word, equalTo: 0x7F)
                | Words.bytes(word, equalTo: 0x3F) | Words.bytes(word, equalTo: 0x23)
            at &+= Words.firstMarked(marks)
            if marks != 0 { return at }
        }
    }

    /// Offset of the first "#" or byte that no target has.
    @inline(__always)
    private func endOfQuery(_ text: RawSpan, _ start: Int) -> Int {
        var at = start
        while true {
            let word = text.word(at: at)
            let marks =
                Words.bytes(word, below: 0x21) | word & Words.tops | Words.bytes(word, equalTo: 0x7F)
                | Words.bytes(word, equalTo: 0x23)
            at &+= Words.firstMarked(marks)
            if marks != 0 { return at }
        }
    }

    /// What is wrong with the byte at `end`, where a target from `start` on should end with a space.
    @inline(never)
    private func targetStop(_ text: RawSpan, _ start: Int, _ end: Int) -> Stop {
        switch text.byte(at: end) {
        case 0x0A: return .refused(.bareLF)
        case 0x0D:
            guard end + 1 < text.byteCount else { return .short }
            // No version: HTTP/0.9 or worse.
            return .refused(text.byte(at: end + 1) == 0x0A ? .requestLine : .bareCR)
        case 0x20: return .refused(.requestLine)
        default: return .refused(.targetSyntax)
        }
    }

    /// The absolute and asterisk forms.
    @inline(never)
    private func rareTarget(
        _ text: RawSpan, _ whole: Slice, _ path: Slice, _ query: Slice, _ method: Method
    ) throws(Stop) -> Target {
        let start = Int(whole.start)
        if text.byte(at: start) == 0x2A && whole.count == 1 {
            guard method == .options else { throw .refused(.targetForm) }
            return Target(form: .asterisk, whole: whole, path: path, query: query, authority: .empty)
        }
        // CONNECT's own form is not looked into: it is refused by its method once the line is read.
        if method == .connect {
            return Target(form: .origin, whole: whole, path: path, query: query, authority: .empty)
        }
        let scheme = Words.lowercased(text.word(at: start))
        let schemeEnd: Int
        if Words.keep(7, of: scheme) == Words.of("http://") {
            schemeEnd = start + 7
        } else if scheme == Words.of("https://") {
            schemeEnd = start + 8
        } else {
            throw .refused(.targetForm)
        }
        var authorityEnd = schemeEnd
        while authorityEnd < path.end, text.byte(at: authorityEnd) != 0x2F { authorityEnd += 1 }
        guard authorityEnd <= path.end else { throw .refused(.authoritySyntax) }
        let authority = Slice(from: schemeEnd, to: authorityEnd)
        try checkAuthority(text, authority)
        let hasPath = authorityEnd < path.end
        return Target(
            form: method == .options && !hasPath && query.start == 0 ? .asterisk : .absolute,
            whole: whole,
            // Without a path, the second slash of "://" stands for "/".
            path: hasPath
                ? Slice(from: authorityEnd, to: path.end) : Slice(from: schemeEnd - 1, to: schemeEnd),
            query: query, authority: authority)
    }

    /// The authority that counts: the target's if it has one, else Host's. Host is checked in either case.
    @inline(__always)
    func authority(_ text: RawSpan, _ ofTarget: Slice, _ minorVersion: UInt8) throws(Stop) -> Slice {
        guard notes.host >= 0 else {
            if minorVersion == 1 { throw .refused(.hostMissing) }
            return ofTarget
        }
        let host = fields[notes.host].value
        if host.isEmpty { throw .refused(.hostMissing) }
        try checkAuthority(text, host)
        return ofTarget.isEmpty ? host : ofTarget
    }

    /// host [":" port], where host is a name, an IPv4 address or a bracketed IPv6 address.
    @inline(__always)
    private func checkAuthority(_ text: RawSpan, _ authority: Slice) throws(Stop) {
        let end = authority.end
        var at = Int(authority.start)
        while at < end, ByteClass.isHost(text.byte(at: at)) { at &+= 1 }
        if at == end && !authority.isEmpty { return }
        try checkRareAuthority(text, authority, nameEnd: at)
    }

    @inline(never)
    private func checkRareAuthority(_ text: RawSpan, _ authority: Slice, nameEnd: Int) throws(Stop) {
        let start = Int(authority.start)
        let end = authority.end
        var at = nameEnd
        if at == start {
            guard at < end, text.byte(at: at) == 0x5B else { throw .refused(.authoritySyntax) }
            at += 1
            while at < end, isIPv6(text.byte(at: at)) { at += 1 }
            // The shortest address is "::".
            guard at >= start + 3, at < end, text.byte(at: at) == 0x5D else {
                throw .refused(.authoritySyntax)
            }
            at += 1
        }
        if at == end { return }
        guard text.byte(at: at) == 0x3A, end - at <= 6 else { throw .refused(.authoritySyntax) }
        var port = 0
        at += 1
        while at < end {
            let byte = text.byte(at: at)
            guard ByteClass.isDigit(byte) else { throw .refused(.authoritySyntax) }
            port = port * 10 + Int(byte - 0x30)
            at += 1
        }
        guard port <= 65_535 else { throw .refused(.authoritySyntax) }
    }

    private func isIPv6(_ byte: UInt8) -> Bool {
        ByteClass.hex(byte) != nil || byte == 0x3A || byte == 0x2E
    }
}

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

extension Text {
    /// Reads the target at `start` up to the space after it.
    @inline(__always)
    func target(from start: Int, _ method: Method) throws(Stop) -> Target {
        let pathEnd = endOfPath(start)
        var end = pathEnd
        var query = Slice.empty
        if end < byteCount, byte(at: end) == 0x3F {
            end = endOfQuery(pathEnd &+ 1)
            query = Slice(from: pathEnd &+ 1, to: end)
        }
        guard end < byteCount else { throw .short }
        guard end > start, byte(at: end) == 0x20 else { throw targetStop(start, end) }
        let path = Slice(from: start, to: pathEnd)
        let whole = Slice(from: start, to: end)
        if byte(at: start) == 0x2F {
            return Target(form: .origin, whole: whole, path: path, query: query, authority: .empty)
        }
        return try rareTarget(whole, path, query, method)
    }

    /// Offset of the first "?", "#" or byte that no target has.
    @inline(__always)
    private func endOfPath(_ start: Int) -> Int {
        var at = start
        while true {
            let word = self.word(at: at)
            // "?" and DEL differ in one bit. "!" and the double quote, just below "#", are looked at singly.
            let marked = ((word | Words.all(0x40)) ^ Words.all(0x7F)) &- Words.all(1)
            let marks = (marked | (word &- Words.all(0x24)) | word) & Words.tops
            if marks == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstMarked(marks)
            if !isQuoteMark(at) { return at }
            at &+= 1
        }
    }

    /// Offset of the first "#" or byte that no target has.
    @inline(__always)
    private func endOfQuery(_ start: Int) -> Int {
        var at = start
        while true {
            let word = self.word(at: at)
            let marked = (word ^ Words.all(0x7F)) &- Words.all(1)
            let marks = (marked | (word &- Words.all(0x24)) | word) & Words.tops
            if marks == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstMarked(marks)
            if !isQuoteMark(at) { return at }
            at &+= 1
        }
    }

    @inline(__always)
    private func isQuoteMark(_ at: Int) -> Bool {
        let byte = word(at: at) & 0xFF
        return byte == 0x21 || byte == 0x22
    }

    /// What is wrong with the byte at `end`, where a target from `start` on should end with a space.
    @inline(never)
    private func targetStop(_ start: Int, _ end: Int) -> Stop {
        switch byte(at: end) {
        case 0x0A: return .refused(.bareLF)
        case 0x0D:
            guard end + 1 < byteCount else { return .short }
            // No version: HTTP/0.9 or worse.
            return .refused(byte(at: end + 1) == 0x0A ? .requestLine : .bareCR)
        case 0x20: return .refused(.requestLine)
        default: return .refused(.targetSyntax)
        }
    }

    /// The absolute and asterisk forms.
    @inline(never)
    private func rareTarget(
        _ whole: Slice, _ path: Slice, _ query: Slice, _ method: Method
    ) throws(Stop) -> Target {
        let start = Int(whole.start)
        if byte(at: start) == 0x2A && whole.count == 1 {
            guard method == .options else { throw .refused(.targetForm) }
            return Target(form: .asterisk, whole: whole, path: path, query: query, authority: .empty)
        }
        // CONNECT's own form is not looked into: it is refused by its method once the line is read.
        if method == .connect {
            return Target(form: .origin, whole: whole, path: path, query: query, authority: .empty)
        }
        let scheme = Words.lowercased(word(at: start))
        let schemeEnd: Int
        if Words.keep(7, of: scheme) == Words.of("http://") {
            schemeEnd = start + 7
        } else if scheme == Words.of("https://") {
            schemeEnd = start + 8
        } else {
            throw .refused(.targetForm)
        }
        var authorityEnd = schemeEnd
        while authorityEnd < path.end, byte(at: authorityEnd) != 0x2F { authorityEnd += 1 }
        guard authorityEnd <= path.end else { throw .refused(.authoritySyntax) }
        let authority = Slice(from: schemeEnd, to: authorityEnd)
        try checkAuthority(authority)
        let hasPath = authorityEnd < path.end
        return Target(
            form: method == .options && !hasPath && query.start == 0 ? .asterisk : .absolute,
            whole: whole,
            // Without a path, the second slash of "://" stands for "/".
            path: hasPath
                ? Slice(from: authorityEnd, to: path.end) : Slice(from: schemeEnd - 1, to: schemeEnd),
            query: query, authority: authority)
    }

    /// host [":" port], where host is a name, an IPv4 address or a bracketed IPv6 address.
    @inline(__always)
    func checkAuthority(_ authority: Slice) throws(Stop) {
        let end = authority.end
        var at = Int(authority.start)
        while at < end {
            let marks = Words.keep(end &- at, of: Words.notPlain(word(at: at)))
            if marks != 0 { return try checkRareAuthority(authority, at &+ Words.firstMarked(marks)) }
            at &+= 8
        }
        if authority.isEmpty { throw .refused(.authoritySyntax) }
    }

    @inline(never)
    private func checkRareAuthority(_ authority: Slice, _ plainEnd: Int) throws(Stop) {
        let start = Int(authority.start)
        let end = authority.end
        var at = plainEnd
        while at < end, ByteClass.isHost(byte(at: at)) { at += 1 }
        if at == start {
            guard at < end, byte(at: at) == 0x5B else { throw .refused(.authoritySyntax) }
            at += 1
            while at < end, isIPv6(byte(at: at)) { at += 1 }
            // The shortest address is "::".
            guard at >= start + 3, at < end, byte(at: at) == 0x5D else {
                throw .refused(.authoritySyntax)
            }
            at += 1
        }
        if at == end { return }
        let digits = end - at - 1
        guard byte(at: at) == 0x3A, digits <= 5 else { throw .refused(.authoritySyntax) }
        // An empty port is the scheme's own (RFC 3986 section 3.2.3).
        if digits == 0 { return }
        guard let port = Words.decimal(word(at: at + 1), digits), port <= 65_535 else {
            throw .refused(.authoritySyntax)
        }
    }

    private func isIPv6(_ byte: UInt8) -> Bool {
        ByteClass.hex(byte) != nil || byte == 0x3A || byte == 0x2E
    }
}

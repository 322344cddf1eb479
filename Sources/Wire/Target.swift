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
        let (pathEnd, pathStop) = endOfPath(start)
        var end = pathEnd
        var stop = pathStop
        var query = Slice.empty
        if stop == 0x3F {
            (end, stop) = endOfQuery(pathEnd &+ 1)
            query = Slice(from: pathEnd &+ 1, to: end)
        }
        guard _fastPath(stop == 0x20), end > start else { throw targetStop(start, end) }
        let path = Slice(from: start, to: pathEnd)
        let whole = Slice(from: start, to: end)
        if byte(at: start) == 0x2F {
            return Target(form: .origin, whole: whole, path: path, query: query, authority: .empty)
        }
        return try rareTarget(whole, path, query, method)
    }

    /// Offset of the first "?", "#" or byte that no target has, and that byte; zero at the end.
    @inline(__always)
    private func endOfPath(_ start: Int) -> (Int, UInt64) {
        var at = start
        while true {
            let word = self.word(at: at)
            // "?" and DEL differ in one bit. "!" and the double quote, just below "#", are looked at singly.
            // One of the two differences has its top bit set for every byte from 0x80 on.
            let marked = ((word | Words.all(0x40)) ^ Words.all(0x7F)) &- Words.all(1)
            let marks = (marked | (word &- Words.all(0x24))) & Words.tops
            if marks == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstMarked(marks)
            let stop = self.word(at: at) & 0xFF
            if stop != 0x21 && stop != 0x22 { return (at, stop) }
            at &+= 1
        }
    }

    /// Offset of the first "#" or byte that no target has, and that byte; zero at the end.
    @inline(never)
    private func endOfQuery(_ start: Int) -> (Int, UInt64) {
        var at = start
        while true {
            let word = self.word(at: at)
            let marked = (word ^ Words.all(0x7F)) &- Words.all(1)
            let marks = (marked | (word &- Words.all(0x24))) & Words.tops
            if marks == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstMarked(marks)
            let stop = self.word(at: at) & 0xFF
            if stop != 0x21 && stop != 0x22 { return (at, stop) }
            at &+= 1
        }
    }

    /// What is wrong with the byte at `end`, where a target from `start` on should end with a space.
    @inline(never)
    private func targetStop(_ start: Int, _ end: Int) -> Stop {
        guard end < byteCount else { return .short }
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
    @inline(never)
    func checkAuthority(_ authority: Slice) throws(Stop) {
        let start = Int(authority.start)
        let end = authority.end
        var at = start
        while end &- at >= 8 {
            let marks = Words.notPlain(word(at: at))
            if marks != 0 { return try checkPortOrRest(start, at &+ Words.firstMarked(marks), end) }
            at &+= 8
        }
        let marks = Words.keep(end &- at, of: Words.notPlain(word(at: at)))
        if marks != 0 { return try checkPortOrRest(start, at &+ Words.firstMarked(marks), end) }
        if start == end { throw .refused(.authoritySyntax) }
    }

    /// Usually the byte at `at`, the first that is not plain, is the colon before a port.
    @inline(__always)
    private func checkPortOrRest(_ start: Int, _ at: Int, _ end: Int) throws(Stop) {
        if at > start, byte(at: at) == 0x3A { return try checkPort(at &+ 1, end) }
        try checkRareAuthority(start, at, end)
    }

    @inline(never)
    private func checkRareAuthority(_ start: Int, _ plainEnd: Int, _ end: Int) throws(Stop) {
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
        guard byte(at: at) == 0x3A else { throw .refused(.authoritySyntax) }
        try checkPort(at + 1, end)
    }

    /// Up to five digits, at most 65,535; none mean the scheme's own port (RFC 3986 section 3.2.3).
    @inline(__always)
    private func checkPort(_ start: Int, _ end: Int) throws(Stop) {
        let count = end &- start
        if count == 0 { return }
        guard count <= 5, let port = Words.decimal(word(at: start), count), port <= 65_535 else {
            throw .refused(.authoritySyntax)
        }
    }

    private func isIPv6(_ byte: UInt8) -> Bool {
        ByteClass.hex(byte) != nil || byte == 0x3A || byte == 0x2E
    }
}

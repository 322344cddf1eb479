// The fields that Weir knows by name, and how a name in a buffer becomes one of them.
//
// Place: called once per field line, with the position of the colon already found.
// Invariant: a known name is a valid token, so only unknown names are checked byte by byte.
// Source: RFC 9110 section 5.1 (names are case-insensitive) and section 7.6.1 (hop-by-hop fields).

/// A field name that some part of Weir acts on, or that is common enough to be recognised whole.
@frozen public enum KnownField: UInt8, Sendable, CaseIterable {
    /// Any other name.
    case none
    // The hop-by-hop fields come first: `isHopByHop` is a comparison.
    case connection, keepAlive, proxyConnection, te, transferEncoding, upgrade
    case proxyAuthenticate, proxyAuthorization
    // Framing and routing.
    case host, contentLength, trailer, expect
    // Content.
    case contentType, contentEncoding, accept, acceptEncoding, acceptLanguage, userAgent
    // Who asks, and on whose behalf.
    case cookie, setCookie, authorization, forwarded, forwardedFor, forwardedProto, forwardedHost
    case forwardedPort, via
    // Tracing and repetition.
    case requestID, traceparent, tracestate, idempotencyKey
    // Responses.
    case retryAfter, date, server, location, cacheControl, etag
    /// `x-weir`, and any name that starts with `x-weir-`, whatever stands for "-": only Weir may say these.
    case weir
    /// A name that some server takes for a field that Weir sets or drops, as `x_forwarded_for` or
    /// `x.forwarded.for`: CGI and WSGI read "_" as "-", PHP "." as well, and lighttpd whatever is neither
    /// letter nor digit. No one who means the field writes it so.
    case lookalike

    /// Whether the field speaks of one connection only and never passes, whatever Connection says.
    @inlinable @inline(__always)
    public var isHopByHop: Bool {
        rawValue &- KnownField.connection.rawValue <= KnownField.proxyAuthorization.rawValue &- 1
    }

    /// Whether the field may not stand in a trailer section (RFC 9110 section 6.5.1: framing, routing,
    /// authentication, request modifiers, response control, content format; and what is settled with the
    /// head: who asks, under which id, for whom): such a field is not passed on. The names that are no
    /// known fields stand in `Text.isNeverTrailer`.
    var isDroppedFromTrailers: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .upgrade, .trailer, .expect,
            .proxyAuthenticate, .proxyAuthorization, .contentType, .contentEncoding, .cookie, .setCookie,
            .authorization, .forwarded, .forwardedFor, .forwardedProto, .forwardedHost, .forwardedPort,
            .via, .requestID, .traceparent, .tracestate, .idempotencyKey, .retryAfter, .cacheControl,
            .date, .location, .weir, .lookalike:
            true
        case .none, .transferEncoding, .host, .contentLength, .accept, .acceptEncoding, .acceptLanguage,
            .userAgent, .server, .etag:
            false
        }
    }

    /// Whether a name that becomes this one by folding (`folded`) is a `lookalike`: the fields that Weir
    /// writes anew, vouches for or keeps on their own hop.
    var isGuarded: Bool {
        switch self {
        case .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .forwardedFor,
            .forwardedProto, .forwardedHost, .forwardedPort, .requestID:
            true
        case .none, .connection, .te, .transferEncoding, .upgrade, .host, .contentLength, .trailer, .expect,
            .contentType, .contentEncoding, .accept, .acceptEncoding, .acceptLanguage, .userAgent, .cookie,
            .setCookie, .authorization, .forwarded, .via, .traceparent, .tracestate, .idempotencyKey,
            .retryAfter, .date, .server, .location, .cacheControl, .etag, .weir, .lookalike:
            false
        }
    }
}

extension KnownField {
    /// The field named by the `count` (1 or more) bytes at `start`, in any case of letters; `.weir` after a
    /// look at its prefix only. Cost: two or three loads, a jump by length, and a few comparisons.
    ///
    /// - Precondition: no byte is a control byte other than HTAB. Then `| 0x20` folds exactly: what it
    ///   changes besides letters are "@[\]^_", which become bytes of no known name. (CR would become "-".)
    @inline(__always)
    static func named(_ text: Text, at start: Int, count: Int) -> KnownField {
        named(text, at: start, count: count, first: text.word(at: start))
    }

    /// The same where the word at `start` is already loaded.
    @inline(__always)
    static func named(_ text: Text, at start: Int, count: Int, first: UInt64) -> KnownField {
        let fold = Words.all(0x20)
        let first = first | fold
        if count < 8 { return short(Words.keep(count, of: first), count) }
        // The last eight bytes overlap the first where the name is shorter than sixteen.
        let last = text.word(at: start &+ count &- 8) | fold
        let known =
            count <= 16
            ? medium(first, last, count) : long(first, text.word(at: start &+ 8) | fold, last, count)
        if known != .none { return known }
        return first == Words.of("x-weir-") | first & (0xFF << 56) ? .weir : .none
    }

    /// The field that the name becomes when whatever is no letter or digit is read as "-": the union of what
    /// servers do that make variables of names; rare, and so out of line.
    @inline(never)
    static func folded(_ text: Text, at start: Int, count: Int) -> KnownField {
        func word(_ at: Int) -> UInt64 { Words.folded(text.word(at: at)) }
        let first = word(start)
        if count < 8 { return short(Words.keep(count, of: first), count) }
        let last = word(start &+ count &- 8)
        let known = count <= 16 ? medium(first, last, count) : long(first, word(start &+ 8), last, count)
        if known != .none { return known }
        return first == Words.of("x-weir-") | first & (0xFF << 56) ? .weir : .none
    }

    @inline(__always)
    private static func short(_ name: UInt64, _ count: Int) -> KnownField {
        switch count {
        case 2: return name == Words.of("te") ? .te : .none
        case 3: return name == Words.of("via") ? .via : .none
        case 4:
            if name == Words.of("host") { return .host }
            if name == Words.of("date") { return .date }
            return name == Words.of("etag") ? .etag : .none
        case 6:
            if name == Words.of("accept") { return .accept }
            if name == Words.of("x-weir") { return .weir }
            if name == Words.of("server") { return .server }
            if name == Words.of("cookie") { return .cookie }
            return name == Words.of("expect") ? .expect : .none
        case 7:
            if name == Words.of("upgrade") { return .upgrade }
            if name == Words.of("x-weir-") { return .weir }
            return name == Words.of("trailer") ? .trailer : .none
        default: return .none
        }
    }

    @inline(__always)
    private static func medium(_ first: UInt64, _ last: UInt64, _ count: Int) -> KnownField {
        switch count {
        case 8:
            return first == Words.of("location") ? .location : .none
        case 9:
            return first == Words.of("forwarde") && last == Words.of("orwarded") ? .forwarded : .none
        case 10:
            if first == Words.of("connecti") && last == Words.of("nnection") { return .connection }
            if first == Words.of("user-age") && last == Words.of("er-agent") { return .userAgent }
            if first == Words.of("keep-ali") && last == Words.of("ep-alive") { return .keepAlive }
            if first == Words.of("set-cook") && last == Words.of("t-cookie") { return .setCookie }
            return first == Words.of("tracesta") && last == Words.of("acestate") ? .tracestate : .none
        case 11:
            if first == Words.of("tracepar") && last == Words.of("ceparent") { return .traceparent }
            return first == Words.of("retry-af") && last == Words.of("ry-after") ? .retryAfter : .none
        case 12:
            if first == Words.of("content-") && last == Words.of("ent-type") { return .contentType }
            return first == Words.of("x-reques") && last == Words.of("quest-id") ? .requestID : .none
        case 13:
            if first == Words.of("authoriz") && last == Words.of("rization") { return .authorization }
            return first == Words.of("cache-co") && last == Words.of("-control") ? .cacheControl : .none
        case 14:
            return first == Words.of("content-") && last == Words.of("t-length") ? .contentLength : .none
        case 15:
            if first == Words.of("accept-e") && last == Words.of("encoding") { return .acceptEncoding }
            if first == Words.of("accept-l") && last == Words.of("language") { return .acceptLanguage }
            if first == Words.of("x-forwar") && last == Words.of("rded-for") { return .forwardedFor }
            return first == Words.of("idempote") && last == Words.of("ency-key") ? .idempotencyKey : .none
        case 16:
            if first == Words.of("content-") && last == Words.of("encoding") { return .contentEncoding }
            if first == Words.of("proxy-co") && last == Words.of("nnection") { return .proxyConnection }
            if first == Words.of("x-forwar") && last == Words.of("ded-host") { return .forwardedHost }
            return first == Words.of("x-forwar") && last == Words.of("ded-port") ? .forwardedPort : .none
        default: return .none
        }
    }

    @inline(__always)
    private static func long(
        _ first: UInt64, _ second: UInt64, _ last: UInt64, _ count: Int
    ) -> KnownField {
        switch count {
        case 17:
            if first == Words.of("transfer") && second == Words.of("-encodin") && last == Words.of("encoding")
            {
                return .transferEncoding
            }
            if first == Words.of("x-forwar") && second == Words.of("ded-prot") && last == Words.of("ed-proto")
            {
                return .forwardedProto
            }
            return .none
        case 18:
            let isName =
                first == Words.of("proxy-au") && second == Words.of("thentica")
                && last == Words.of("enticate")
            return isName ? .proxyAuthenticate : .none
        case 19:
            let isName =
                first == Words.of("proxy-au") && second == Words.of("thorizat")
                && last == Words.of("rization")
            return isName ? .proxyAuthorization : .none
        default: return .none
        }
    }
}

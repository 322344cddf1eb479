// Request methods.
//
// Place: first token of a request line; Proxy asks whether a request may be repeated.
// Invariant: methods are case-sensitive; a token that is none of these is `.other` and passes on as sent.
// Source: RFC 9110 section 9, RFC 5789 (PATCH).

/// The method of a request.
@frozen public enum Method: UInt8, Sendable, CaseIterable {
    case get, head, post, put, delete, options
    /// TRACE, or TRACK, which is Microsoft's name for it, in any case of letters: always refused, because
    /// the answer shows the request with its cookies and whatever proxies have added to it.
    case trace
    case patch, connect
    /// Any other token; its bytes are in `RequestHead.methodName`.
    case other

    /// Whether repeating the request has the effect of sending it once (RFC 9110 section 9.2.2).
    @inlinable
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .post, .patch, .connect, .other: false
        }
    }

    /// Whether the request asks for no change of state (RFC 9110 section 9.2.1).
    @inlinable
    public var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .delete, .patch, .connect, .other: false
        }
    }

    /// The method spelt by a word that holds up to seven letters, a space, and zeros.
    @inline(__always)
    init(word: UInt64) {
        if word == Words.of("GET ") {
            self = .get
        } else if word == Words.of("POST ") {
            self = .post
        } else {
            self = Method.rare(word)
        }
    }

    private static func rare(_ word: UInt64) -> Method {
        if word == Words.of("HEAD ") { return .head }
        if word == Words.of("PUT ") { return .put }
        if word == Words.of("DELETE ") { return .delete }
        if word == Words.of("OPTIONS ") { return .options }
        if word == Words.of("PATCH ") { return .patch }
        if Words.lowercased(word) == Words.of("trace ") || Words.lowercased(word) == Words.of("track ") {
            return .trace
        }
        if word == Words.of("CONNECT ") { return .connect }
        return .other
    }
}

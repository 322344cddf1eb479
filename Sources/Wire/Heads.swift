// What a parsed head says: flat values whose slices refer to the buffer that was parsed.
//
// Place: returned by HeadParser; Proxy copies them into an exchange.
// Invariant: a head that reaches a caller has passed the one validator: its framing is unambiguous, its
// authority is well formed, its length is `byteCount` and nothing in it needs a second check.
// Source: RFC 9112 sections 2-6, 9; RFC 9110 sections 7-10.

/// How the end of a body is found.
@frozen public enum BodyFraming: Equatable, Sendable {
    /// No body and no framing field.
    case none
    /// Exactly this many bytes (0...Int64.max), by Content-Length.
    case length(UInt64)
    /// Chunked transfer coding.
    case chunked
    /// Everything up to the end of the connection; responses only.
    case untilClose
}

/// The form of a request target (RFC 9112 section 3.2). The authority form is CONNECT's, which is refused.
@frozen public enum TargetForm: UInt8, Sendable {
    /// `/path?query`
    case origin
    /// `http://authority/path?query`
    case absolute
    /// `*`, or OPTIONS for an absolute target without path and query, which a proxy sends on as `*`.
    case asterisk
}

/// A request head.
@frozen public struct RequestHead: Sendable {
    public var method: Method
    public var form: TargetForm
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    public var minorVersion: UInt8
    /// Whether the connection may carry another request after this one.
    public var keepsAlive: Bool
    /// Whether the client waits for 100 before it sends the body. Never true without a body.
    public var expectsContinue: Bool
    /// Whether the client offers to switch protocols. Never true for HTTP/1.0, nor where the offer names
    /// HTTP/2 or TLS: a tunnel made by those would carry requests past the validator.
    public var upgrade: Bool
    public var framing: BodyFraming
    /// The method as sent.
    public var methodName: Slice
    /// The whole target as sent.
    public var target: Slice
    /// The path; "/" where an absolute target has none, "*" for the asterisk form. Never empty.
    public var path: Slice
    /// What follows the first "?", possibly empty; see `hasQuery`.
    public var query: Slice
    /// host[:port] of the absolute target, else of Host; empty for HTTP/1.0 without either. The Host that is
    /// sent on must be made from this (RFC 9112 section 3.2.2), never from the Host field.
    public var authority: Slice
    /// Fields that `HeadParser.field(_:)` gives.
    public var fieldCount: Int
    /// Length of the head with its blank line and any empty lines before it.
    public var byteCount: Int

    /// Whether the target has a "?": then a "?" is written before `query` even if that is empty.
    @inlinable
    public var hasQuery: Bool { query.start != 0 }
}

/// A response head.
@frozen public struct ResponseHead: Sendable {
    /// 100...599.
    public var status: UInt16
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    public var minorVersion: UInt8
    /// Whether the upstream connection may carry another request after this response.
    public var keepsAlive: Bool
    /// Whether this is a complete 101: the connection becomes a tunnel at the head's end.
    public var upgrade: Bool
    /// With the request's method taken into account. A Content-Length that comes with a response to HEAD or
    /// with 304 describes another response: it is a field to pass on, not the framing.
    public var framing: BodyFraming
    /// Possibly empty.
    public var reason: Slice
    public var fieldCount: Int
    public var byteCount: Int

    /// Whether another head follows on the same exchange (1xx without 101).
    @inlinable
    public var isInterim: Bool { status < 200 && status != 101 }
}

/// What became of an attempt to parse a request head.
@frozen public enum RequestParse: Sendable {
    case complete(RequestHead)
    /// The head is not complete. Pass `scanned` to the next attempt on the same, longer, buffer.
    case needMore(scanned: Int)
    /// Answer with the refusal's status and close.
    case refused(Refusal)
}

/// What became of an attempt to parse a response head.
@frozen public enum ResponseParse: Sendable {
    case complete(ResponseHead)
    case needMore(scanned: Int)
    case refused(Refusal)
}

/// What became of an attempt to parse a trailer section.
@frozen public enum TrailerParse: Sendable {
    /// `byteCount` includes the blank line that ends the message.
    case complete(fieldCount: Int, byteCount: Int)
    case needMore(scanned: Int)
    case refused(Refusal)
}

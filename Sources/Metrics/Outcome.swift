// The protocol-neutral end of an exchange. One enum for all protocols, because an error rate that mixes
// a client's hang-up with a model's crash is no evidence about either.
// Invariant: raw values index counters, and success is 0.

/// How an exchange ended. Raw values index counters and stand in the access log's records.
public enum Outcome: UInt8, CaseIterable, Sendable {
    case success
    /// 4xx from upstream; not the version's fault unless configured.
    case clientError
    /// 5xx from upstream.
    case upstreamError
    /// A failing grpc-status from trailers.
    case grpcError
    case connectFailure
    /// The upstream closed or reset before its first response byte.
    case reset
    case timeoutConnect
    case timeoutFirstByte
    /// The upstream fell silent inside a response.
    case timeoutIdle
    /// The upstream failed inside a response; the client's stream was aborted.
    case cutMidStream
    /// The upstream's bytes were not HTTP.
    case protocolError
    /// The head of the upstream's answer, or its trailer section, is larger than `limits` allow.
    case responseHeadTooLarge
    /// The client went away first; excluded from error rates, latency censored.
    case clientCancel
    /// The client did not deliver its head or body in time (408).
    case timeoutClient
    /// Our own overload or refusal; never blamed on a version.
    case localRefusal
    /// The answer was under way when Weir's own drain ended at its deadline; the client's stream was reset.
    /// Never blamed on a version.
    case drainCut
    /// Never sent to the version assigned: it had no usable endpoint.
    case noEndpoint
    /// Never sent to the version assigned: its bound on requests in flight and its queue were full, or the
    /// queue did not move in time.
    case overloaded

    /// Whether the assigned version is to blame: the numerator of its error rate.
    @inlinable public var isFailure: Bool {
        switch self {
        case .upstreamError, .grpcError, .connectFailure, .reset, .timeoutConnect, .timeoutFirstByte,
            .timeoutIdle, .cutMidStream, .protocolError, .responseHeadTooLarge:
            true
        case .success, .clientError, .clientCancel, .timeoutClient, .localRefusal, .drainCut, .noEndpoint,
            .overloaded:
            false
        }
    }

    /// Whether the exchange says nothing about the version and leaves the denominator as well.
    @inlinable public var isExcluded: Bool {
        switch self {
        case .clientCancel, .timeoutClient, .localRefusal, .drainCut, .noEndpoint, .overloaded: true
        case .success, .clientError, .upstreamError, .grpcError, .connectFailure, .reset, .timeoutConnect,
            .timeoutFirstByte, .timeoutIdle, .cutMidStream, .protocolError, .responseHeadTooLarge:
            false
        }
    }

    /// The outcome's word in metrics, logs and journal.
    public var label: String {
        switch self {
        case .success: "success"
        case .clientError: "client_error"
        case .upstreamError: "upstream_error"
        case .grpcError: "grpc_error"
        case .connectFailure: "connect_failure"
        case .reset: "reset"
        case .timeoutConnect: "timeout_connect"
        case .timeoutFirstByte: "timeout_first_byte"
        case .timeoutIdle: "timeout_idle"
        case .cutMidStream: "cut_mid_stream"
        case .protocolError: "protocol_error"
        case .responseHeadTooLarge: "response_head_too_large"
        case .clientCancel: "client_cancel"
        case .timeoutClient: "timeout_client"
        case .localRefusal: "local_refusal"
        case .drainCut: "drain_cut"
        case .noEndpoint: "no_endpoint"
        case .overloaded: "overloaded"
        }
    }
}

/// The times of an exchange, each its own histogram per version.
public enum TimeKind: UInt8, CaseIterable, Sendable {
    /// Request sent to last response byte. A response that begins before the request is whole counts from
    /// the last request byte sent before it.
    case upstream
    /// From the same instant to the first byte of the final response head; 1xx heads do not count.
    case firstByte
    /// First byte read from the client to last byte written, less `upstream`.
    case added
    /// First byte read from the client to last byte written.
    case total
    /// Opening a connection to one of the version's endpoints; no time of a request, and recorded for every
    /// connection that came to be, those that are kept warm and those of copies included.
    case connect

    /// The time's word in metric names.
    public var label: String {
        switch self {
        case .upstream: "upstream"
        case .firstByte: "first_byte"
        case .added: "added"
        case .total: "total"
        case .connect: "connect"
        }
    }
}

/// A tenth of a second of the monotonic clock: the unit in which evidence is kept and decided on.
public struct Tick: Comparable, Hashable, Sendable {
    public var number: UInt64

    @inlinable public init(number: UInt64) { self.number = number }
    @inlinable public init(monotonicNanos: UInt64) { number = monotonicNanos / 100_000_000 }

    /// A tick's length in microseconds.
    public static let micros: UInt64 = 100_000

    @inlinable public static func < (a: Tick, b: Tick) -> Bool { a.number < b.number }
}

// What became of a request, and the sums over a load. Latency counts from the intended send time, so the
// wait for a free connection, or behind a stalled server, is part of it.
// Invariant: every request that was due ends as exactly one result.

import Platform

/// The end of one request.
public struct LoadResult: Sendable {
    /// How it ended.
    public enum End: Sendable, Hashable {
        /// A whole response, whatever its status.
        case answered(status: UInt16)
        /// No whole response within the plan's timeout.
        case timedOut
        /// No connection could be made.
        case refused
        /// The connection ended, or bytes came that are not HTTP, before the response was whole.
        case cut
        /// More requests were waiting for a connection than the generator keeps.
        case unsent
    }

    public var end: End
    /// Index into the plan's versions of what `x-weir-version` said; nil without or with another value.
    public var version: Int?
    /// What `x-weir-id` said, where the plan asks for it.
    public var id: ExchangeID?
    /// When the request should have been sent.
    public var intended: Instant
    /// From `intended` to the end.
    public var latency: Interval

    /// Whether a user would call it a success: a whole response below 400.
    public var isGood: Bool {
        if case .answered(let status) = end { return status < 400 }
        return false
    }
}

/// Sums over a load.
public struct LoadCounts: Sendable, Hashable {
    /// Requests that were due.
    public internal(set) var due: UInt64 = 0
    /// Whole responses below 400.
    public internal(set) var good: UInt64 = 0
    /// Whole responses of 400 and above.
    public internal(set) var badStatus: UInt64 = 0
    public internal(set) var timedOut: UInt64 = 0
    public internal(set) var refused: UInt64 = 0
    public internal(set) var cut: UInt64 = 0
    public internal(set) var unsent: UInt64 = 0
    /// Connections made.
    public internal(set) var connected: UInt64 = 0

    /// Requests that a user would call failed.
    public var bad: UInt64 { badStatus + timedOut + refused + cut + unsent }

    mutating func count(_ result: LoadResult) {
        switch result.end {
        case .answered: if result.isGood { good += 1 } else { badStatus += 1 }
        case .timedOut: timedOut += 1
        case .refused: refused += 1
        case .cut: cut += 1
        case .unsent: unsent += 1
        }
    }
}

/// An exchange's opaque id, as it came: text of a fixed length, kept without memory of its own.
public struct ExchangeID: Sendable {
    /// Characters of an id; a field of another length is none.
    public static let length = 48
    private let characters: InlineArray<48, UInt8>

    /// - Precondition: `bytes` has `length` of them.
    init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.length, "the length of an id")
        characters = InlineArray { bytes[$0] }
    }

    /// Nil when `text` is not as long as an id.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == Self.length else { return nil }
        self = bytes.withUnsafeBytes { ExchangeID($0) }
    }

    /// The id as it came.
    public var text: String {
        String(decoding: (0..<Self.length).map { characters[$0] }, as: UTF8.self)
    }
}

// The figures a person watches: what a version did during the last few seconds, read off a window over
// successive snapshots of cumulative counts.
// Invariant: figures speak of what has been observed; a window that has not filled divides by less time.

import Metrics

/// One version's recent traffic in four numbers.
public struct LiveFigures: Sendable, Hashable {
    public var requestsPerSecond: Double
    /// Microseconds, upper edge of the bin; nil without requests.
    public var p50Micros: UInt64?
    public var p99Micros: UInt64?
    /// Failed requests as a share of those that count, 0...1; nil without requests.
    public var errorShare: Double?
    /// Requests that the figures rest on.
    public var requests: UInt64

    /// - Parameters:
    ///   - content: what a window holds.
    ///   - ticks: how much of the window has been observed.
    public init(_ content: WindowReading, ticks: UInt64) {
        requests = content.requests
        requestsPerSecond = ticks == 0 ? 0 : Double(content.requests) * 10 / Double(ticks)
        p50Micros = content.latency.quantile(0.5)
        p99Micros = content.latency.quantile(0.99)
        errorShare = content.requests == 0 ? nil : Double(content.failures) / Double(content.requests)
    }
}

// The figures a person watches: what a version did during the last few seconds, read off a window over
// successive snapshots of cumulative counts.
// Invariant: figures speak of what has been observed; a window that has not filled divides by less time.

import Metrics

/// One version's recent traffic in a few numbers.
struct LiveFigures: Sendable, Hashable {
    /// Requests assigned, whatever became of them: a version that hangs has traffic too.
    var requestsPerSecond: Double
    /// Microseconds, upper edge of the bin; nil without requests.
    var p50Micros: UInt64?
    var p99Micros: UInt64?
    /// Failed requests as a share of those that count, 0...1; nil without requests.
    var errorShare: Double?
    /// Requests that quantiles and error share rest on.
    var requests: UInt64
    /// Requests that their clients left, as a share of these and of those that count, 0...1; nil without any.
    var cancelledShare: Double?

    /// - Parameters:
    ///   - content: what a window holds.
    ///   - ticks: how much of the window has been observed.
    init(_ content: WindowReading, ticks: UInt64) {
        requests = content.requests
        requestsPerSecond = ticks == 0 ? 0 : Double(content.started) * 10 / Double(ticks)
        p50Micros = content.latency.quantile(0.5)
        p99Micros = content.latency.quantile(0.99)
        errorShare = content.requests == 0 ? nil : Double(content.failures) / Double(content.requests)
        let ended = content.requests + content.cancelled
        cancelledShare = ended == 0 ? nil : Double(content.cancelled) / Double(ended)
    }
}

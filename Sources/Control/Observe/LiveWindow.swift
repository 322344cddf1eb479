// The figures a person watches: what each version did during the last few seconds. From successive
// snapshots of cumulative counts, so that whoever shows them needs nothing but snapshots and a tick.
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

/// The last `seconds` of any number of versions, by version slot.
public struct LiveWindow: Sendable {
    private let ticks: Int
    private let kind: TimeKind
    private var windows: [Int: Window] = [:]

    /// - Parameters:
    ///   - seconds: length of the window, 1 or more.
    ///   - kind: the time whose quantiles are shown.
    public init(seconds: Int, latency kind: TimeKind = .total) {
        precondition(seconds > 0, "a window is at least a second long")
        ticks = seconds * 10
        self.kind = kind
    }

    /// Takes in a version's snapshot at `now`. The first one is where counting begins.
    public mutating func observe(_ version: Int, _ snapshot: VersionMeterSnapshot, at now: Tick) {
        windows[version, default: Window(ticks: ticks)].observe(
            WindowReading(snapshot, latency: kind), at: now)
    }

    /// Forgets a version, so that its slot can be another's.
    public mutating func forget(_ version: Int) { windows[version] = nil }

    /// What the version did lately; nil before its first snapshot.
    public func figures(_ version: Int) -> LiveFigures? {
        guard let window = windows[version], let content = window.content else { return nil }
        return LiveFigures(content, ticks: window.observedTicks)
    }
}

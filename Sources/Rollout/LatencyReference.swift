// The latency thresholds of a model's guardrails: tau, stable's own quantile, measured and then frozen, and
// what candidates are held to. One per model, because stable has one set of fast slots for all candidates.
//
// Invariant: a threshold is chosen from the past only and takes effect for ticks that start later; ticks
// around a change count for no latency guardrail. Source: guardrails/statistics.md, section 3.3 and trap 6.

import Metrics

/// Frozen latency thresholds, by fast slot, for the meters of stable and of every candidate.
public struct LatencyReference: Sendable, Hashable, Codable {
    /// Thresholds in microseconds, by slot, at most `ArmCounts.fastSlots`; 0 where none is known yet.
    public private(set) var candidateThresholds: [UInt32]
    public private(set) var stableThresholds: [UInt32]

    public init(specs: [GuardrailSpec]) {
        candidateThresholds = []
        stableThresholds = []
    }

    /// Looks at stable's latency and renews what is due: the first time with at least 1,000 requests, then
    /// at most once a minute. Cheap when nothing is due.
    /// - Parameters:
    ///   - requests: settled requests of stable in the histogram.
    ///   - quantile: stable's quantile in microseconds, the upper edge of its bin.
    /// - Returns: whether thresholds changed; the caller then writes them to the meters at once.
    public mutating func refresh(now: Tick, requests: UInt64, quantile: (Double) -> UInt64?) -> Bool {
        false
    }

    /// Carries restored thresholds over a restart: they hold for ticks from `now` on.
    public mutating func resume(at now: Tick) {
    }
}

// The latency side of a recovery check: after a cut for latency, stable's own requests are held to the
// threshold that was in force, so that "recovered" means that the tripped measure is back within limits.
// Place: made by control from the rule that tripped; counted by `RecoveryWatch`.
// Invariant: the threshold is the one frozen at the cut; ticks that were counted by another say nothing.
// Source: guardrails/statistics.md, section 6.

import Metrics
import Statistics

/// What stable's latency is held to after a cut.
public struct RecoveryLatency: Sendable, Hashable {
    /// The fast slot that counts it, and its threshold in microseconds.
    public let slot: Int
    public let micros: UInt32
    /// The share of slower requests that is the limit, 0...1, both excluded.
    public let limit: Double

    /// nil for rules that are not over latency, over windows, or without a threshold yet.
    public init?(_ spec: GuardrailSpec, _ reference: LatencyReference) {
        guard case .latency(let quantile) = spec.measure, let slots = reference.slots(for: spec) else {
            return nil
        }
        // Over all requests: nothing is compared by keys any more.
        slot = spec.countsKeysOnce ? slots.size : slots.evidence
        micros = reference.stableThresholds[slot]
        guard micros > 0 else { return nil }
        let beyond = 1 - quantile
        // Stable's own quantile is exceeded by that share when all is well: twice as often is not well, or,
        // for the median and near it, halfway to always. A constant is what the rule says.
        limit = spec.rule.isRelative ? min(2 * beyond, (1 + beyond) / 2) : beyond
    }
}

/// Two opposite tests at one rate: the answer of one measure.
struct RecoveryTest: Sendable {
    let threshold: Double
    private var better: AbsoluteRate
    private var worse: AbsoluteRate
    private(set) var requests = 0
    private(set) var events = 0

    init(threshold: Double) {
        self.threshold = threshold
        better = AbsoluteRate(p0: threshold, direction: .down)
        worse = AbsoluteRate(p0: threshold, direction: .up)
    }

    mutating func newEpoch() {
        better.wealth.newEpoch()
        worse.wealth.newEpoch()
    }

    mutating func add(bad: Int, good: Int) {
        better.add(bad: bad, good: good)
        worse.add(bad: bad, good: good)
        requests += bad + good
        events += bad
    }

    func isBetter(_ alpha: Double) -> Bool { better.wealth.maxLogE >= Wealth.logThreshold(alpha: alpha) }
    func isWorse(_ alpha: Double) -> Bool { worse.wealth.maxLogE >= Wealth.logThreshold(alpha: alpha) }
}

// The latency side of a recovery check: after a cut for latency, stable's own requests are held to the
// threshold that was in force, so that "recovered" means that the tripped measure is back within limits. A
// sequential rule's threshold has a slot in the evidence; a rule over windows is judged by the histogram of
// the time that it names, as it was when it tripped.
// Place: made by control from the rule that tripped; counted by `RecoveryWatch`.
// Invariant: the threshold is the one frozen at the cut; ticks that were counted by another say nothing.
// Source: guardrails/statistics.md, section 6.

import Metrics
import Statistics

/// What stable's latency is held to after a cut.
public struct RecoveryLatency: Sendable, Hashable {
    /// What counts the slower requests.
    public enum Counter: Sendable, Hashable {
        /// The fast slot of the evidence: by age, so that a request that hangs is slow before it ends.
        case slot(Int)
        /// The histogram of that time, by requests that have ended.
        case ended(TimeKind)
    }

    public let counter: Counter
    /// The threshold in microseconds.
    public let micros: UInt32
    /// The share of slower requests that is the limit, 0...1, both excluded.
    public let limit: Double

    /// nil for rules that are not over latency, or without a threshold yet.
    /// - Parameter stable: stable's quantile in the window when the rule tripped, in microseconds; needed by
    ///   window rules against stable.
    public init?(_ spec: GuardrailSpec, _ reference: LatencyReference, stable: Double? = nil) {
        guard case .latency(let quantile) = spec.measure else { return nil }
        switch spec.rule {
        case .windowAbove(let limit):
            (counter, micros) = (.ended(spec.time), LatencyReference.micros(limit))
        case .windowWorseThanStable:
            guard let stable else { return nil }
            (counter, micros) = (.ended(spec.time), LatencyReference.micros(stable))
        default:
            guard let slots = reference.slots(for: spec) else { return nil }
            // Over all requests: nothing is compared by keys any more.
            let slot = spec.countsKeysOnce ? slots.size : slots.evidence
            (counter, micros) = (.slot(slot), reference.stableThresholds[slot])
        }
        guard micros > 0 else { return nil }
        let beyond = 1 - quantile
        // Stable's own quantile is exceeded by that share when all is well: twice as often is not well, or,
        // for the median and near it, halfway to always. A constant is what the rule says.
        limit = spec.rule.isRelative ? min(2 * beyond, (1 + beyond) / 2) : beyond
    }
}

extension RecoveryLatency {
    /// The time that is judged; slots count the total.
    var time: TimeKind {
        if case .ended(let time) = counter { time } else { .total }
    }

    /// What the time is, behind a number of it.
    var words: String {
        switch time {
        case .total: ""
        case .upstream: " upstream"
        case .firstByte: " to the first byte"
        case .added: " in Weir"
        case .connect: " to connect"
        }
    }
}

/// Requests that have ended and the slow ones among them, since the process began.
public struct EndedCounts: Sendable, Hashable {
    public var requests: UInt64
    public var slow: UInt64

    public init(requests: UInt64, slow: UInt64) {
        self.requests = requests
        self.slow = slow
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

// What rules over values are fed with: numbers taken from the traffic or posted later, by version and by the
// tick in which their request started. Control keeps the book; nothing here knows a body or an id.
// Invariant: a tick is handed out once, when nothing of it is still to come, and in the order of start.
// Source: guardrails/statistics.md, sections 2 and 3.4.

import Metrics

/// The values of one tick's randomised requests, by arm, complete: nothing of the tick is still to come. A
/// book that keeps old ticks coarser hands out a run of ticks with one split under its first tick.
public struct ValueTick: Sendable, Hashable {
    public var tick: Tick
    /// Nil when weights changed inside the tick: it is dropped in both arms.
    public var split: PairSplit?
    public var candidate: ValueArm
    public var stable: ValueArm

    public init(
        tick: Tick, split: PairSplit?, candidate: ValueArm = ValueArm(), stable: ValueArm = ValueArm()
    ) {
        self.tick = tick
        self.split = split
        self.candidate = candidate
        self.stable = stable
    }
}

/// One version's observed requests of a tick.
public struct ValueArm: Sendable, Hashable {
    /// Observed, but null, absent or not a number.
    public var missing: Int
    /// Observed; order does not matter.
    public var values: [Double]
    /// Of what is posted later: how much was, and how much of it in the last tenth of its window.
    public var posted = 0
    public var late = 0

    public init(missing: Int = 0, values: [Double] = []) {
        self.missing = missing
        self.values = values
    }

    /// Requests looked at.
    public var observed: Int { missing + values.count }
}

/// The consecutive complete ticks of a value from a tick on, possibly none.
public typealias ValueFeed = (_ name: String, _ from: Tick) -> [ValueTick]

/// A metric that is posted after the request, such as clicks, and how long it is waited for.
public struct FeedbackMetric: Sendable, Hashable, Codable {
    public var metric: String
    /// Attribution window: what is posted later counts for nobody.
    public var windowMillis: UInt64
    public var isHigherBetter: Bool
    /// Values are clamped to this range; the test bets on where in it they lie.
    public var lowest: Double
    public var highest: Double

    public init(
        metric: String, windowMillis: UInt64, isHigherBetter: Bool = true, lowest: Double = 0,
        highest: Double = 1
    ) {
        self.metric = metric
        self.windowMillis = windowMillis
        self.isHigherBetter = isHigherBetter
        self.lowest = lowest
        self.highest = highest
    }

    /// The name of a rule over feedback as this release would have given it; earlier ones began it otherwise.
    static func renamed(_ name: String) -> String {
        name.hasPrefix("outcome_") ? "feedback_" + name.dropFirst("outcome_".count) : name
    }

    /// Its name among the values: "feedback:clicks@1800000".
    public var valueName: String { "feedback:\(metric)@\(windowMillis)" }
}

extension GuardrailSpec {
    /// Whether this spec out of a saved state is `spec`, also if an earlier release had given it its name.
    func isSaved(of spec: GuardrailSpec) -> Bool {
        if self == spec { return true }
        guard case .feedback = measure else { return false }
        var renamed = self
        renamed.name = FeedbackMetric.renamed(name)
        return renamed == spec
    }
}

extension GateSpec {
    /// As for a guardrail.
    func isSaved(of spec: GateSpec) -> Bool {
        if self == spec { return true }
        guard case .feedback = metric else { return false }
        var renamed = self
        renamed.name = FeedbackMetric.renamed(name)
        return renamed == spec
    }
}

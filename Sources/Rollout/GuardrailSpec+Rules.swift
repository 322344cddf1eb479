// Which rule goes with which measure, and what follows from it: who watches it, what of alpha it takes, what
// is impossible. Invariant: a spec without a `problem` has exactly one guard that can watch it.
// Source: guardrails/statistics.md, sections 3 and 4.2.

import Metrics

extension GuardrailSpec.Rule {
    /// Whether the rule is a sequential test, and so covered by alpha.
    public var isSequential: Bool {
        switch self {
        case .sequentialWorseThanStable, .sequentialAbove, .sequentialBelow, .sequentialDrift,
            .sequentialDriftFrom, .sequentialBurn:
            true
        case .windowAbove, .windowWorseThanStable, .windowBurn, .below: false
        }
    }

    /// Whether the rule needs stable's traffic beside the candidate's.
    public var isRelative: Bool {
        switch self {
        case .sequentialWorseThanStable, .windowWorseThanStable, .sequentialDrift: true
        case .sequentialAbove, .sequentialBelow, .sequentialDriftFrom, .sequentialBurn, .windowAbove,
            .windowBurn, .below:
            false
        }
    }

    /// Whether the rule looks at a rolling window of requests.
    public var isWindow: Bool {
        switch self {
        case .windowAbove, .windowWorseThanStable, .windowBurn: true
        case .sequentialWorseThanStable, .sequentialAbove, .sequentialBelow, .sequentialDrift,
            .sequentialDriftFrom, .sequentialBurn, .below:
            false
        }
    }

    var isDrift: Bool {
        switch self {
        case .sequentialDrift, .sequentialDriftFrom: true
        default: false
        }
    }

    /// Window rules, budgets, which everybody's outage uses up, health, whose checks can be wrong or fail for
    /// what versions share, and drift from a pinned histogram, which cannot tell the model from its traffic.
    var hasVetoByDefault: Bool {
        switch self {
        case .sequentialDriftFrom, .below, .sequentialBurn: true
        default: isWindow
        }
    }
}

extension GuardrailSpec.Measure {
    /// The latency quantile, if that is what is measured.
    var quantile: Double? {
        if case .latency(let quantile) = self { quantile } else { nil }
    }

    /// The bad event whose share is measured, if that is what is measured.
    public var event: BadEvent? {
        switch self {
        case .errorRate: .failure
        case .non2xx: .rejected
        case .cancels: .cancelled
        case .empty: .empty
        case .latency, .feedback, .drift, .missing, .confidence, .cost, .health: nil
        }
    }

    /// The name of the value that is watched: "value:score", "feedback:clicks@1800000"; nil for what the
    /// requests themselves tell.
    public var valueName: String? {
        switch self {
        case .feedback(let metric): metric.valueName
        case .drift(let value), .missing(let value), .confidence(let value), .cost(let value, _):
            "value:\(value)"
        case .errorRate, .non2xx, .cancels, .empty, .latency, .health: nil
        }
    }

    /// Weight in the split of a rollout's alpha.
    var alphaWeight: Double {
        switch self {
        case .errorRate: 3
        case .latency: 2
        case .non2xx, .cancels, .empty, .feedback, .drift, .missing, .confidence, .cost, .health: 1
        }
    }

    /// The measure of a window's arm: a rate, or microseconds; nil without requests.
    func value(_ arm: WindowArm) -> Double? {
        if quantile != nil { return arm.latencyMicros.map { Double($0) } }
        return arm.requests > 0 ? Double(arm.failures) / Double(arm.requests) : nil
    }
}

extension GuardrailSpec {
    /// Whether the rule goes on without stable's traffic, as after a promotion.
    public var watchesAlone: Bool { !rule.isRelative }

    /// Who watches a rule.
    enum Watcher {
        case requests, window, burn, health, mean, missing, drift, pinnedDrift

        /// Whether what a reading measures and its limit say by themselves that a version is within it.
        var hasOneLimit: Bool {
            switch self {
            case .requests, .window, .burn, .health: true
            case .mean, .missing, .drift, .pinnedDrift: false
            }
        }
    }

    /// Nil where the rule does not go with the measure.
    var watcher: Watcher? {
        switch (measure, rule) {
        case (.errorRate, .sequentialBurn): .burn
        case (.errorRate, .windowBurn): .window
        case (.errorRate, .sequentialWorseThanStable), (.errorRate, .sequentialAbove),
            (.non2xx, .sequentialWorseThanStable), (.cancels, .sequentialWorseThanStable),
            (.empty, .sequentialWorseThanStable), (.latency, .sequentialWorseThanStable),
            (.latency, .sequentialAbove):
            .requests
        case (.errorRate, .windowAbove), (.errorRate, .windowWorseThanStable), (.latency, .windowAbove),
            (.latency, .windowWorseThanStable):
            .window
        case (.feedback, .sequentialWorseThanStable), (.confidence, .sequentialWorseThanStable),
            (.cost, .sequentialWorseThanStable), (.confidence, .sequentialBelow), (.cost, .sequentialAbove):
            .mean
        case (.missing, .sequentialWorseThanStable), (.missing, .sequentialAbove): .missing
        case (.drift, .sequentialDrift): .drift
        case (.drift, .sequentialDriftFrom): .pinnedDrift
        case (.health, .below): .health
        default: nil
        }
    }

    /// Whether this is a sequential test of candidates' latency against stable's.
    public var isLatencyBet: Bool { rule.isSequential && rule.isRelative && measure.quantile != nil }

    /// Whether one pause of a process makes many bad requests at once: it slows them down, and clients that
    /// do not wait cancel them. A failure is one however many there are.
    var comesInBursts: Bool { measure == .cancels || measure.quantile != nil }

    /// Whether this is a sequential test of candidates' bad events or latency against stable's.
    public var isRequestBet: Bool {
        rule.isSequential && rule.isRelative && (measure.event != nil || measure.quantile != nil)
    }

    /// Whether the rule has anything to say of a candidate that gets copies only: nobody cancels these.
    public var judgesCopies: Bool {
        switch watcher {
        case .requests: measure != .cancels
        case .health: true
        case .window, .burn, .mean, .missing, .drift, .pinnedDrift, nil: false
        }
    }

    /// The share of bad requests that a rule against a constant allows: the rate itself, or what a latency
    /// quantile leaves above it.
    var rateLimit: Double {
        switch (rule, measure) {
        case (_, .latency(let quantile)): 1 - quantile
        case (.sequentialAbove(let rate), _): rate
        case (.sequentialBurn(let budget, let burn, _), _), (.windowBurn(let budget, let burn), _):
            burn * budget
        default: 1
        }
    }

    /// The second window of a burn rule, which says that it still burns.
    var shortWindowTicks: Int { max(1, windowTicks / 12) }

    /// Lengths of the windows, in ticks, that control has to keep for this rule.
    public var windowLengths: [Int] {
        guard rule.isWindow else { return [] }
        if case .windowBurn = rule { return [max(1, windowTicks), shortWindowTicks] }
        return [max(1, windowTicks)]
    }

    /// The largest latency that a sequential rule can decide on, in microseconds: a request's deadline.
    public static let latencyMicrosMax = Double(TickView.deadlineTicks * Tick.micros)

    /// What is impossible about this spec, as a sentence; nil when it can be watched.
    public var problem: String? {
        guard watcher != nil else { return "the rule does not go with what it measures" }
        if !(alpha > 0 && alpha < 1), rule.isSequential { return "alpha must lie between 0 % and 100 %" }
        if windowTicks < 1, rule.isWindow { return "the window must not be empty" }
        if forTicks < 0 || minEvents < 0 || minRequests < 0 || warmUpRequests < 0 {
            return "negative counts and times mean nothing"
        }
        if let quantile = measure.quantile, !(quantile > 0 && quantile < 1) {
            return "a quantile lies between p0 and p100, both excluded"
        }
        if measure.quantile != nil, rule.isSequential, time != .total {
            return
                "a sequential latency rule judges the total time, because evidence by start time is kept of"
                + " that one only; give a window for upstream or first_byte"
        }
        if toleratedTicks > 0, watcher != .requests {
            return "tolerates goes with sequential rules on requests; a window rule has `for`"
        }
        if withoutStable != .alert, !isRequestBet {
            return "without_stable goes with sequential rules on requests against stable"
        }
        if time == .connect { return "connections are opened for many requests; give upstream or first_byte" }
        if warmUpRequests > 0, !isLatencyBet {
            return "warm_up goes with sequential rules on latency against stable; other rules have none"
        }
        if time == .added { return "the time added by the proxy is not the version's" }
        return measureProblem ?? ruleProblem
    }

    private var measureProblem: String? {
        switch measure {
        case .feedback(let metric):
            if !(metric.lowest < metric.highest && (metric.highest - metric.lowest).isFinite) {
                return "the range of feedback runs from a lower to a higher value"
            }
            return metric.windowMillis > 0 ? nil : "the attribution window must not be empty"
        case .cost(_, let cap?): return cap > 0 && cap.isFinite ? nil : "a cost's cap must be positive"
        case .errorRate, .non2xx, .cancels, .empty, .latency, .drift, .missing, .confidence, .cost, .health:
            return nil
        }
    }

    private var ruleProblem: String? {
        switch rule {
        case .sequentialWorseThanStable(let rho, let ratio, let difference):
            if !(rho > 0 && rho.isFinite && ratio > 0 && ratio.isFinite) { return "ratios must be positive" }
            if !(0...1).contains(difference) { return "a difference lies between 0 % and 100 %" }
        case .sequentialAbove(let limit), .windowAbove(let limit): return problem(above: limit)
        case .sequentialBelow(let floor), .below(let floor):
            if !(floor > 0 && floor < 1) { return "a floor lies between 0 % and 100 %" }
        case .windowWorseThanStable(let by):
            if !(by >= 0 && by.isFinite) { return "the tolerance over stable must not be negative" }
        case .sequentialDrift(let psi):
            if !(psi >= 0 && psi.isFinite) { return "a stability index is not negative" }
        case .sequentialDriftFrom(let reference, let psi):
            if !(psi >= 0 && psi.isFinite) { return "a stability index is not negative" }
            return reference.problem
        case .sequentialBurn(let budget, let burn, let requests):
            if let requests, !(requests > 0 && requests.isFinite) { return "a month has requests" }
            return burnProblem(budget, burn)
        case .windowBurn(let budget, let burn): return burnProblem(budget, burn)
        }
        return nil
    }

    private func burnProblem(_ budget: Double, _ burn: Double) -> String? {
        budget > 0 && burn > 0 && budget * burn < 1
            ? nil : "burn times the budget (1 less the objective) must lie between 0 % and 100 %"
    }

    private func problem(above limit: Double) -> String? {
        switch measure {
        case .errorRate, .non2xx, .cancels, .empty, .missing:
            return limit > 0 && limit < 1 ? nil : "a rate lies between 0 % and 100 %"
        case .latency:
            if !(limit >= 1 && limit.isFinite) { return "a latency must be at least 1 us" }
            if rule.isSequential, limit > GuardrailSpec.latencyMicrosMax {
                return "a sequential latency rule decides within 30 s; use a window rule above that"
            }
            return nil
        case .feedback, .drift, .confidence, .cost, .health:
            return limit > 0 && limit.isFinite ? nil : "a limit must be positive"
        }
    }
}

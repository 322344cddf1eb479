// A guardrail as configured: what is measured, the rule over it, and how sure it has to be. Values only.
// Invariant: the alphas of a candidate's sequential guardrails add up to the rollout's alpha, which bounds
// the chance of a false cut over the whole rollout (guardrails/statistics.md, section 4.2).

import Metrics

/// One rule over a candidate's live measurements.
public struct GuardrailSpec: Sendable, Hashable, Codable {
    /// What a rule looks at.
    public enum Measure: Sendable, Hashable, Codable {
        /// Failed requests as a share of all but the excluded ones.
        case errorRate
        /// Answers that are not 2xx, and no failures, as a share of all requests that ended: 3xx and 4xx.
        /// The same traffic gives the same share, so a difference is the version's.
        case non2xx
        /// Requests whose clients left before the end of the answer, as a share of all that ended.
        case cancels
        /// 2xx answers without a body where there may be one, as a share of all requests that ended.
        case empty
        /// A latency quantile, 0 < quantile < 1. A failed request counts as slow.
        case latency(quantile: Double)
        /// The mean of a metric that is posted later.
        case feedback(FeedbackMetric)
        /// The distribution of a value.
        case drift(value: String)
        /// Requests whose value is null, absent or not a number, as a share of those looked at.
        case missing(value: String)
        /// The mean of a value in 0...1; lower is worse.
        case confidence(value: String)
        /// The mean of a value from 0 up; higher is worse. Against stable it is capped, because no method
        /// can bound a mean without: at `cap`, or at stable's own p99.9 of its first thousand.
        case cost(value: String, cap: Double?)
        /// The share of the candidate's endpoints that are healthy, now.
        case health

        // The names in saved states; `outcome` is what earlier releases called feedback.
        private enum CodingKeys: String, CodingKey {
            case errorRate, non2xx, cancels, empty, latency
            case feedback = "outcome"
            case drift, missing, confidence, cost, health
        }
    }

    /// When the measure is too bad.
    public enum Rule: Sendable, Hashable, Codable {
        /// Sequential test of "candidate <= rho * stable" on the randomised requests. A trip also needs the
        /// estimated effect to be material: ratio >= `materialRatio` and difference >= `materialDifference`,
        /// in the measure's unit; of values and feedback, in the direction that is worse.
        case sequentialWorseThanStable(rho: Double, materialRatio: Double, materialDifference: Double)
        /// Sequential test against a constant, on all requests of the candidate: a rate 0...1, or
        /// microseconds for a latency quantile.
        case sequentialAbove(Double)
        /// Sequential test of a mean against a floor: confidence.
        case sequentialBelow(Double)
        /// Sequential test that candidate and stable share one distribution; a trip also needs a population
        /// stability index of `psi`, less its bias.
        case sequentialDrift(psi: Double)
        /// The same against a pinned histogram.
        case sequentialDriftFrom(DriftReference, psi: Double)
        /// Sequential test of "errors use up the budget more than `burn` times too fast", on all requests of
        /// the candidate, and a plain cap: 2 % of what `monthlyRequests` requests may fail, if given.
        case sequentialBurn(budget: Double, burn: Double, monthlyRequests: Double?)
        /// As the industry writes it: over the window and over its twelfth part. Not covered by alpha.
        case windowBurn(budget: Double, burn: Double)
        /// The measure as it is now is below this: health.
        case below(Double)
        /// The industry's rule over a rolling window: a rate 0...1, or microseconds. Not covered by alpha.
        case windowAbove(Double)
        /// Worse than stable over the same window by this share: 0.3 is 30 %. Not covered by alpha.
        case windowWorseThanStable(by: Double)
    }

    /// What a trip does.
    public enum Action: String, Sendable, Hashable, Codable {
        case cut
        /// Weights stay as they are until an operator lets the rollout go on.
        case hold
        case alert
    }

    /// What a trip does where stable has no traffic and the candidate is compared with stable as it was:
    /// nothing there tells a worse version from other traffic.
    public enum WithoutStable: String, Sendable, Hashable, Codable, CaseIterable {
        case cut
        case hold
        case alert
        /// It is not compared.
        case sleep

        var action: Action? {
            switch self {
            case .cut: .cut
            case .hold: .hold
            case .alert: .alert
            case .sleep: nil
            }
        }
    }

    /// Unique within the model, for example "error_rate_worse_than_stable".
    public var name: String
    public var measure: Measure
    public var rule: Rule
    /// This guardrail's share of the rollout's chance of a false cut; sequential rules only.
    public var alpha: Double
    /// Length of the rolling window, in ticks; window rules only.
    public var windowTicks: Int
    /// How long the rule must hold without a gap before it trips, in ticks.
    public var forTicks: Int
    /// Candidate requests below which the verdict is "not enough data" (window rules), or a pass is not
    /// given yet (sequential rules, whose trips need no minimum).
    public var minRequests: Int
    /// Distinct bad requests of the candidate without which nothing trips.
    public var minEvents: Int
    /// The common-cause guard: no trip while stable breaks the same absolute rule.
    public var vetoWhenStableToo: Bool
    public var action: Action
    /// Requests of a candidate, at most, before its latency says anything about the version rather than about
    /// cold caches; sequential latency rules against stable only. Over as soon as it is as fast as stable,
    /// and after ten minutes at the latest. Errors and gross slowness always count.
    public var warmUpRequests: Int
    /// What to read when it trips: a link, for notices and reports.
    public var runbookURL: String?
    // Optional, so that states saved before these existed still load; nil says what they said.
    private var dryRun: Bool?
    private var latencyTime: String?
    private var keysOnce: Bool?
    private var tolerated: Int?
    private var unlessAlert: WithoutStable?

    // The words of saved states.
    private enum CodingKeys: String, CodingKey {
        case name, measure, rule, alpha, windowTicks, forTicks, minRequests, minEvents, vetoWhenStableToo
        case action, warmUpRequests, runbookURL, dryRun, latencyTime, keysOnce, tolerated
        case unlessAlert = "alone"
    }

    /// A trip is recorded and changes nothing.
    public var isDryRun: Bool {
        get { dryRun ?? false }
        set { dryRun = newValue ? true : nil }
    }

    /// A sticky key's bad requests count once in a rollout, its first: the key was the coin, not the
    /// request. For sequential rules on events and latency against stable, of models that assign by sticky
    /// keys. Events bet besides on change: that more keys fail in a minute than their past makes likely.
    public var countsKeysOnce: Bool {
        get { keysOnce ?? false }
        set { keysOnce = newValue ? true : nil }
    }

    /// How long a version may be slow, or fail, now and then without being blamed, in ticks: a replica that
    /// pauses. Sequential rules on events and latency only; 0: no such moments.
    public var toleratedTicks: Int {
        get { tolerated ?? 0 }
        set { tolerated = newValue }
    }

    /// What a trip without stable's traffic does; sequential rules against stable over requests only.
    public var withoutStable: WithoutStable {
        get { unlessAlert ?? .alert }
        set { unlessAlert = newValue == .alert ? nil : newValue }
    }

    /// The rule for versions of so many endpoints: with fewer than three, one endpoint's pause is all of its
    /// version's, so latency and cancels against stable tolerate such moments unless the rule says how long
    /// or 0.
    public func comparing(endpoints: Int...) -> GuardrailSpec {
        var spec = self
        let isFew = (endpoints.min() ?? 0) < GuardrailSpec.endpointsMin
        if isRequestBet, comesInBursts, tolerated == nil, isFew {
            spec.tolerated = GuardrailSpec.toleratedByDefault
        }
        return spec
    }

    /// Endpoints without which a version's latency depends on one of them, and the ticks tolerated then.
    public static let endpointsMin = 3
    public static let toleratedByDefault = 50

    /// Which time a latency is; sequential rules know the total only.
    public var time: TimeKind {
        get { TimeKind.allCases.first { $0.label == latencyTime } ?? .total }
        set { latencyTime = newValue == .total ? nil : newValue.label }
    }

    /// `vetoWhenStableToo` is on for window rules, budgets and health and off for sequential ones unless
    /// given: a candidate that overloads what it shares with stable drags stable down too, and only an
    /// absolute rule without the veto can see it.
    public init(
        name: String, measure: Measure, rule: Rule, alpha: Double = 0.01, windowTicks: Int = 600,
        forTicks: Int = 0, minRequests: Int? = nil, minEvents: Int = 3, vetoWhenStableToo: Bool? = nil,
        action: Action = .cut, warmUpRequests: Int? = nil
    ) {
        self.name = name
        self.measure = measure
        self.rule = rule
        self.alpha = alpha
        self.windowTicks = windowTicks
        self.forTicks = forTicks
        self.minRequests = minRequests ?? (rule.isSequential && !rule.isDrift ? 1 : 100)
        self.minEvents = minEvents
        self.vetoWhenStableToo = vetoWhenStableToo ?? rule.hasVetoByDefault
        self.action = action
        self.warmUpRequests = warmUpRequests ?? 0
        if warmUpRequests == nil, isLatencyBet { self.warmUpRequests = 2_000 }
    }
}

extension GuardrailSpec {
    /// The guardrails of a candidate whose configuration names none: error rate, the latency quantiles p50
    /// and p99, answers that are not 2xx, cancels and empty answers against stable, an absolute one that
    /// sees total outages also where there is no stable traffic to compare with, and one on health, for
    /// candidates that are checked: none of their endpoints passes while stable's do. `alpha` is the whole
    /// rollout's.
    public static func defaults(alpha: Double) -> [GuardrailSpec] {
        let specs = [
            GuardrailSpec(
                name: "error_rate_worse_than_stable", measure: .errorRate,
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.5, materialDifference: 0.001)),
            GuardrailSpec(
                name: "latency_p50_worse_than_stable", measure: .latency(quantile: 0.5),
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0)),
            GuardrailSpec(
                name: "latency_p99_worse_than_stable", measure: .latency(quantile: 0.99),
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0)),
            GuardrailSpec(
                name: "outage", measure: .errorRate, rule: .sequentialAbove(0.5), minEvents: 10,
                vetoWhenStableToo: true),
            GuardrailSpec(name: "health", measure: .health, rule: .below(0.01), alpha: 0, forTicks: 10),
            GuardrailSpec(
                name: "non_2xx_worse_than_stable", measure: .non2xx,
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1, materialDifference: 0.01)),
            GuardrailSpec(
                name: "cancels_worse_than_stable", measure: .cancels,
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.5, materialDifference: 0.01)),
            GuardrailSpec(
                name: "empty_worse_than_stable", measure: .empty,
                rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1, materialDifference: 0.01)),
        ]
        return share(alpha: alpha, among: specs)
    }

    /// Splits a rollout's `alpha` over its sequential guardrails: error rates weigh 3, latencies 2, others 1
    /// (Bonferroni). Window rules keep theirs.
    public static func share(alpha: Double, among specs: [GuardrailSpec]) -> [GuardrailSpec] {
        let total = specs.reduce(0.0) { $0 + ($1.rule.isSequential ? $1.measure.alphaWeight : 0) }
        return specs.map { spec in
            var shared = spec
            if spec.rule.isSequential { shared.alpha = alpha * spec.measure.alphaWeight / total }
            return shared
        }
    }
}

// A promotion gate as configured, and what it says: the proof, from one stage's own requests, that the
// candidate is not worse than stable by more than a margin. All gates of a stage must pass, so they do not
// share an alpha: each bounds the chance of a promotion while its metric is beyond its margin.
// Source: guardrails/statistics.md, section 5.

import Metrics

/// One condition of a stage's promotion.
public struct GateSpec: Sendable, Hashable, Codable {
    /// What is compared, and so what `margin` means.
    public enum Metric: Sendable, Hashable, Codable {
        /// Failed requests; the margin is a difference of rates: 0.005 is half a percentage point.
        case errorRate
        /// Requests that failed or were not answered with 2xx; a difference of rates.
        case non2xx
        /// A quantile of the total time; 0.3 allows 30 % more than stable.
        case latency(quantile: Double)
        /// The mean of a metric posted later; a share of stable's own mean.
        case feedback(FeedbackMetric)
        /// Requests whose value is missing; a difference of rates.
        case missing(value: String)
        /// Failed requests against a constant: the margin is the rate allowed.
        case errorRateBelow
        /// A drift guardrail on this value that has seen enough and has not tripped; the margin is unused.
        case drift(value: String)

        // The names in saved states; `outcome` is what earlier releases called feedback.
        private enum CodingKeys: String, CodingKey {
            case errorRate, non2xx, latency
            case feedback = "outcome"
            case missing, errorRateBelow, drift
        }

        /// Whether the gate compares the candidate with stable; drift is compared by its guardrail.
        public var isRelative: Bool {
            switch self {
            case .errorRate, .non2xx, .latency, .feedback, .missing: true
            case .errorRateBelow, .drift: false
            }
        }
    }

    /// Unique within the stage, for example "latency_p99_not_worse".
    public var name: String
    public var metric: Metric
    public var margin: Double
    /// Chance, per stage, that the gate passes while its metric is beyond the margin.
    public var alpha: Double

    public init(name: String, metric: Metric, margin: Double, alpha: Double = 0.05) {
        self.name = name
        self.metric = metric
        self.margin = margin
        self.alpha = alpha
    }
}

/// Where a gate stands, with the numbers behind it.
public struct GateReading: Sendable, Hashable, Codable {
    public var name: String
    /// The gate as a sentence.
    public var rule: String
    /// Passed, not proven yet, or (drift only) failed.
    public var verdict: Verdict
    /// Natural log of the evidence now, and the largest so far; nil for drift.
    public var logE: Double?
    public var maxLogE: Double?
    /// Share of the way to a pass, 0...1; 1 is a pass.
    public var progress: Double
    /// The measure in its own unit: a rate or mean, for latency the share of slow requests. Nil without data.
    public var candidate: Double?
    public var stable: Double?
    /// Settled requests of the stage that the gate rests on.
    public var candidateRequests: Int
    public var stableRequests: Int
    /// The numbers in words.
    public var reason: String

    public init(
        name: String, rule: String, verdict: Verdict, logE: Double? = nil, maxLogE: Double? = nil,
        progress: Double, candidate: Double? = nil, stable: Double? = nil, candidateRequests: Int = 0,
        stableRequests: Int = 0, reason: String
    ) {
        self.name = name
        self.rule = rule
        self.verdict = verdict
        self.logE = logE
        self.maxLogE = maxLogE
        self.progress = progress
        self.candidate = candidate
        self.stable = stable
        self.candidateRequests = candidateRequests
        self.stableRequests = stableRequests
        self.reason = reason
    }
}

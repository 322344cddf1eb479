// The side of a recovery check that judges a value: after a cut for clicks, confidence, cost or missing
// fields stable's own values since the cut are held to a limit between what stable and the candidate had
// when the rule tripped. A drift has no such limit: it was a difference between two versions, and one of
// them is left.
// Place: made by control from the rule and the reading that tripped; fed by `RecoveryWatch`.
// Invariant: an answer takes `requestsMin` values and a mean beyond the limit by `errors` standard errors,
// which at any number of looks within the check's time is rarely chance.
// Source: guardrails/statistics.md, section 6.

import Metrics

/// What a recovery check has to judge beside errors.
public enum RecoveryMeasure: Sendable {
    /// Errors are what tripped, or stand for it: health, budgets, an operator's cut.
    case errors
    case latency(RecoveryLatency)
    case values(RecoveryValues)
    /// What tripped says nothing about stable alone; the sentence says why.
    case unjudged(String)

    /// The measure of a rule that tripped.
    /// - Parameter trip: its reading at the cut.
    public init(_ spec: GuardrailSpec, _ trip: GuardrailReading?, _ reference: LatencyReference) {
        switch spec.measure {
        case .errorRate, .health: self = .errors
        case .latency:
            self =
                RecoveryLatency(spec, reference, stable: trip?.stable).map { .latency($0) }
                ?? .unjudged("stable's latency at the cut is not known")
        case .feedback, .missing, .confidence, .cost:
            self =
                RecoveryValues(spec, trip).map { .values($0) }
                ?? .unjudged("stable's \(spec.measure.noun) at the cut is not known")
        case .non2xx, .cancels, .empty:
            self = .unjudged("what tripped is a difference between versions, and one of them is left")
        case .drift(let value):
            self = .unjudged("a drift of \(value) is a difference between versions, and one of them is left")
        }
    }
}

/// Stable's mean of a value since a cut.
public struct RecoveryValues: Sendable {
    let name: String
    let noun: String
    /// What the mean is held to, in the value's unit.
    let limit: Double
    /// Whether larger is worse.
    private let isHigherWorse: Bool
    private let isMissing: Bool
    private let range: ClosedRange<Double>
    /// Ticks after which values can still arrive for a request.
    let lagTicks: UInt64
    private var next: UInt64 = 0
    private(set) var count = 0
    private var sum = 0.0
    private var squares = 0.0

    /// Standard errors beyond the limit that are an answer.
    private static let errors = 3.3

    /// nil for rules over other measures, or without figures of the trip.
    public init?(_ spec: GuardrailSpec, _ trip: GuardrailReading?) {
        guard let name = spec.measure.valueName else { return nil }
        self.name = name
        noun = spec.measure.noun
        var lag: UInt64 = 0
        switch spec.measure {
        case .feedback(let metric):
            (isHigherWorse, isMissing) = (!metric.isHigherBetter, false)
            range = metric.lowest...metric.highest
            lag = (metric.windowMillis + 99) / 100
        case .missing: (isHigherWorse, isMissing, range) = (true, true, 0...1)
        case .confidence: (isHigherWorse, isMissing, range) = (false, false, 0...1)
        case .cost(_, let cap):
            (isHigherWorse, isMissing) = (true, false)
            range = 0...(cap ?? .greatestFiniteMagnitude)
        default: return nil
        }
        lagTicks = lag
        switch spec.rule {
        case .sequentialAbove(let constant), .sequentialBelow(let constant): limit = constant
        default:
            guard let ours = trip?.candidate, let theirs = trip?.stable, ours != theirs else { return nil }
            limit = (ours + theirs) / 2
        }
    }

    /// Takes in what stable's requests since the cut have come to.
    mutating func take(from: UInt64, _ values: ValueFeed) {
        next = max(next, from)
        for tick in values(name, Tick(number: next)) where tick.tick.number >= next {
            next = tick.tick.number + 1
            if isMissing {
                let missing = Double(tick.stable.missing)
                count += tick.stable.observed
                (sum, squares) = (sum + missing, squares + missing)
            } else {
                for value in tick.stable.values {
                    let clamped = min(max(value, range.lowerBound), range.upperBound)
                    count += 1
                    (sum, squares) = (sum + clamped, squares + clamped * clamped)
                }
            }
        }
    }

    var mean: Double? { count > 0 ? sum / Double(count) : nil }

    var isBetter: Bool { isBeyond(isHigherWorse ? -1 : 1) }
    var isWorse: Bool { isBeyond(isHigherWorse ? 1 : -1) }

    private func isBeyond(_ sign: Double) -> Bool {
        guard count >= RecoveryWatch.requestsMin, let mean else { return false }
        let n = Double(count)
        let variance = max(0, squares / n - mean * mean)
        return sign * (mean - limit) > Self.errors * (variance / n).squareRoot()
    }

    /// "mean clicks 0.0213 of 1,200, held to 0.0205".
    var words: String {
        "\(noun) \(mean.map { Sentence.value($0) } ?? "unknown") of \(Sentence.count(count)),"
            + " held to \(Sentence.value(limit))"
    }
}

extension GuardrailSpec.Measure {
    /// What is measured, as a noun.
    fileprivate var noun: String {
        switch self {
        case .feedback(let metric): "mean \(metric.metric)"
        case .missing(let value): "share of missing \(value)"
        case .confidence(let value), .cost(let value, _): "mean \(value)"
        case .drift(let value): value
        case .latency: "latency"
        default: "error rate"
        }
    }
}

// A rule in words, as readings and the journal carry it: "error rate above 2.0 % for 5 m, over 1 m". Made of
// the same pieces as the readings' own sentences, so that a limit and what is held to it look alike.
// Invariant: the sentence names what is measured, the limit, and either alpha or the window.

import Metrics

extension GuardrailSpec {
    /// The rule in words, as readings carry it.
    public var sentence: String {
        let lasting = forTicks > 0 ? " for \(Sentence.time(ticks: forTicks))" : ""
        let length = Sentence.time(ticks: toleratedTicks)
        let moments = toleratedTicks > 0 ? ", tolerating \(length) at times" : ""
        let both = comparedAlphaShare < 1 ? " with stable's traffic and as much without" : ""
        let surely = "\(lasting)\(moments), alpha \(Sentence.percent(alpha * comparedAlphaShare))\(both)"
        let window = "\(lasting), over \(Sentence.time(ticks: windowTicks))"
        let what = measure.words(time: time)
        switch rule {
        case .sequentialWorseThanStable(_, let ratio, let difference):
            return "\(what) worse than stable\(size(ratio, difference))\(surely)"
        case .sequentialAbove(let limit): return "\(what) above \(measure.words(limit))\(surely)"
        case .sequentialBelow(let limit): return "\(what) below \(measure.words(limit))\(surely)"
        case .windowAbove(let limit): return "\(what) above \(measure.words(limit))\(window)"
        case .windowWorseThanStable(let by):
            return "\(what) worse than stable by \(Sentence.percent(by))\(window)"
        case .sequentialDrift(let psi):
            return "\(what) drifts from stable's by a stability index of \(Sentence.value(psi))\(surely)"
        case .sequentialDriftFrom(_, let psi):
            return "\(what) drifts from the reference by a stability index of \(Sentence.value(psi))\(surely)"
        case .sequentialBurn(let budget, let burn, _):
            return "\(what) uses up a budget of \(Sentence.percent(budget)) \(Sentence.ratio(burn)) too fast"
                + surely
        case .windowBurn(let budget, let burn):
            return "\(what) uses up a budget of \(Sentence.percent(budget)) \(Sentence.ratio(burn)) too fast"
                + "\(window) and \(Sentence.time(ticks: shortWindowTicks))"
        case .below(let limit):
            let veto = vetoWhenStableToo ? " while stable's is not" : ""
            return "\(what) below \(measure.words(limit))\(lasting)\(veto)"
        }
    }

    /// How much worse a candidate must be: " by 1.5x and 0.1 % more", " by 5.0 %", " by 0.02".
    private func size(_ ratio: Double, _ difference: Double) -> String {
        switch measure {
        case .errorRate, .cancels, .latency:
            let points = difference > 0 ? " and \(Sentence.percent(difference)) more" : ""
            return " by \(Sentence.ratio(ratio))\(points)"
        case .non2xx, .empty, .missing: return " by \(Sentence.percent(difference)) of all requests"
        case .confidence: return " by \(Sentence.value(difference))"
        case .feedback, .cost, .drift, .health: return " by \(Sentence.percent(ratio - 1))"
        }
    }
}

extension GuardrailSpec.Measure {
    /// What is measured.
    fileprivate func words(time: TimeKind) -> String {
        switch self {
        case .errorRate: "error rate"
        case .non2xx: "share of 3xx and 4xx answers"
        case .cancels: "share of cancelled requests"
        case .empty: "share of empty 2xx answers"
        case .latency(let quantile):
            switch time {
            case .total, .added, .connect: "latency \(Sentence.quantile(quantile))"
            case .upstream: "upstream latency \(Sentence.quantile(quantile))"
            case .firstByte: "first-byte latency \(Sentence.quantile(quantile))"
            }
        case .feedback(let metric): "mean \(metric.metric)"
        case .drift(let value): "\(value)"
        case .missing(let value): "missing \(value)"
        case .confidence(let value), .cost(let value, _): "mean \(value)"
        case .health: "share of healthy endpoints"
        }
    }

    /// A value of the measure in words.
    func words(_ value: Double) -> String {
        switch self {
        case .errorRate, .non2xx, .cancels, .empty, .missing, .health: Sentence.percent(value)
        case .latency: Sentence.time(micros: value)
        case .feedback, .drift, .confidence, .cost: Sentence.value(value)
        }
    }
}

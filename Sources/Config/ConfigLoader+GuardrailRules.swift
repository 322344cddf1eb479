// From the keys of a guardrail to what is measured and what it is held to. Each kind says which of its keys
// make the limit, and what `worse_than_stable: true` amounts to: errors 1.5 times and 0.1 points, answers
// that are not 2xx and empty ones one point, cancels 1.5 times and one point, latency 30 %, feedback 5 %,
// missing values one point, confidence 0.02, cost 20 %.
// Source: the sizes are the defaults of guardrails/statistics.md, section 10.

import Payload
import Platform
import Rollout

/// What a guardrail measures, its rule, and its name unless it is given one.
struct GuardrailRule {
    var measure: GuardrailSpec.Measure
    var rule: GuardrailSpec.Rule
    var name: String

    /// A pinned reference cannot tell the model from its traffic: it alerts unless told otherwise.
    var isPinned: Bool {
        if case .sequentialDriftFrom = rule { true } else { false }
    }
}

extension SectionReader {
    /// The rule of a kind; nil when something is missing, which is reported.
    mutating func rule(_ keys: GuardrailKeys, _ word: GuardrailWord) -> GuardrailRule? {
        switch word {
        case .errorRate: return requestRule(.errorRate, "error_rate", keys)
        case .non2xx: return eventRule(keys, .non2xx, "non_2xx", difference: 0.01)
        case .cancels: return eventRule(keys, .cancels, "cancels", share: 0.5, difference: 0.01)
        case .empty: return eventRule(keys, .empty, "empty", difference: 0.01)
        case .latency:
            guard let quantile = needed(keys.quantile, "quantile", Kind<Double>.quantile.expected) else {
                return nil
            }
            let time = keys.time.map { $0 == .total ? "" : "_\($0.label)" } ?? ""
            return requestRule(
                .latency(quantile: quantile), "latency\(time)_\(Notation.text(quantile: quantile))", keys)
        case .feedback: return feedbackRule(keys)
        case .drift: return driftRule(keys)
        case .missing, .confidence, .cost: return valueRule(keys, word)
        case .burnRate: return burnRule(keys)
        case .health:
            guard let floor = needed(keys.below, "below", Kind<Double>.share.expected) else { return nil }
            return GuardrailRule(measure: .health, rule: .below(floor), name: "health_below")
        }
    }

    /// A value that must be there; one that is there and unreadable has been reported.
    private mutating func needed<Value>(_ value: Value?, _ key: String, _ expected: String) -> Value? {
        if value == nil, !has(key) { lacks([key], "lacks '\(key)'", expected: expected) }
        return value
    }

    /// The one limit of several that is given.
    private mutating func limit(_ keys: [String]) -> String? {
        let given = keys.filter(has)
        if given.count == 1 { return given[0] }
        let expected = "one of " + keys.joined(separator: ", ")
        if given.isEmpty {
            lacks(keys, "says nothing", expected: expected)
        } else {
            reading.report(place, "has both \(given.joined(separator: " and "))", expected: expected)
        }
        return nil
    }

    private mutating func requestRule(
        _ measure: GuardrailSpec.Measure, _ what: String, _ keys: GuardrailKeys
    ) -> GuardrailRule? {
        let isWindow = ["window", "for", "min_requests"].contains(where: has)
        let isErrors = measure == .errorRate
        let name = "\(what)_worse_than_stable"
        switch limit(["above", "worse_than_stable", "worse_than_stable_by"]) {
        case "above":
            guard let above = keys.above else { return nil }
            return GuardrailRule(
                measure: measure, rule: isWindow ? .windowAbove(above) : .sequentialAbove(above),
                name: "\(what)_above")
        case "worse_than_stable_by":
            guard let share = keys.worseBy else { return nil }
            let rule: GuardrailSpec.Rule =
                isWindow
                ? .windowWorseThanStable(by: share)
                : .sequentialWorseThanStable(
                    rho: 1, materialRatio: 1 + share, materialDifference: isErrors ? 0.001 : 0)
            return GuardrailRule(measure: measure, rule: rule, name: name)
        case .some where isWindow:
            reading.report(
                place, "a window rule has no measure of its own for worse_than_stable",
                expected: "worse_than_stable_by with a percentage, or no window, for and min_requests")
            return nil
        case .some:
            guard keys.isWorse else { return nil }
            return GuardrailRule(
                measure: measure,
                rule: .sequentialWorseThanStable(
                    rho: 1, materialRatio: isErrors ? 1.5 : 1.3, materialDifference: isErrors ? 0.001 : 0),
                name: name)
        case nil: return nil
        }
    }

    /// Sequential and against stable: by a share of stable's own, or by a difference.
    private func worse(
        _ keys: GuardrailKeys, share: Double? = nil, difference: Double? = nil
    ) -> GuardrailSpec.Rule? {
        if has("worse_than_stable_by"), keys.worseBy == nil { return nil }
        if has("worse_than_stable"), !keys.isWorse { return nil }
        return .sequentialWorseThanStable(
            rho: 1, materialRatio: share.map { 1 + (keys.worseBy ?? $0) } ?? 1,
            materialDifference: difference.map { keys.worseBy ?? $0 } ?? 0)
    }

    /// Events against stable: by a share of stable's own and at least `difference`, or by a difference alone.
    private mutating func eventRule(
        _ keys: GuardrailKeys, _ measure: GuardrailSpec.Measure, _ what: String, share: Double? = nil,
        difference: Double
    ) -> GuardrailRule? {
        guard limit(["worse_than_stable", "worse_than_stable_by"]) != nil,
            let rule = worse(keys, share: share, difference: share == nil ? difference : nil)
        else { return nil }
        guard case .sequentialWorseThanStable(let rho, let ratio, let given) = rule else { return nil }
        return GuardrailRule(
            measure: measure,
            rule: .sequentialWorseThanStable(
                rho: rho, materialRatio: ratio, materialDifference: share == nil ? given : difference),
            name: "\(what)_worse_than_stable")
    }

    private mutating func feedbackRule(_ keys: GuardrailKeys) -> GuardrailRule? {
        let limit = limit(["worse_than_stable", "worse_than_stable_by"])
        guard let metric = needed(keys.metric, "metric", Kind<String>.metric.expected), limit != nil,
            let rule = worse(keys, share: 0.05)
        else { return nil }
        return GuardrailRule(
            measure: .feedback(feedback(keys, metric)), rule: rule,
            name: "feedback_\(metric)_worse_than_stable")
    }

    /// The metric with its attribution window and its range.
    private func feedback(_ keys: GuardrailKeys, _ metric: String) -> FeedbackMetric {
        FeedbackMetric(
            metric: metric, windowMillis: (keys.window ?? .seconds(1_800)).millis,
            isHigherBetter: keys.isHigherBetter, lowest: keys.lowest, highest: keys.highest)
    }

    private mutating func driftRule(_ keys: GuardrailKeys) -> GuardrailRule? {
        guard let value = needed(keys.value, "value", "the name of one of the model's values")?.value
        else { return nil }
        let psi = keys.psi ?? 0.2
        guard let file = keys.against, file != "stable" else {
            if has("against"), keys.against == nil { return nil }
            return GuardrailRule(
                measure: .drift(value: value), rule: .sequentialDrift(psi: psi), name: "drift_\(value)")
        }
        guard let reference = reference(file) else { return nil }
        return GuardrailRule(
            measure: .drift(value: value), rule: .sequentialDriftFrom(reference, psi: psi),
            name: "drift_\(value)_from_reference")
    }

    private func reference(_ file: String) -> DriftReference? {
        let read = reading.read ?? { _, _ in .failure(FileReadProblem(reason: "nobody reads files here")) }
        let found = DriftReference.load(NamedFile.path(file, beside: reading.file), read)
        if case .failure(let problem) = found {
            reading.report(
                place, "against: \(problem.what)", value: file,
                expected:
                    "stable, or a JSON file with {\"bins\": [edges], \"counts\": [..]} or {\"values\": [..]}")
        }
        return try? found.get()
    }

    private mutating func valueRule(_ keys: GuardrailKeys, _ word: GuardrailWord) -> GuardrailRule? {
        let constant = word == .confidence ? "below" : "above"
        let limit = limit([constant, "worse_than_stable", "worse_than_stable_by"])
        guard let value = needed(keys.value, "value", "the name of one of the model's values")?.value,
            let limit
        else { return nil }
        let measure: GuardrailSpec.Measure =
            switch word {
            case .missing: .missing(value: value)
            case .confidence: .confidence(value: value)
            default: .cost(value: value, cap: keys.cap)
            }
        let name = "\(word.rawValue)_\(value)"
        if limit == constant {
            guard let bound = word == .confidence ? keys.below : keys.above else { return nil }
            return GuardrailRule(
                measure: measure,
                rule: word == .confidence ? .sequentialBelow(bound) : .sequentialAbove(bound),
                name: "\(name)_\(constant)")
        }
        let rule =
            switch word {
            case .missing: worse(keys, difference: 0.01)
            case .confidence: worse(keys, difference: 0.02)
            default: worse(keys, share: 0.2)
            }
        return rule.map { GuardrailRule(measure: measure, rule: $0, name: "\(name)_worse_than_stable") }
    }

    private mutating func burnRule(_ keys: GuardrailKeys) -> GuardrailRule? {
        let objective = needed(keys.objective, "slo", "the objective as a percentage, such as 99.9%")
        let burn = needed(keys.burn, "burn", "how many times too fast the budget may be used, such as 14.4")
        guard let objective, let burn else { return nil }
        // Parts per million: 1 - 0.999 is not 0.001.
        let budget = (1_000_000 - (objective * 1_000_000).rounded()) / 1_000_000
        if has("window") {
            if has("monthly_requests") {
                reading.report(
                    place, "has both window and monthly_requests",
                    expected: "monthly_requests without window: the cap belongs to the sequential rule")
                return nil
            }
            return GuardrailRule(
                measure: .errorRate, rule: .windowBurn(budget: budget, burn: burn), name: "burn_rate")
        }
        return GuardrailRule(
            measure: .errorRate,
            rule: .sequentialBurn(
                budget: budget, burn: burn, monthlyRequests: keys.monthlyRequests.map { Double($0) }),
            name: "burn_rate")
    }
}

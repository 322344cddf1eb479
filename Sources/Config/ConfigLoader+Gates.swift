// The promotion gates of a stage: `not_worse_than_stable`, which stands for the error rate, answers that are
// not 2xx and p99, or a list of gates.
// Invariant: every gate that is returned can be watched, and names are unique.
// Source: the margins are the defaults of guardrails/statistics.md, section 5.

import Platform
import Rollout

/// What a gate's `kind` may say.
private enum GateWord: String, CaseIterable {
    case errorRate = "error_rate"
    case non2xx = "non_2xx"
    case latency
    case feedback
    case missing
    case drift

    /// Keys beside kind, name and alpha.
    var keys: [String] {
        switch self {
        case .errorRate: ["margin", "below"]
        case .non2xx: ["margin"]
        case .latency: ["quantile", "margin"]
        case .feedback: ["metric", "window", "higher_is", "min", "max", "margin"]
        case .missing: ["value", "margin"]
        case .drift: ["value"]
        }
    }
}

/// A gate, and the entry of `values` that it looks at.
struct GateDraft {
    var spec: GateSpec
    var value: Marked<String>?
    /// Where the gate asks for feedback.
    var feedbackPlace: Place?
}

extension Kind where Value == [GateDraft] {
    /// `gates` of a stage, or of a rollout.
    static var gates: Kind {
        let expected = "not_worse_than_stable, or a list of gates"
        let list = Kind.list(of: .gate, count: 1...16)
        return Kind(expected: expected) { node in
            if let text = node.text {
                if text == "not_worse_than_stable" {
                    return GateSpec.notWorseThanStable.map { GateDraft(spec: $0) }
                }
                return node.mismatch(
                    expected: expected, suggestion: Nearest.to(text, among: ["not_worse_than_stable"]))
            }
            guard let gates = node.read(list) else { return nil }
            var seen: Set<String> = []
            for gate in gates where !seen.insert(gate.spec.name).inserted {
                node.reading.report(
                    node.place, "two gates have the name", value: gate.spec.name,
                    expected: "a `name` of its own")
            }
            return gates
        }
    }
}

extension GateSpec {
    /// Half a percentage point of errors, a point of answers that are not 2xx, 30 % of p99.
    static var notWorseThanStable: [GateSpec] {
        [
            GateSpec(name: "error_rate_not_worse", metric: .errorRate, margin: 0.005),
            GateSpec(name: "non_2xx_not_worse", metric: .non2xx, margin: 0.01),
            GateSpec(name: "latency_p99_not_worse", metric: .latency(quantile: 0.99), margin: 0.3),
        ]
    }
}

extension Kind where Value == GateDraft {
    fileprivate static var gate: Kind {
        .section("a gate: a mapping with kind and margin") { section in
            let word = section.required("kind", .word(GateWord.allCases.map(\.rawValue)))
                .flatMap(GateWord.init)
            let quantile = section.optional("quantile", .quantile)
            let metric = section.optional("metric", .metric)
            let window = section.value("window", .duration(.seconds(1) ... .days(30)), or: .seconds(1_800))
            let isHigherBetter =
                section.value("higher_is", .word(["better", "worse"]), or: "better") == "better"
            let (lowest, highest) = (
                section.value("min", .number(), or: 0), section.value("max", .number(), or: 1)
            )
            let value = section.optional("value", .marked(.name))
            let margin = section.optional("margin", .percentage(1...10_000_000)).map {
                Double($0) / 1_000_000
            }
            let below = section.optional("below", .share)
            let name = section.optional("name", .name)
            let alpha = section.value("alpha", .percentage(1...500_000), or: 50_000)
            guard let word, section.fits(word) else { return nil }
            var draft = GateDraft(spec: GateSpec(name: "", metric: .errorRate, margin: margin ?? 0.005))
            switch word {
            case .errorRate:
                draft.spec.name = "error_rate_not_worse"
                if let below {
                    draft.spec = GateSpec(name: "error_rate_below", metric: .errorRateBelow, margin: below)
                }
            case .non2xx:
                draft.spec = GateSpec(name: "non_2xx_not_worse", metric: .non2xx, margin: margin ?? 0.01)
            case .latency:
                guard let quantile = section.given(quantile, "quantile") else { return nil }
                draft.spec = GateSpec(
                    name: "latency_\(Notation.text(quantile: quantile))_not_worse",
                    metric: .latency(quantile: quantile), margin: margin ?? 0.3)
            case .feedback:
                guard let metric = section.given(metric, "metric") else { return nil }
                let feedback = FeedbackMetric(
                    metric: metric, windowMillis: window.millis, isHigherBetter: isHigherBetter,
                    lowest: lowest,
                    highest: highest)
                draft.feedbackPlace = section.place
                draft.spec = GateSpec(
                    name: "feedback_\(metric)_not_worse", metric: .feedback(feedback), margin: margin ?? 0.05)
            case .missing, .drift:
                guard let value = section.given(value, "value") else { return nil }
                draft.value = value
                draft.spec =
                    word == .drift
                    ? GateSpec(name: "drift_\(value.value)", metric: .drift(value: value.value), margin: 0)
                    : GateSpec(
                        name: "missing_\(value.value)_not_worse", metric: .missing(value: value.value),
                        margin: margin ?? 0.01)
            }
            draft.spec.name = name ?? draft.spec.name
            draft.spec.alpha = Double(alpha) / 1_000_000
            if let problem = draft.spec.problem {
                section.reading.report(section.place, "cannot be watched: \(problem)")
                return nil
            }
            return draft
        }
    }
}

extension SectionReader {
    /// Reports keys that the kind does not have.
    fileprivate func fits(_ word: GateWord) -> Bool {
        let all = Set(GateWord.allCases.flatMap(\.keys))
        let strange = all.filter(has).filter { !word.keys.contains($0) }.sorted()
        if !strange.isEmpty {
            reading.report(
                place, "a gate of kind \(word.rawValue) has no \(strange.joined(separator: ", "))",
                expected: "of these: " + word.keys.joined(separator: ", "))
        } else if word == .errorRate, has("margin"), has("below") {
            reading.report(place, "has both margin and below", expected: "one of the two")
            return false
        }
        return strange.isEmpty
    }

    /// A value that the kind needs; one that is there and unreadable has been reported.
    fileprivate mutating func given<Value>(_ value: Value?, _ key: String) -> Value? {
        if value == nil, !has(key) { lacks([key], "lacks '\(key)'", expected: "a gate with \(key)") }
        return value
    }
}

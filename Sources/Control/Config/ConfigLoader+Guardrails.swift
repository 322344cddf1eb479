// The section of a guardrail. Two families share its keys: sequential rules, which are watched continuously
// and whose false trips `alpha` bounds, and window rules as the industry writes them. `window`, `for` or
// `min_requests` make a window rule; without them a rule is sequential.

import Metrics
import Platform
import Proxy
import Rollout

/// A guardrail, and whether it has an alpha of its own or shares the model's.
struct GuardrailDraft {
    var spec: GuardrailSpec
    var hasOwnAlpha: Bool
}

/// What `kind` may say.
private enum MeasureWord: String, CaseIterable {
    case errorRate = "error_rate"
    case latency
}

extension Kind where Value == GuardrailDraft {
    static var guardrail: Kind {
        .section("a guardrail: a mapping with kind and above, worse_than_stable or worse_than_stable_by") {
            section in
            let word = section.required("kind", .word(MeasureWord.allCases.map(\.rawValue)))
                .flatMap(MeasureWord.init)
            let measure = section.measure(word)
            let bound = section.bound(word)
            let window = section.optional("window", .duration(.seconds(1) ... .seconds(3_600)))
            let hold = section.optional("for", .duration(.zero ... .days(1)))
            let requests = section.optional("min_requests", .count(1...1_000_000_000))
            let alpha = section.optional("alpha", .percentage(1...500_000))
            let action = section.value("action", .word(["cut", "alert"]), or: "cut")
            let name = section.optional("name", .name)
            let windowKeys = ["window", "for", "min_requests"].filter(section.has)
            if section.has("alpha"), !windowKeys.isEmpty {
                section.reading.report(
                    section.place, "has both alpha and \(windowKeys.joined(separator: ", "))",
                    expected: "alpha for a sequential rule, or window, for and min_requests for a window rule"
                )
            }
            guard let measure, let bound,
                let rule = section.rule(bound, measure, isWindow: !windowKeys.isEmpty)
            else { return nil }
            let spec = GuardrailSpec(
                name: name ?? standardName(measure, bound), measure: measure, rule: rule,
                alpha: alpha.map { Double($0) / 1_000_000 } ?? 0.01,
                windowTicks: window.map(ticks) ?? 600, forTicks: hold.map(ticks) ?? 0,
                minRequests: requests, action: GuardrailSpec.Action(rawValue: action) ?? .cut)
            return GuardrailDraft(spec: spec, hasOwnAlpha: alpha != nil)
        }
    }

    /// `error_rate_above`, `latency_p99_worse_than_stable`.
    private static func standardName(_ measure: GuardrailSpec.Measure, _ bound: GuardrailBound) -> String {
        let what =
            switch measure {
            case .errorRate: "error_rate"
            case .latency(let quantile): "latency_\(Notation.text(quantile: quantile))"
            }
        return switch bound {
        case .above: "\(what)_above"
        case .worse, .worseBy: "\(what)_worse_than_stable"
        }
    }

    /// Ticks of 100 ms, rounded up.
    private static func ticks(_ interval: Interval) -> Int { Int((interval.millis + 99) / 100) }
}

/// What a guardrail holds the candidate to.
private enum GuardrailBound {
    /// A rate 0...1, or microseconds.
    case above(Double)
    case worse
    /// 0.3 is 30 %.
    case worseBy(Double)
}

extension SectionReader {
    fileprivate mutating func measure(_ word: MeasureWord?) -> GuardrailSpec.Measure? {
        let quantile = optional("quantile", .quantile)
        switch word {
        case .errorRate:
            if has("quantile") {
                reading.report(
                    place, "an error_rate guardrail has a quantile", expected: "quantile with kind: latency")
            }
            return .errorRate
        case .latency:
            if !has("quantile") {
                reading.report(place, "lacks 'quantile'", expected: Kind<Double>.quantile.expected)
            }
            return quantile.map { .latency(quantile: $0) }
        case nil: return nil
        }
    }

    fileprivate mutating func bound(_ word: MeasureWord?) -> GuardrailBound? {
        let above: Double? =
            switch word {
            case .errorRate:
                optional("above", .percentage(1...999_999)).map { Double($0) / 1_000_000 }
            case .latency:
                optional("above", .duration(.millis(1) ... .seconds(3_600))).map { Double($0.micros) }
            case nil: optional("above", Kind<Double>.unread)
            }
        let worse = optional("worse_than_stable", .onlyTrue)
        let by = optional("worse_than_stable_by", .percentage(10_000...100_000_000))
        return only(
            [
                above.map { .above($0) }, worse.map { _ in .worse },
                by.map { .worseBy(Double($0) / 1_000_000) },
            ], of: ["above", "worse_than_stable", "worse_than_stable_by"])
    }

    fileprivate func rule(
        _ bound: GuardrailBound, _ measure: GuardrailSpec.Measure, isWindow: Bool
    ) -> GuardrailSpec.Rule? {
        let isErrors = measure == .errorRate
        switch bound {
        case .above(let value): return isWindow ? .windowAbove(value) : .sequentialAbove(value)
        case .worseBy(let share) where isWindow: return .windowWorseThanStable(by: share)
        case .worseBy(let share):
            return .sequentialWorseThanStable(
                rho: 1, materialRatio: 1 + share, materialDifference: isErrors ? 0.001 : 0)
        case .worse where isWindow:
            reading.report(
                place, "a window rule has no measure of its own for worse_than_stable",
                expected: "worse_than_stable_by with a percentage, or no window, for and min_requests")
            return nil
        case .worse:
            return .sequentialWorseThanStable(
                rho: 1, materialRatio: isErrors ? 1.5 : 1.3, materialDifference: isErrors ? 0.001 : 0)
        }
    }
}

extension Kind where Value == Double {
    /// `p50`, `p99`, `p99.9`.
    fileprivate static var quantile: Kind {
        let expected = "a quantile such as p50, p99 or p99.9"
        return Kind(expected: expected) { node in
            guard let text = node.text, text.first == "p",
                text.dropFirst().allSatisfy({ ("0"..."9").contains($0) || $0 == "." }),
                let percent = Double(text.dropFirst()), percent >= 1, percent <= 99.99
            else {
                let meant = node.text.flatMap(Double.init).map {
                    "p\(Notation.text(percent: $0 < 1 ? $0 * 100 : $0))"
                }
                return node.mismatch(expected: expected, suggestion: meant)
            }
            // Two decimals; dividing last makes p99.9 the same number as 0.999.
            return (percent * 100).rounded() / 10_000
        }
    }

    /// A value whose kind is unknown because another key is wrong: looked at when that one is right.
    fileprivate static var unread: Kind { Kind(expected: "a threshold") { _ in nil } }
}

extension Kind where Value == Bool {
    fileprivate static var onlyTrue: Kind {
        Kind(expected: "true, or no such key") { node in
            node.text == "true" ? true : node.mismatch(expected: "true, or no such key")
        }
    }
}

extension Notation {
    /// `p99`, `p99.9`.
    static func text(quantile: Double) -> String { "p" + text(percent: quantile * 100) }

    fileprivate static func text(percent: Double) -> String {
        let scaled = Int((percent * 100).rounded())
        var text = "\(scaled / 100)"
        if scaled % 100 != 0 {
            text += ".\(scaled % 100 / 10)"
            if scaled % 10 != 0 { text += "\(scaled % 10)" }
        }
        return text
    }
}

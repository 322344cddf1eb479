// The section of a guardrail: all its keys, and which of them go with its kind. What a kind makes of them
// stands in ConfigLoader+GuardrailRules. Two families share the keys of errors and latency: sequential rules,
// which are watched continuously and whose false trips `alpha` bounds, and window rules as the industry
// writes them; there `window`, `for` or `min_requests` make a window rule.
//
// Invariant: every key is read before any is judged, so that one wrong value does not make others unknown.

import Metrics
import Platform
import Proxy
import Rollout

/// A guardrail, and whether it has an alpha of its own or shares the model's.
struct GuardrailDraft {
    var spec: GuardrailSpec
    var hasOwnAlpha: Bool
    var hasOwnAction = false
    /// The entry of `values` that it watches, and where that is said.
    var value: Marked<String>?
}

/// What `kind` may say.
enum GuardrailWord: String, CaseIterable {
    case errorRate = "error_rate"
    case non2xx = "non_2xx"
    case cancels
    case empty
    case latency
    case feedback
    case drift
    case missing
    case confidence
    case cost
    case burnRate = "burn_rate"
    case health

    /// Keys beside those that every kind has.
    var keys: [String] {
        let relative = ["worse_than_stable", "worse_than_stable_by", "alpha", "for", "min_requests"]
        switch self {
        case .errorRate: return ["above", "window", "tolerates", "without_stable"] + relative
        case .non2xx, .cancels, .empty: return ["tolerates", "without_stable"] + relative
        case .latency:
            let own = ["quantile", "time", "above", "window", "tolerates", "warm_up", "without_stable"]
            return own + relative
        case .feedback: return ["metric", "window", "higher_is", "min", "max"] + relative
        case .drift: return ["value", "against", "psi", "alpha", "for", "min_requests"]
        case .missing: return ["value", "above"] + relative
        case .confidence: return ["value", "below"] + relative
        case .cost: return ["value", "above", "cap"] + relative
        case .burnRate: return ["slo", "burn", "monthly_requests", "window", "alpha", "for", "min_requests"]
        case .health: return ["below", "for"]
        }
    }

    /// Errors and latency have window rules with the keys of sequential ones.
    var isOfRequests: Bool { self == .errorRate || self == .latency }
}

/// The keys of a guardrail as read.
struct GuardrailKeys {
    var place: Place
    var given: Set<String> = []
    var quantile: Double?
    var time: TimeKind?
    var above: Double?
    var below: Double?
    var isWorse = false
    var worseBy: Double?
    var window: Interval?
    var lasting: Interval?
    var tolerates: Interval?
    var warmUp: Int?
    var withoutStable: GuardrailSpec.WithoutStable?
    var requests: Int?
    var alpha: Double?
    var metric: String?
    var isHigherBetter = true
    var lowest = 0.0
    var highest = 1.0
    var value: Marked<String>?
    var against: String?
    var psi: Double?
    var cap: Double?
    var objective: Double?
    var burn: Double?
    var monthlyRequests: Int?

    /// Ticks of 100 ms, rounded up.
    static func ticks(_ interval: Interval) -> Int { Int((interval.millis + 99) / 100) }
}

extension Kind where Value == GuardrailDraft {
    static var guardrail: Kind {
        .section("a guardrail: a mapping with kind and what it is held to") { section in
            let word = section.required("kind", .word(GuardrailWord.allCases.map(\.rawValue)))
                .flatMap(GuardrailWord.init)
            let keys = section.guardrailKeys(word)
            let action = section.optional("action", .word(["cut", "hold", "alert"]))
            let name = section.optional("name", .name)
            let isDryRun = section.value("dry_run", .flag, or: false)
            let runbook = section.optional("runbook_url", .url)
            guard let word, section.fits(keys, word), let rule = section.rule(keys, word) else { return nil }
            let standard: GuardrailSpec.Action = rule.isPinned ? .alert : .cut
            var spec = GuardrailSpec(
                name: name ?? rule.name, measure: rule.measure, rule: rule.rule, alpha: keys.alpha ?? 0.01,
                windowTicks: word == .feedback ? 600 : keys.window.map(GuardrailKeys.ticks) ?? 600,
                forTicks: keys.lasting.map(GuardrailKeys.ticks) ?? 0, minRequests: keys.requests,
                action: action.flatMap(GuardrailSpec.Action.init) ?? standard)
            spec.isDryRun = isDryRun
            spec.runbookURL = runbook
            spec.time = keys.time ?? .total
            if let tolerated = keys.tolerates { spec.toleratedTicks = GuardrailKeys.ticks(tolerated) }
            if let warmUp = keys.warmUp { spec.warmUpRequests = warmUp }
            if let word = keys.withoutStable { spec.withoutStable = word }
            if let problem = spec.problem {
                section.reading.report(section.place, "cannot be watched: \(problem)")
                return nil
            }
            return GuardrailDraft(
                spec: spec, hasOwnAlpha: keys.alpha != nil, hasOwnAction: action != nil, value: keys.value)
        }
    }
}

extension SectionReader {
    /// Reads every key that some kind has.
    fileprivate mutating func guardrailKeys(_ word: GuardrailWord?) -> GuardrailKeys {
        var keys = GuardrailKeys(place: place)
        keys.quantile = optional("quantile", .quantile)
        keys.time = optional("time", .word(["total", "upstream", "first_byte"])).flatMap { word in
            TimeKind.allCases.first { $0.label == word }
        }
        keys.above = above(word)
        keys.below = optional("below", word == .health ? .share : .number(over: 0))
        keys.isWorse = optional("worse_than_stable", .onlyTrue) ?? false
        keys.worseBy = worseBy(word)
        let longest = word == .feedback ? Interval.days(30) : .seconds(3_600)
        keys.window = optional("window", .duration(.seconds(1)...longest))
        keys.lasting = optional("for", .duration(.zero ... .days(1)))
        keys.tolerates = optional("tolerates", .duration(.zero ... .seconds(60)))
        keys.warmUp = optional("warm_up", .count(0...1_000_000_000))
        keys.withoutStable = optional(
            "without_stable", .word(GuardrailSpec.WithoutStable.allCases.map(\.rawValue))
        ).flatMap(GuardrailSpec.WithoutStable.init)
        keys.requests = optional("min_requests", .count(1...1_000_000_000))
        keys.alpha = optional("alpha", .percentage(1...500_000)).map { Double($0) / 1_000_000 }
        keys.metric = optional("metric", .metric)
        keys.isHigherBetter = value("higher_is", .word(["better", "worse"]), or: "better") == "better"
        keys.lowest = value("min", .number(), or: 0)
        keys.highest = value("max", .number(), or: 1)
        keys.value = optional("value", .marked(.name))
        keys.against = optional("against", .text("stable, or the path of a reference file"))
        keys.psi = optional("psi", .number(over: 0))
        keys.cap = optional("cap", .number(over: 0))
        keys.objective = optional("slo", .percentage(1...999_999)).map { Double($0) / 1_000_000 }
        keys.burn = optional("burn", .number(over: 0))
        keys.monthlyRequests = optional("monthly_requests", .count(1...1_000_000_000_000))
        let all = Set(GuardrailWord.allCases.flatMap(\.keys))
        keys.given = all.filter(has)
        return keys
    }

    private mutating func above(_ word: GuardrailWord?) -> Double? {
        switch word {
        case .errorRate, .missing:
            optional("above", .percentage(1...999_999)).map { Double($0) / 1_000_000 }
        case .latency:
            optional("above", .latency(.millis(1) ... .seconds(3_600))).map { Double($0.micros) }
        case .cost: optional("above", .number(over: 0))
        case .non2xx, .cancels, .empty, .feedback, .drift, .confidence, .burnRate, .health, nil:
            optional("above", .unread)
        }
    }

    private mutating func worseBy(_ word: GuardrailWord?) -> Double? {
        let share: ClosedRange<UInt32> =
            switch word {
            case .non2xx, .empty, .missing: 1...999_999
            case .feedback: 1_000...999_999
            default: 10_000...100_000_000
            }
        guard word != .confidence else { return optional("worse_than_stable_by", .number(over: 0)) }
        return optional("worse_than_stable_by", .percentage(share)).map { Double($0) / 1_000_000 }
    }

    /// Reports keys that the kind does not have, and those that exclude each other.
    fileprivate func fits(_ keys: GuardrailKeys, _ word: GuardrailWord) -> Bool {
        let strange = keys.given.subtracting(word.keys).sorted()
        if !strange.isEmpty {
            reading.report(
                place, "kind \(word.rawValue) has no \(strange.joined(separator: ", "))",
                expected: "of these: " + word.keys.joined(separator: ", "))
        }
        var isWindow: [String] = []
        if word.isOfRequests { isWindow = ["window", "for", "min_requests"].filter(has) }
        if word == .burnRate { isWindow = ["window"].filter(has) }
        if has("alpha"), !isWindow.isEmpty {
            reading.report(
                place, "has both alpha and \(isWindow.joined(separator: ", "))",
                expected: "alpha for a sequential rule, or window, for and min_requests for a window rule")
        }
        return strange.isEmpty
    }
}

extension Kind where Value == Double {
    /// `p50`, `p99`, `p99.9`.
    static var quantile: Kind {
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

    /// A plain number, such as `0.002`; above `bound` if one is given.
    static func number(over bound: Double? = nil) -> Kind {
        let expected = "a number" + (bound.map { " above \(Int($0))" } ?? "") + ", such as 0.25"
        return Kind(expected: expected) { node in
            guard let text = node.text, let first = text.utf8.first,
                first == UInt8(ascii: "-") || (0x30...0x39).contains(first), text.utf8.count <= 32,
                let number = Double(text), number.isFinite, number.magnitude < 1e15,
                bound.map({ number > $0 }) ?? true
            else { return node.mismatch(expected: expected) }
            return number
        }
    }

    /// `50%` as 0.5.
    static var share: Kind {
        Kind<UInt32>.percentage(1...999_999).map { Double($0) / 1_000_000 }
    }

    /// A value that the kind does not have, or whose kind is unknown because `kind` is wrong.
    fileprivate static var unread: Kind { Kind(expected: "a threshold") { _ in nil } }
}

extension Kind where Value == Bool {
    static var onlyTrue: Kind {
        Kind(expected: "true, or no such key") { node in
            node.text == "true" ? true : node.mismatch(expected: "true, or no such key")
        }
    }
}

extension Kind where Value == String {
    /// The name under which feedback of a metric is posted.
    static var metric: Kind {
        let expected = "a metric's name of letters, digits and . _ -, at most 64"
        return Kind(expected: expected) { node in
            guard let text = node.text, (1...64).contains(text.utf8.count),
                text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) })
            else { return node.mismatch(expected: expected) }
            return text
        }
    }

    /// A link for people.
    static var url: Kind {
        let expected = "a link that starts with https:// or http://"
        return Kind(expected: expected) { node in
            guard let text = node.text, text.hasPrefix("https://") || text.hasPrefix("http://"),
                text.utf8.count <= 2_048, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
            else { return node.mismatch(expected: expected) }
            return text
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

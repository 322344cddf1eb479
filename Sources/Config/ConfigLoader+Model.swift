// The section of a model, read into a draft: values with their places, because most of what can be wrong
// with a model lies between its keys and is checked afterwards (`ModelChecks`), with every value at hand.
// Invariant: a draft keeps the names of versions that could not be read, so that one bad endpoint does not
// make every reference to its version an unknown name.

import Platform
import Proxy
import Rollout

/// A model as read, before its names are checked against each other.
struct ModelDraft {
    var place: Place
    var name: Marked<String>?
    /// nil: given, but unreadable.
    var matches: [Marked<RouteMatch>]?
    /// nil: missing or unreadable as a whole.
    var versions: [TableEntry<VersionConfig>]?
    var stable: Marked<String>?
    var namesStable: Bool
    var candidates: [Marked<String>]
    /// Names the candidate in place of the file.
    var source: SourceDraft?
    /// Whether `candidate` is there and cannot be read, so that nothing can be said of who is one.
    var isCandidateUnreadable: Bool
    var weights: Marked<[TableEntry<UInt32>]>?
    var sticky: StickyDraft
    var cohorts: [CohortDraft]
    var shadow: ShadowDraft?
    var timeouts: Timeouts
    var retries: RetryPlan
    var shield: Bool
    var clientHalfClose: ClientHalfClose
    var clientErrors: ClientErrors
    var response: ResponseHeadersDraft
    /// nil: none are written, so the defaults are in force; an empty list means none at all.
    var guardrails: [Marked<GuardrailDraft>]?
    var alpha: Double
    var coolDown: Interval
    var values: ValuesConfig
    var captures: CapturesConfig?
    var rollout: RolloutDraft?
    var preflight: PreflightConfig?
    var runbookURL: String?
}

struct StickyDraft {
    var keys: [StickyKey] = []
    var salt: String?
}

struct CohortDraft {
    var name: Marked<String>
    var conditions: [Condition]
    var version: Marked<String>
}

struct ShadowDraft {
    var version: Marked<String>
    var config: ShadowConfig
}

struct ResponseHeadersDraft {
    var version = true
    var id = false
    var epoch = false
}

extension Kind where Value == ModelDraft {
    static var model: Kind {
        .section("a model: a mapping with name, versions and stable") { section in
            let name = section.required("name", .marked(.name))
            let given = section.optional("match", .oneOrMany(.marked(.match), max: 256))
            let matches = section.has("match") ? given : [Marked(.everything)]
            let versions = section.required("versions", .versions)
            let namesStable = section.has("stable")
            let stable = section.optional("stable", .marked(.name))
            let (candidates, source) = section.candidates()
            let weights = section.optional("weights", .marked(.weights))
            let rollout = section.optional("rollout", .rollout)
            let preflight = section.optional("preflight", .preflight)
            let runbookURL = section.optional("runbook_url", .runbookURL)
            if section.has("rollout"), section.has("weights") {
                section.reading.report(
                    section.place, "has both rollout and weights",
                    expected: "weights for a fixed split, or rollout, which moves them")
            }
            let sticky = section.value("sticky", .sticky, or: StickyDraft())
            let cohorts = section.value(
                "cohorts", .list(of: .cohort, count: 0...Limits.cohortsPerModelMax), or: [])
            let shadow = section.optional("shadow", .shadow)
            let timeouts = section.value("timeouts", .timeouts, or: Timeouts())
            let retries = section.value("retries", .retries, or: RetryPlan())
            let shield = section.value("shield", .flag, or: true)
            let halfClose = section.optional("client_half_close", .word(["cancel", "ignore"]))
            let clientErrors = section.optional("client_errors", .word(["count", "ignore"]))
            let response = section.value("response_headers", .responseHeaders, or: ResponseHeadersDraft())
            let guardrails = section.optional("guardrails", .guardrails)
            let alpha = section.value("alpha", .percentage(1...500_000), or: 10_000)
            let coolDown = section.value(
                "cool_down", .duration(.zero ... .days(30)), or: .seconds(600))
            var values = ValuesConfig()
            values.all = section.value("values", .values, or: [])
            values.samplePPM = section.value(
                "values_sample", .percentage(1...1_000_000), or: values.samplePPM)
            return ModelDraft(
                place: section.place, name: name, matches: matches, versions: versions, stable: stable,
                namesStable: namesStable, candidates: candidates, source: source,
                isCandidateUnreadable: section.has("candidate") && candidates.isEmpty && source == nil,
                weights: weights, sticky: sticky, cohorts: cohorts, shadow: shadow, timeouts: timeouts,
                retries: retries, shield: shield,
                clientHalfClose: halfClose.flatMap(ClientHalfClose.init) ?? .cancel,
                clientErrors: clientErrors.flatMap(ClientErrors.init) ?? .ignore,
                response: response, guardrails: guardrails, alpha: Double(alpha) / 1_000_000,
                coolDown: coolDown, values: values, captures: section.optional("captures", .captures),
                rollout: rollout, preflight: preflight, runbookURL: runbookURL)
        }
    }
}

extension SectionReader {
    /// `candidate: v2`, `candidate: { mlflow: … }` or `candidates: [v2, v3]`.
    fileprivate mutating func candidates() -> (named: [Marked<String>], source: SourceDraft?) {
        let one = optional("candidate", .candidate)
        let several = optional("candidates", .list(of: .marked(.name), count: 0...Limits.versionsPerModelMax))
        if has("candidate"), has("candidates") {
            reading.report(
                place, "has both candidate and candidates", expected: "one of the two")
        }
        switch one {
        case .named(let name): return ([name] + (several ?? []), nil)
        case .source(let source): return (several ?? [], source)
        case nil: return (several ?? [], nil)
        }
    }
}

extension Kind where Value == [Marked<GuardrailDraft>] {
    /// A list, possibly empty, or the word for it.
    fileprivate static var guardrails: Kind {
        let list = Kind.list(of: .marked(.guardrail), count: 0...64)
        let expected = "\(list.expected), or none"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.read(list) }
            return text == "none" ? [] : node.mismatch(expected: expected)
        }
    }
}

extension Kind where Value == [TableEntry<UInt32>] {
    fileprivate static var weights: Kind {
        .table("a mapping from version to percentage", names: .name, of: .percentage())
    }
}

extension Kind where Value == StickyDraft {
    fileprivate static var sticky: Kind {
        .section("a mapping with keys") { section in
            let keys = section.required("keys", .list(of: .stickyKey, count: 1...16))
            let salt = section.optional("salt", .text("any text"))
            return keys.map { StickyDraft(keys: $0, salt: salt) }
        }
    }
}

extension Kind where Value == StickyKey {
    fileprivate static var stickyKey: Kind {
        let section = Kind.section("header, cookie, query or client_address") { section in
            let keys: [StickyKey?] = [
                section.optional("header", .headerName).map { .header($0) },
                section.optional("cookie", .cookieName).map { .cookie($0) },
                section.optional("query", .text("the name of a query parameter")).map { .query($0) },
            ]
            return section.only(keys, of: ["header", "cookie", "query"])
        }
        let expected = "{header: name}, {cookie: name}, {query: name} or client_address"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.read(section) }
            if text == "client_address" { return .clientAddress }
            return node.mismatch(expected: expected, suggestion: Nearest.to(text, among: ["client_address"]))
        }
    }
}

extension SectionReader {
    /// The one alternative that the file has; reports when it has none or several.
    mutating func only<Value>(_ values: [Value?], of keys: [String]) -> Value? {
        let present = keys.filter(has)
        let expected = "one of " + keys.joined(separator: ", ")
        if present.isEmpty {
            lacks(keys, "says nothing", expected: expected)
            return nil
        }
        if present.count > 1 {
            reading.report(
                place, "has both \(present.joined(separator: " and "))", expected: expected)
            return nil
        }
        return values.compactMap { $0 }.first
    }
}

extension Kind where Value == CohortDraft {
    fileprivate static var cohort: Kind {
        .section("a cohort: a mapping with name, when and version") { section in
            let name = section.required("name", .marked(.name))
            let conditions = section.required("when", .conditions)
            let version = section.required("version", .marked(.name))
            guard let name, let version else { return nil }
            return CohortDraft(name: name, conditions: conditions ?? [], version: version)
        }
    }
}

extension Kind where Value == ShadowDraft {
    fileprivate static var shadow: Kind {
        .section("a shadow: a mapping with version") { section in
            let version = section.required("version", .marked(.name))
            let percent = section.value("percent", .percentage(), or: 1_000_000)
            let conditions = section.value("when", .conditions, or: [])
            let body = section.value("max_body", .size(0...(1 << 30)), or: 1 << 20)
            let inFlight = section.value("max_in_flight", .count(0...1_000_000), or: 256)
            let timeout = section.value(
                "timeout", .duration(.millis(1) ... .days(1)), or: .seconds(10))
            guard let version else { return nil }
            let config = ShadowConfig(
                version: version.value, ppm: percent, conditions: conditions, bodyBytesMax: body,
                inFlightMax: inFlight, ageMax: timeout)
            return ShadowDraft(version: version, config: config)
        }
    }
}

extension Kind where Value == Timeouts {
    fileprivate static var timeouts: Kind {
        .section("a mapping of time limits") { section in
            let standard = Timeouts()
            let range = Interval.millis(1)...Interval.days(1)
            return Timeouts(
                connect: section.value("connect", .duration(range), or: standard.connect),
                firstByte: section.value("first_byte", .duration(range), or: standard.firstByte),
                idle: section.value("idle", .duration(range), or: standard.idle))
        }
    }
}

extension Kind where Value == RetryPlan {
    fileprivate static var retries: Kind {
        .section("a mapping with attempts, budget and non_idempotent") { section in
            let standard = RetryPlan()
            return RetryPlan(
                attemptsMax: section.value("attempts", .count(0...10), or: standard.attemptsMax),
                budgetPPM: section.value("budget", .percentage(), or: standard.budgetPPM),
                nonIdempotent: section.value("non_idempotent", .flag, or: standard.nonIdempotent))
        }
    }
}

extension Kind where Value == ResponseHeadersDraft {
    fileprivate static var responseHeaders: Kind {
        .section("a mapping with version, id and epoch") { section in
            ResponseHeadersDraft(
                version: section.value("version", .flag, or: true), id: section.value("id", .flag, or: false),
                epoch: section.value("epoch", .flag, or: false))
        }
    }
}

extension RouteMatch {
    /// Every request on every host.
    static let everything = RouteMatch(host: nil, path: .prefix("/"))
}

extension Interval {
    static func days(_ count: UInt64) -> Interval { .seconds(count * 86_400) }
}

// A described request and what assignment does with it, for `weir explain`: the plan is made from the config,
// with the weights and quarantine of a running Weir where its status is given, and asked by the tables that
// cores use.

import Config
import Control
import Payload
import Platform
import Proxy
import Rollout

/// A request as a person describes it.
package struct ExplainRequest: Sendable {
    var method: String
    /// Path and query.
    var path: String
    var host: String
    var headers: [(name: String, value: String)]
    var client: IPAddress

    init(
        method: String = "GET", path: String, host: String = "localhost",
        headers: [(name: String, value: String)] = [], client: IPAddress = .none
    ) {
        self.method = method
        self.path = path
        self.host = host
        self.headers = headers
        self.client = client
    }

    /// - Parameter clientText: the client's address as a person writes it; nil when it is none.
    package init?(
        method: String, path: String, host: String, headers: [(name: String, value: String)],
        clientText: String
    ) {
        guard let client = IPAddress(clientText) else { return nil }
        self.init(method: method, path: path, host: host, headers: headers, client: client)
    }

    /// The explanation under a config.
    /// - Parameter status: the JSON of a running Weir's /status: its weights, its quarantine and the
    ///   candidates that registries have named to it then count.
    package func answer(config: Config, status: JSON?) throws(PlanProblem) -> ExplainAnswer {
        var slots = SlotTable()
        let plan = try PlanBuilder.plan(
            from: config.naming(status), slots: &slots, overrides: PlanOverrides(status: status), epoch: 1)
        let explainer = Explainer(models: plan.models, trusted: config.trusted, limits: config.limits)
        return ExplainAnswer(
            explainer.explain(method: method, path: path, host: host, headers: headers, client: client),
            isLive: status != nil)
    }
}

extension Config {
    /// The config with the candidates that registries have named to the Weir of that status page.
    fileprivate func naming(_ status: JSON?) -> Config {
        var config = self
        for page in status?["models"]?.elements ?? [] {
            guard let i = models.firstIndex(where: { $0.name == page["name"]?.string }),
                models[i].source != nil
            else { continue }
            let named = page["candidates"]?.elements.compactMap(\.string) ?? []
            config.models[i].candidates = named.filter { models[i].version($0) != nil }
        }
        return config
    }
}

extension PlanOverrides {
    /// The weights in force and the quarantine that a status page shows; nothing without one.
    init(status: JSON?) {
        self.init()
        for model in status?["models"]?.elements ?? [] {
            guard let name = model["name"]?.string else { continue }
            var shares: [String: UInt32] = [:]
            for version in model["versions"]?.elements ?? [] {
                guard let version = version["name"]?.string,
                    let ppm = model["weights"]?[version]?.string.flatMap({ try? Notation.percentage($0) })
                else { continue }
                shares[version] = ppm
            }
            weights[name] = shares
            quarantined[name] = Set(model["quarantined"]?.members.map(\.name) ?? [])
        }
    }
}

/// An explanation, for people and for machines.
package struct ExplainAnswer: Sendable {
    private let explanation: Explanation
    private let isLive: Bool

    init(_ explanation: Explanation, isLive: Bool) {
        self.explanation = explanation
        self.isLive = isLive
    }

    /// One sentence per step, the answer last.
    package var lines: [String] {
        var lines: [String] = []
        if !isLive {
            lines.append("from the config, not from a running Weir; --admin names one with another config")
        }
        if let model = explanation.model { lines.append("model \(model)") }
        let (place, trust) =
            explanation.isTrusted ? ("in", "are believed") : ("not in", "are ignored")
        lines.append(
            "client \(explanation.client); the caller is \(place) trusted_proxies, so its x-forwarded-for"
                + " and x-weir-version \(trust)")
        if let forced { lines.append(forced) }
        lines += explanation.cohorts.map(Self.line)
        lines += explanation.keys.map { key in
            "sticky key \(key.key.text): " + (key.found.map { "'\($0)'" } ?? "not in the request")
        }
        if !explanation.shares.isEmpty {
            let weights = explanation.shares.map {
                "\($0.version) \(Notation.text(ppm: $0.weightPPM))\($0.mark)"
            }
            lines.append(
                "split\(isLive ? " in force" : " by the config"): " + weights.joined(separator: ", "))
        }
        if let shadow = explanation.shadow, shadow.matches {
            lines.append("copied to \(shadow.version) with a chance of \(Notation.text(ppm: shadow.ppm))")
        }
        // Names come from a running Weir's status, values from headers that somebody has copied here.
        return (lines + ["-> " + verdict]).map { ForeignText.line($0) }
    }

    private var forced: String? {
        switch explanation.forced {
        case .absent: nil
        case .untrusted(let name): "x-weir-version: \(name) is ignored: the client is not trusted"
        case .unknown(let name): "x-weir-version: \(name) is ignored: there is no such version"
        case .obeyed(let name): "x-weir-version: \(name) is obeyed"
        }
    }

    private static func line(_ cohort: Explanation.Cohort) -> String {
        let failed = cohort.conditions.filter { !$0.holds }.map { condition in
            "\(condition.condition.text) "
                + (condition.found.map { "(found '\($0)')" } ?? "(not in the request)")
        }
        return cohort.holds
            ? "cohort \(cohort.name) matches: \(cohort.version)"
            : "cohort \(cohort.name) does not match: " + failed.joined(separator: "; ")
    }

    /// The answer in words.
    var verdict: String {
        switch explanation.answer {
        case .refused(let status, let cause): "refused with \(status) (\(cause))"
        case .noRoute: "404: no model's match fits"
        case .noVersion: "503: every version is barred"
        case .chosen(let chosen):
            "\(chosen.version), by \(chosen.reason.label)" + (chosen.cohort.map { " \($0)" } ?? "")
        case .drawn(let shares):
            "drawn at random: "
                + shares.map { "\($0.version) \(Notation.text(ppm: $0.weightPPM))" }.joined(separator: ", ")
        }
    }

    /// The answer as an object: `answer`, `version` and `reason` where one is certain, and the steps.
    package var json: JSON {
        var members: [JSON.Member] = [
            .init("model", .optional(explanation.model)), .init("answer", .string(verdict)),
        ]
        if case .chosen(let chosen) = explanation.answer {
            members += [
                .init("version", .string(chosen.version)), .init("reason", .string(chosen.reason.label)),
                .init("cohort", .optional(chosen.cohort)),
            ]
        }
        members += [
            .init("client", .string("\(explanation.client)")), .init("trusted", .bool(explanation.isTrusted)),
            .init("live_weights", .bool(isLive)),
            .init(
                "shares",
                .array(
                    explanation.shares.map {
                        [
                            "version": .string($0.version),
                            "weight": .string(Notation.text(ppm: $0.weightPPM)),
                            "quarantined": .bool($0.isQuarantined), "barred": .bool($0.isBarred),
                        ]
                    })),
            .init(
                "cohorts",
                .array(
                    explanation.cohorts.map {
                        [
                            "name": .string($0.name), "version": .string($0.version),
                            "matches": .bool($0.holds),
                        ]
                    })),
            .init("steps", .array(lines.map(JSON.string))),
        ]
        return .object(members)
    }
}

extension Explanation.Share {
    fileprivate var mark: String { isQuarantined ? " (quarantined)" : isBarred ? " (barred)" : "" }
}

extension StickyKey {
    /// As the config writes it.
    fileprivate var text: String {
        switch self {
        case .header(let name): "header \(name)"
        case .cookie(let name): "cookie \(name)"
        case .query(let name): "query \(name)"
        case .clientAddress: "client_address"
        }
    }
}

extension Condition {
    /// As a person says it.
    fileprivate var text: String {
        switch self {
        case .header(let name, let match): "header \(name) \(match.text)"
        case .cookie(let name, let match): "cookie \(name) \(match.text)"
        case .query(let name, let match): "query \(name) \(match.text)"
        case .path(let match): "path \(match.text)"
        case .method(let name): "method is \(name)"
        case .address: "client address in the listed ranges"
        }
    }
}

extension Condition.ValueMatch {
    fileprivate var text: String {
        switch self {
        case .present: "is present"
        case .exact(let value): "is '\(value)'"
        case .prefix(let value): "begins with '\(value)'"
        case .regex(let pattern): "matches '\(pattern)'"
        }
    }
}

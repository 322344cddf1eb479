// The section `actions`: a list of sinks, each with what it is told. Files that hold secrets are not opened
// here: a config may be checked on a machine that has none of them.
// Invariant: an action that is accepted has a name of its own and models that exist; a sink that stands for
// one model of ours (a registered model, a Rollout) is told of exactly one.

import Payload
import Platform

/// An action as read, before models and names are checked.
struct ActionDraft {
    var place: Place
    var name: Marked<String>?
    var kinds: Set<NoticeKind>?
    var models: [Marked<String>]
    var sink: ActionSink
    var retry: ActionRetry
}

extension Kind where Value == ActionDraft {
    static var action: Kind {
        .section("an action: a mapping with webhook, exec, mlflow, argo or kubernetes") { section in
            let name = section.optional("name", .marked(.name))
            let kinds = section.optional("on", .list(of: .noticeKind, count: 1...NoticeKind.allCases.count))
            let models = section.value("models", .list(of: .marked(.name), count: 1...64), or: [])
            let retry = section.value("retry", .retry, or: ActionRetry())
            let sinks: [ActionSink?] = [
                section.optional("webhook", .webhook).map { .webhook($0) },
                section.optional("exec", .exec).map { .exec($0) },
                section.optional("mlflow", .mlflow).map { .mlflow($0) },
                section.optional("argo", .argo).map { .argo($0) },
                section.optional("kubernetes", .kubernetes).map { .kubernetes($0) },
            ]
            let sink = section.only(sinks, of: ["webhook", "exec", "mlflow", "argo", "kubernetes"])
            guard let sink else { return nil }
            return ActionDraft(
                place: section.place, name: name, kinds: kinds.map(Set.init), models: models, sink: sink,
                retry: retry)
        }
    }
}

/// What must hold between actions, and between them and the models.
enum ActionChecks {
    /// Actions have a thread each.
    static let actionsMax = 32

    /// The actions; with a problem reported where one is wrong, some may be missing.
    static func checked(
        _ drafts: [ActionDraft], models: [ModelConfig]?, _ reading: Reading
    ) -> [ActionConfig] {
        var counts: [String: Int] = [:]
        var taken: Set<String> = []
        var actions: [ActionConfig] = []
        for draft in drafts {
            let word = draft.sink.word
            counts[word, default: 0] += 1
            let name = draft.name?.value ?? "\(word)-\(counts[word] ?? 1)"
            if !taken.insert(name).inserted {
                reading.report(
                    draft.name?.place ?? draft.place, "another action has this name:", value: name,
                    expected: "a name of its own")
            }
            if let models { check(draft, models, reading) }
            actions.append(
                ActionConfig(
                    name: name, kinds: draft.kinds ?? standard(draft.sink),
                    models: Set(draft.models.map(\.value)), sink: draft.sink, retry: draft.retry))
        }
        return actions
    }

    private static func standard(_ sink: ActionSink) -> Set<NoticeKind> {
        switch sink {
        case .webhook, .exec: [.cut, .promote, .hold, .recovery, .alert, .sampleRatio, .unserved, .served]
        case .mlflow, .argo: [.cut, .promote]
        case .kubernetes: [.cut]
        }
    }

    private static func check(_ draft: ActionDraft, _ models: [ModelConfig], _ reading: Reading) {
        let names = models.map(\.name)
        for model in draft.models where !names.contains(model.value) {
            reading.report(
                model.place, "there is no such model:", value: model.value,
                expected: "one of " + names.prefix(20).joined(separator: ", "),
                suggestion: Nearest.to(model.value, among: names))
        }
        if case .mlflow(let config) = draft.sink { checkCircle(draft, config, models, reading) }
        switch draft.sink {
        case .mlflow, .argo:
            let count = draft.models.isEmpty ? names.count : draft.models.count
            if count > 1 {
                reading.report(
                    draft.place, "stands for one model, and is told of \(count)",
                    expected: "`models` with the one whose versions these are")
            }
            let others = (draft.kinds ?? []).subtracting([.cut, .promote])
            if let other = others.map(\.rawValue).min() {
                reading.report(
                    draft.place, "\(draft.sink.word) does nothing on this:", value: other,
                    expected: "cut and promote only")
            }
        case .webhook, .exec, .kubernetes: break
        }
    }

    /// A promotion moves `previous` to the version that had the traffic before: a candidate named by that
    /// alias would be gone at the moment of its promotion.
    private static func checkCircle(
        _ draft: ActionDraft, _ config: MLflowConfig, _ models: [ModelConfig], _ reading: Reading
    ) {
        let moved = SourcePointer(
            registry: config.access.url.origin, model: config.model, alias: config.previous)
        guard let model = models.first(where: { $0.source?.pointer == moved }) else { return }
        reading.report(
            draft.place, "moves the alias that names the candidate of \(model.name):", value: config.previous,
            expected: "another alias in `previous`")
    }
}

extension Kind where Value == NoticeKind {
    fileprivate static var noticeKind: Kind {
        // The words are the cases, so every word that passes is one.
        Kind<String>.word(NoticeKind.allCases.map(\.rawValue)).map { NoticeKind(rawValue: $0) ?? .cut }
    }
}

extension Kind where Value == HTTPURL {
    static var sinkURL: Kind {
        let expected = "a URL that starts with http:// or https://"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.mismatch(expected: expected) }
            do throws(HTTPURL.Malformed) {
                return try HTTPURL(text)
            } catch {
                return node.mismatch(expected: error.expected)
            }
        }
    }
}

extension Kind where Value == String {
    static var secretFile: Kind { .file("the path of a file that holds nothing but the secret") }
    static var caFile: Kind { .file("the path of a PEM file") }
}

extension SectionReader {
    mutating func timeout() -> Interval {
        value("timeout", .duration(.millis(1) ... .seconds(300)), or: .seconds(10))
    }
}

extension Kind where Value == ActionRetry {
    fileprivate static var retry: Kind {
        .section("a mapping with pause, max_pause and max_age") { section in
            let standard = ActionRetry()
            let range = Interval.millis(10)...Interval.days(1)
            return ActionRetry(
                pause: section.value("pause", .duration(range), or: standard.pause),
                pauseMax: section.value("max_pause", .duration(range), or: standard.pauseMax),
                ageMax: section.value("max_age", .duration(.zero ... .days(7)), or: standard.ageMax))
        }
    }
}

extension Kind where Value == WebhookConfig {
    fileprivate static var webhook: Kind {
        .section("a mapping with url or url_file") { section in
            let format = section.value(
                "format", .word(WebhookConfig.Format.allCases.map(\.rawValue)), or: "json")
            let kind = WebhookConfig.Format(rawValue: format) ?? .json
            let url = section.optional("url", .sinkURL).map { WebhookConfig.Address.url($0) }
            let file = section.optional("url_file", .secretFile).map { WebhookConfig.Address.file($0) }
            let secret = section.optional("secret_file", .secretFile)
            let routingKey = section.optional("routing_key_file", .secretFile)
            let ca = section.optional("ca_file", .caFile)
            let timeout = section.timeout()
            let isPagerDuty = kind == .pagerduty
            if isPagerDuty, !section.has("routing_key_file") {
                section.lacks(
                    ["routing_key_file"], "has no routing_key_file",
                    expected: "the file with PagerDuty's integration key")
            } else if !isPagerDuty, section.has("routing_key_file") {
                section.reading.report(
                    section.place, "routing_key_file has no use here", expected: "format: pagerduty with it")
            }
            let isDefault = isPagerDuty && !section.has("url") && !section.has("url_file")
            let given = isDefault ? pagerDuty : section.only([url, file], of: ["url", "url_file"])
            guard let given else { return nil }
            return WebhookConfig(
                address: given, format: kind, secretFile: secret, routingKeyFile: routingKey, caFile: ca,
                timeout: timeout)
        }
    }

    /// Their Events API v2.
    private static var pagerDuty: WebhookConfig.Address? {
        (try? HTTPURL("https://events.pagerduty.com/v2/enqueue")).map { .url($0) }
    }
}

extension Kind where Value == ExecConfig {
    fileprivate static var exec: Kind {
        .section("a mapping with command") { section in
            let command = section.required(
                "command", .marked(.list(of: .text("the program's path or an argument"), count: 1...64)))
            let timeout = section.timeout()
            guard let command, let program = command.value.first else { return nil }
            guard program.hasPrefix("/") else {
                section.reading.report(
                    command.place, "is looked for nowhere, and no shell runs it:", value: program,
                    expected: "the program's path from the root on")
                return nil
            }
            section.reading.look(command.place, program, .run)
            return ExecConfig(command: command.value, timeout: timeout)
        }
    }
}

extension SectionReader {
    /// The keys that reach an API server; all of them have the pod's answer as default.
    fileprivate mutating func access() -> KubernetesAccess {
        KubernetesAccess(
            url: optional("url", .sinkURL), tokenFile: optional("token_file", .secretFile),
            caFile: optional("ca_file", .caFile),
            namespace: optional("namespace", .text("the name of a namespace")), timeout: timeout())
    }
}

extension Kind where Value == ArgoConfig {
    fileprivate static var argo: Kind {
        .section("a mapping with rollout") { section in
            let rollout = section.required("rollout", .text("the name of a Rollout"))
            let access = section.access()
            return rollout.map { ArgoConfig(access: access, rollout: $0) }
        }
    }
}

extension Kind where Value == KubernetesConfig {
    fileprivate static var kubernetes: Kind {
        .section("a mapping with api, resource, object and patch") { section in
            let api = section.required("api", .text("an API version such as apps/v1"))
            let resource = section.required("resource", .text("a plural such as deployments"))
            let object = section.required("object", .text("the name of an object"))
            let subresource = section.optional("subresource", .text("a subresource such as scale"))
            let form = section.value(
                "type", .word(KubernetesConfig.Form.allCases.map(\.rawValue)), or: "merge")
            let patch = section.required("patch", .json)
            let access = section.access()
            guard let api, let resource, let object, let patch else { return nil }
            return KubernetesConfig(
                access: access, api: api, resource: resource, object: object, subresource: subresource,
                form: KubernetesConfig.Form(rawValue: form) ?? .merge, patch: patch)
        }
    }
}

extension Kind where Value == JSON {
    /// A text of JSON.
    fileprivate static var json: Kind {
        let expected = "JSON in quotes, such as '{\"spec\":{\"replicas\":0}}'"
        return Kind(expected: expected) { node in
            guard let text = node.text, let value = try? JSON(parsing: text) else {
                return node.mismatch(expected: expected)
            }
            return value
        }
    }
}

extension ActionConfig {
    /// In words, without anything that may be secret.
    var sentence: String {
        let events = NoticeKind.allCases.filter(kinds.contains).map(\.rawValue).joined(separator: ", ")
        let of = models.isEmpty ? "" : " of \(models.sorted().joined(separator: ", "))"
        return "on \(events)\(of): \(sink.target)"
    }
}

extension ActionSink {
    /// Whom it reaches, without anything that may be secret.
    var target: String {
        switch self {
        case .webhook(let config):
            switch config.address {
            case .url(let url): "webhook (\(config.format.rawValue)) at \(url.origin)"
            case .file(let path): "webhook (\(config.format.rawValue)) at the URL in \(path)"
            }
        case .exec(let config): "exec \(config.command[0])"
        case .mlflow(let config): "mlflow \(config.model) at \(config.access.url.origin)"
        case .argo(let config): "argo rollout \(config.rollout)"
        case .kubernetes(let config): "kubernetes \(config.resource)/\(config.object)"
        }
    }
}

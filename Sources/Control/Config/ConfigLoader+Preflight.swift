// The sections of what has to be right before a candidate's first percent, and of models that move together.
// Place: read with the model, checked between models by `GroupChecks`; Preflight asks the servers.
// Invariant: an identity has exactly one place to stand in, and a group names models that exist.

import Payload
import Platform
import Proxy

extension Kind where Value == PreflightConfig {
    static var preflight: Kind {
        .section("a preflight: a mapping with identity, signatures or warm_up") { section in
            let identity = section.optional("identity", .identity)
            let signatures = section.optional("signatures", .signatures)
            let warmUp = section.optional("warm_up", .warmUp)
            let every = section.value("every", .duration(.seconds(1) ... .days(1)), or: .seconds(30))
            let timeout = section.value("timeout", .duration(.millis(1) ... .seconds(600)), or: .seconds(5))
            return PreflightConfig(
                identity: identity, signatureModel: signatures?.model,
                allowsSignatureChange: signatures?.allowsChange ?? false, warmUp: warmUp, every: every,
                timeout: timeout)
        }
    }
}

private struct SignaturesDraft {
    var model: String
    var allowsChange: Bool
}

extension Kind where Value == SignaturesDraft {
    fileprivate static var signatures: Kind {
        .section("a mapping with model") { section in
            let model = section.required("model", .name)
            let allowsChange = section.value("allow_change", .flag, or: false)
            return model.map { SignaturesDraft(model: $0, allowsChange: allowsChange) }
        }
    }
}

extension Kind where Value == IdentityConfig {
    /// A preset of the V2 protocol, or a path and where its answer names the version.
    fileprivate static var identity: Kind {
        .section("a mapping with preset, or with path and json or header") { section in
            let preset = section.optional("preset", .word(["v2", "triton", "mlserver", "kserve"]))
            let model = section.optional("model", .name)
            let path = section.optional("path", .target)
            let json = section.optional("json", .jsonPath)
            let header = section.optional("header", .headerName)
            if section.has("preset") {
                for key in ["path", "json", "header"] where section.has(key) {
                    section.reading.report(
                        section.place, "has both preset and \(key)", expected: "one of the two")
                }
                guard preset != nil else { return nil }
                guard let model else {
                    section.lacks(["model"], "lacks 'model'", expected: "the model's name at its servers")
                    return nil
                }
                return .ofV2(model)
            }
            if section.has("model") {
                section.reading.report(
                    section.place, "has a model without a preset", expected: "preset: v2, or path alone")
            }
            let source = section.only(
                [json.map { .json($0) }, header.map { IdentityConfig.Source.header($0) }],
                of: ["json", "header"])
            guard let path else {
                section.lacks(["path", "preset"], "lacks 'path'", expected: "a path such as /version")
                return nil
            }
            return source.map { IdentityConfig(target: path, source: $0) }
        }
    }
}

extension IdentityConfig {
    /// The metadata of the V2 inference protocol, which lists the versions that are ready.
    /// Source: Open Inference Protocol, model metadata.
    static func ofV2(_ model: String) -> IdentityConfig? {
        guard let path = try? JSONPath("$.versions[*]") else { return nil }
        return IdentityConfig(target: "/v2/models/\(model)", source: .json(path))
    }
}

extension Kind where Value == String {
    /// A link for people.
    static var runbookURL: Kind {
        let expected = "a URL that starts with https:// or http://"
        return Kind(expected: expected) { node in
            guard let text = node.text, text.utf8.count <= 2_048,
                ["https://", "http://"].contains(where: text.hasPrefix),
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else { return node.mismatch(expected: expected) }
            return text
        }
    }
}

extension Kind where Value == WarmUpConfig {
    fileprivate static var warmUp: Kind {
        .section("a mapping with requests and file") { section in
            let requests = section.required("requests", .count(1...1_000_000))
            let file = section.required("file", .text("the path of a file of requests, JSON Lines"))
            let success = section.value("min_success", .percentage(), or: 990_000)
            guard let requests, let file else { return nil }
            return WarmUpConfig(requests: requests, file: file, successPPM: success)
        }
    }
}

/// A group as read.
struct GroupDraft {
    var name: Marked<String>
    var models: [Marked<String>]
}

extension Kind where Value == GroupDraft {
    static var group: Kind {
        .section("a group: a mapping with name and models") { section in
            let name = section.required("name", .marked(.name))
            let models = section.required("models", .list(of: .marked(.name), count: 2...64))
            guard let name, let models else { return nil }
            return GroupDraft(name: name, models: models)
        }
    }
}

/// What must hold between groups and models.
enum GroupChecks {
    /// The groups as values; problems are reported.
    static func checked(
        _ drafts: [GroupDraft], models: [ModelConfig], _ reading: Reading
    ) -> [GroupConfig] {
        var names: Set<String> = []
        var owners: [String: String] = [:]
        let known = models.map(\.name)
        for draft in drafts {
            if !names.insert(draft.name.value).inserted {
                reading.report(
                    draft.name.place, "another group has the name", value: draft.name.value,
                    expected: "each name once")
            }
            for model in draft.models {
                if !known.contains(model.value) {
                    reading.report(
                        model.place, "unknown model", value: model.value,
                        expected: "one of " + known.prefix(20).joined(separator: ", "),
                        suggestion: Nearest.to(model.value, among: known))
                } else if let other = owners.updateValue(draft.name.value, forKey: model.value) {
                    reading.report(
                        model.place, "is in group \(other) already:", value: model.value,
                        expected: "each model in one group at most")
                }
            }
        }
        return drafts.map { GroupConfig(name: $0.name.value, models: $0.models.map(\.value)) }
    }
}

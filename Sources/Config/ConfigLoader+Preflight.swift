// The sections of what has to be right before a candidate's first percent: identity, signatures, warm-up.
// Place: read with the model; Preflight asks the servers.
// Invariant: an identity has exactly one place to stand in.

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
                return preset == "mlserver" ? .ofMLServer(model) : .ofV2(model)
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

extension IdentityConfig {
    /// The version's own path, which MLServer has for each that it has loaded. The `versions` of its metadata
    /// are whatever the model's settings list beside it, mostly nothing.
    /// Source: MLServer, model settings (`parameters.version`) and its paths under /v2/models.
    static func ofMLServer(_ model: String) -> IdentityConfig {
        IdentityConfig(
            target: "/v2/models/\(model)/versions/{version}/ready",
            source: .path(model: "/v2/models/\(model)/ready"))
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
            let file = section.required("file", .file("the path of a file of requests, JSON Lines"))
            let success = section.value("min_success", .percentage(), or: 990_000)
            guard let requests, let file else { return nil }
            return WarmUpConfig(requests: requests, file: file, successPPM: success)
        }
    }
}

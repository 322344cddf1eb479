// The reference page, Configuration.md, against the readers: a key that one of them knows and the other does
// not fails here, and so does a documented default or bound that is not the one in force. The page's tables
// are read by form: a heading is the path of a section, the first cell is a key of it.

import ConfigSamples
import Platform
import Proxy
import Rollout
import Testing

@testable import Config

/// Rows of the page's tables of keys: the key with the path of its section, its type and its default.
private func documentedKeys() throws -> [(key: String, type: String, standard: String)] {
    let path = configTestRoot + "/Sources/Config/Config.docc/Configuration.md"
    let page = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
    var section: String?
    var rows: [(key: String, type: String, standard: String)] = []
    for line in page.split(separator: "\n") {
        if line.hasPrefix("### `") {
            section = String(line.dropFirst(5).dropLast())
        } else if line.hasPrefix("## ") {
            section = line == "## The document" ? "" : nil
        } else if let section, line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
            let key = cells[0].dropFirst().prefix { $0 != "`" }
            let path = section.isEmpty ? String(key) : "\(section).\(key)"
            rows.append((path, String(cells[1]), String(cells[2])))
        }
    }
    return rows
}

@Test("Every key that a reader knows is documented, and every documented key is known")
private func pageHasAllKeys() throws {
    let documented = try documentedKeys().map(\.key)
    #expect(Set(documented).count == documented.count, "a key is documented twice")
    #expect(Set(documented).subtracting(ConfigLoader.knownKeys).sorted() == [])
    #expect(Set(ConfigLoader.knownKeys).subtracting(documented).sorted() == [])
}

@Test(
    "A bound on the page is the data plane's",
    arguments: [
        ("models", "1-\(Limits.modelsMax)"), ("models[].versions", "1-\(Limits.versionsPerModelMax)"),
        ("models[].cohorts", "at most \(Limits.cohortsPerModelMax)"),
        ("models[].versions.<name>.endpoints", "1-\(Limits.endpointsPerVersionMax)"),
    ])
private func pageHasTrueBounds(_ key: String, _ bound: String) throws {
    let row = try #require(try documentedKeys().first { $0.key == key })
    #expect(row.type.contains(bound))
}

@Test("A config that writes every documented default is the config that leaves them out")
private func pageHasTrueDefaults() throws {
    let defaults = Dictionary(
        try documentedKeys().compactMap { row in
            row.standard.hasPrefix("`")
                ? (row.key, String(row.standard.dropFirst().prefix { $0 != "`" })) : nil
        }, uniquingKeysWith: { first, _ in first })
    func written(_ section: String) -> String {
        defaults.filter { entry in
            let rest = entry.key.hasPrefix(section + ".") ? entry.key.dropFirst(section.count + 1) : "."
            return !rest.contains(".")
        }.map { "\($0.key.split(separator: ".").last ?? ""): \($0.value)" }.sorted().joined(separator: ", ")
    }
    let version = "models[].versions.<name>"
    let top = ["state_dir"].map { "\($0): \(defaults[$0] ?? "")" }.joined(separator: "\n")
    let full = """
        \(top)
        listeners: [{ listen: 127.0.0.1:8080 }]
        limits: { \(written("limits")) }
        access_log: { path: a, \(written("access_log")) }
        journal: { \(written("journal")) }
        feedback: { \(written("feedback")) }
        models:
          - name: m
            match: { host: h, \(written("models[].match")) }
            versions:
              v1: { endpoints: [127.0.0.1:9001] }
              v2:
                endpoints: [127.0.0.1:9002]
                \(written(version).replacing(", ", with: "\n        "))
                health_check: { path: /, \(written(version + ".health_check")) }
                queue: { \(written(version + ".queue")) }
                outlier_ejection: { \(written(version + ".outlier_ejection")) }
            stable: v1
            candidate: v2
            shadow: { version: v2, \(written("models[].shadow")) }
            timeouts: { \(written("models[].timeouts")) }
            captures: { \(written("models[].captures")) }
            retries: { \(written("models[].retries")) }
            response_headers: { \(written("models[].response_headers")) }
            guardrails:
              - { kind: error_rate, above: 2%, \(written("models[].guardrails[]")) }
              - { kind: error_rate, worse_than_stable: true }
            \(written("models[]").replacing(", ", with: "\n    "))
        """
    let bare = """
        listeners: [{ listen: 127.0.0.1:8080 }]
        access_log: { path: a }
        models:
          - name: m
            match: { host: h }
            versions:
              v1: { endpoints: [127.0.0.1:9001] }
              v2: { endpoints: [127.0.0.1:9002], health_check: { path: / } }
            stable: v1
            candidate: v2
            shadow: { version: v2 }
            captures: {}
            guardrails:
              - { kind: error_rate, above: 2%, min_requests: 100 }
              - { kind: error_rate, worse_than_stable: true }
        """
    var said = try ConfigSample.file(full).config()
    let left = try ConfigSample.file(bare).config()
    said.digest = left.digest
    // What is written is kept to, or the start is refused; what is left out may shrink.
    said.limitsWritten = left.limitsWritten
    #expect(said == left)
    #expect(left.admin == SocketAddress("127.0.0.1:9902"))
}

@Test("The example config is valid and uses every section of the reference")
private func exampleIsValid() throws {
    let path = configTestRoot + "/deploy/weir.yaml"
    let text = String(decoding: try File.readAll(path, bytesMax: 1 << 20), as: UTF8.self)
    let config = try ConfigSample.file(text).config()
    #expect(config.models.map(\.name) == ["recommender", "embeddings"])
    for key in ConfigLoader.knownKeys {
        let name = key.split(separator: ".").last ?? ""
        // Several candidates, and the two ways of holding a candidate to a path or a text, exclude others.
        if ["candidates", "worse_than_stable_by", "path"].contains(name) { continue }
        #expect(text.contains("\(name):"), "deploy/weir.yaml does not show \(key)")
    }
}

// What the config tests share: small valid configs to put one thing into, and a resolver that knows three
// names and never asks the network. The lines at which a sample takes its text are fixed, so that a case can
// name the exact place of each problem.

import Config
import Platform
import Testing

/// The repository's root, from this file's own place.
package let configTestRoot = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

/// A text put into a valid config, at a place with known lines.
package enum ConfigSample: Sendable {
    /// A whole file.
    case file(String)
    /// The first lines of a file whose other sections are fine.
    case top(String)
    /// Lines of a model with versions v1 (stable) and v2 (candidate), from line 9; indented by four.
    case model(String)
    /// Lines of the version v2, from line 8; indented by eight.
    case version(String)
    /// Keys of a model's only guardrail, in line 10 from column 11.
    case guardrail(String)

    package var text: String {
        switch self {
        case .file(let text): text
        case .top(let text):
            """
            \(text)
            listeners: [{ listen: 127.0.0.1:8080 }]
            models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } } }]
            """
        case .model(let text): ConfigSample.model + ConfigSample.indented(text, by: 4)
        case .version(let text):
            """
            listeners: [{ listen: 127.0.0.1:8080 }]
            models:
              - name: m
                stable: v1
                versions:
                  v1: { endpoints: [127.0.0.1:9001] }
                  v2:

            """ + ConfigSample.indented(text, by: 8)
        case .guardrail(let text): ConfigSample.model + "    guardrails:\n      - { \(text) }\n"
        }
    }

    /// A model that names stable and no candidate; further keys of the model may follow.
    package static let twoVersions = """
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            versions:
              v1: { endpoints: [127.0.0.1:9001] }
              v2: { endpoints: [127.0.0.1:9002] }
            stable: v1

        """
    private static let model = twoVersions + "    candidate: v2\n"

    private static func indented(_ text: String, by count: Int) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { String(repeating: " ", count: count) + $0 }.joined(separator: "\n") + "\n"
    }

    /// Reads it as `weir.yaml`.
    package func read() -> Result<Config, ConfigProblems> {
        ConfigLoader.parse(text, file: "weir.yaml", resolve: ConfigSample.names)
    }

    /// Its config; fails the test with the problems when there are any.
    package func config() throws -> Config { try read().get() }

    /// What is wrong with it, in the order of the file.
    package var problems: [ConfigProblem] {
        switch read() {
        case .success: []
        case .failure(let problems): problems.all
        }
    }

    /// `pool` has two IPv4 addresses and one IPv6, `six` has one IPv6, `wide` has 300; no other name exists.
    package static func names(_ host: String, _ port: UInt16) -> Result<[SocketAddress], NameFailure> {
        let six = SocketAddress.ip(IPAddress(high: 1, low: 2), port: port)
        let four = { (last: UInt32) in SocketAddress.ip(IPAddress(ipv4: 0x0A00_0000 + last), port: port) }
        switch host {
        case "pool": return .success([six, four(1), four(2)])
        case "six": return .success([six])
        case "wide": return .success((1...300).map { four($0) })
        default: return .failure(NameFailure(reason: "Name or service not known"))
        }
    }
}

/// A broken config and every problem it has, in the order of the file.
package struct Broken: Sendable, CustomTestStringConvertible {
    package let sample: ConfigSample
    /// For each problem: what its description starts with (behind the file's name), then what it contains.
    package let problems: [[String]]

    package init(_ sample: ConfigSample, _ problems: [String]...) {
        self.sample = sample
        self.problems = problems
    }

    package var testDescription: String { problems.first?.first ?? "" }

    /// Compares what the reader says with what it should say.
    package func check(sourceLocation: SourceLocation = #_sourceLocation) {
        let said = sample.problems.map(\.description)
        #expect(said.count == problems.count, "\(said)", sourceLocation: sourceLocation)
        for (text, fragments) in zip(said, problems) {
            #expect(text.hasPrefix("weir.yaml:\(fragments[0])"), sourceLocation: sourceLocation)
            for fragment in fragments.dropFirst() {
                #expect(text.contains(fragment), sourceLocation: sourceLocation)
            }
        }
    }
}

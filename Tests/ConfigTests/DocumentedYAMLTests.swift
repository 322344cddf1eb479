// The YAML that a newcomer copies: every block of README and of the pages is right as it is printed, and what
// the walk-through shows of `weir check` is what it says.

import ConfigSamples
import Platform
import Testing

@testable import Config

/// A block of a page.
struct DocumentedYAML: Sendable, CustomTestStringConvertible {
    var page: String
    var line: Int
    var text: String

    var testDescription: String { "\(page):\(line)" }
    /// Else it is a key of a model.
    var isWhole: Bool { text.split(separator: "\n").contains { $0.hasPrefix("models:") } }

    static let all: [DocumentedYAML] = {
        let folders = ["Config", "Control", "Sidecar"].map { "Sources/\($0)/\($0).docc" }
        let pages = folders.flatMap { folder in
            let names = (try? File.list("\(configTestRoot)/\(folder)"))?.map(\.name) ?? []
            return names.filter { $0.hasSuffix(".md") }.sorted().map { "\(folder)/\($0)" }
        }
        return (["README.md"] + pages).flatMap(blocks)
    }()

    static func text(of page: String) -> String {
        let bytes = try? File.readAll(configTestRoot + "/" + page, bytesMax: 1 << 20)
        return String(decoding: bytes ?? [], as: UTF8.self)
    }

    private static func blocks(of page: String) -> [DocumentedYAML] {
        var found: [DocumentedYAML] = []
        var open: DocumentedYAML?
        let lines = text(of: page).split(separator: "\n", omittingEmptySubsequences: false)
        for (i, line) in lines.enumerated() {
            if var block = open {
                if line == "```" {
                    found.append(block)
                    open = nil
                } else {
                    block.text += "\(line)\n"
                    open = block
                }
            } else if line == "```yaml" {
                open = DocumentedYAML(page: page, line: i + 1, text: "")
            }
        }
        return found
    }
}

@Suite struct DocumentedYAMLTests {
    @Test("A block of YAML on a page is right as it is printed", arguments: DocumentedYAML.all)
    func isRight(block: DocumentedYAML) {
        let indented = block.text.split(separator: "\n").map { "    \($0)\n" }.joined()
        let around = """
            listeners: [{ listen: 127.0.0.1:8080 }]
            models:
              - name: m
                versions:
                  v1.12: { endpoints: [127.0.0.1:9001] }
                  v1.13: { endpoints: [127.0.0.1:9002] }
                  v1.14: { endpoints: [127.0.0.1:9003] }
                stable: v1.12

            """
        let yaml = block.isWhole ? block.text : around + indented
        let result = ConfigLoader.parse(yaml, file: "weir.yaml", resolve: ConfigSample.names)
        if case .failure(let problems) = result { Issue.record("\(block): \(problems)") }
        if block.isWhole {
            for key in ["admin", "state_dir", "listeners", "models"] {
                let lines = block.text.split(separator: "\n")
                #expect(lines.contains { $0.hasPrefix("\(key):") }, "lacks \(key)")
            }
        }
    }

    @Test("README and the walk-through have a whole config each")
    func areFound() {
        let whole = DocumentedYAML.all.filter(\.isWhole).map(\.page)
        #expect(whole.contains("README.md") && whole.contains("Sources/Sidecar/Sidecar.docc/WalkThrough.md"))
    }

    @Test("What the walk-through shows of `weir check` is what it says of the walk-through's config")
    func walkThrough() throws {
        let page = "Sources/Sidecar/Sidecar.docc/WalkThrough.md"
        let block = try #require(DocumentedYAML.all.first { $0.page == page && $0.isWhole })
        let said = ConfigCheck.of(ConfigSample.file(block.text).read(), file: "weir.yaml").text
        let lines = DocumentedYAML.text(of: page).split(separator: "\n", omittingEmptySubsequences: false)
        let begin = try #require(lines.firstIndex(of: "$ weir check --config weir.yaml"))
        let shown = lines[(begin + 1)...].prefix { $0 != "```" }.filter { $0 != "  …" }
        #expect(shown.count > 8)
        for line in shown {
            let text = line.hasSuffix("…") ? String(line.dropLast()) : "\(line)\n"
            #expect(said.contains(text), "\(line)")
        }
    }
}

// `weir explain`: which version a described request would get, and why. On the plan made from the config,
// with the current weights and quarantine of the Weir that runs with it, or of one that was named.
// Invariant: the answer comes from the tables that cores use.

import ArgumentParser
import Config
import Control
import Payload
import Sidecar

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say which version a described request would get, and why.",
        discussion: """
            Example: weir explain -c weir.yaml --header 'x-user-id: 7' --path /v2/models/recommender/infer
            Where a Weir runs with this very config, its weights and its quarantine are used; else the \
            answer is the config's, and its first line says so. With --admin the Weir at that address is \
            asked, whatever config it has. Matches, cohorts and sticky keys are always the file's.
            """)

    @OptionGroup var config: ConfigOption
    @Option(
        help: ArgumentHelp(
            "Ask the running Weir at this address how weights stand (default: what the config says).",
            valueName: "address"))
    var admin: String?
    @Flag(help: "By the config alone, also where a Weir runs with it.") var configOnly = false
    @Option(help: "The request target: path and query.") var path = "/"
    @Option(help: "The method.") var method = "GET"
    @Option(help: "The Host header.") var host = "localhost"
    @Option(
        name: [.customShort("H"), .long],
        help: ArgumentHelp("A header; repeatable.", valueName: "name: value"))
    var header: [String] = []
    @Option(help: ArgumentHelp("The client's address.", valueName: "ip")) var client = "127.0.0.1"
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func validate() throws {
        if configOnly, admin != nil {
            throw ValidationError("--config-only asks no running Weir, and --admin names one")
        }
    }

    func run() throws {
        var headers: [(name: String, value: String)] = []
        for text in header { headers.append(try Self.header(text)) }
        let file = try config.path()
        let loaded: Config
        switch ConfigLoader.load(path: file) {
        case .success(let config): loaded = config
        case .failure(let problems):
            for problem in problems.all { Output.error("\(problem)") }
            throw ExitCode(78)
        }
        let described = ExplainRequest(
            method: method, path: path, host: host, headers: headers, clientText: client)
        guard let request = described else {
            throw ValidationError("--client: '\(client)' is no IP address")
        }
        let status = try admin.map(Self.status) ?? running(loaded)
        do throws(PlanProblem) {
            let answer = try request.answer(config: loaded, status: status)
            switch output {
            case .text: Output.text(answer.lines.joined(separator: "\n") + "\n")
            case .json: Output.json(answer.json)
            }
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
    }

    /// The status of the Weir that runs with this config; nil where none answers at the config's address.
    private func running(_ config: Config) -> JSON? {
        guard !configOnly, let answer = try? AdminClient(config.admin).get("/status"), answer.isSuccess,
            let status = answer.json, status["config_digest"]?.string == config.digest
        else { return nil }
        return status
    }

    private static func header(_ text: String) throws -> (name: String, value: String) {
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
            throw ValidationError("--header: '\(text)' is no header; expected 'name: value'")
        }
        var value = text[text.index(after: colon)...]
        while value.first == " " { value = value.dropFirst() }
        return (String(text[..<colon]), String(value))
    }

    private static func status(_ text: String) throws -> JSON {
        do {
            let answer = try AdminOption.client(at: text).get("/status")
            guard answer.isSuccess, let status = answer.json else {
                Output.error("status \(answer.status): \(answer.excerpt)")
                throw ExitCode(1)
            }
            return status
        } catch let problem as AdminUnreachable {
            Output.error("\(problem)")
            throw ExitCode(1)
        }
    }
}

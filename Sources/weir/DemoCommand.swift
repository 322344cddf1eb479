// `weir demo`: the options of the demo as words of the command line, checked against its bounds.
// Place: the demo itself is in the room Demo; here is only its parsing.
// Invariant: what `DemoOptions` traps on is refused here with a sentence.

import ArgumentParser
import Config
import Control
import Demo

extension Scenario: ExpressibleByArgument {}
extension DemoOptions.Output: ExpressibleByArgument {}

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Watch Weir cut back a bad version: embedded model servers, a load, no configuration.",
        discussion: """
            Scenarios, each with a candidate that goes bad after some seconds, except for the last two:
            \(Scenario.allCases.map { "  \($0.rawValue)\(pad($0))\($0.abstract)" }.joined(separator: "\n"))

            Exit code 0 when the scenario went as it should: a bad candidate was cut, by the guardrail that \
            the scenario is about, a healthy one was not, one that walks through a rollout's stages was \
            promoted. At the end stands the page of weir report, or the steps to the promotion.
            With --output json, standard output is one object: scenario, bad_at_ms, cut_at_ms, \
            candidate_requests_while_bad, user_errors, stable_alone_errors, requests, tripped, rule, \
            promoted_at_ms, clicks_posted, clicks_accepted, steps (of a rollout, as the journal has them), \
            report, ledger.
            """)

    private static func pad(_ scenario: Scenario) -> String {
        String(repeating: " ", count: max(1, 10 - scenario.rawValue.count))
    }

    @Option(help: "What goes wrong; see above.") var scenario = Scenario.errors
    @Option(
        help: ArgumentHelp("How long it runs at most, as 30s or 2m; 10s or more.", valueName: "duration"))
    var duration = "30s"
    @Option(help: ArgumentHelp("Requests per second, 200 to 20000.", valueName: "rate")) var rate = 1_000.0
    @Option(help: "How it reports: text or json.") var output = DemoOptions.Output.text

    func validate() throws {
        guard DemoOptions.rates.contains(rate) else {
            throw ValidationError("--rate: \(rate) is not between 200 and 20000 requests per second")
        }
        _ = try options()
    }

    func run() throws {
        throw ExitCode(runDemo(try options()))
    }

    /// A bare number is seconds.
    private func options() throws -> DemoOptions {
        let text = duration.allSatisfy(\.isNumber) ? duration + "s" : duration
        guard let interval = try? Notation.duration(text), interval >= DemoOptions.durationMin,
            interval < .seconds(86_400)
        else {
            throw ValidationError(
                "--duration: '\(duration)' is no duration between 10s and 24h, such as 30s or 2m")
        }
        return DemoOptions(scenario: scenario, duration: interval, rate: rate, output: output)
    }
}

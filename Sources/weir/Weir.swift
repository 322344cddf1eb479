// The command line: words to calls, answers to text and exit codes, and nothing else.
//
// Exit codes: 0 fine, 1 refused or failed, 2 not understood, 65-78 as sysexits for a start that did not come
// off.

import ArgumentParser
import Control

/// The root of the command line.
@main struct Weir: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir",
        abstract:
            "A sidecar proxy for model servers: splits, measures, and cuts a bad version back by itself.",
        version: Release.version,
        subcommands: [
            Run.self, DemoCommand.self, Check.self, Status.self, Rollback.self, Start.self,
            Promote.self, Approve.self, Skip.self, Hold.self, Pause.self, Resume.self, Retry.self,
            Weights.self, Unquarantine.self, Reload.self, Explain.self, Audit.self, Captures.self,
            Report.self, OutcomeCommand.self, Version.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if code.isSuccess {
                // Help or version asked for.
                if !text.isEmpty { Output.text(text + "\n") }
                Console.exit(0)
            }
            if !text.isEmpty { Output.error(text) }
            // What the parser does not understand is 2 here, not sysexits' 64.
            Console.exit(code == .validationFailure ? 2 : code.rawValue)
        }
    }
}

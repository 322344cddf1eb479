// The command line: words to calls, answers to text and exit codes, and nothing else.
//
// Exit codes: 0 fine, 1 refused or failed, 2 not understood, 65-78 as sysexits for a start that did not come
// off.

import ArgumentParser
import Config
import Control
import Platform
import Sidecar

/// The root of the command line.
@main struct Weir: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir",
        abstract:
            "A sidecar proxy for model servers: splits, measures, and cuts a bad version back by itself.",
        discussion:
            "weir run serves; weir check looks at a config; weir status shows what a running Weir does; "
            + "weir --version shows its version.",
        subcommands: [
            Run.self, DemoCommand.self, Check.self, Status.self, Rollback.self, Start.self,
            Promote.self, Approve.self, Skip.self, Hold.self, Pause.self, Resume.self, Retry.self,
            Weights.self, Unquarantine.self, Reload.self, Explain.self, Audit.self, Captures.self,
            Report.self, FeedbackCommand.self, Version.self,
        ])

    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        // Not the parser's flag, and none of the root's: verbs have a --version with a value.
        if words == ["--version"] {
            Output.text("\(Release.version)\n")
            return
        }
        var command: any ParsableCommand
        do {
            command = try parseAsRoot()
        } catch {
            end(error, fullMessage(for: error), hint: unknownCommand(words))
        }
        do {
            try command.run()
        } catch {
            // The words were understood, so that their grammar says nothing; what a validation finds may.
            let text = message(for: error)
            let isHelp = exitCode(for: error).isSuccess
            let path = commands(words).path
            let see = error is ValidationError ? "\n  See '\(path) --help' for more information." : ""
            end(
                error, isHelp ? fullMessage(for: error) : text.isEmpty ? "" : "Error: \(text)\(see)",
                hint: nil)
        }
    }

    private static func end(_ error: any Error, _ text: String, hint: String?) -> Never {
        let code = exitCode(for: error)
        if code.isSuccess {
            // Help asked for.
            if !text.isEmpty { Output.text(text + "\n") }
            Console.exit(0)
        }
        if let said = hint ?? (text.isEmpty ? nil : text) { Output.error(said) }
        // What the parser does not understand is 2 here, not sysexits' 64.
        Console.exit(code == .validationFailure ? 2 : code.rawValue)
    }

    /// The command that the first words name, and the word after them where another command was due.
    private static func commands(_ words: [String]) -> (path: String, known: [String], rest: String?) {
        var (command, path): (any ParsableCommand.Type, String) = (Weir.self, "weir")
        for word in words {
            let known = command.configuration.subcommands
            if known.isEmpty { return (path, [], nil) }
            guard let next = known.first(where: { $0._commandName == word }) else {
                return (path, known.map { $0._commandName }, word)
            }
            (command, path) = (next, "\(path) \(word)")
        }
        return (path, [], nil)
    }

    /// What to say of a word that is no command; nil when the words' trouble is another one.
    private static func unknownCommand(_ words: [String]) -> String? {
        let (path, known, rest) = commands(words)
        guard let rest, !rest.hasPrefix("-"), rest != "help" else { return nil }
        if let nearest = Nearest.to(rest, among: known) {
            return "Error: there is no command '\(path) \(rest)'; did you mean '\(path) \(nearest)'?"
        }
        return "Error: there is no command '\(path) \(rest)'; there are \(known.joined(separator: ", "))\n"
            + "  See '\(path) --help' for what they do."
    }
}

// The verbs that are not sent to a running Weir, or only read from it: run, check, status, version.
// Place: each is a few calls into Control.
// Invariant: an exit code says what became of it; words go to people, JSON to machines.

import ArgumentParser
import Config
import Control
import Payload
import Platform
import Sidecar

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the proxy.",
        discussion: """
            SIGTERM and SIGINT drain: exit code 0, or 1 when requests were cut at the deadline of `drain:` \
            in the config; a second signal exits at once. SIGHUP validates and reloads the config. SIGUSR1 \
            reopens the logs.
            """)

    @OptionGroup var config: ConfigOption
    @Option(
        help: ArgumentHelp(
            "Least level that is logged: debug, info, notice, warning, error.", valueName: "level"))
    var logLevel = "info"

    func run() throws {
        guard WeirLog.levels.contains(logLevel) else {
            throw ValidationError(
                "--log-level: '\(logLevel)' is none of \(WeirLog.levels.joined(separator: ", "))")
        }
        throw ExitCode(RunCommand.run(configPath: try config.path(), logLevel: logLevel))
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validate a config file and say what it amounts to.",
        discussion: """
            Exit code 78 when the config is wrong; every problem is named with its line and column. A file \
            that it names and that is not there, or not to be read, is one; --elsewhere looks for none. \
            Bounds \
            that do not fit the file descriptors and the memory of this machine are a warning, because the \
            file may be meant for another one; with --here they end it with 71, as they end `weir run`.
            """)

    @OptionGroup var config: ConfigOption
    @Flag(help: "The config is to run on this machine: bounds that do not fit it are an error (71).")
    var here = false
    @Flag(help: "The config is for another machine: files that it names are not looked for.")
    var elsewhere = false
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func validate() throws {
        if here, elsewhere { throw ValidationError("--here and --elsewhere: one of the two") }
    }

    func run() throws {
        let path = try config.path()
        switch output {
        case .text:
            let check = ConfigCheck.run(path: path, isForHere: here, isForElsewhere: elsewhere)
            if check.exitCode != 78 { Output.text(check.text) } else { Output.error(check.text.trimmedEnd) }
            if let refusal = check.refusalHere { Output.error("\(here ? "" : "warning: ")\(refusal)") }
            throw ExitCode(check.exitCode)
        case .json:
            let problems: [ConfigProblem]
            switch ConfigCheck.load(path: path, isForElsewhere: elsewhere) {
            case .success(let config) where config.absentFiles.isEmpty:
                let answer = ConfigCheck.json(config, file: path, isForHere: here)
                Output.json(answer.json)
                throw ExitCode(answer.exitCode)
            case .success(let config): problems = config.absentFiles
            case .failure(let found): problems = found.all
            }
            Output.json([
                "ok": false, "file": .string(path), "problems": .array(problems.map(Self.json)),
            ])
            throw ExitCode(78)
        }
    }

    private static func json(_ problem: ConfigProblem) -> JSON {
        [
            "line": .integer(Int64(problem.line)), "column": .integer(Int64(problem.column)),
            "path": .string(problem.path), "message": .string(problem.message),
            "value": .optional(problem.value), "expected": .optional(problem.expected),
            "suggestion": .optional(problem.suggestion),
        ]
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a running Weir does: weights, traffic, guardrails, cuts.")

    @Argument(help: "Only this model.") var model: String?
    @OptionGroup var admin: AdminOption
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func run() throws {
        let answer: AdminAnswer
        do {
            answer = try admin.client().get("/status")
        } catch let problem as AdminUnreachable {
            Output.error("\(problem)")
            throw ExitCode(1)
        }
        guard answer.isSuccess, let status = answer.json else {
            Output.error("status \(answer.status): \(answer.excerpt)")
            throw ExitCode(1)
        }
        let models = (status["models"]?.elements ?? []).filter { model == nil || $0["name"]?.string == model }
        if let model, models.isEmpty {
            let known = (status["models"]?.elements ?? []).compactMap { $0["name"]?.line }
            let more = known.count > 20 ? " and \(known.count - 20) more" : ""
            Output.error(
                "there is no model \(model) in the running config; the models are "
                    + known.prefix(20).joined(separator: ", ") + more)
            admin.sayWho(refused: true)
            throw ExitCode(1)
        }
        switch output {
        case .json: Output.json(model == nil ? status : models[0])
        case .text: Output.text(StatusText.render(status, models))
        }
        admin.sayWho(refused: false)
    }
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say which Weir this is.")

    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func run() {
        switch output {
        case .text: Output.text("weir \(Release.version)\n")
        case .json: Output.json(["version": .string(Release.version)])
        }
    }
}

extension String {
    /// Without its last newline.
    var trimmedEnd: String { hasSuffix("\n") ? String(dropLast()) : self }
}

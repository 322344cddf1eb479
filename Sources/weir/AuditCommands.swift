// `weir audit`: checking the journal's chain and showing its lines. Both read files only, so they work with
// and without a running Weir.
// Place: a few calls into Control; the rules are `AuditVerify` and `AuditFilter`.
// Invariant: exit code 0 means that nothing is missing; the others say what is.

import ArgumentParser
import Config
import Control
import Payload
import Sidecar

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look into the journal.", subcommands: [AuditVerifyCommand.self, AuditShowCommand.self])
}

/// Which state directory, without a running Weir.
struct StateDirOption: ParsableArguments {
    @OptionGroup var config: ConfigOption
    @Option(help: ArgumentHelp("The state directory (default: the config's).", valueName: "folder"))
    var stateDir: String?

    /// The folder that was named, else the config's.
    /// - Throws: when there is none, or no such folder.
    func directory() throws -> String {
        if let stateDir { return try Self.existing(stateDir, "--state-dir") }
        guard let path = config.found else {
            throw ValidationError(ConfigOption.missing + ", or the state directory with --state-dir")
        }
        let folder: String
        do throws(ConfigProblem) {
            folder = try ConfigGlance.stateDir(path: path)
        } catch {
            Output.error("\(error)")
            Output.error("so the state directory is not known; name it with --state-dir")
            throw ExitCode(78)
        }
        return try Self.existing(folder, "state_dir of \(path)")
    }

    /// - Parameter what: whose value the folder is.
    static func existing(_ folder: String, _ what: String) throws(ExitCode) -> String {
        if Console.isFolder(folder) { return folder }
        Output.error("\(what): there is no folder '\(folder)'")
        throw ExitCode(1)
    }
}

struct AuditVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the journal's hash chain through all its files.",
        discussion: """
            Any edit, deletion, reordering or truncation is named with its file and line, a removed file \
            too. rollouts.json is compared with the journal: whether it is older, newer, missing, or says \
            something else. Files given by name are checked by themselves: what came before them is not \
            judged, and no state is compared.
            Exit code: 0 everything is there; 1 the journal is not as it was written; 3 the next start \
            applies lines that rollouts.json does not include; 4 rollouts.json or lines that it includes are \
            missing, the two do not belong together, or nothing remembers where the journal ends.
            """)

    @Argument(help: "Journal files (default: all of the state directory).") var files: [String] = []
    @OptionGroup var state: StateDirOption
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func run() throws {
        let report: AuditReport
        do {
            report =
                files.isEmpty
                ? try AuditVerify.check(directory: try state.directory())
                : try AuditVerify.check(paths: files)
        } catch let error as ExitCode {
            throw error
        } catch let error as ValidationError {
            throw error
        } catch {
            Output.error("the journal cannot be read: \(error)")
            throw ExitCode(1)
        }
        switch output {
        case .json: Output.json(report.json)
        case .text:
            for finding in report.findings { Output.text("\(finding)\n") }
            let pruned = report.pruned == 0 ? "" : ", \(report.pruned) earlier ones pruned on record"
            let files = Plural.text(report.files, "file")
            let lines = "\(Plural.text(report.lines, "line")) in \(files)\(pruned)"
            Output.text("\(lines), \(report.verdict); last hash \(report.hash)\n")
            Output.text("\(report.state.sentence)\n")
        }
        if report.exitCode != 0 { throw ExitCode(report.exitCode) }
    }
}

struct AuditShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the journal's lines, filtered.",
        discussion: """
            Example: weir audit show --model recommender --kind cut --kind report --since 24h
            With --output json every line is printed as it stands in the journal.
            """)

    @Option(help: "Only this model.") var model: String?
    @Option(help: "Only this kind, as cut, verb or report; repeatable.") var kind: [String] = []
    @Option(
        help: ArgumentHelp(
            "From this time on: 2026-12-01T12:00:00Z, 2026-12-01, or a duration ago such as 2h.",
            valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("Before this time, written the same way.", valueName: "time"))
    var until: String?
    @Option(help: "Only lines whose actor contains this.") var actor: String?
    @Option(help: ArgumentHelp("Only lines about this cut, as cut-3.", valueName: "id")) var cut: String?
    @Option(help: ArgumentHelp("Only the last so many of them.", valueName: "count")) var limit: Int?
    @Flag(name: [.customShort("f"), .long], help: "Go on with lines as they come.") var follow = false
    @OptionGroup var state: StateDirOption
    @Option(help: "How lines are written: text or json.") var output = OutputFormat.text

    func validate() throws {
        if let unknown = kind.first(where: { JournalEvent.Kind(rawValue: $0) == nil }) {
            let known = JournalEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--kind: there is no kind \(unknown); known are \(known)")
        }
        if let limit, limit < 1 { throw ValidationError("--limit: \(limit) is less than 1") }
    }

    func run() throws {
        var filter = AuditFilter()
        (filter.model, filter.kinds, filter.actor, filter.cut) = (model, Set(kind), actor, cut)
        filter.since = try time("--since", since)
        filter.until = try time("--until", until)
        let directory = try state.directory()
        var reader = AuditReader(directory: directory)
        var found: [AuditLine] = []
        var said = 0
        do {
            try reader.read(filter) { line in
                if let limit {
                    found.append(line)
                    if found.count > 2 * limit { found.removeFirst(found.count - limit) }
                } else {
                    say(line)
                    said += 1
                }
            }
            for line in found.suffix(limit ?? 0) { say(line) }
            if said == 0, found.isEmpty, !follow { try explainNothing(directory) }
            while follow {
                Console.pause(millis: 200)
                try reader.read(filter) { say($0) }
            }
        } catch let error as ExitCode {
            throw error
        } catch {
            Output.error("the journal cannot be read: \(error)")
            throw ExitCode(1)
        }
    }

    /// A name that does not exist is an error, an answer without lines is none.
    private func explainNothing(_ directory: String) throws {
        if let unknown = try AuditNames(directory: directory).unknown(model: model, cut: cut) {
            Output.error(unknown)
            throw ExitCode(1)
        }
        Output.error("no lines")
    }

    private func say(_ line: AuditLine) {
        Output.text((output == .json ? line.text : line.summary) + "\n")
    }

    private func time(_ option: String, _ text: String?) throws -> UInt64? {
        guard let text else { return nil }
        guard let time = AuditFilter.time(text, now: Console.wallMicros) else {
            throw ValidationError(
                "\(option): '\(text)' is no time; expected 2026-12-01T12:00:00Z, 2026-12-01 or 2h")
        }
        return time
    }
}

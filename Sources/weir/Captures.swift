// `weir captures`: what has been kept of exchanges, and its export. Reads the state directory's files; a
// running Weir is neither needed nor disturbed.
// Place: over `CaptureArchive` and `CaptureHAR`.
// Invariant: standard output holds the answer and nothing else.

import ArgumentParser
import Control
import Sidecar

struct Captures: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at the exchanges that were kept, samples and those around a trip.",
        subcommands: [CapturesList.self, CapturesExport.self])
}

/// Which captures of which state directory.
struct CaptureOptions: ParsableArguments {
    @OptionGroup var state: StateDirOption
    @Option(help: "Only of this model.") var model: String?
    @Option(help: "Only of this version, as assigned.") var version: String?
    @Option(help: ArgumentHelp("Only those kept around this trip, as cut-1.", valueName: "id"))
    var cut: String?
    @Option(
        help: ArgumentHelp(
            "Only from then on: an instant as 2026-11-21T12:00:00Z, or a time before now as 15m.",
            valueName: "time"))
    var since: String?

    func archive() throws -> CaptureArchive {
        CaptureArchive(stateDirectory: try state.directory())
    }

    func selection() throws -> CaptureSelection {
        var selection = CaptureSelection(model: model, version: version, cut: cut)
        guard let since else { return selection }
        guard let instant = AuditFilter.time(since, now: Console.wallMicros) else {
            throw ValidationError(
                "--since: '\(since)' is no time; expected 2026-11-21T12:00:00Z, or 15m for that long ago")
        }
        selection.sinceMicros = instant
        return selection
    }

    /// Of an answer that is empty: a name that does not exist is an error.
    func explainNothing() throws {
        var names = (try? AuditNames(directory: try state.directory())) ?? AuditNames()
        var archive = try archive()
        names.add(try reading { try archive.sets(CaptureSelection()) })
        if let unknown = names.unknown(model: model, version: version, cut: cut) {
            Output.error(unknown)
            throw ExitCode(1)
        }
        Output.error("no captures; a model keeps them where its config has captures")
    }

    /// Runs a reading; a folder that cannot be read is exit code 1.
    func reading<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            Output.error("the captures cannot be read: \(error)")
            throw ExitCode(1)
        }
    }
}

struct CapturesList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Say what was kept, by model, version and trip.")

    @OptionGroup var options: CaptureOptions
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func run() throws {
        var archive = try options.archive()
        let selection = try options.selection()
        let sets = try options.reading { try archive.sets(selection) }
        if sets.isEmpty { try options.explainNothing() }
        switch output {
        case .json: Output.json(.array(sets.map(\.json)))
        case .text:
            for set in sets { Output.text(set.summary + "\n") }
        }
        if archive.skipped > 0 { Output.error("\(archive.skipped) lines are no captures and were skipped") }
    }
}

struct CapturesExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write captures to standard output, each exchange once.")

    /// What captures are written as.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case har, jsonl
    }

    @OptionGroup var options: CaptureOptions
    @Option(help: "har (HTTP archive 1.2) or jsonl (as kept).") var format = Format.jsonl

    func run() throws {
        var archive = try options.archive()
        let selection = try options.selection()
        var har = CaptureHAR()
        if try options.reading({ try archive.sets(selection) }).isEmpty { try options.explainNothing() }
        if format == .har { Output.text(har.head) }
        try options.reading {
            try archive.each(selection) { capture, line in
                switch format {
                case .har: Output.text(har.entry(capture))
                case .jsonl: Output.text(String(decoding: line, as: UTF8.self) + "\n")
                }
            }
        }
        if format == .har { Output.text(har.tail) }
        if archive.skipped > 0 { Output.error("\(archive.skipped) lines are no captures and were skipped") }
    }
}

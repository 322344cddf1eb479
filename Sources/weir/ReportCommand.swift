// `weir report`: what cuts came to, and the ledger over all rollouts. From the running Weir; where none runs,
// reports come from the journal and the ledger from the saved state.
// Place: reads /reports and /ledger, or the files of the state directory.
// Invariant: the same report says the same from both sources.

import ArgumentParser
import Config
import Control
import Payload
import Sidecar

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the report of a cut, or the ledger over all rollouts.",
        discussion: """
            The newest report, unless --cut names another one. Without a running Weir (or with --state-dir) \
            the journal is read.
            """)

    @Option(help: "Only this model.") var model: String?
    @Option(help: ArgumentHelp("This cut, as cut-3.", valueName: "id")) var cut: String?
    @Flag(help: "The ledger over all rollouts: cuts, times, refuted trips, alpha spent.") var all = false
    @Option(help: ArgumentHelp("Read this state directory, not the running Weir.", valueName: "folder"))
    var stateDir: String?
    @OptionGroup var admin: AdminOption
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func validate() throws {
        if all, cut != nil {
            throw ValidationError("--all is the ledger over all cuts; leave it out for the report of one")
        }
    }

    func run() throws {
        do {
            if all { try showLedger() } else { try showReport() }
        } catch let problem as OfflineProblem {
            Output.error("\(problem)")
            throw ExitCode(problem.exitCode)
        }
    }

    private func showReport() throws {
        let known = try fromAdmin("/reports")?["reports"]?.elements
        let reports = try known ?? OfflineReports.reports(stateDir: try existing(), model: nil, cut: nil)
        let wanted = reports.filter { report in
            (model == nil || report["model"]?.string == model)
                && (cut == nil || report["cut"]?.string == cut)
        }
        guard let report = wanted.last else {
            // What Weir no longer keeps stands in the journal.
            if known != nil, cut != nil, let old = try? archived() { return say(old, isOffline: true) }
            if let cut, let held = try withheld(cut, isRunning: known != nil) { return say(held) }
            Output.error(OfflineReports.unknown(cut: cut, model: model, among: reports))
            throw ExitCode(1)
        }
        say(report, isOffline: known == nil)
    }

    /// The page of weight that was withheld under that number, when no version was cut.
    private func withheld(_ cut: String, isRunning: Bool) throws -> JSON? {
        if isRunning, let status = try fromAdmin("/status"),
            let held = OfflineReports.withheld(status: status, model: model, cut: cut)
        {
            return held
        }
        guard stateDir != nil || admin.config.found != nil else { return nil }
        return try? OfflineReports.withheld(stateDir: try folder(), model: model, cut: cut)
    }

    private func archived() throws -> JSON? {
        try OfflineReports.reports(stateDir: try folder(), model: model, cut: cut).last
    }

    private func say(_ report: JSON, isOffline: Bool = false) {
        switch output {
        case .json: Output.json(report)
        case .text: Output.text(ReportText.render(report, isOffline: isOffline))
        }
    }

    private func showLedger() throws {
        let known = try fromAdmin("/ledger")
        let ledger = try known ?? OfflineReports.ledger(stateDir: try existing())
        let part = model.map { ledger["models"]?[$0] } ?? ledger["total"]
        guard let part else {
            Output.error("the ledger has no model \(model ?? "")")
            throw ExitCode(1)
        }
        switch output {
        case .json: Output.json(model == nil ? ledger : part)
        case .text: Output.text(ReportText.render(ledger: part, of: model ?? "all models"))
        }
    }

    /// nil when no Weir answers and the files are to be read.
    private func fromAdmin(_ path: String) throws -> JSON? {
        guard stateDir == nil else { return nil }
        do {
            let answer = try admin.client().get(path)
            guard answer.isSuccess, let json = answer.json else {
                Output.error("status \(answer.status): \(answer.excerpt)")
                throw ExitCode(1)
            }
            return json
        } catch let problem as AdminUnreachable {
            guard admin.config.found != nil, admin.admin == nil else {
                Output.error("\(problem)")
                Output.error("to read the files of a Weir that does not run, name them with --state-dir")
                throw ExitCode(1)
            }
            return nil
        }
    }

    /// The folder to read in place of a running Weir.
    private func existing() throws -> String {
        let path = try folder()
        guard stateDir == nil else { return try StateDirOption.existing(path, "--state-dir") }
        let file = try admin.config.path()
        return try StateDirOption.existing(path, "no Weir answers, and state_dir of \(file)")
    }

    private func folder() throws -> String {
        if let stateDir { return stateDir }
        let path = try admin.config.path()
        do throws(ConfigProblem) {
            return try ConfigGlance.stateDir(path: path)
        } catch {
            Output.error("\(error)")
            Output.error("so the state directory is not known; name it with --state-dir")
            throw ExitCode(78)
        }
    }
}

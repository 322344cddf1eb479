// The operator's verbs: each is one call of the admin API.
// Place: the words of `AdminVerb.Word`, with their arguments.
// Invariant: nothing is decided here; the running Weir says yes or no.

import ArgumentParser
import Config
import Control
import Sidecar

/// Of start, approve, skip, hold and retry.
private let rolloutOnly =
    "Only for a model with a rollout. Where it has fixed weights, start, approve, skip, hold and retry are "
    + "refused: weir weights sets them, weir pause keeps them, weir resume leaves a cut."

struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send all traffic of a model back to stable, latched, and quarantine its candidates.")

    @Argument(help: "The model.") var model: String
    @Option(help: "Only this candidate (default: every candidate).") var version: String?
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.rollback, model: model, version: version)) }
}

struct Promote: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give a candidate all traffic; stable stays warm, guardrails go on.",
        discussion: """
            A rollout's candidate bakes first where the config has a bake, with a share held back on stable \
            to compare with; --force skips that. Without stable traffic rules against a constant go on (the \
            default rule outage, and rules with `above` or `below`). Rules against stable over requests \
            compare with stable as it was in the last stage, the bake included, and alert unless \
            without_stable says more. They sleep where too little of stable was counted there, and so do \
            rules over values and feedback; weir status says since when and why. weir check lists all sorts.
            """)

    @Argument(help: "The model.") var model: String
    @Option(help: "The candidate (default: the only one).") var version: String?
    @Flag(help: "Also when it is quarantined or the model is cooling down.") var force = false
    @OptionGroup var options: VerbOptions

    func run() throws {
        try options.send(AdminVerb(.promote, model: model, version: version, force: force))
    }
}

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let a rollout begin, as soon as no pre-flight check and no blackout forbids it.",
        discussion: rolloutOnly)

    @Argument(help: "The model.") var model: String
    @Flag(help: "At once, whatever the checks say.") var force = false
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.start, model: model, force: force)) }
}

struct Approve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give the approval that the stage in force asks for; its other conditions stay.",
        discussion: rolloutOnly)

    @Argument(help: "The model.") var model: String
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.approve, model: model)) }
}

struct Skip: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Go on to the next stage now, without the conditions of this one.",
        discussion: rolloutOnly)

    @Argument(help: "The model.") var model: String
    @Flag(help: "Also while the model is cooling down.") var force = false
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.skip, model: model, force: force)) }
}

struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start a candidate that was cut again from its first stage, with fresh evidence.",
        discussion: "Also after withheld weight, where nobody knows whether it was cut.\n\n\(rolloutOnly)")

    @Argument(help: "The model.") var model: String
    @Flag(help: "Also while the model is cooling down, or for a version that was cut twice.") var force =
        false
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.retry, model: model, force: force)) }
}

struct Hold: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep a rollout where it is until resume, skip or promote; guardrails go on and still cut.",
        discussion: "Weights moves it and keeps the hold. \(rolloutOnly)")

    @Argument(help: "The model.") var model: String
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.hold, model: model)) }
}

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let nothing go up by itself until resume; guardrails go on and still cut.",
        discussion: """
            Approve, hold, weights, and promote of a rollout that has begun, are obeyed all the same; start \
            and skip are refused until resume.
            """)

    @Argument(help: "The model.") var model: String
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.pause, model: model)) }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Leave a pause, a hold, a cut of other versions, or withheld weight.",
        discussion: """
            A rollout goes on where it stood. After a cut, fixed weights are the configured ones of versions \
            that are not quarantined; after withheld weight a promotion and weights that a verb had set are \
            in force again, unless the config has changed since. A candidate that was cut itself takes \
            retry, and a promotion is left by rollback or weights.
            """)

    @Argument(help: "The model.") var model: String
    @Flag(help: "Also while the model is cooling down.") var force = false
    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.resume, model: model, force: force)) }
}

struct Weights: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set the candidates' shares of traffic; stable gets the rest.",
        discussion: """
            Example: weir weights recommender v1.13=10%

            A rollout is held at these weights until resume, which sets its own again.
            """)

    @Argument(help: "The model.") var model: String
    @Argument(help: ArgumentHelp("Shares, as v1.13=10%.", valueName: "version=share"))
    var shares: [String]
    @Flag(help: "Also for a quarantined version or while the model is cooling down.") var force = false
    @OptionGroup var options: VerbOptions

    func run() throws {
        try options.send(AdminVerb(.weights, model: model, weights: try parsed(), force: force))
    }

    private func parsed() throws -> [String: UInt32] {
        var weights: [String: UInt32] = [:]
        for share in shares {
            let parts = share.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let ppm = try? Notation.percentage(parts[1]), ppm <= 1_000_000 else {
                throw ValidationError(
                    "'\(share)': expected a version and its share, such as v1.13=10% (0% to 100%)")
            }
            guard weights.updateValue(ppm, forKey: parts[0]) == nil else {
                throw ValidationError("\(parts[0]) is named twice")
            }
        }
        return weights
    }
}

struct Unquarantine: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let a version that was cut back; it gets no traffic yet.",
        discussion: """
            With --state-dir, the quarantine is lifted in the files of a Weir that does not run: when a \
            config makes a quarantined version stable, Weir does not start before.
            """)

    @Argument(help: "The model.") var model: String
    @Argument(help: "The version.") var version: String
    @Option(help: ArgumentHelp("The state directory of a Weir that does not run.", valueName: "folder"))
    var stateDir: String?
    @OptionGroup var options: VerbOptions

    func run() throws {
        guard let stateDir else {
            return try options.send(AdminVerb(.unquarantine, model: model, version: version))
        }
        do throws(OfflineProblem) {
            let answer = try OfflineUnquarantine.run(
                stateDir: stateDir, model: model, version: version, actor: Console.user,
                reason: options.reason)
            switch options.output {
            case .text: Output.text(answer + "\n")
            case .json: Output.json(["ok": true, "answer": .string(answer)])
            }
        } catch {
            Output.error("\(error)")
            throw ExitCode(error.exitCode)
        }
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validate the config file and take it over; a bad file changes nothing.")

    @OptionGroup var options: VerbOptions

    func run() throws { try options.send(AdminVerb(.reload)) }
}

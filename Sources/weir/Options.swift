// What several verbs share: which config, which running Weir, who asks and why.
// Place: option groups of the verbs beside this file.
// Invariant: what is not named comes from the config, then from the usual places, in this order.

import ArgumentParser
import Config
import Control
import Payload
import Sidecar

/// Which config file.
struct ConfigOption: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "The config file (default: ./weir.yaml, else /etc/weir/weir.yaml).", valueName: "file"))
    var config: String?

    static let places = ["weir.yaml", "/etc/weir/weir.yaml"]

    static let missing =
        "no config: neither \(places.joined(separator: " nor ")) exists; name one with --config"

    /// The file that was named, or the first of the usual places that exists; nil when there is none.
    var found: String? {
        if let config { return config }
        return Self.places.first(where: Console.isReadable)
    }

    /// The file to load.
    /// - Throws: when none was named and none of the usual places has one.
    func path() throws -> String {
        guard let found else {
            throw ValidationError(Self.missing)
        }
        return found
    }
}

/// Which running Weir.
struct AdminOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The admin API, as 127.0.0.1:9902 or unix:/run/weir/admin.sock (default: what the config says).",
            valueName: "address"))
    var admin: String?

    @OptionGroup var config: ConfigOption

    /// The named address, else the config's, else the standard one.
    func client() throws -> AdminClient {
        try admin.map(Self.client) ?? AdminClient(try place())
    }

    private func place() throws -> AdminPlace {
        guard let path = config.found else { return .standard(without: ConfigOption.places) }
        // A verb must work whatever is wrong with the rest of the file.
        do throws(ConfigProblem) {
            return try ConfigGlance.admin(path: path)
        } catch {
            Output.error("\(error)")
            Output.error("so the address of the admin API is not known; name it, as --admin 127.0.0.1:9902")
            throw ExitCode(78)
        }
    }

    /// Says whom an answer came from, where nobody had named the address and it may be another Weir's.
    func sayWho(refused: Bool) {
        guard admin == nil, let place = try? place(), place.isGuess else { return }
        var isOther = false
        if let path = config.found, let status = (try? AdminClient(place).get("/status"))?.json {
            isOther = ConfigGlance.differs(path: path, from: status)
        }
        guard refused || isOther else { return }
        let other = isOther ? "; its config is not this file as it is now" : ""
        Output.error("the Weir at \(place.address) answered\(other). The address is \(place.origin)")
    }

    /// The admin API at an address as a person writes it.
    static func client(at text: String) throws -> AdminClient {
        guard let client = AdminClient(at: text) else {
            throw ValidationError(
                "--admin: '\(text)' is no address; expected 127.0.0.1:9902, [::1]:9902 or unix:/path")
        }
        return client
    }
}

/// Who asks, why, and how the answer is written.
struct VerbOptions: ParsableArguments {
    @OptionGroup var admin: AdminOption

    @Option(help: "Why, for the journal.")
    var reason = ""

    @Option(help: ArgumentHelp("Makes the verb idempotent: the same id is obeyed once.", valueName: "id"))
    var requestID: String?

    @Option(help: "How the answer is written: text or json.")
    var output = OutputFormat.text

    /// Sends a verb and prints the answer; a refusal is exit code 1.
    func send(_ verb: AdminVerb) throws {
        var verb = verb
        verb.reason = reason
        verb.requestID = requestID
        verb.actor = Console.user
        let answer: AdminAnswer
        do {
            answer = try admin.client().send(verb)
        } catch let problem as AdminUnreachable {
            Output.error("\(problem)")
            throw ExitCode(1)
        }
        switch output {
        case .json: Output.json(answer.json ?? ["status": .integer(Int64(answer.status))])
        case .text: Self.say(answer)
        }
        admin.sayWho(refused: !answer.isSuccess)
        if !answer.isSuccess { throw ExitCode(1) }
    }

    private static func say(_ answer: AdminAnswer) {
        guard let body = answer.json else {
            return Output.error("status \(answer.status): \(answer.excerpt)")
        }
        guard answer.isSuccess else {
            Output.error(body["error"]?.line ?? body["answer"]?.line ?? answer.excerpt)
            for problem in body["problems"]?.elements ?? [] {
                Output.error("  " + (problem.line ?? problem.text))
            }
            return
        }
        if let sentence = body["answer"]?.line { Output.text(sentence + "\n") }
        if let weights = body["weights"]?.members, !weights.isEmpty {
            let list = weights.map { "\(JSON.string($0.name).line ?? "") \($0.value.line ?? "")" }
            Output.text("weights: \(list.joined(separator: ", "))\n")
        }
        if let changes = body["changes"]?.elements {
            Output.text(changes.isEmpty ? "reloaded, no changes\n" : "reloaded:\n")
            for change in changes { Output.text("  \(change.line ?? change.text)\n") }
        }
        if let warning = body["warning"]?.line { Output.error(warning) }
    }
}

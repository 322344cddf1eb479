// Two aliases of a registered model in MLflow, flipped as traffic moves. Theory: the registry knows no
// transaction over two aliases, so the order is chosen so that a crash between any two calls leaves a state
// that is safe and that the next attempt completes:
//
//   promote v   previous := champion, then champion := v     (in between: champion is what it was)
//   cut         champion := stable, if a version that was cut is champion; then previous is deleted where it
//               names what was cut, or stable itself          (in between: champion is right already)
//
// Every step reads before it writes, so doing it twice is doing it once.
// Source: MLflow's REST API 2.0, registered-models/alias.

import Platform

/// The aliases of one registered model.
struct MLflowAliases {
    let config: MLflowConfig

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        do throws(MLflowStop) {
            let registry = try MLflowRegistry(
                url: config.url, model: config.model, tokenFile: config.tokenFile, caFile: config.caFile,
                timeout: config.timeout, isCancelled: context.isCancelled)
            switch notice.kind {
            case .promote: return try promote(notice, registry)
            case .cut: return try cut(notice, registry)
            case .hold, .recovery, .alert, .start, .stage: return .done("no alias changes")
            }
        } catch {
            return error.outcome
        }
    }

    private func promote(
        _ notice: Notice, _ registry: MLflowRegistry
    ) throws(MLflowStop) -> AttemptOutcome {
        let next = try number(of: notice.versions.first)
        let now = try registry.version(of: config.champion)
        guard now != next else { return .done("\(config.champion) is \(next) already") }
        if let now { try registry.set(config.previous, to: now) }
        try registry.set(config.champion, to: next)
        return .done("\(config.champion): \(now ?? "none") -> \(next)")
    }

    private func cut(_ notice: Notice, _ registry: MLflowRegistry) throws(MLflowStop) -> AttemptOutcome {
        let gone = Set(notice.versions.compactMap { config.versions[$0] })
        let stable = try number(of: notice.stable)
        var said: [String] = []
        if let now = try registry.version(of: config.champion), gone.contains(now), now != stable {
            try registry.set(config.champion, to: stable)
            said.append("\(config.champion): \(now) -> \(stable)")
        }
        if let before = try registry.version(of: config.previous),
            gone.contains(before) || !said.isEmpty && before == stable
        {
            try registry.delete(config.previous)
            said.append("\(config.previous): \(before) -> none")
        }
        return .done(said.isEmpty ? "no alias names what was cut" : said.joined(separator: ", "))
    }

    private func number(of version: String?) throws(MLflowStop) -> String {
        guard let version else { throw MLflowStop(.refused("the decision names no version")) }
        guard let number = config.versions[version] else {
            let known = config.versions.keys.sorted().joined(separator: ", ")
            throw MLflowStop(
                .refused("versions of this action has no registry version for \(version); it has \(known)"))
        }
        return number
    }
}

/// Ends an attempt early.
struct MLflowStop: Error {
    var outcome: AttemptOutcome

    init(_ outcome: AttemptOutcome) { self.outcome = outcome }
}

/// The calls on one registered model.
struct MLflowRegistry {
    private let url: HTTPURL
    private let model: String
    private let fields: [(name: String, value: String)]
    private let client: HTTPClient

    init(
        url: HTTPURL, model: String, tokenFile: String?, caFile: String?, timeout: Interval,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(MLflowStop) {
        self.url = url
        self.model = model
        var client = HTTPClient()
        client.answerWithin = timeout
        client.caFile = caFile
        client.isCancelled = isCancelled
        self.client = client
        var fields = [(name: "content-type", value: "application/json")]
        if let tokenFile {
            switch SecretFile.read(tokenFile) {
            case .success(let token): fields.append(("authorization", "Bearer \(token)"))
            case .failure(let problem): throw MLflowStop(.failed(problem.reason))
            }
        }
        self.fields = fields
    }

    /// The version number that an alias names; nil when there is no such alias.
    func version(of alias: String) throws(MLflowStop) -> String? {
        let query = "?name=\(HTTPURL.escaped(model))&alias=\(HTTPURL.escaped(alias))"
        let answer = try call(.get, query, nil)
        if answer.isSuccess {
            let version = answer.json?["model_version"]?["version"]
            if let text = version?.string ?? version?.integer.map(String.init) { return text }
            throw MLflowStop(.failed("\(url.origin) names no version for alias \(alias): \(answer.excerpt)"))
        }
        if isMissingAlias(answer) { return nil }
        throw MLflowStop(AttemptOutcome(answer, from: url.origin))
    }

    func set(_ alias: String, to version: String) throws(MLflowStop) {
        let body: JSON = [
            "name": .string(model), "alias": .string(alias), "version": .string(version),
        ]
        try expectSuccess(try call(.post, "", body))
    }

    /// Without effect when there is no such alias.
    func delete(_ alias: String) throws(MLflowStop) {
        let answer = try call(.delete, "", ["name": .string(model), "alias": .string(alias)])
        if !isMissingAlias(answer) { try expectSuccess(answer) }
    }

    private func expectSuccess(_ answer: HTTPAnswer) throws(MLflowStop) {
        guard !answer.isSuccess else { return }
        throw MLflowStop(AttemptOutcome(answer, from: url.origin))
    }

    /// A missing alias is 400 INVALID_PARAMETER_VALUE, or 404 where the server says so. A missing model is a
    /// RESOURCE_DOES_NOT_EXIST of its own, and no reason to go on.
    private func isMissingAlias(_ answer: HTTPAnswer) -> Bool {
        guard answer.status == 400 || answer.status == 404, let said = answer.json else { return false }
        let code = said["error_code"]?.string
        guard code == "INVALID_PARAMETER_VALUE" || code == "RESOURCE_DOES_NOT_EXIST" else { return false }
        return said["message"]?.string?.lowercased().contains("alias") == true
    }

    private func call(
        _ method: HTTPRequest.Method, _ query: String, _ body: JSON?
    ) throws(MLflowStop) -> HTTPAnswer {
        let target = url.appending("/api/2.0/mlflow/registered-models/alias\(query)")
        let request = HTTPRequest(
            method, target, fields: fields, body: body.map { Array($0.text.utf8) } ?? [])
        do throws(HTTPFailure) {
            return try client.send(request)
        } catch {
            throw MLflowStop(AttemptOutcome(error))
        }
    }
}

// The calls on one registered model in MLflow, for the action that moves its aliases and for the source that
// follows one. Invariant: an answer that could mean two things is a failure; a missing alias is only what the
// server clearly calls one.
// Source: MLflow's REST API 2.0, registered-models/alias; the answers are those of release 3.17.2.

import Calls
import Config
import Control
import Payload
import Platform

/// Ends an attempt early.
struct MLflowStop: Error {
    var outcome: AttemptOutcome

    init(_ outcome: AttemptOutcome) { self.outcome = outcome }

    /// Why, as a clause.
    var sentence: String {
        switch outcome {
        case .done(let reason, _), .failed(let reason, _, _), .refused(let reason, _): reason
        case .cancelled: "the call was given up"
        }
    }
}

/// The calls on one registered model.
struct MLflowRegistry {
    private let url: HTTPURL
    private let model: String
    private let fields: [(name: String, value: String)]
    private let client: HTTPClient

    init(
        _ access: MLflowAccess, model: String, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(MLflowStop) {
        url = access.url
        self.model = model
        var client = HTTPClient()
        client.answerWithin = access.timeout
        client.caFile = access.caFile
        client.isCancelled = isCancelled
        self.client = client
        var fields = [(name: "content-type", value: "application/json")]
        if let credentials = try Self.credentials(access) { fields.append(("authorization", credentials)) }
        self.fields = fields
    }

    /// A bearer token, or a name and a password (RFC 7617); read anew each time.
    private static func credentials(_ access: MLflowAccess) throws(MLflowStop) -> String? {
        if let tokenFile = access.tokenFile { return "Bearer \(try secret(tokenFile))" }
        guard let username = access.username, let passwordFile = access.passwordFile else { return nil }
        return "Basic \(Base64.text("\(username):\(try secret(passwordFile))".utf8))"
    }

    private static func secret(_ path: String) throws(MLflowStop) -> String {
        switch SecretFile.read(path) {
        case .success(let secret): return secret
        case .failure(let problem): throw MLflowStop(.failed(problem.reason))
        }
    }

    /// What an alias names; a version that is no word of at most 128 letters is no answer.
    func reading(of alias: String) throws(MLflowStop) -> AliasReading {
        let answer = try call(alias)
        if isMissingVersion(answer) { return .gone }
        guard let number = try version(of: alias, in: answer) else { return .target(.missing) }
        guard (1...128).contains(number.utf8.count), number.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw MLflowStop(
                .failed("\(url.origin) names a version that is none: \(HTTPAnswer.excerpt(number.utf8))"))
        }
        return .target(.version(number))
    }

    /// The version number that an alias names; nil when there is no such alias.
    func version(of alias: String) throws(MLflowStop) -> String? {
        try version(of: alias, in: try call(alias))
    }

    private func call(_ alias: String) throws(MLflowStop) -> HTTPAnswer {
        try call(.get, "?name=\(HTTPURL.escaped(model))&alias=\(HTTPURL.escaped(alias))", nil)
    }

    private func version(of alias: String, in answer: HTTPAnswer) throws(MLflowStop) -> String? {
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

    /// A missing alias is 400 INVALID_PARAMETER_VALUE with a sentence, or 404 where the server says so. A
    /// name that is no alias has the same code, a missing model the other one: both are no reason to go on.
    private func isMissingAlias(_ answer: HTTPAnswer) -> Bool {
        guard answer.status == 400 || answer.status == 404, let said = answer.json else { return false }
        let code = said["error_code"]?.string
        guard code == "INVALID_PARAMETER_VALUE" || code == "RESOURCE_DOES_NOT_EXIST" else { return false }
        // The sentence about a missing model has the model's name in it, which may have "alias" in it.
        guard let message = said["message"]?.string?.lowercased() else { return false }
        let isAboutAlias =
            message.split(separator: " ").contains("alias") && !message.hasPrefix("registered model with")
        return isAboutAlias && (message.contains("not found") || message.contains("does not exist"))
    }

    /// A version that was deleted is 404 RESOURCE_DOES_NOT_EXIST; the alias outlives it, and the sentence
    /// is about the version, "Model Version (name=rec, version=3) not found".
    private func isMissingVersion(_ answer: HTTPAnswer) -> Bool {
        guard answer.status == 404, let said = answer.json,
            said["error_code"]?.string == "RESOURCE_DOES_NOT_EXIST",
            let message = said["message"]?.string?.lowercased()
        else { return false }
        return message.hasPrefix("model version")
            && (message.contains("not found") || message.contains("does not exist"))
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

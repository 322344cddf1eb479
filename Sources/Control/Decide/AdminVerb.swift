// An operator's verb as it arrives: the word, its arguments, who asks and why. Read from the JSON body of
// POST /verbs/<word>. Unknown members are refused: a misspelt `verison` must not mean "any version".
// Invariant: an `AdminVerb` read from a body has what its word needs and nothing that it does not take.

import Config
import Payload
import Rollout

/// What an operator asks for.
package struct AdminVerb: Sendable, Equatable {
    /// The words of POST /verbs/<word> and of the command line.
    package enum Word: String, Sendable, CaseIterable {
        case rollback, start, promote, approve, skip, hold, pause, resume, retry, weights, unquarantine
        case reload

        /// Whether obeying can give a version more traffic. Such a verb is refused when it cannot be made
        /// durable; the others are obeyed and said to be blind.
        package var raisesExposure: Bool {
            switch self {
            case .rollback, .pause, .hold: false
            case .start, .promote, .approve, .skip, .resume, .retry, .weights, .unquarantine, .reload: true
            }
        }
    }

    package var word: Word
    /// Empty only for `reload`.
    package var model: String
    /// Why, in the operator's words.
    package var reason: String
    /// Who, as claimed by the request; nil when it does not say.
    package var actor: String?
    /// Makes the verb idempotent: the same id gets the same answer and is obeyed once.
    package var requestID: String?
    /// For rollback, promote and unquarantine.
    package var version: String?
    /// For weights: parts per million by version.
    package var weights: [String: UInt32]
    /// Lets weights and promote name a quarantined version.
    package var force: Bool

    package init(
        _ word: Word, model: String = "", reason: String = "", actor: String? = nil, requestID: String? = nil,
        version: String? = nil, weights: [String: UInt32] = [:], force: Bool = false
    ) {
        self.word = word
        self.model = model
        self.reason = reason
        self.actor = actor
        self.requestID = requestID
        self.version = version
        self.weights = weights
        self.force = force
    }

    /// What must be equal for a repeated request id to be the same request.
    var signature: String {
        let weights = weights.sorted { $0.key < $1.key }.map {
            JSON.Member($0.key, .integer(Int64($0.value)))
        }
        let value: JSON = [
            "verb": .string(word.rawValue), "model": .string(model), "version": .optional(version),
            "weights": .object(weights), "force": .bool(force),
        ]
        return value.text
    }

    /// The body to send.
    package var json: JSON {
        var members: [JSON.Member] = []
        if !model.isEmpty { members.append(.init("model", .string(model))) }
        if !reason.isEmpty { members.append(.init("reason", .string(reason))) }
        if let actor { members.append(.init("actor", .string(actor))) }
        if let requestID { members.append(.init("request_id", .string(requestID))) }
        if let version { members.append(.init("version", .string(version))) }
        if !weights.isEmpty {
            let list = weights.sorted { $0.key < $1.key }
            members.append(
                .init("weights", .object(list.map { .init($0.key, .string(Notation.text(ppm: $0.value))) })))
        }
        if force { members.append(.init("force", true)) }
        return .object(members)
    }
}

/// Why a body is not a verb.
package struct VerbProblem: Error, Equatable {
    package var sentence: String
}

extension AdminVerb {
    static let textBytesMax = 1_024

    /// Reads a body.
    package init(word: Word, body: [UInt8]) throws(VerbProblem) {
        let value: JSON
        do throws(ScanProblem) {
            value = try JSON(parsing: body.isEmpty ? Array("{}".utf8) : body)
        } catch {
            throw VerbProblem(sentence: "the body is \(error)")
        }
        guard case .object(let members) = value else {
            throw VerbProblem(sentence: "the body must be a JSON object such as {\"model\": \"recommender\"}")
        }
        self.init(word)
        for member in members { try take(member) }
        try checkArguments()
    }

    private mutating func take(_ member: JSON.Member) throws(VerbProblem) {
        switch member.name {
        case "model": model = try Self.text(member)
        case "reason": reason = try Self.text(member)
        case "actor": actor = try Self.text(member)
        case "request_id": requestID = try Self.text(member)
        case "version": version = try Self.text(member)
        case "force":
            guard let value = member.value.bool else {
                throw VerbProblem(sentence: "force must be true or false, not \(member.value.text)")
            }
            force = value
        case "weights": weights = try Self.weights(member.value)
        default:
            throw VerbProblem(
                sentence: "unknown member \(JSON.string(member.name).text); known are model, reason, actor, "
                    + "request_id, version, weights, force")
        }
    }

    private func checkArguments() throws(VerbProblem) {
        if word != .reload, model.isEmpty {
            throw VerbProblem(sentence: "\(word.rawValue) needs \"model\", the name of a model in the config")
        }
        if word == .weights, weights.isEmpty {
            throw VerbProblem(
                sentence: "weights needs \"weights\", such as {\"v1.13\": \"10%\"}; stable gets the rest")
        }
        if word == .unquarantine, version == nil {
            throw VerbProblem(sentence: "unquarantine needs \"version\", the one to let back")
        }
        if word != .weights, !weights.isEmpty {
            throw VerbProblem(sentence: "\(word.rawValue) takes no weights; the verb for that is weights")
        }
    }

    private static func text(_ member: JSON.Member) throws(VerbProblem) -> String {
        guard let text = member.value.string, !text.isEmpty, text.utf8.count <= textBytesMax,
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else {
            throw VerbProblem(
                sentence:
                    "\(member.name) must be a string of 1 to \(textBytesMax) bytes without control characters"
            )
        }
        return text
    }

    private static func weights(_ value: JSON) throws(VerbProblem) -> [String: UInt32] {
        guard case .object(let members) = value, members.count <= 32 else {
            throw VerbProblem(sentence: "weights must be an object such as {\"v1.13\": \"10%\"}")
        }
        var weights: [String: UInt32] = [:]
        for member in members {
            guard let text = member.value.string, let ppm = try? Notation.percentage(text),
                ppm <= RolloutState.whole
            else {
                throw VerbProblem(
                    sentence:
                        "the weight of \(member.name) must be a percentage from 0% to 100% with at most "
                        + "four decimals, such as \"10%\", not \(member.value.text)")
            }
            weights[member.name] = ppm
        }
        guard weights.values.reduce(UInt64(0), { $0 + UInt64($1) }) <= 1_000_000 else {
            throw VerbProblem(sentence: "the weights sum to more than 100%")
        }
        return weights
    }
}

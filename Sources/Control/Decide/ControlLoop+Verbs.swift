// Operators' verbs: who may, what it means to the machine, and when the caller is told. A request id makes a
// verb idempotent, also over a restart: its answer is part of the saved state.
// Invariant: every verb gets exactly one answer per caller.

import Config
import Logging
import Payload
import Platform
import Rollout

extension ControlLoop {
    /// How long a caller waits for cores to obey.
    static let obeyedWithin = Interval.seconds(10)

    /// Takes a verb; the answer comes through `reply`, now or after it is durable and obeyed.
    /// - Parameter actor: who, as far as the connection shows.
    package func obey(_ verb: AdminVerb, actor: String, reply: @escaping @Sendable (AdminResponse) -> Void) {
        if let id = verb.requestID, isRepeated(id, verb, reply) { return }
        let who = verb.actor.map { "\($0) (\(actor))" } ?? actor
        guard let i = indexByName[verb.model] else {
            let known = models.map(\.config.name).prefix(20).joined(separator: ", ")
            return reply(.refusal(404, "there is no model \(verb.model); the config has \(known)"))
        }
        if let unknown = unknownVersion(verb, models[i].config) {
            let known = models[i].config.versions.map(\.name).joined(separator: ", ")
            return reply(.refusal(422, "model \(verb.model) has no version \(unknown); it has \(known)"))
        }
        if verb.word.raisesExposure, let reason = whyNoRaise {
            return reply(
                .refusal(
                    503,
                    "nothing was changed: \(reason), and \(verb.word.rawValue) must be durable before it "
                        + "is visible"
                ))
        }
        guard let asked = verb.rollout else {
            return reply(.refusal(422, "\(verb.word.rawValue) is no verb for a model"))
        }
        let request = VerbRequest(verb: asked, actor: who, reason: verb.reason, force: verb.force)
        let waiting = WaitingVerb(
            verb: verb, actor: who, replies: [reply], deadline: now + Self.obeyedWithin)
        guard let refusal = refusalForPendingCut(i, request) else {
            apply(i, .verb(request), verb: waiting)
            return
        }
        let state = models[i].decided
        post(
            i, [tell(i, .verb(request, refusal), state)], before: state, answer: refusal, verb: waiting)
    }

    private func unknownVersion(_ verb: AdminVerb, _ model: ModelConfig) -> String? {
        var named = Array(verb.weights.keys)
        if let version = verb.version { named.append(version) }
        return named.sorted().first { model.version($0) == nil }
    }

    /// Whether the request id is known: then it gets the known answer, or joins the callers that wait for it.
    private func isRepeated(
        _ id: String, _ verb: AdminVerb, _ reply: @escaping @Sendable (AdminResponse) -> Void
    ) -> Bool {
        let conflict = AdminResponse.refusal(
            409, "request_id \(id) was used for another request; a new request needs a new id")
        for (key, steps) in pending {
            guard let s = steps.firstIndex(where: { $0.verb?.verb.requestID == id }) else { continue }
            guard steps[s].verb?.verb.signature == verb.signature else {
                reply(conflict)
                return true
            }
            pending[key]?[s].verb?.replies.append(reply)
            return true
        }
        if let v = waiting.firstIndex(where: { $0.verb.requestID == id }) {
            guard waiting[v].verb.signature == verb.signature else {
                reply(conflict)
                return true
            }
            waiting[v].replies.append(reply)
            return true
        }
        guard let known = saved.answered.last(where: { $0.requestID == id }) else { return false }
        reply(
            known.request == verb.signature
                ? AdminResponse(
                    status: known.status, contentType: "application/json", body: Array(known.body.utf8))
                : conflict)
        return true
    }

    /// Puts the machine's answer into the verb, and into the saved state under its request id.
    /// - Parameter group: that whose pending cut the verb took the model out of.
    func prepare(
        _ waiting: inout WaitingVerb?, _ answer: VerbAnswer, model: String, leftOutOf group: String?
    ) {
        guard var verb = waiting, let i = indexByName[model] else { return }
        let said = answer.said
        let more = said.isAccepted ? consequences(i, of: verb.verb.word, leftOutOf: group) : ""
        let sentence = said.sentence + more
        let body: JSON = [
            "ok": .bool(said.isAccepted), "verb": .string(verb.verb.word.rawValue), "model": .string(model),
            "answer": .string(sentence), "phase": .string(models[i].decided.phase.word),
            "weights": JSON(shares: shares(i)), "request_id": .optional(verb.verb.requestID),
            "durable": true,
        ]
        verb.response = .json(said.isAccepted ? 200 : 409, body)
        if !said.isAccepted { verb.response = .json(409, body.with("error", .string(said.sentence))) }
        waiting = verb
        guard let id = verb.verb.requestID else { return }
        saved.answered.append(
            AnsweredVerb(
                requestID: id, request: verb.verb.signature, status: verb.response.status,
                body: String(decoding: verb.response.body, as: UTF8.self)))
        if saved.answered.count > SavedState.answeredMax { saved.answered.removeFirst() }
    }

    /// The weights of a model, what its control arm takes of stable's among them.
    private func shares(_ i: Int) -> [String: UInt32] {
        let (config, state) = (models[i].config, models[i].decided)
        var shares = state.weights
        guard let arm = config.control?.version else { return shares }
        let part = config.weight(of: arm, under: state)
        guard part > 0 else { return shares }
        shares[arm] = part
        shares[config.stable] = config.weight(of: config.stable, under: state)
        return shares
    }

    /// What the caller should know beside the machine's answer: who watches without stable's traffic, and
    /// which weight waits.
    private func consequences(_ i: Int, of word: AdminVerb.Word, leftOutOf group: String?) -> String {
        var out = ""
        if word == .promote, case .promoted = models[i].decided.phase {
            let known = models[i].rulesKnowingStable
            out +=
                "; without stable traffic "
                + (models[i].config.guardrails.withoutStable(knowing: known) ?? "NO GUARDRAILS are watching")
        }
        out += wordsOfPendingCuts(i, leftOutOf: group)
        guard word.raisesExposure else { return out }
        for held in heldCandidates(i) { out += "; \(held.version) is held at 0%: \(held.reason)" }
        return out
    }

    /// A raise that could not be made durable: nothing was changed.
    func refuse(_ verb: WaitingVerb, _ failure: String) {
        saved.answered.removeAll { $0.requestID == verb.verb.requestID }
        let response = AdminResponse.refusal(
            503, "nothing was changed: \(verb.verb.word.rawValue) could not be made durable (\(failure))")
        for reply in verb.replies { reply(response) }
    }

    /// A verb that takes traffic away was obeyed although the disk refused it.
    func warn(_ verb: inout WaitingVerb, _ failure: String) {
        guard let body = try? JSON(parsing: verb.response.body) else { return }
        let warned = body.with("durable", false).with(
            "warning",
            .string("obeyed, but not durable: \(failure); it is written as soon as the disk allows"))
        verb.response = .json(verb.response.status, warned)
    }

    /// Answers the verbs whose plan every core obeys, and those whose time is over.
    func answerObeyed(_ obeyed: UInt64) {
        waiting.removeAll { verb in
            guard let epoch = verb.epoch, epoch <= obeyed else { return false }
            for reply in verb.replies { reply(verb.response) }
            return true
        }
    }

    /// Answers verbs that no core obeyed in time.
    func answerLate() {
        guard !waiting.isEmpty else { return }
        waiting.removeAll { verb in
            guard verb.deadline <= now else { return false }
            let late = AdminResponse.refusal(
                504, "\(verb.verb.word.rawValue) is decided and durable, but not every core obeys it yet")
            for reply in verb.replies { reply(late) }
            return true
        }
    }
}

extension AdminVerb {
    /// What the verb is to the rollout machine; nil for `reload`.
    var rollout: RolloutVerb? {
        switch word {
        case .rollback: .rollback(version: version)
        case .promote: .promote(version: version)
        case .pause: .pause
        case .resume: .resume
        case .weights: .weights(weights)
        case .unquarantine: version.map { .unquarantine(version: $0) }
        case .start: .start
        case .approve: .approve
        case .skip: .skip
        case .retry: .retry
        case .hold: .hold
        case .reload: nil
        }
    }
}

extension RolloutPhase {
    /// The phase's word in status and answers.
    package var word: String {
        switch self {
        case .split: "split"
        case .paused: "paused"
        case .cut: "cut"
        case .promoted: "promoted"
        case .waiting: "waiting"
        case .stage: "stage"
        case .baking: "baking"
        case .held: "held"
        }
    }
}

extension JSON {
    /// The object with a member replaced or added at its end.
    package func with(_ name: String, _ value: JSON) -> JSON {
        guard case .object(var members) = self else { return self }
        if let i = members.firstIndex(where: { $0.name == name }) {
            members[i].value = value
        } else {
            members.append(Member(name, value))
        }
        return .object(members)
    }
}

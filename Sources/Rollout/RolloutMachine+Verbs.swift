// What an operator's verbs do. Each is answered with a sentence; asking for what is already so is accepted
// and changes nothing, so a verb can be repeated safely. The verbs that only a program knows stand in
// RolloutMachine+ProgramVerbs.
// Invariant: a refused verb leaves the state as it was.

extension RolloutStep {
    mutating func take(_ request: VerbRequest) {
        let answer =
            switch request.verb {
            case .rollback(let version): rollback(version, request)
            case .promote(let version): promote(version, request)
            case .pause: pause()
            case .resume: resume(request)
            case .weights(let weights): giveWeights(weights, request)
            case .unquarantine(let version): unquarantine(version)
            case .start, .approve, .skip, .retry, .hold: takeProgramVerb(request)
            }
        actions += [.journal(.verb(request, answer)), .answer(answer)]
    }

    var stable: String { state.setup.stable }

    private mutating func rollback(_ version: String?, _ request: VerbRequest) -> VerbAnswer {
        if let version {
            guard version != stable else {
                return .refused("\(version) is stable: a rollback returns to it")
            }
            guard state.setup.candidates.contains(version) else { return unknown(version) }
        }
        let versions = version.map { [$0] } ?? state.setup.candidates
        guard !versions.isEmpty else { return .refused("there is no candidate to roll back") }
        let isCut = if case .cut = state.phase { true } else { false }
        if isCut, versions.allSatisfy({ state.quarantined[$0] != nil }) {
            return .accepted("already cut: \(stable) has all weight")
        }
        let reason = request.reason.isEmpty ? "rolled back by \(request.actor)" : request.reason
        cut(versions, guardrail: nil, actor: request.actor, reason: reason, evidence: [])
        return .accepted("cut: \(stable) has all weight, \(list(versions)) barred")
    }

    private mutating func promote(_ named: String?, _ request: VerbRequest) -> VerbAnswer {
        let candidates = state.setup.candidates
        let only = candidates.count == 1 ? candidates[0] : nil
        guard let version = named ?? state.setup.program?.candidate ?? only else {
            return .refused("name the version to promote: \(list(candidates))")
        }
        guard version != stable else {
            return .refused("\(version) is stable already; rollback gives it all weight")
        }
        guard candidates.contains(version) else { return unknown(version) }
        if case .promoted(let record) = state.phase, record.version == version {
            return .accepted("already promoted: \(version) has all weight")
        }
        if let refusal = refusal(toWeigh: [version], request) { return refusal }
        if let program = state.setup.program, program.candidate == version, !request.force {
            return promoteThroughBake(program, request)
        }
        leaveCut()
        let freed = lift([version])
        promote(
            PromotionRecord(
                version: version, wallMicros: wallMicros, steadyMicros: steadyMicros, actor: request.actor,
                reason: request.reason))
        clear(freed)
        let unproven = state.setup.program?.candidate == version ? ", without the rest of its rollout" : ""
        return .accepted("promoted: \(version) has all weight\(unproven); \(stable) keeps warm")
    }

    private mutating func pause() -> VerbAnswer {
        switch state.phase {
        case .split, .waiting, .stage, .baking:
            state.phase = .paused
            return .accepted("paused; guardrails keep watching")
        case .paused:
            return .accepted("already paused")
        case .held(let record):
            return .refused("held already: \(record.reason)")
        case .cut(let record):
            return .refused("\(record.id) has given all weight to \(stable): there is nothing to pause")
        case .promoted(let record):
            return .refused("\(record.version) is promoted: there is nothing to pause")
        }
    }

    private mutating func resume(_ request: VerbRequest) -> VerbAnswer {
        switch state.phase {
        case .split, .waiting, .stage, .baking:
            return .accepted("already running")
        case .paused where state.setup.program == nil:
            state.phase = .split
            return .accepted("resumed")
        case .paused, .held:
            return resumeProgram(request)
        case .promoted(let record):
            return .refused("\(record.version) is promoted; use weights or rollback")
        case .cut(let record):
            if let refusal = refusal(toWeigh: [], request) { return refusal }
            if let answer = resumeInterrupted(record) { return answer }
            if state.setup.program != nil { return resumeProgram(after: record) }
            leaveCut()
            state.phase = .split
            let (allowed, barred) = configuredWeights
            setWeights(allowed)
            return barred.isEmpty
                ? .accepted("resumed with the configured weights")
                : .accepted("resumed; \(list(barred)) stays quarantined at weight 0")
        }
    }

    private mutating func giveWeights(_ asked: [String: UInt32], _ request: VerbRequest) -> VerbAnswer {
        let names = asked.keys.sorted()
        if let name = names.first(where: { $0 != stable && !state.setup.candidates.contains($0) }) {
            return unknown(name)
        }
        let candidates = asked.filter { $0.key != stable }
        let total = candidates.values.reduce(0) { $0 + UInt64($1) }
        guard total <= UInt64(RolloutState.whole) else {
            return .refused("the weights add up to more than 100 %")
        }
        if let rest = asked[stable], UInt64(rest) + total != UInt64(RolloutState.whole) {
            return .refused("the weights must add up to 100 %; leave \(stable) out to give it the rest")
        }
        let weighed = names.filter { $0 != stable && candidates[$0] ?? 0 > 0 }
        let isRaised = weighed.contains { candidates[$0] ?? 0 > state.weights[$0] ?? 0 }
        if let refusal = refusal(toWeigh: weighed, request, raises: isRaised) { return refusal }
        switch state.phase {
        case .split, .paused, .waiting, .stage, .baking, .held:
            if state.complete(candidates) == state.weights { return .accepted("the weights are already so") }
        case .cut, .promoted:
            leaveCut()
            state.climb?.promotedMicros = nil
            if state.setup.program == nil { state.phase = .split }
        }
        let freed = lift(weighed)
        setWeights(candidates)
        clear(freed)
        actions.append(
            .journal(.weights(sortedWeights, actor: request.actor, reason: request.reason)))
        switch state.phase {
        case .split, .paused, .held: return .accepted("weights set")
        case .waiting, .stage, .baking, .cut, .promoted:
            hold(.operatorsVerb, actor: request.actor, reason: "weights were set by \(request.actor)")
            return .accepted("weights set; the rollout is held until resume, which sets its own again")
        }
    }

    private mutating func unquarantine(_ version: String) -> VerbAnswer {
        guard state.quarantined[version] != nil else {
            return state.setup.candidates.contains(version) || version == stable
                ? .accepted("\(version) is not quarantined") : unknown(version)
        }
        let freed = lift([version])
        state.epoch += 1
        actions.append(.setWeights(sortedWeights))
        clear(freed)
        return .accepted("\(version) is no longer quarantined; its weight stays as it is")
    }

    // MARK: What verbs share

    /// Why these versions may not be given weight now; nil when they may, or when forced.
    func refusal(
        toWeigh versions: [String], _ request: VerbRequest, raises: Bool = true
    ) -> VerbAnswer? {
        if request.force { return nil }
        for version in versions {
            if let record = state.quarantined[version] {
                return .refused(
                    "\(version) is quarantined by \(record.cutID) (\(record.reason)); unquarantine it or"
                        + " use force")
            }
        }
        if raises, let until = state.coolDownUntil, steadyMicros < until {
            let seconds = (until - steadyMicros) / 1_000_000 + 1
            return .refused("cooling down for another \(seconds) s after a cut; wait, or use --force")
        }
        return nil
    }

    /// Takes versions out of quarantine.
    /// - Returns: those that were in it.
    mutating func lift(_ versions: [String]) -> [String] {
        let freed = versions.filter { state.quarantined[$0] != nil }
        for version in freed { state.quarantined[version] = nil }
        return freed
    }

    mutating func clear(_ freed: [String]) {
        if !freed.isEmpty { actions.append(.clearCut(freed)) }
    }

    private func unknown(_ version: String) -> VerbAnswer {
        .refused("there is no candidate \(version); candidates: \(list(state.setup.candidates))")
    }

    private func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.joined(separator: ", ")
    }
}

// Weight withheld because nobody knows what was decided last: a start found that lines of the journal are
// gone, and one of them may have cut a version. All weight is stable's, latched as after a cut, but no
// version is blamed: none is barred, none has a cut counted against it, and no cool-down begins.
// Place: called by control's recovery, before the first plan.
// Invariant: what leaves a cut leaves this as well, and nothing else does: an operator's verb.

extension RolloutMachine {
    /// The state with all weight at stable until an operator's verb. nil where there is nothing to withhold:
    /// a model without candidates, or one that is cut.
    public static func withheld(_ state: RolloutState, reason: String, wallMicros: UInt64) -> RolloutState? {
        if case .cut = state.phase { return nil }
        guard !state.setup.candidates.isEmpty else { return nil }
        var next = state
        next.cutCount += 1
        var record = CutRecord(
            id: "cut-\(next.cutCount)", wallMicros: wallMicros, versions: [], guardrail: nil, actor: "weir",
            reason: reason, evidence: [], weightsBefore: state.weights)
        var promotion: PromotionRecord?
        if case .promoted(var made) = state.phase {
            // The steady clock of then is not carried on meanwhile.
            made.steadyMicros = nil
            promotion = made
        }
        record.interrupted = .init(promotion: promotion, configured: state.setup.weights)
        next.phase = .cut(record)
        next.weights = next.complete([:])
        next.shadow = nil
        next.recovery = nil
        next.coolDownUntil = nil
        next.epoch += 1
        return next
    }
}

extension RolloutStep {
    /// Ends withheld weight: a promotion is in force again, and weights that an operator had set are, unless
    /// the config has changed since; else the configured ones are.
    /// - Returns: nil where the record or the versions of now do not allow it, as for a real cut.
    mutating func resumeInterrupted(_ record: CutRecord) -> VerbAnswer? {
        guard record.isWithheld, let interrupted = record.interrupted else { return nil }
        func isFree(_ version: String) -> Bool {
            state.setup.candidates.contains(version) && state.quarantined[version] == nil
        }
        if let promotion = interrupted.promotion, isFree(promotion.version) {
            leaveCut()
            state.phase = .promoted(promotion)
            setWeights([promotion.version: RolloutState.whole])
            return .accepted(
                "resumed: \(promotion.version) is promoted and has all weight, as before it was withheld")
        }
        let before = record.weightsBefore.filter { $0.key != stable && $0.value > 0 }
        guard state.setup.program == nil, interrupted.configured == state.setup.weights,
            before.keys.allSatisfy(isFree),
            state.complete(before) != state.complete(configuredWeights.allowed)
        else { return nil }
        leaveCut()
        state.phase = .split
        setWeights(before)
        let list = before.sorted { $0.key < $1.key }
            .map { "\($0.key) \(Sentence.percent(Double($0.value) / 1e6))" }
        return .accepted(
            "resumed with the weights of before, which are not the configured ones: "
                + (list.isEmpty ? "\(stable) 100 %" : list.joined(separator: ", ")))
    }

    /// A candidate that was cut itself is tried again; another one begins.
    private func remedy(_ record: CutRecord) -> String {
        guard let candidate = state.setup.program?.candidate, !record.versions.contains(candidate) else {
            return "retry starts again"
        }
        return "resume lets \(candidate) begin"
    }

    /// What a verb that a cut refuses is told to use instead.
    func latched(_ record: CutRecord) -> String {
        record.isWithheld
            ? "all weight is withheld: resume goes on where the rollout stood, retry starts it again"
            : "\(record.id) is latched: \(remedy(record))"
    }
}

extension CutRecord {
    /// Whether it blames no version: weight was withheld because what was decided before is not known.
    public var isWithheld: Bool { versions.isEmpty }
}

extension RolloutState {
    /// Whether all weight is withheld until an operator's verb.
    public var isWithheld: Bool {
        if case .cut(let record) = phase { record.isWithheld } else { false }
    }
}

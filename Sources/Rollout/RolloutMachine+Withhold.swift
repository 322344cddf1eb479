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
        let record = CutRecord(
            id: "cut-\(next.cutCount)", wallMicros: wallMicros, versions: [], guardrail: nil, actor: "weir",
            reason: reason, evidence: [], weightsBefore: state.weights)
        next.phase = .cut(record)
        next.weights = next.complete([:])
        next.shadow = nil
        next.recovery = nil
        next.coolDownUntil = nil
        next.epoch += 1
        return next
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

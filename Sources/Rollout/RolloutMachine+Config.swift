// What a loaded configuration does to a rollout: it is followed where the state allows it, and what it may
// not do is said in the journal.
// Invariant: a configuration never leaves a cut and never gives a quarantined candidate weight.

extension RolloutStep {
    /// Takes a configuration over; one that says what the last one said changes nothing.
    mutating func take(_ setup: RolloutSetup) {
        let before = state.setup
        guard setup != before || Set(state.weights.keys) != Set(setup.weights.keys) else { return }
        state.setup = setup
        actions.append(.journal(.configured(setup)))
        state.alerts.removeAll { key in !setup.candidates.contains { key.hasPrefix($0 + "/") } }
        if let record = state.quarantined.removeValue(forKey: setup.stable) {
            actions.append(.clearCut([setup.stable]))
            overrule("\(setup.stable) was quarantined by \(record.cutID); the configuration makes it stable")
        }
        if setup.stable != before.stable, state.recovery == .watching {
            state.recovery = nil
            actions.append(.endRecovery)
        }
        switch state.phase {
        case .split, .paused, .waiting, .stage, .baking, .held:
            if !setup.isSplit(as: before) || Set(state.weights.keys) != Set(setup.weights.keys) {
                followWeights()
            }
        case .cut(let record):
            setWeights([:])
            if setup.weights[setup.stable] != RolloutState.whole {
                overrule("\(record.id) is latched: the configured weights wait for resume or weights")
            }
        case .promoted(let record):
            if setup.stable != record.version, setup.candidates.contains(record.version) {
                setWeights([record.version: RolloutState.whole])
                overrule("\(record.version) is promoted: the configured weights wait for weights or rollback")
            } else {
                state.phase = .split
                followWeights()
            }
        }
    }

    private mutating func followWeights() {
        let (allowed, barred) = configuredWeights
        setWeights(allowed)
        for version in barred {
            overrule("\(version) is quarantined: its configured weight goes to \(state.setup.stable)")
        }
    }

    private mutating func overrule(_ sentence: String) {
        actions.append(.journal(.overruled(sentence)))
    }
}

extension RolloutSetup {
    /// Whether both ask for the same split between the same versions.
    fileprivate func isSplit(as other: RolloutSetup) -> Bool {
        stable == other.stable && candidates == other.candidates && weights == other.weights
    }
}

// What a loaded configuration does to a rollout: it is followed where the state allows it, and what it may
// not do is said in the journal. Its part of the machine's table:
//
//   state                   configuration                       next
//   any but cut, promoted   no program                          split (paused stays), weights as configured
//   any but cut, promoted   another candidate, dry run on/off   waiting (paused stays): a new rollout
//   waiting, stage, baking  the same candidate                  same place, its weights as they are now
//   stage, baking           the same, but the place is gone     held, weights stay
//   paused, held            the same candidate                  same, weights stay
//   cut                     any                                 cut: weights and rollouts wait for a verb
//   promoted                stable is v, or v is gone           waiting; split without a program
//   promoted                else                                promoted: it waits for a verb
//
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
        let isNew = alignClimb(before)
        switch state.phase {
        case .split, .paused, .waiting, .stage, .baking, .held:
            if setup.program == nil {
                followFixed(before)
            } else {
                followProgram(before, isNew: isNew)
            }
        case .cut(let record):
            setWeights([:])
            if setup.program == nil, setup.weights[setup.stable] != RolloutState.whole {
                overrule("\(record.id) is latched: the configured weights wait for resume or weights")
            }
            if isNew, let climb = state.climb {
                overrule("\(record.id) is latched: the rollout of \(climb.candidate) waits for a verb")
            }
        case .promoted(let record):
            if setup.stable != record.version, setup.candidates.contains(record.version) {
                setWeights([record.version: RolloutState.whole])
                overrule("\(record.version) is promoted: the configuration waits for weights or rollback")
            } else if setup.program == nil {
                state.phase = .split
                followWeights()
            } else {
                if !isNew, let climb = state.climb {
                    state.beginRollout(of: climb.candidate, wallMicros: wallMicros)
                }
                state.phase = .waiting
                takePlace()
            }
        }
    }

    /// Brings the climb in line with the program.
    /// - Returns: whether another rollout has begun.
    private mutating func alignClimb(_ before: RolloutSetup) -> Bool {
        guard let program = state.setup.program else {
            state.climb = nil
            return false
        }
        if let climb = state.climb, climb.candidate == program.candidate,
            before.program?.isDryRun == program.isDryRun
        {
            // Another stable is another comparison.
            if before.stable != state.setup.stable { state.climb?.visit += 1 }
            return false
        }
        state.beginRollout(of: program.candidate, wallMicros: wallMicros)
        return true
    }

    /// Fixed weights, also where there was a program before.
    private mutating func followFixed(_ before: RolloutSetup) {
        let hadProgram = before.program != nil
        if state.phase != .paused { state.phase = .split }
        setShadow(nil)
        if hadProgram || !state.setup.isSplit(as: before)
            || Set(state.weights.keys) != Set(state.setup.weights.keys)
        {
            followWeights()
        }
    }

    private mutating func followProgram(_ before: RolloutSetup, isNew: Bool) {
        guard let program = state.setup.program, let climb = state.climb else { return }
        if isNew {
            if state.phase != .paused { state.phase = .waiting }
            return takePlace()
        }
        if !program.has(climb.place) {
            let last = Climb.Place.stage(program.stages.count - 1)
            state.climb?.place = last
            state.climb?.isApproved = false
            state.climb?.visit += 1
            hold(
                .configuration, actor: "weir",
                reason: "\(before.program?.name(climb.place) ?? "the stage") is gone from the configuration;"
                    + " resume goes on at \(program.name(last))")
        }
        switch state.phase {
        case .waiting, .stage, .baking:
            takePlace()
        case .split, .paused, .held, .cut, .promoted:
            // An operator's standstill: weights stay, as far as the versions are still there.
            let kept = state.weights.filter {
                $0.key != before.stable && state.setup.candidates.contains($0.key)
            }
            if state.complete(kept) != state.weights { setWeights(kept) }
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

extension RolloutProgram {
    fileprivate func has(_ place: Climb.Place) -> Bool {
        switch place {
        case .before: true
        case .stage(let i): stages.indices.contains(i)
        case .baking: endsWhole
        }
    }
}

extension RolloutSetup {
    /// Whether both ask for the same split between the same versions.
    fileprivate func isSplit(as other: RolloutSetup) -> Bool {
        stable == other.stable && candidates == other.candidates && weights == other.weights
    }
}

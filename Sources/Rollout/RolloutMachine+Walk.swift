// How a program's candidate walks: into its first stage, from stage to stage, through the bake, to its
// promotion; and how it is held on the way. One step at most per tick, and only where nothing blocks it.
// Invariant: every entry into a place is a new visit, so evidence of one place never pays for another; a dry
// run walks the same way and moves no weight.

extension RolloutStep {
    /// What time and evidence make of a program at this tick.
    mutating func walk(_ facts: TickFacts) {
        guard let program = state.setup.program, let climb = state.climb else { return }
        switch state.phase {
        case .split, .paused, .held, .cut, .promoted: return
        case .waiting: break
        case .stage, .baking:
            if state.phase == .stage, program.isOver(at: wallMicros) { return endExperiment(climb, facts) }
            if isDeadlineOver(program, climb) {
                let limit = Sentence.duration(micros: program.deadlineMicros ?? 0)
                return hold(
                    .deadline, actor: "weir",
                    reason: "the deadline of \(limit) has passed in \(program.name(climb.place))")
            }
        }
        let blockers = RolloutMachine.blockers(
            state, facts.readings, stage: facts.stage, conditions: facts.conditions, wallMicros: wallMicros)
        guard blockers.isEmpty else { return }
        let why = Self.why(climb, facts, to: program.next(after: climb.place))
        advance(program, climb, actor: "weir", why: why, facts.stage)
    }

    private func isDeadlineOver(_ program: RolloutProgram, _ climb: Climb) -> Bool {
        guard let limit = program.deadlineMicros, let from = climb.deadlineFromMicros else { return false }
        return steadyMicros >= from.saturatingAdd(limit)
    }

    /// On to the next place.
    mutating func advance(
        _ program: RolloutProgram, _ climb: Climb, actor: String, why: String, _ evidence: StageReading?
    ) {
        switch program.next(after: climb.place) {
        case .place(let place): enter(place, actor: actor, why: why, evidence)
        case .promotion: finish(program, climb, actor: actor, why: why)
        case .nothing: break
        }
    }

    /// Enters a place with its weights and its shadow.
    mutating func enter(_ place: Climb.Place, actor: String, why: String, _ evidence: StageReading?) {
        guard let program = state.setup.program, var climb = state.climb else { return }
        climb.place = place
        climb.promotedMicros = nil
        climb.enteredMicros = wallMicros
        climb.isApproved = false
        climb.isStartOrdered = false
        if climb.startedMicros == nil {
            climb.startedMicros = wallMicros
            climb.deadlineFromMicros = steadyMicros
        }
        state.climb = climb
        state.phase = place.phase
        if !program.isDryRun { takePlace() }
        climb.visit += 1
        state.climb = climb
        let (weight, shadow) = program.shares(at: place)
        let record = StageRecord(
            climb: climb, stages: program.stages.count, weightPPM: weight, shadowPPM: shadow, actor: actor,
            reason: "\(program.name(place)): \(climb.candidate) gets \(Self.gain(weight, shadow)), \(why)",
            evidence: evidence)
        if program.isDryRun {
            note(place == .baking ? .bake : .stage, record.reason)
        } else {
            actions.append(.journal(place == .baking ? .baking(record) : .stage(record)))
        }
    }

    /// "5.0 %", "5.0 % and copies of 10.0 %", "copies of 10.0 % and no users".
    private static func gain(_ weightPPM: UInt32, _ shadowPPM: UInt32) -> String {
        let weight = Sentence.percent(Double(weightPPM) / 1_000_000)
        guard shadowPPM > 0 else { return weight }
        let copies = "copies of \(Sentence.percent(Double(shadowPPM) / 1_000_000))"
        return weightPPM > 0 ? "\(weight) and \(copies)" : "\(copies) and no users"
    }

    /// All weight to the candidate, for good.
    mutating func finish(_ program: RolloutProgram, _ climb: Climb, actor: String, why: String) {
        guard !program.isDryRun else {
            note(.promote, "\(climb.candidate) gets all weight, \(why)")
            return hold(.dryRunEnded, actor: "weir", reason: "the dry run has come to its end")
        }
        promote(
            PromotionRecord(
                version: climb.candidate, wallMicros: wallMicros, steadyMicros: steadyMicros, actor: actor,
                reason: why))
    }

    /// All weight to a version, whatever was before.
    mutating func promote(_ record: PromotionRecord) {
        state.phase = .promoted(record)
        if state.climb?.candidate == record.version { state.climb?.promotedMicros = record.wallMicros }
        setWeights([record.version: RolloutState.whole])
        setShadow(nil)
        actions.append(.journal(.promoted(record)))
    }

    private mutating func endExperiment(_ climb: Climb, _ facts: TickFacts) {
        let own = facts.readings.first { $0.version == climb.candidate }
        let stage = facts.stage?.visit == climb.stageVisit ? facts.stage : nil
        let record = ExperimentRecord(
            climb: climb, weights: sortedWeights, stage: stage, readings: own?.readings ?? [])
        actions.append(.journal(.experimentEnded(record)))
        hold(.experimentEnded, actor: "weir", reason: "the experiment has ended")
    }

    /// Weights stay until an operator's verb.
    mutating func hold(_ cause: HoldRecord.Cause, actor: String, reason: String) {
        guard let climb = state.climb else { return }
        let record = HoldRecord(cause: cause, wallMicros: wallMicros, actor: actor, reason: reason)
        state.phase = .held(record)
        actions.append(.journal(.held(record, climb)))
    }

    /// Weights and shadow of the climb's place; a new visit where the candidate's have to move for it.
    mutating func takePlace() {
        guard let climb = state.climb else { return }
        let before = (state.weights[climb.candidate], state.shadow)
        if state.complete(state.placeWeights) != state.weights { setWeights(state.placeWeights) }
        setShadow(state.placeShadow)
        if before != (state.weights[climb.candidate], state.shadow) { state.climb?.visit += 1 }
    }

    private mutating func note(_ what: WouldHaveRecord.What, _ sentence: String) {
        guard let climb = state.climb else { return }
        let record = WouldHaveRecord(
            what: what, version: climb.candidate, reason: "dry run: \(sentence)", reading: nil)
        actions.append(.journal(.wouldHave(record)))
    }
}

extension Climb.Place {
    /// The phase of a rollout that runs here.
    var phase: RolloutPhase {
        switch self {
        case .before: .waiting
        case .stage: .stage
        case .baking: .baking
        }
    }
}

extension RolloutProgram {
    /// What follows a place.
    enum Next {
        case place(Climb.Place)
        case promotion
        /// The last stage of an experiment.
        case nothing
    }

    func next(after place: Climb.Place) -> Next {
        switch place {
        case .before: .place(.stage(0))
        case .stage(let i) where i + 1 < stages.count: .place(.stage(i + 1))
        case .stage where !endsWhole: .nothing
        case .stage: bakeMicros > 0 ? .place(.baking) : .promotion
        case .baking: .promotion
        }
    }

    /// The candidate's weight and shadow at a place, in parts per million.
    func shares(at place: Climb.Place) -> (weightPPM: UInt32, shadowPPM: UInt32) {
        switch place {
        case .before: (0, 0)
        case .stage(let i):
            stages.indices.contains(i) ? (stages[i].weightPPM, stages[i].shadowPPM) : (0, 0)
        case .baking: (RolloutState.whole - holdBackPPM, 0)
        }
    }

    /// "stage 2 of 4", "the bake".
    func name(_ place: Climb.Place) -> String {
        switch place {
        case .before: "the time before the first stage"
        case .stage(let i): "stage \(i + 1) of \(stages.count)"
        case .baking: "the bake"
        }
    }
}

extension RolloutState {
    /// A new rollout of the setup's program, before its first stage.
    mutating func beginRollout(of candidate: String, wallMicros: UInt64) {
        rolloutCount += 1
        climb = Climb(id: "rollout-\(rolloutCount)", candidate: candidate, enteredMicros: wallMicros)
    }

    /// The candidates' weights at the climb's place; as configured in a dry run. A quarantined version has 0.
    var placeWeights: [String: UInt32] {
        guard let program = setup.program, let climb else { return [:] }
        let wanted =
            program.isDryRun
            ? setup.weights.filter { $0.key != setup.stable }
            : [climb.candidate: program.shares(at: climb.place).weightPPM]
        return wanted.filter { quarantined[$0.key] == nil }
    }

    /// The shadow at the climb's place; none in a dry run.
    var placeShadow: VersionWeight? {
        guard let program = setup.program, !program.isDryRun, let climb, quarantined[climb.candidate] == nil
        else { return nil }
        let ppm = program.shares(at: climb.place).shadowPPM
        return ppm > 0 ? VersionWeight(version: climb.candidate, ppm: ppm) : nil
    }

    /// These candidates' weights, and the rest for stable.
    func complete(_ candidates: [String: UInt32]) -> [String: UInt32] {
        RolloutSetup(stable: setup.stable, candidates: setup.candidates, weights: candidates).weights
    }
}

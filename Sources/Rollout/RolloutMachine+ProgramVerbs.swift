// The operator's verbs over a program: start, approve, skip, retry, hold; and what promote and resume mean
// where there is one. They replace a condition, never a guardrail: a quarantine is lifted by `retry` and
// `unquarantine` only.
// Invariant: a refused verb leaves the state as it was; a repeated one is accepted and changes nothing.

extension RolloutStep {
    mutating func takeProgramVerb(_ request: VerbRequest) -> VerbAnswer {
        guard let program = state.setup.program, let climb = state.climb else {
            return .refused(
                "the model has fixed weights and no rollout, so \(request.verb.word) moves nothing: weights "
                    + "sets them, pause keeps them, resume leaves a cut")
        }
        return switch request.verb {
        case .start: start(program, climb, request)
        case .approve: approve(program, climb)
        case .skip: skip(program, climb, request)
        case .retry: retry(climb, request)
        case .hold: hold(request)
        case .rollback, .promote, .pause, .resume, .weights, .unquarantine:
            preconditionFailure("\(request.verb.word) needs no program")
        }
    }

    private mutating func start(
        _ program: RolloutProgram, _ climb: Climb, _ request: VerbRequest
    ) -> VerbAnswer {
        switch state.phase {
        case .waiting:
            if let refusal = quarantineRefusal(climb) { return refusal }
            if request.force {
                enter(.stage(0), actor: request.actor, why: "started by force", nil)
                return .accepted("started at once, without its pre-flight checks")
            }
            let when = "\(climb.candidate) starts as soon as no pre-flight check and no blackout forbids it"
            if program.startsByItself || climb.isStartOrdered { return .accepted("already ordered: \(when)") }
            state.climb?.isStartOrdered = true
            return .accepted(when)
        case .stage, .baking: return .accepted("already started")
        case .paused, .held:
            return climb.place == .before
                ? .refused("\(standstill); resume first") : .accepted("already started")
        case .cut(let record): return .refused(latched(record))
        case .promoted(let record):
            return record.version == climb.candidate
                ? .accepted("already promoted")
                : .refused("\(record.version) is promoted; roll it back first")
        case .split: preconditionFailure("a program is never split")
        }
    }

    private mutating func approve(_ program: RolloutProgram, _ climb: Climb) -> VerbAnswer {
        guard let stage = state.stageInForce else {
            return .refused("there is no stage to approve: \(standstill)")
        }
        let name = program.name(climb.place)
        guard stage.needsApproval else { return .refused("\(name) needs no approval; skip leaves it now") }
        if climb.isApproved { return .accepted("already approved: \(name)") }
        state.climb?.isApproved = true
        return .accepted("approved: \(name) is left when its other conditions hold")
    }

    private mutating func skip(
        _ program: RolloutProgram, _ climb: Climb, _ request: VerbRequest
    ) -> VerbAnswer {
        switch state.phase {
        case .waiting: return .refused("not started; start with force leaves out the pre-flight checks")
        case .paused: return .refused("paused; resume first")
        case .cut(let record): return .refused(latched(record))
        case .promoted(let record): return .refused("\(record.version) is promoted: there is nothing to skip")
        case .held where climb.place == .before:
            return .refused("\(standstill); resume first, then start")
        case .held(let record) where record.cause == .dryRunEnded:
            return .refused("\(record.reason): there is nothing to skip")
        case .stage, .baking, .held: break
        case .split: preconditionFailure("a program is never split")
        }
        if let refusal = quarantineRefusal(climb) ?? refusal(toWeigh: [], request) { return refusal }
        if case .nothing = program.next(after: climb.place) {
            return .refused("\(program.name(climb.place)) is the last; promote gives all weight")
        }
        let left = program.name(climb.place)
        restartDeadline(program)
        advance(
            program, state.climb ?? climb, actor: request.actor,
            why: "\(left) was skipped by \(request.actor)",
            nil)
        return .accepted("skipped \(left) without its conditions: \(standstill)")
    }

    private mutating func retry(_ climb: Climb, _ request: VerbRequest) -> VerbAnswer {
        let candidate = climb.candidate
        var wasCut = state.quarantined[candidate] != nil
        if case .cut(let record) = state.phase, record.versions.contains(candidate) { wasCut = true }
        // Withheld weight leaves it open whether the candidate was cut; it may start again all the same.
        guard wasCut || state.isWithheld else {
            return climb.attempt > 1
                ? .accepted("attempt \(climb.attempt) is under way: \(standstill)")
                : .refused("\(candidate) was not cut: there is nothing to retry")
        }
        if case .promoted(let record) = state.phase {
            return .refused("\(record.version) is promoted; roll it back first")
        }
        if !request.force {
            if let refusal = refusal(toWeigh: [], request) { return refusal }
            let cuts = state.cutsByVersion[candidate] ?? 0
            guard cuts < 2 else {
                return .refused("\(candidate) was cut \(cuts) times; another attempt needs force")
            }
        }
        leaveCut()
        let freed = lift([candidate])
        var next = climb
        next.attempt += 1
        next.place = .before
        next.visit += 1
        next.isStartOrdered = true
        next.isApproved = false
        next.startedMicros = nil
        next.promotedMicros = nil
        next.deadlineFromMicros = nil
        next.enteredMicros = wallMicros
        next.acknowledged = []
        next.controlWithdrawn = nil
        state.climb = next
        state.phase = .waiting
        state.alerts.removeAll { $0.hasPrefix(candidate + "/") }
        setWeights(state.placeWeights)
        setShadow(nil)
        clear(freed)
        return .accepted(
            "attempt \(next.attempt) of \(candidate) starts as soon as no pre-flight check and no blackout"
                + " forbids it")
    }

    private mutating func hold(_ request: VerbRequest) -> VerbAnswer {
        switch state.phase {
        case .waiting, .stage, .baking, .paused:
            let reason = request.reason.isEmpty ? "held by \(request.actor)" : request.reason
            hold(.operatorsVerb, actor: request.actor, reason: reason)
            return .accepted("held; guardrails keep watching, resume goes on")
        case .held(let record): return .accepted("already held: \(record.reason)")
        case .cut(let record):
            return .refused("\(record.id) has given all weight to \(stable): there is nothing to hold")
        case .promoted(let record):
            return .refused("\(record.version) is promoted: there is nothing to hold")
        case .split: preconditionFailure("a program is never split")
        }
    }

    // MARK: Promote and resume

    /// To the bake, or to all weight where there is none.
    mutating func promoteThroughBake(_ program: RolloutProgram, _ request: VerbRequest) -> VerbAnswer {
        guard let climb = state.climb else { preconditionFailure("a program has a climb") }
        if program.isDryRun {
            return .refused("the rollout is a dry run and moves no weight; use force to promote in earnest")
        }
        switch state.phase {
        case .cut where state.isWithheld: return .refused("all weight is withheld: resume, or use force")
        case .cut(let record): return .refused("\(record.id) is latched: retry, or use force")
        case .promoted(let record):
            return .refused("\(record.version) is promoted; roll it back, or use force")
        case .baking:
            return .accepted("already baking; it is promoted after the bake, or at once with force")
        case .split, .waiting, .stage, .paused, .held: break
        }
        switch climb.place {
        case .before:
            return .refused(
                "\(climb.candidate) has not started; start it, or use force to promote it unproven")
        case .baking:
            return .refused("\(standstill) while baking; resume, or use force to promote at once")
        case .stage: break
        }
        let left = program.name(climb.place)
        restartDeadline(program)
        let why = "\(left) was left by \(request.actor)"
        guard program.bakeMicros > 0 else {
            finish(program, state.climb ?? climb, actor: request.actor, why: why)
            return .accepted("promoted: \(climb.candidate) has all weight; \(stable) keeps warm")
        }
        enter(.baking, actor: request.actor, why: why, nil)
        return .accepted(
            "baking for \(Sentence.duration(micros: program.bakeMicros)), then promoted; force skips the bake"
        )
    }

    /// Leaves paused or held.
    mutating func resumeProgram(_ request: VerbRequest) -> VerbAnswer {
        guard let program = state.setup.program, let climb = state.climb else {
            preconditionFailure("a program has a climb")
        }
        if let refusal = quarantineRefusal(climb) { return refusal }
        if let refusal = refusal(toWeigh: [], request, raises: placeRaises) { return refusal }
        if case .held(let record) = state.phase {
            switch record.cause {
            case .experimentEnded where program.isOver(at: wallMicros):
                return .refused("\(record.reason); promote, roll back, or configure another end")
            case .dryRunEnded:
                return .refused("\(record.reason); promote with force, or configure it in earnest")
            case .guardrails(let names):
                state.climb?.acknowledged = Set(climb.acknowledged + names).sorted()
            case .operatorsVerb, .deadline, .experimentEnded, .configuration: break
            }
        }
        restartDeadline(program)
        state.phase = climb.place.phase
        takePlace()
        return .accepted("resumed: \(standstill)")
    }

    /// Leaves a cut of other versions: back to where the candidate was, to be watched from the start.
    mutating func resumeProgram(after record: CutRecord) -> VerbAnswer {
        guard let climb = state.climb else { preconditionFailure("a program has a climb") }
        if let refusal = quarantineRefusal(climb) { return refusal }
        guard !record.versions.contains(climb.candidate) else {
            return .refused("\(record.id) was about \(climb.candidate): retry starts it again")
        }
        leaveCut()
        state.phase = climb.place.phase
        state.climb?.promotedMicros = nil
        state.climb?.visit += 1
        takePlace()
        return .accepted("resumed: \(standstill)")
    }

    /// An operator who lets a rollout go on has given it time.
    private mutating func restartDeadline(_ program: RolloutProgram) {
        if case .held(let record) = state.phase, record.cause == .deadline, program.deadlineMicros != nil {
            state.climb?.deadlineFromMicros = steadyMicros
        }
    }

    /// Whether the weights of the climb's place give a candidate more than it has.
    private var placeRaises: Bool {
        state.placeWeights.contains { $0.value > state.weights[$0.key] ?? 0 }
    }

    private func quarantineRefusal(_ climb: Climb) -> VerbAnswer? {
        state.quarantined[climb.candidate].map {
            .refused("\(climb.candidate) is quarantined by \($0.cutID) (\($0.reason)); retry starts it again")
        }
    }

    /// Where the rollout stands, in words.
    private var standstill: String {
        guard let program = state.setup.program, let climb = state.climb else { return "no rollout" }
        return switch state.phase {
        case .split: "split"
        case .waiting: "waiting to start"
        case .stage, .baking: "in \(program.name(climb.place))"
        case .paused: "paused"
        case .held(let record): "held: \(record.reason)"
        case .cut(let record): "cut by \(record.id)"
        case .promoted(let record): "\(record.version) is promoted"
        }
    }
}

// What a rollout waits for: every condition of the next step that does not hold, as a value, and as the
// sentence that status shows. The machine itself asks here, so that what is shown is what decides.
// Invariant: missing evidence is a blocker, never an absence of one; an empty answer is a step.
// Source: the design's words stage, hold, bake and promote.

/// One condition that keeps a rollout where it is.
public enum RolloutBlocker: Sendable, Hashable {
    case quarantined(version: String, cutID: String)
    case notStarted
    /// Why nothing is known yet; empty: nobody has answered.
    case preflightUnknown(String)
    case preflightFailed(String)
    /// The name of the window.
    case blackout(String)
    case experimentOver
    /// No `StageReading` of this visit to the stage.
    case noStageReading
    /// The candidate's guardrails were not read in this tick.
    case unwatched(version: String)
    case time(watchedMicros: UInt64, neededMicros: UInt64)
    case requests(Int, needed: Int)
    case keys(Int, needed: Int)
    case gate(name: String, reason: String)
    case approval(stage: Int)
    case guardrail(name: String, reason: String)
    /// A guardrail that would cut or hold fails where its trip only alerts.
    case alertedGuardrail(name: String, reason: String)
    /// A comparison beyond its limit that is more than half proven.
    case undecided(name: String, reason: String)
    /// The bake, until a rule has compared the candidate with what is held back.
    case comparison(String)
    /// The last stage of an experiment is not left by itself.
    case lastStage(weightPPM: UInt32)
    case paused
    case held(String)
    /// Held at the end of an experiment, or of a dry run, which resume does not leave; with the reason.
    case experimentEnded(String)
    case dryRunEnded(String)
    case cut(id: String, CutExit)
    /// Another model of the group; with where it is and what it waits for itself.
    case member(group: String, model: String, reason: String)
    /// The step that the members of the group take together.
    case groupStep(String)

    /// What is missing, for people.
    public var sentence: String {
        switch self {
        case .quarantined(let version, let cutID):
            "\(version) is quarantined by \(cutID): retry starts it again"
        case .notStarted: "an operator's start"
        case .preflightUnknown(""): "the pre-flight checks, which have no answer yet"
        case .preflightUnknown(let reason): "the pre-flight checks, which have no answer yet: \(reason)"
        case .preflightFailed(let reason): "the pre-flight checks, which fail: \(reason)"
        case .blackout(let name): "the end of the blackout \(name)"
        case .experimentOver:
            "a later `ends`: the configured one has passed, so the rollout does not start; change it, or"
                + " promote by force"
        case .noStageReading: "the first look at this stage"
        case .unwatched(let version): "the guardrails of \(version), which were not read"
        case .time(let watched, let needed):
            "\(Sentence.duration(micros: needed - watched)) more of \(Sentence.duration(micros: needed))"
        case .requests(let have, let needed):
            "\(Sentence.count(needed - have)) more requests of \(Sentence.count(needed))"
        case .keys(let have, let needed):
            "\(Sentence.count(needed - have)) more different keys of \(Sentence.count(needed))"
        case .gate(let name, let reason): "the gate \(name): \(reason)"
        case .approval(let stage): "an operator's approve of stage \(stage)"
        case .guardrail(let name, let reason): "the guardrail \(name), which fails: \(reason)"
        case .alertedGuardrail(let name, let reason):
            "the guardrail \(name), which fails: \(reason); it only alerts: rollback takes the version back,"
                + " skip goes on with it"
        case .undecided(let name, let reason):
            "the guardrail \(name), which is beyond its limit and not decided yet: \(reason)"
        case .comparison(let reason): "a first comparison with what is held back: \(reason)"
        case .lastStage(let ppm):
            "an operator's promote: the last stage keeps \(Sentence.percent(Double(ppm) / 1_000_000))"
        case .paused: "an operator's resume: it is paused"
        case .held(let reason): "an operator's resume: \(reason)"
        case .experimentEnded(let reason): "an operator's promote or rollback, or a later `ends`: \(reason)"
        case .dryRunEnded(let reason):
            "an operator's promote by force, or a config without `dry_run`: \(reason)"
        case .cut(let id, .retry): "an operator's retry after \(id)"
        case .cut(let id, .resume): "an operator's resume after \(id)"
        case .cut(let id, .either):
            "an operator's resume, which goes on where it stood, or retry, which starts again, after \(id)"
        case .member(let group, let model, let reason): "model \(model) of group \(group): \(reason)"
        case .groupStep(let group): "the step that group \(group) takes together"
        }
    }
}

/// The verb that leaves a cut.
public enum CutExit: Sendable, Hashable {
    /// The candidate was cut itself: it starts again.
    case retry
    /// Others were cut: the candidate, or the fixed weights, go on.
    case resume
    /// Weight is withheld, and nobody knows whether anybody was cut.
    case either
}

extension RolloutState {
    /// Which verb the cut in force is left by: the one that is not refused for it.
    func exit(of record: CutRecord) -> CutExit {
        guard setup.program != nil, let climb else { return .resume }
        if record.isWithheld, quarantined[climb.candidate] == nil { return .either }
        let isOwn = record.versions.contains(climb.candidate) || quarantined[climb.candidate] != nil
        return isOwn ? .retry : .resume
    }
}

/// What a tick knows beside the state.
struct TickFacts {
    let readings: [VersionReadings]
    let stage: StageReading?
    let conditions: RolloutConditions
    let wallMicros: UInt64
}

extension RolloutMachine {
    /// Why the rollout of a program does not go on at this tick; empty when it does, when it is promoted, and
    /// without a program.
    /// The arguments are what the machine's `tick` input carries.
    public static func blockers(
        _ state: RolloutState, _ readings: [VersionReadings], stage: StageReading?,
        conditions: RolloutConditions, wallMicros: UInt64
    ) -> [RolloutBlocker] {
        guard let program = state.setup.program, let climb = state.climb else { return [] }
        let facts = TickFacts(
            readings: readings, stage: stage, conditions: conditions, wallMicros: wallMicros)
        switch state.phase {
        case .split, .promoted: return []
        case .paused: return [.paused]
        case .held(let record):
            switch record.cause {
            case .experimentEnded where program.isOver(at: wallMicros):
                return [.experimentEnded(record.reason)]
            case .dryRunEnded: return [.dryRunEnded(record.reason)]
            case .operatorsVerb, .guardrails, .deadline, .experimentEnded, .configuration:
                return [.held(record.reason)]
            }
        case .cut(let record): return [.cut(id: record.id, state.exit(of: record))]
        case .waiting: return state.startBlockers(program, climb, facts)
        case .stage:
            guard case .stage(let i) = climb.place, program.stages.indices.contains(i) else { return [] }
            return state.stageBlockers(program, climb, program.stages[i], i, facts)
        case .baking: return state.bakeBlockers(program, climb, facts)
        }
    }
}

extension RolloutState {
    fileprivate func startBlockers(
        _ program: RolloutProgram, _ climb: Climb, _ facts: TickFacts
    ) -> [RolloutBlocker] {
        var found: [RolloutBlocker] = []
        if let record = quarantined[climb.candidate] {
            found.append(.quarantined(version: climb.candidate, cutID: record.cutID))
        }
        if !program.startsByItself, !climb.isStartOrdered { found.append(.notStarted) }
        if program.isOver(at: facts.wallMicros) { found.append(.experimentOver) }
        found += facts.conditions.blockers
        return found
    }

    fileprivate func stageBlockers(
        _ program: RolloutProgram, _ climb: Climb, _ stage: RolloutStage, _ index: Int, _ facts: TickFacts
    ) -> [RolloutBlocker] {
        // A stage without weight may be judged by time alone: its requests are copies.
        let requestsMin = max(stage.minRequests, stage.weightPPM > 0 ? 1 : 0)
        var found = evidenceBlockers(
            climb, facts, micros: stage.holdMicros, requests: requestsMin, keys: stage.minKeys)
        if let reading = facts.stage, reading.visit == climb.stageVisit {
            for gate in stage.gates {
                let said = reading.gates.first { $0.name == gate.name }
                if said?.verdict != .pass {
                    found.append(.gate(name: gate.name, reason: said?.reason ?? "not read yet"))
                }
            }
        }
        if stage.needsApproval, !climb.isApproved { found.append(.approval(stage: index + 1)) }
        if index == program.stages.count - 1, stage.weightPPM < RolloutState.whole {
            found.append(.lastStage(weightPPM: stage.weightPPM))
        }
        return found
    }

    fileprivate func bakeBlockers(
        _ program: RolloutProgram, _ climb: Climb, _ facts: TickFacts
    ) -> [RolloutBlocker] {
        let requestsMin = max(program.stages.last?.minRequests ?? 0, 1)
        var found = evidenceBlockers(
            climb, facts, micros: program.bakeMicros, requests: requestsMin, keys: 0)
        if let stage = facts.stage, stage.visit == climb.stageVisit, program.holdBackPPM > 0,
            stage.requests < Self.requestsHeldBack * Int(Self.whole / program.holdBackPPM),
            let own = facts.readings.first(where: { $0.version == climb.candidate }),
            let reason = own.readings.uncompared
        {
            found.append(.comparison(reason))
        }
        return found
    }

    /// Requests that stable should have had in a bake by the time that nothing is waited for any more.
    private static let requestsHeldBack = 3

    /// What a stage and the bake have in common.
    private func evidenceBlockers(
        _ climb: Climb, _ facts: TickFacts, micros: UInt64, requests: Int, keys: Int
    ) -> [RolloutBlocker] {
        var found: [RolloutBlocker] = []
        if let stage = facts.stage, stage.visit == climb.stageVisit {
            if stage.watchedMicros < micros {
                found.append(.time(watchedMicros: stage.watchedMicros, neededMicros: micros))
            }
            if stage.requests < requests { found.append(.requests(stage.requests, needed: requests)) }
            if stage.keys < keys { found.append(.keys(stage.keys, needed: keys)) }
        } else {
            found.append(.noStageReading)
        }
        found += guardrailBlockers(climb, facts.readings)
        found += facts.conditions.blockers
        return found
    }

    private func guardrailBlockers(_ climb: Climb, _ readings: [VersionReadings]) -> [RolloutBlocker] {
        guard let all = readings.first(where: { $0.version == climb.candidate }) else {
            return [.unwatched(version: climb.candidate)]
        }
        return all.readings.compactMap { reading in
            guard !reading.isOnlyAlert, !reading.isDryRun else { return nil }
            if reading.isHalfProven { return .undecided(name: reading.name, reason: reading.reason) }
            guard reading.verdict == .fail,
                !(reading.action == .hold && climb.acknowledged.contains(reading.name))
            else { return nil }
            return reading.action == .alert
                ? .alertedGuardrail(name: reading.name, reason: reading.reason)
                : .guardrail(name: reading.name, reason: reading.reason)
        }
    }
}

extension RolloutConditions {
    fileprivate var blockers: [RolloutBlocker] {
        var found: [RolloutBlocker] = []
        switch preflight {
        case .passed: break
        case .unknown: found.append(.preflightUnknown(preflightReason))
        case .failed(let reason): found.append(.preflightFailed(reason))
        }
        if let blackout { found.append(.blackout(blackout)) }
        return found + others
    }
}

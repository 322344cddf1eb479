// The rollout machine: (state, input, instant) -> (state, actions), pure. A cut is final for all automation:
// only an operator's verb gives weight again. A program walks its candidate through stages on evidence: what
// is missing holds it, what fails cuts it, and nothing is promoted unproven.
//
//   state             input                           next      what happens
//   split             pause / resume                  paused / split
//   waiting           nothing blocks, start by force  stage     the first one: weight, shadow
//   stage             nothing blocks, skip            stage     the next one
//   stage, the last   same, if it has 100 %           baking    all weight but the hold-back share
//   stage             promote                         baking    by force: promoted
//   stage             the experiment's end            held      with its report
//   stage, baking     deadline                        held      never promoted unproven
//   stage, baking     a guardrail that holds fails    held      weights stay
//   baking            nothing blocks, skip            promoted  the candidate has all weight
//   waiting, stage, baking: pause, hold, weights      paused, held, held
//   paused, held      resume                          as before: its weights; the deadline may start anew
//   held              skip                            stage, baking, promoted
//   any               a guardrail that cuts fails     cut       all weight to stable, version barred
//   any               rollback                        cut       the same, by the operator
//   any               promote v: force, or no program promoted  v has all weight
//   cut               recovery answers                cut       noted once
//   cut               resume                          as before, where the candidate is innocent
//   cut, waiting      retry, after the cool-down      waiting   new attempt, bar lifted, start ordered
//   cut, promoted     weights                         held      weights as asked; split without a program
//   stage to held     the control arm fails           same      withdrawn; the stage's evidence begins anew
//   any               unquarantine v, approve         same      no weight is given
// What a configuration does: RolloutMachine+Config. What blocks: RolloutBlocker; of others: RolloutGroup.
// Else nothing changes; a verb that the state does not allow is refused with a sentence.
// Invariants: weights sum to 1,000,000; a quarantined version has neither weight nor shadow; `force` is
// needed to give weight to it, or any weight during a cool-down; equal inputs give equal steps.

/// The state machine of a rollout, with fixed weights or along a program.
public enum RolloutMachine {
    /// The state of a model that is configured for the first time.
    public static func start(_ setup: RolloutSetup, wallMicros: UInt64 = 0) -> RolloutState {
        var state = RolloutState(
            phase: .split, setup: setup, weights: setup.weights, quarantined: [:], coolDownUntil: nil,
            recovery: nil, alerts: [], cutCount: 0, epoch: 1)
        guard let program = setup.program else { return state }
        state.phase = .waiting
        state.beginRollout(of: program.candidate, wallMicros: wallMicros)
        state.weights = state.complete(state.placeWeights)
        return state
    }

    /// One step.
    /// - Parameters:
    ///   - wallMicros: the wall clock, microseconds since 1970: for records, and for instants that the config
    ///     names.
    ///   - steadyMicros: a clock that passes evenly, whatever is done to the wall clock: for durations.
    ///     nil: the wall clock, where nothing is measured.
    public static func step(
        _ state: RolloutState, _ input: RolloutInput, wallMicros: UInt64, steadyMicros: UInt64? = nil
    ) -> (state: RolloutState, actions: [RolloutAction]) {
        var step = RolloutStep(
            state: state, wallMicros: wallMicros, steadyMicros: steadyMicros ?? wallMicros)
        switch input {
        case .tick(let readings, let recovery, let stage, let conditions):
            let facts = TickFacts(
                readings: readings, stage: stage, conditions: conditions, wallMicros: wallMicros)
            // First, so that it is the answer of the cut that was, not of one that is made now.
            step.take(recovery)
            step.judge(facts)
            step.walk(facts)
        case .verb(let request):
            step.take(request)
        case .controlFailed(let version, let reading):
            step.withdrawControl(version, reading)
        case .configured(let setup):
            step.take(setup)
        }
        return (step.state, step.actions)
    }

    /// Why a configuration should be refused as a whole, as a sentence; nil when the machine can live with
    /// it. A configuration that is taken over all the same has lifted the bar.
    public static func objection(_ state: RolloutState, to setup: RolloutSetup) -> String? {
        guard let record = state.quarantined[setup.stable] else { return nil }
        return "\(setup.stable) is quarantined by \(record.cutID) (\(record.reason)) and cannot be stable;"
            + " unquarantine it first"
    }
}

/// A step being made: the next state and what it orders.
struct RolloutStep {
    var state: RolloutState
    let wallMicros: UInt64
    let steadyMicros: UInt64
    var actions: [RolloutAction] = []

    init(state: RolloutState, wallMicros: UInt64, steadyMicros: UInt64) {
        self.state = state
        self.wallMicros = wallMicros
        self.steadyMicros = steadyMicros
    }

    // MARK: Effects

    /// All weight to stable, latched; `versions` are barred.
    mutating func cut(
        _ versions: [String], guardrail: String?, actor: String, reason: String,
        evidence: [GuardrailReading]
    ) {
        precondition(!versions.contains(state.setup.stable), "stable is what a cut returns to")
        state.cutCount += 1
        let record = CutRecord(
            id: "cut-\(state.cutCount)", wallMicros: wallMicros, versions: versions, guardrail: guardrail,
            actor: actor, reason: reason, evidence: evidence, weightsBefore: state.weights)
        for version in versions {
            if state.quarantined[version] == nil { state.cutsByVersion[version, default: 0] += 1 }
            state.quarantined[version] = QuarantineRecord(
                cutID: record.id, wallMicros: wallMicros, reason: reason)
            state.alerts.removeAll { $0.hasPrefix(version + "/") }
        }
        state.phase = .cut(record)
        state.coolDownUntil = steadyMicros.saturatingAdd(state.setup.coolDownMicros)
        state.recovery = .watching
        actions.append(.cut(versions))
        setWeights([:])
        setShadow(nil)
        actions += [.journal(.cut(record)), .startRecovery]
    }

    /// Gives these weights to candidates and the rest to stable.
    mutating func setWeights(_ candidates: [String: UInt32]) {
        state.weights = state.complete(candidates)
        precondition(
            state.weights.allSatisfy { $0.value == 0 || state.quarantined[$0.key] == nil },
            "a quarantined version has no weight")
        state.epoch += 1
        actions.append(.setWeights(sortedWeights))
    }

    /// Copies of requests to that version, or none.
    mutating func setShadow(_ shadow: VersionWeight?) {
        guard shadow != state.shadow else { return }
        state.shadow = shadow
        actions.append(.setShadow(shadow))
    }

    /// The weights in force, by version name.
    var sortedWeights: [VersionWeight] {
        state.weights.sorted { $0.key < $1.key }.map { VersionWeight(version: $0.key, ppm: $0.value) }
    }

    /// Leaves a cut: what was watched after it is over. Its cool-down is not: a verb by force overrules it
    /// once, and the next one needs force again.
    mutating func leaveCut() {
        guard case .cut = state.phase else { return }
        if state.recovery == .watching { actions.append(.endRecovery) }
        state.recovery = nil
    }

    /// The configured weights of versions that are not quarantined, and the names of those that are.
    var configuredWeights: (allowed: [String: UInt32], barred: [String]) {
        var allowed: [String: UInt32] = [:]
        var barred: [String] = []
        for candidate in state.setup.candidates {
            let weight = state.setup.weights[candidate] ?? 0
            if state.quarantined[candidate] == nil {
                allowed[candidate] = weight
            } else if weight > 0 {
                barred.append(candidate)
            }
        }
        return (allowed, barred)
    }
}

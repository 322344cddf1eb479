// The rollout machine: (state, input, instant) -> (state, actions). Pure, so that it can be run through
// thousands of simulated rollouts. A cut is final for every automation: it latches, quarantines what
// tripped, and only an operator's verb gives weight again.
//
//   state     input                            next      what happens
//   split     a guardrail of a version fails   cut       all weight to stable, version barred, recovery check
//   split     pause                            paused
//   split     weights                          split     weights as asked
//   any       promote v                        promoted  v has all weight
//   any       rollback                         cut       as a failing guardrail, by the operator
//   paused    a guardrail fails                cut       guardrails run in every state
//   paused    resume                           split     weights stay as they are
//   cut       a guardrail of another fails     cut       that version is barred as well
//   cut       recovery answers                 cut       noted once: recovered, not recovered, undecided
//   cut       resume                           split     configured weights, less the quarantined
//   cut       weights                          split     weights as asked
//   cut       config                           cut       stable as configured, its weights wait for a verb
//   promoted  a guardrail of v fails           cut       all weight back to stable
//   promoted  weights                          split     weights as asked
//   promoted  config: stable is v, or no v     split     weights as configured
//   split, paused: config with new weights     same      weights as configured, less the quarantined
//   any       unquarantine v                   same      the bar is lifted, no weight is given
// Everything else changes nothing; a verb that the state does not allow is refused with a sentence.
//
// Invariants: weights sum to 1,000,000; a quarantined version has weight 0; `force` is needed to give weight
// to it, or any weight during a cool-down; equal inputs give equal steps.
// Source: the design's sections on the decision loop and durable state.

/// The state machine of a rollout with fixed weights.
public enum RolloutMachine {
    /// The state of a model that is configured for the first time.
    public static func start(_ setup: RolloutSetup) -> RolloutState {
        RolloutState(
            phase: .split, setup: setup, weights: setup.weights, quarantined: [:], coolDownUntil: nil,
            recovery: nil, alerts: [], cutCount: 0, epoch: 1)
    }

    /// One step. `wallMicros` is the wall clock, microseconds since 1970.
    public static func step(
        _ state: RolloutState, _ input: RolloutInput, wallMicros: UInt64
    ) -> (state: RolloutState, actions: [RolloutAction]) {
        var step = RolloutStep(state: state, wallMicros: wallMicros)
        switch input {
        case .tick(let readings, let recovery, _, _):
            step.take(readings)
            step.take(recovery)
        case .verb(let request):
            step.take(request)
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
    var actions: [RolloutAction] = []

    init(state: RolloutState, wallMicros: UInt64) {
        self.state = state
        self.wallMicros = wallMicros
    }

    // MARK: Evidence

    /// Cuts what trips with that consequence, and raises alerts for the rest.
    mutating func take(_ all: [VersionReadings]) {
        let watched = all.filter {
            state.setup.candidates.contains($0.version) && state.quarantined[$0.version] == nil
        }
        for version in watched {
            for reading in version.readings where reading.action == .alert {
                alert(version.version, reading)
            }
        }
        let tripped = watched.filter { $0.readings.contains { $0.verdict == .fail && $0.action == .cut } }
        guard let first = tripped.first,
            let trip = first.readings.first(where: { $0.verdict == .fail && $0.action == .cut })
        else { return }
        let others = tripped.dropFirst().map(\.version)
        let also = others.isEmpty ? "" : "; as well: " + others.joined(separator: ", ")
        cut(
            tripped.map(\.version), guardrail: trip.name, actor: "weir",
            reason: "\(first.version): \(trip.rule): \(trip.reason)\(also)",
            evidence: tripped.flatMap(\.readings))
    }

    /// An alert is raised once, and again only after its guardrail has left the fail verdict.
    private mutating func alert(_ version: String, _ reading: GuardrailReading) {
        let key = "\(version)/\(reading.name)"
        let isRaised = state.alerts.contains(key)
        if reading.verdict == .fail, !isRaised {
            state.alerts = (state.alerts + [key]).sorted()
            actions.append(.journal(.alert(version: version, reading: reading)))
        } else if reading.verdict == .pass, isRaised {
            state.alerts.removeAll { $0 == key }
        }
    }

    /// The answer of the recovery check, once.
    mutating func take(_ reading: RecoveryReading?) {
        guard let reading, case .cut(let record) = state.phase, state.recovery == .watching else { return }
        guard reading.verdict != .watching else { return }
        state.recovery = reading.verdict
        actions += [.journal(.recovery(cutID: record.id, reading)), .endRecovery]
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
            state.quarantined[version] = QuarantineRecord(
                cutID: record.id, wallMicros: wallMicros, reason: reason)
            state.alerts.removeAll { $0.hasPrefix(version + "/") }
        }
        state.phase = .cut(record)
        state.coolDownUntil = wallMicros &+ state.setup.coolDownMicros
        state.recovery = .watching
        actions.append(.cut(versions))
        setWeights([:])
        actions += [.journal(.cut(record)), .startRecovery]
    }

    /// Gives these weights to candidates and the rest to stable.
    mutating func setWeights(_ candidates: [String: UInt32]) {
        let setup = RolloutSetup(
            stable: state.setup.stable, candidates: state.setup.candidates, weights: candidates)
        precondition(
            setup.weights.allSatisfy { $0.value == 0 || state.quarantined[$0.key] == nil },
            "a quarantined version has no weight")
        state.weights = setup.weights
        state.epoch += 1
        actions.append(.setWeights(sortedWeights))
    }

    /// The weights in force, by version name.
    var sortedWeights: [VersionWeight] {
        state.weights.sorted { $0.key < $1.key }.map { VersionWeight(version: $0.key, ppm: $0.value) }
    }

    /// Leaves a cut: what was watched after it is over.
    mutating func leaveCut() {
        guard case .cut = state.phase else { return }
        if state.recovery == .watching { actions.append(.endRecovery) }
        state.recovery = nil
        state.coolDownUntil = nil
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

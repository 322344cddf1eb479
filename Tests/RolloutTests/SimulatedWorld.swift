// The world of a simulated rollout: what the candidate does, what the clocks do, what the configuration and
// the operator say. Drawn from one seed; the machine under test is not looked at except to know its stage.

import Metrics
import Rollout

/// What a version does at a time.
enum Health: CaseIterable {
    case good, failing, slow, unsure, silent
}

/// Programs, setups, verbs and readings at random.
struct SimulatedWorld {
    static let names = ["v1", "v2", "v3", "v4"]
    static let epochMicros: UInt64 = 1_700_000_000_000_000

    var random: Seeded
    var wallMicros = SimulatedWorld.epochMicros
    var health = Health.good
    var blackout: String?
    var isBlackoutAlertOnly = false
    var preflight = PreflightReading.passed
    var isDryRule = false
    /// What a stage watch would have seen of the visit.
    var seen = StageReading(visit: StageVisit(rollout: "", number: 0), watchedMicros: 0, requests: 0, keys: 0)

    init(seed: UInt64) { random = Seeded(seed) }

    // MARK: Configurations

    mutating func setup() -> RolloutSetup {
        let stable = random.pick(["v1", "v1", "v1", "v2"])
        let candidates = SimulatedWorld.names.filter { $0 != stable }.filter { _ in random.chance(0.6) }
        var weights: [String: UInt32] = [:]
        for candidate in candidates {
            weights[candidate] = random.pick([0, 1, 10_000, 50_000, 250_000, 333_333])
        }
        let hasProgram = !candidates.isEmpty && random.chance(0.85)
        return RolloutSetup(
            stable: stable, candidates: candidates, weights: weights,
            coolDownMicros: random.pick([0, 1_000_000, 10_000_000]),
            program: hasProgram ? program(random.pick(candidates)) : nil)
    }

    private mutating func program(_ candidate: String) -> RolloutProgram {
        let isWhole = random.chance(0.75)
        let all: [UInt32] = [0, 10_000, 50_000, 250_000]
        var weights = all.filter { _ in random.chance(0.4) }
        if isWhole { weights.append(RolloutState.whole) } else { weights.append(500_000) }
        let bake: UInt64 = isWhole ? random.pick([0, 5_000_000]) : 0
        return RolloutProgram(
            candidate: candidate, startsByItself: random.chance(0.8), stages: weights.map { stage($0) },
            bakeMicros: bake, holdBackPPM: bake > 0 ? random.pick([0, 50_000]) : 0,
            deadlineMicros: random.pick([nil, nil, 60_000_000, 600_000_000]),
            endsAtMicros: isWhole ? nil : random.pick([nil, wallMicros + 80_000_000]),
            rollbackWindowMicros: random.pick([nil, 0, 20_000_000]), isDryRun: random.chance(0.1))
    }

    private mutating func stage(_ weightPPM: UInt32) -> RolloutStage {
        let gates = (0..<random.pick([0, 1, 2])).map {
            GateSpec(name: "gate \($0)", metric: .errorRate, margin: 0.005)
        }
        return RolloutStage(
            weightPPM: weightPPM, holdMicros: random.pick([0, 1_000_000, 5_000_000]),
            minRequests: random.pick([0, 50, 200]), minKeys: random.pick([0, 20]),
            needsApproval: random.chance(0.1), shadowPPM: weightPPM == 0 ? 100_000 : 0, gates: gates)
    }

    /// The same setup with a program that was edited.
    mutating func edited(_ setup: RolloutSetup) -> RolloutSetup {
        var edited = setup
        guard var program = edited.program else { return self.setup() }
        switch random.below(6) {
        case 0 where program.stages.count > 1: program.stages.removeFirst()
        case 0, 1: program.stages[0].minRequests += 10
        case 2: program.stages[0].weightPPM = min(program.stages[0].weightPPM, 5_000) + 1_000
        case 3: program.isDryRun.toggle()
        case 4:
            edited.program = nil
            return edited
        default: program.deadlineMicros = 5_000_000
        }
        guard program.problem == nil else { return setup }
        edited.program = program
        return edited
    }

    // MARK: Verbs

    mutating func request(_ state: RolloutState) -> VerbRequest {
        let version = random.pick(SimulatedWorld.names + ["v9"])
        let verb: RolloutVerb
        switch random.below(20) {
        case 0: verb = .rollback(version: random.chance(0.5) ? version : nil)
        case 1: verb = .promote(version: random.chance(0.4) ? version : nil)
        case 2: verb = .pause
        case 3...6: verb = .resume
        case 7:
            var weights: [String: UInt32] = [:]
            for name in SimulatedWorld.names where random.chance(0.4) {
                weights[name] = UInt32(random.below(700_000))
            }
            verb = .weights(weights)
        case 8: verb = .unquarantine(version: version)
        case 9...11: verb = .start
        case 12...13: verb = .approve
        case 14...15: verb = .skip
        case 16...18: verb = .retry
        default: verb = .hold
        }
        return VerbRequest(verb: verb, actor: "op", reason: "", force: random.chance(0.2))
    }

    // MARK: A tick

    /// Time passes, moods change; then what control would read.
    mutating func tick(_ state: RolloutState) -> RolloutInput {
        let elapsed = UInt64(random.pick([100_000, 100_000, 1_000_000, 3_000_000]))
        wallMicros += elapsed
        if random.chance(0.1) { health = random.pick([.good, .good, .good, .unsure] + Health.allCases) }
        if random.chance(0.05) { isDryRule = random.chance(0.3) }
        if random.chance(0.05) {
            blackout = random.chance(0.3) ? "weekend" : nil
            isBlackoutAlertOnly = random.chance(0.5)
        }
        if random.chance(0.05) {
            preflight = random.pick([.passed, .passed, .passed, .passed, .unknown, .failed("it is v0")])
        }
        watch(state, elapsed)
        return .tick(
            readings(state), recovery: recovery(),
            stage: state.climb == nil || random.chance(0.05) ? nil : seen,
            conditions: RolloutConditions(
                blackout: blackout, blackoutAlertsOnly: isBlackoutAlertOnly, preflight: preflight))
    }

    private mutating func watch(_ state: RolloutState, _ elapsed: UInt64) {
        guard let climb = state.climb else { return }
        // Control may be a step late with a new visit: the old reading must not count.
        if seen.visit != climb.stageVisit, random.chance(0.8) {
            seen = StageReading(visit: climb.stageVisit, watchedMicros: 0, requests: 0, keys: 0)
        } else {
            seen.watchedMicros += elapsed
            let requests = health == .silent ? 0 : Int(elapsed / 20_000)
            seen.requests += requests
            seen.keys = min(seen.requests, 100)
        }
        let verdict: Verdict = health == .good ? .pass : .notEnoughData
        seen.gates = (0..<2).map {
            GateReading(name: "gate \($0)", rule: "rule", verdict: verdict, progress: 0.5, reason: "numbers")
        }
        if random.chance(0.02) { seen.gates = [] }
    }

    private mutating func readings(_ state: RolloutState) -> [VersionReadings] {
        guard random.chance(0.95) else { return [] }
        return state.setup.candidates.map { version in
            let isUnderTrial = version == state.climb?.candidate
            let health = isUnderTrial || random.chance(0.02) ? health : .good
            return VersionReadings(
                version: version,
                readings: [
                    reading("errors", .cut, health, failsAt: .failing),
                    reading("latency", .hold, health, failsAt: .slow),
                    reading("drift", .alert, health, failsAt: .failing),
                ])
        }
    }

    private func reading(
        _ name: String, _ action: GuardrailSpec.Action, _ health: Health, failsAt bad: Health
    ) -> GuardrailReading {
        let verdict: Verdict =
            health == bad ? .fail : health == .silent || health == .unsure ? .notEnoughData : .pass
        var reading = GuardrailReading(
            name: name, rule: "rule", verdict: verdict, action: action, progress: verdict == .fail ? 1 : 0.5,
            reason: "numbers")
        reading.isDryRun = isDryRule
        return reading
    }

    private mutating func recovery() -> RecoveryReading? {
        guard random.chance(0.3) else { return nil }
        let verdict: RecoveryVerdict = random.pick([
            .watching, .watching, .recovered, .notRecovered, .undecided,
        ])
        return RecoveryReading(verdict: verdict, requests: 1, events: 0, threshold: 0.02, reason: "")
    }
}

// A rollout along a program, driven by hand: each call is one input, and the next is told what the stage saw.

import Rollout

/// A rollout of v2 over 1 %, 25 % and 100 % with a bake, unless told otherwise.
struct ProgramDriver {
    var state: RolloutState
    var actions: [RolloutAction] = []
    var wallMicros: UInt64 = 1_000_000_000
    var conditions = RolloutConditions(preflight: .passed)
    /// What the guardrails say.
    var guardrails: [GuardrailReading] = []

    static let stages = [
        RolloutStage(weightPPM: 10_000, holdMicros: 60_000_000, minRequests: 100, minKeys: 10),
        RolloutStage(
            weightPPM: 250_000, needsApproval: true,
            gates: [GateSpec(name: "errors", metric: .errorRate, margin: 0.005)]),
        RolloutStage(weightPPM: 1_000_000),
    ]

    static var program: RolloutProgram {
        RolloutProgram(candidate: "v2", stages: stages, bakeMicros: 3_600_000_000, holdBackPPM: 50_000)
    }

    init(_ program: RolloutProgram = ProgramDriver.program, coolDown: UInt64 = 0) {
        state = RolloutMachine.start(
            RolloutSetup(
                stable: "v1", candidates: ["v2", "v3"], weights: [:], coolDownMicros: coolDown,
                program: program), wallMicros: wallMicros)
    }

    mutating func step(_ input: RolloutInput) {
        (state, actions) = RolloutMachine.step(state, input, wallMicros: wallMicros)
    }

    /// A tick in which the stage in force has seen so much.
    mutating func tick(
        seconds: UInt64 = 0, requests: Int = 0, keys: Int = 0, gates: Verdict = .notEnoughData
    ) {
        let gate = GateReading(name: "errors", rule: "", verdict: gates, progress: 0, reason: "not proven")
        let visit = state.climb?.stageVisit ?? StageVisit(rollout: "", number: 0)
        step(
            .tick(
                [VersionReadings(version: "v2", readings: guardrails)], recovery: nil,
                stage: StageReading(
                    visit: visit, watchedMicros: seconds * 1_000_000, requests: requests, keys: keys,
                    gates: [gate]), conditions: conditions))
    }

    /// A tick in which everything that could be asked for is there.
    mutating func provenTick() { tick(seconds: 9_999, requests: 99_999, keys: 9_999, gates: .pass) }

    mutating func fail(_ action: GuardrailSpec.Action, dryRun: Bool = false) {
        var reading = GuardrailReading(
            name: "latency", rule: "p99 against stable", verdict: .fail, action: action, progress: 1,
            reason: "candidate 80.0 % slow")
        reading.isDryRun = dryRun
        guardrails = [reading]
        tick()
    }

    mutating func verb(_ verb: RolloutVerb, force: Bool = false) -> VerbAnswer? {
        step(.verb(VerbRequest(verb: verb, actor: "ann", reason: "", force: force)))
        return actions.compactMap { if case .answer(let answer) = $0 { answer } else { nil } }.last
    }

    mutating func configure(_ edit: (inout RolloutSetup) -> Void) {
        var setup = state.setup
        edit(&setup)
        step(
            .configured(
                RolloutSetup(
                    stable: setup.stable, candidates: setup.candidates,
                    weights: setup.weights.filter { $0.key != setup.stable },
                    coolDownMicros: setup.coolDownMicros, program: setup.program)))
    }

    /// Ticks and approvals until the phase asked for; false when it does not come.
    mutating func walk(until isThere: (RolloutState) -> Bool) -> Bool {
        for _ in 0..<20 where !isThere(state) {
            provenTick()
            _ = verb(.approve)
        }
        return isThere(state)
    }

    var weight: UInt32? { state.weights["v2"] }
    var place: Climb.Place? { state.climb?.place }
    var events: [String] {
        actions.compactMap { if case .journal(let event) = $0 { event.kind } else { nil } }
    }
    var hold: HoldRecord? { if case .held(let record) = state.phase { record } else { nil } }
    var promotion: PromotionRecord? { if case .promoted(let record) = state.phase { record } else { nil } }

    /// What the rollout waits for, as status says it.
    func waitsFor(seconds: UInt64 = 0, requests: Int = 0, keys: Int = 0) -> [String] {
        let reading = state.climb.map {
            StageReading(
                visit: $0.stageVisit, watchedMicros: seconds * 1_000_000, requests: requests, keys: keys)
        }
        return RolloutMachine.blockers(
            state, [VersionReadings(version: "v2", readings: guardrails)], stage: reading,
            conditions: conditions, wallMicros: wallMicros
        ).map(\.sentence)
    }
}

// Thousands of simulated rollouts: evidence, silence, verbs, configurations, clock jumps and restarts at any
// step, in any order. A failing seed is printed and replays exactly.

import FoundationEssentials
import Rollout
import Testing

/// One simulated rollout of the machine; every step is checked.
struct Simulation {
    static let names = ["v1", "v2", "v3", "v4"]

    let seed: UInt64
    var random: Seeded
    var state: RolloutState
    var wallMicros: UInt64 = 1_700_000_000_000_000
    /// What went wrong, as a sentence.
    var breach: String?
    /// All states and actions, when they are kept.
    var trace: [Made] = []
    let keepsTrace: Bool

    /// What a step came to.
    struct Made: Equatable {
        var state: RolloutState
        var actions: [RolloutAction]
    }

    init(seed: UInt64, keepsTrace: Bool = false) {
        self.seed = seed
        self.keepsTrace = keepsTrace
        random = Seeded(seed)
        state = RolloutMachine.start(Simulation.setup(&random))
    }

    static func setup(_ random: inout Seeded) -> RolloutSetup {
        let stable = random.pick(["v1", "v1", "v1", "v2"])
        let candidates = names.filter { $0 != stable }.filter { _ in random.chance(0.6) }
        var weights: [String: UInt32] = [:]
        for candidate in candidates {
            weights[candidate] = random.pick([0, 1, 10_000, 50_000, 250_000, 333_333])
        }
        return RolloutSetup(
            stable: stable, candidates: candidates, weights: weights,
            coolDownMicros: random.pick([0, 1_000_000, 60_000_000]))
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps where breach == nil {
            switch random.below(20) {
            case 0: wallMicros &+= UInt64(random.below(120_000_000))
            case 1: wallMicros -= UInt64(random.below(60_000_000))
            case 2: restart()
            case 3...5: step(.verb(request()))
            case 6: step(.configured(Simulation.setup(&random)))
            case 7: step(.configured(state.setup))
            default: step(.tick(evidence(), recovery: recovery()))
            }
            wallMicros += 100_000
        }
    }

    private mutating func restart() {
        do {
            let bytes = try JSONEncoder().encode(state)
            let restored = try JSONDecoder().decode(RolloutState.self, from: bytes)
            if restored != state { breach = "a restart changed the state" }
            state = restored
        } catch {
            breach = "the state cannot be saved: \(error)"
        }
    }

    private mutating func evidence() -> [VersionReadings] {
        Simulation.names.filter { _ in random.chance(0.7) }.map { version in
            let readings = (0..<random.below(3)).map { i in
                GuardrailReading(
                    name: "rule \(i)", rule: "rule", verdict: verdict(), action: random.pick([.cut, .alert]),
                    progress: 0.5, reason: "numbers")
            }
            return VersionReadings(version: version, readings: readings)
        }
    }

    private mutating func verdict() -> Verdict {
        random.chance(0.03) ? .fail : random.pick([.pass, .notEnoughData])
    }

    private mutating func recovery() -> RecoveryReading? {
        guard random.chance(0.3) else { return nil }
        let verdict: RecoveryVerdict = random.pick([
            .watching, .watching, .recovered, .notRecovered, .undecided,
        ])
        return RecoveryReading(verdict: verdict, requests: 1, events: 0, threshold: 0.02, reason: "")
    }

    private mutating func request() -> VerbRequest {
        let version = random.pick(Simulation.names + ["v9"])
        let verb: RolloutVerb
        switch random.below(9) {
        case 0: verb = .rollback(version: random.chance(0.5) ? version : nil)
        case 1: verb = .promote(version: random.chance(0.7) ? version : nil)
        case 2: verb = .pause
        case 3...4: verb = .resume
        case 5...6:
            var weights: [String: UInt32] = [:]
            for name in Simulation.names where random.chance(0.4) {
                weights[name] = UInt32(random.below(700_000))
            }
            verb = .weights(weights)
        default: verb = .unquarantine(version: version)
        }
        return VerbRequest(verb: verb, actor: "op", reason: "", force: random.chance(0.2))
    }

    private mutating func step(_ input: RolloutInput) {
        let before = state
        let (after, actions) = RolloutMachine.step(before, input, wallMicros: wallMicros)
        let law = Law(before: before, input: input, after: after, actions: actions)
        if let broken = law.broken { breach = "\(broken) after \(input) in \(before.phase)" }
        state = after
        if keepsTrace { trace.append(Made(state: after, actions: actions)) }
    }
}

/// The laws of one step.
struct Law {
    let before: RolloutState
    let input: RolloutInput
    let after: RolloutState
    let actions: [RolloutAction]

    /// The first law that is broken, in words.
    var broken: String? {
        if after.weights.values.reduce(0, { $0 + UInt64($1) }) != 1_000_000 { return "weights do not sum up" }
        let names = Set([after.setup.stable] + after.setup.candidates)
        if Set(after.weights.keys) != names { return "weights do not name the versions" }
        if after.quarantined.keys.contains(where: { after.weights[$0] ?? 0 > 0 }) {
            return "a quarantined version has weight"
        }
        if after.epoch < before.epoch || after.cutCount < before.cutCount { return "a counter ran back" }
        return brokenByPhase ?? brokenByInput ?? brokenByActions
    }

    private var brokenByPhase: String? {
        switch after.phase {
        case .cut:
            return after.weights[after.setup.stable] == 1_000_000 ? nil : "a cut leaves weight on a candidate"
        case .promoted(let record):
            return after.weights[record.version] == 1_000_000 ? nil : "a promoted version lacks weight"
        case .split, .paused, .waiting, .stage, .baking, .held:
            return nil
        }
    }

    private var brokenByInput: String? {
        switch input {
        case .verb:
            if case .answer(.refused)? = actions.last, after != before {
                return "a refused verb changed something"
            }
            guard case .answer? = actions.last else { return "a verb got no answer" }
            return nil
        case .configured:
            if case .cut = before.phase, after.phase != before.phase { return "a configuration left a cut" }
            let raised = before.quarantined.keys.contains {
                after.weights[$0] ?? 0 > 0 && $0 != after.setup.stable
            }
            return raised ? "a configuration exposed a quarantined version" : nil
        case .tick(let all, _, _, _):
            let tripped = all.filter { reading in
                before.setup.candidates.contains(reading.version)
                    && before.quarantined[reading.version] == nil
                    && reading.readings.contains { $0.verdict == .fail && $0.action == .cut }
            }.map(\.version)
            if tripped.isEmpty {
                return after.weights == before.weights ? nil : "weights moved without a trip"
            }
            guard case .cut(let record) = after.phase, record.versions == tripped else {
                return "a trip did not cut in its step"
            }
            return actions.contains(.cut(tripped)) ? nil : "a trip did not bar its versions"
        }
    }

    private var brokenByActions: String? {
        let sets = actions.compactMap { if case .setWeights(let weights) = $0 { weights } else { nil } }
        if after.weights != before.weights, sets.isEmpty { return "weights moved unpublished" }
        if let last = sets.last {
            let told = Dictionary(uniqueKeysWithValues: last.map { ($0.version, $0.ppm) })
            if told != after.weights { return "other weights were published" }
        }
        var (cuts, clears): (Set<String>, Set<String>) = ([], [])
        for action in actions {
            if case .cut(let versions) = action { cuts.formUnion(versions) }
            if case .clearCut(let versions) = action { clears.formUnion(versions) }
        }
        let barred = Set(after.quarantined.keys).subtracting(before.quarantined.keys)
        if !barred.isSubset(of: cuts) { return "a quarantined version was not barred" }
        let freed = Set(before.quarantined.keys).subtracting(after.quarantined.keys)
        return freed.isSubset(of: clears) ? nil : "a bar was not lifted"
    }
}

@Suite struct RolloutSimulationTests {
    @Test("no order of events breaks a law of the rollout: 3,000 seeds", arguments: 0..<10)
    func laws(part: Int) {
        for seed in (part * 300)..<(part * 300 + 300) {
            var simulation = Simulation(seed: UInt64(seed))
            simulation.run(steps: 60)
            #expect(simulation.breach == nil, "seed \(seed)")
            if simulation.breach != nil { return }
        }
    }

    @Test("the same seed gives the same trace", arguments: [1, 77, 1234] as [UInt64])
    func sameTrace(seed: UInt64) {
        var (a, b) = (
            Simulation(seed: seed, keepsTrace: true), Simulation(seed: seed, keepsTrace: true)
        )
        a.run(steps: 300)
        b.run(steps: 300)
        #expect(a.trace == b.trace && a.trace.count > 100)
    }
}

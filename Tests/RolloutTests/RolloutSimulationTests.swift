// Ten thousand simulated rollouts: errors, slowness and silence, clocks that jump, restarts at any step,
// edited configurations, operators at any time. A failing seed is printed and replays exactly.

import FoundationEssentials
import Rollout
import Testing

/// One simulated rollout of the machine; every step is checked against `Law`.
struct Simulation {
    /// What a run is for.
    struct Options {
        var keepsTrace = false
        /// Whether states go through the disk now and then.
        var restarts = true
    }

    var world: SimulatedWorld
    var state: RolloutState
    /// When to restart; apart from the world's, so that a run without restarts sees the same world.
    private var restartRandom: Seeded
    private let options: Options
    /// What went wrong, as a sentence.
    var breach: String?
    /// All states and actions as a hash.
    private(set) var trace = Hasher()
    /// What was reached, for the test that the simulation is worth its time.
    private(set) var reached: Set<String> = []

    init(seed: UInt64, _ options: Options = Options()) {
        self.options = options
        world = SimulatedWorld(seed: seed)
        restartRandom = Seeded(seed &+ 0x5EED)
        state = RolloutMachine.start(world.setup(), wallMicros: world.wallMicros)
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps where breach == nil {
            switch world.random.below(40) {
            case 0: world.wallMicros += UInt64(world.random.below(120_000_000))
            case 1: world.wallMicros -= UInt64(world.random.below(60_000_000))
            case 2...4: verb()
            case 5 where world.random.chance(0.3): step(.configured(world.setup()))
            case 5: step(.configured(world.edited(state.setup)))
            case 6: step(.configured(state.setup))
            default: step(world.tick(state))
            }
            if restartRandom.chance(0.03), options.restarts { restart() }
        }
    }

    /// The state as the disk gives it back.
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

    /// A verb, and the same again: a repeated verb is accepted where it was, and changes nothing.
    private mutating func verb() {
        let request = world.request(state)
        let answer = step(.verb(request))
        guard breach == nil, case .accepted? = answer, request.verb != .skip else { return }
        // A version that has left the configuration is unknown once its bar is gone.
        if case .unquarantine(let gone) = request.verb, !state.setup.candidates.contains(gone) { return }
        let (again, actions) = RolloutMachine.step(state, .verb(request), wallMicros: world.wallMicros)
        guard case .answer(.accepted)? = actions.last, again == state else {
            breach = "\(request.verb) repeated is not the same"
            return
        }
    }

    @discardableResult
    private mutating func step(_ input: RolloutInput) -> VerbAnswer? {
        let before = state
        let (after, actions) = RolloutMachine.step(before, input, wallMicros: world.wallMicros)
        let law = Law(
            before: before, input: input, after: after, actions: actions, wallMicros: world.wallMicros)
        if let broken = law.broken { breach = "\(broken) after \(input) in \(before)" }
        state = after
        if options.keepsTrace {
            trace.combine(after)
            trace.combine(actions)
        }
        note(before, input, actions)
        if case .answer(let answer)? = actions.last { return answer }
        return nil
    }

    private mutating func note(_ before: RolloutState, _ input: RolloutInput, _ actions: [RolloutAction]) {
        guard case .tick = input else { return }
        for case .journal(let event) in actions { reached.insert(event.kind) }
        guard before.phase != state.phase else { return }
        switch state.phase {
        case .held(let record): reached.insert("held by \(record.cause)")
        case .promoted: reached.insert("promoted by itself")
        case .cut(let record): reached.insert("cut by \(record.guardrail ?? "")")
        case .split, .paused, .waiting, .stage, .baking: break
        }
    }
}

@Suite struct RolloutSimulationTests {
    @Test("No order of events breaks a law of the rollout: 10,000 seeds", arguments: 0..<20)
    func laws(part: Int) {
        for seed in (part * 500)..<(part * 500 + 500) {
            var simulation = Simulation(seed: UInt64(seed))
            simulation.run(steps: 40)
            #expect(simulation.breach == nil, "seed \(seed)")
            if simulation.breach != nil { return }
        }
    }

    @Test(
        "The same seed gives the same trace, and restarts at any step leave no mark on it", arguments: 0..<4)
    func sameTrace(part: Int) {
        for seed in (part * 50)..<(part * 50 + 50) {
            let traces = [true, true, false].map { restarts in
                var simulation = Simulation(
                    seed: UInt64(seed), .init(keepsTrace: true, restarts: restarts))
                simulation.run(steps: 60)
                return simulation.trace.finalize()
            }
            #expect(Set(traces).count == 1, "seed \(seed)")
        }
    }

    @Test("The simulation reaches stages, bakes, promotions, every kind of hold, cuts and dry runs")
    func reaches() {
        var reached: [String: Int] = [:]
        for seed in 0..<600 {
            var simulation = Simulation(seed: UInt64(seed))
            simulation.run(steps: 80)
            for word in simulation.reached { reached[word, default: 0] += 1 }
        }
        let wanted = [
            "stage", "baking", "promoted by itself", "would_have", "alert", "recovery", "experiment_ended",
            "held by deadline", "held by experimentEnded", "held by dryRunEnded",
            "held by guardrails([\"latency\"])", "cut by errors", "cut by preflight",
        ]
        for word in wanted { #expect(reached[word, default: 0] >= 5, "\(word): \(reached)") }
    }
}

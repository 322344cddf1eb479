// Groups: members walk together or not at all, and a reason names the one that is waited for.

import Rollout
import Testing

/// A few machines that have to move together, stepped as control steps them: everyone judges and nobody
/// walks; then those that may, go; then a cut of one is everyone's.
struct GroupSimulation {
    var random: Seeded
    var worlds: [SimulatedWorld]
    var states: [RolloutState]
    var inputs: [(readings: [VersionReadings], stage: StageReading?, conditions: RolloutConditions)] = []
    var reached: Set<String> = []

    init(seed: UInt64) {
        random = Seeded(seed)
        let weights = [10_000, 50_000, 250_000, 1_000_000].suffix(1 + random.below(4)).map { UInt32($0) }
        let bake: UInt64 = random.pick([0, 5_000_000])
        worlds = []
        states = []
        for m in 0..<(2 + random.below(3)) {
            let stages = weights.map {
                RolloutStage(
                    weightPPM: $0, holdMicros: random.pick([0, 1_000_000, 5_000_000]),
                    minRequests: random.pick([0, 50]), needsApproval: random.chance(0.1))
            }
            let program = RolloutProgram(
                candidate: "v2", startsByItself: random.chance(0.8), stages: stages, bakeMicros: bake,
                deadlineMicros: random.pick([nil, 60_000_000]))
            worlds.append(SimulatedWorld(seed: seed &* 31 &+ UInt64(m)))
            states.append(
                RolloutMachine.start(
                    RolloutSetup(stable: "v1", candidates: ["v2"], weights: [:], program: program),
                    wallMicros: SimulatedWorld.epochMicros))
        }
    }

    private mutating func take(_ m: Int, _ input: RolloutInput) {
        let cuts = states[m].cutCount
        (states[m], _) = RolloutMachine.step(states[m], input, wallMicros: worlds[m].wallMicros)
        guard states[m].cutCount > cuts else { return }
        for other in states.indices where states[other].quarantined.isEmpty {
            take(other, .verb(VerbRequest(verb: .rollback(version: nil), actor: "weir", reason: "group")))
        }
    }

    private mutating func verb() {
        let m = random.below(states.count)
        let verb = random.pick([
            RolloutVerb.pause, .resume, .resume, .resume, .resume, .resume, .resume, .hold, .approve,
            .approve,
            .start, .start, .retry, .retry, .retry,
        ])
        let force = verb == .retry
        take(m, .verb(VerbRequest(verb: verb, actor: "op", reason: "", force: force)))
    }

    mutating func tick() {
        if random.chance(0.5) { verb() }
        inputs = []
        for m in states.indices {
            // Three moods that last would let no group arrive.
            if random.chance(0.9) {
                worlds[m].health = .good
                worlds[m].preflight = .passed
                worlds[m].blackout = nil
            }
            guard
                case .tick(let readings, let recovery, let stage, var conditions) = worlds[m].tick(states[m])
            else { continue }
            inputs.append((readings, stage, conditions))
            conditions.others = [.groupStep("g")]
            take(m, .tick(readings, recovery: recovery, stage: stage, conditions: conditions))
        }
        let members = states.indices.map { m in
            GroupMember(
                model: "m\(m)", states[m], inputs[m].readings, stage: inputs[m].stage,
                conditions: inputs[m].conditions, wallMicros: worlds[m].wallMicros)
        }
        for m in RolloutGroup.ready(members) {
            let input = inputs[m]
            take(
                m,
                .tick(input.readings, recovery: nil, stage: input.stage, conditions: input.conditions))
        }
        for state in states {
            if case .stage(let i)? = state.climb?.place { reached.insert("stage \(i)") }
            if case .promoted = state.phase { reached.insert("promoted") }
            if state.phase.isCut { reached.insert("cut") }
        }
    }

    /// How the members stand when they do not stand together.
    var breach: String? {
        var places: Set<String> = []
        for state in states {
            switch state.phase {
            case .cut: places.insert("cut or before")
            case .promoted: places.insert("promoted")
            case .split, .paused, .waiting, .stage, .baking, .held:
                let place = state.climb?.place ?? .before
                places.insert(place == .before && state.cutCount > 0 ? "cut or before" : "\(place)")
            }
        }
        return places.count > 1 ? "\(places.sorted())" : nil
    }
}

@Suite struct RolloutGroupTests {
    @Test("No member is ever a stage ahead, and a cut of one is everyone's: 2,000 seeds", arguments: 0..<10)
    func together(part: Int) {
        for seed in (part * 200)..<(part * 200 + 200) {
            var simulation = GroupSimulation(seed: UInt64(seed))
            for step in 0..<60 {
                simulation.tick()
                guard let breach = simulation.breach else { continue }
                Issue.record("seed \(seed), step \(step): \(breach)")
                return
            }
        }
    }

    @Test("Simulated groups reach every stage, promotions and cuts")
    func reaches() {
        var reached: [String: Int] = [:]
        for seed in 0..<200 {
            var simulation = GroupSimulation(seed: UInt64(seed))
            for _ in 0..<100 { simulation.tick() }
            for word in simulation.reached { reached[word, default: 0] += 1 }
        }
        for word in ["stage 0", "stage 1", "stage 2", "stage 3", "promoted", "cut"] {
            #expect(reached[word, default: 0] >= 5, "\(word): \(reached)")
        }
    }

    private func member(_ name: String, _ driver: ProgramDriver, seconds: UInt64 = 9_999) -> GroupMember {
        let visit = driver.state.climb?.stageVisit ?? StageVisit(rollout: "", number: 0)
        let seen = StageReading(
            visit: visit, watchedMicros: seconds * 1_000_000, requests: 99_999, keys: 9_999,
            gates: [GateReading(name: "errors", rule: "", verdict: .pass, progress: 1, reason: "")])
        return GroupMember(
            model: name, driver.state, [VersionReadings(version: "v2", readings: [])], stage: seen,
            conditions: driver.conditions, wallMicros: driver.wallMicros)
    }

    @Test("A member that lacks evidence holds the others, and the reason says who, where and what")
    func reason() {
        var driver = ProgramDriver()
        driver.provenTick()
        let members = [member("ranker", driver, seconds: 20), member("embedder", driver)]
        #expect(RolloutGroup.ready(members) == [])
        let waits = RolloutGroup.waits(of: 1, in: members, group: "search").map(\.sentence)
        #expect(waits == ["model ranker of group search: stage 1 of 3, 40 s more of 1 m"])
        #expect(RolloutGroup.waits(of: 0, in: members, group: "search") == [])
        var dark = driver
        dark.conditions = RolloutConditions(blackout: "weekend")
        let many = [member("ranker", dark, seconds: 20), member("embedder", driver)]
        #expect(
            RolloutGroup.waits(of: 1, in: many, group: "search").map(\.sentence) == [
                "model ranker of group search: stage 1 of 3, 40 s more of 1 m; "
                    + "the pre-flight checks, which have no answer yet; the end of the blackout weekend"
            ])
        #expect(RolloutGroup.ready([member("a", driver), member("b", driver)]) == [0, 1])
    }

    @Test(
        "A member that is paused, held or cut holds the others; one with fixed weights or promoted does not",
        arguments: [
            (RolloutVerb.pause, "an operator's resume: it is paused"),
            (.hold, "an operator's resume: held by op"),
            (.rollback(version: nil), "an operator's retry after cut-1"),
        ])
    func standstill(verb: RolloutVerb, sentence: String) {
        var driver = ProgramDriver()
        driver.provenTick()
        var still = driver
        still.step(.verb(VerbRequest(verb: verb, actor: "op", reason: "")))
        let members = [member("a", driver), member("b", still)]
        #expect(RolloutGroup.ready(members) == [])
        let waits = RolloutGroup.waits(of: 0, in: members, group: "g").map(\.sentence)
        #expect(waits == ["model b of group g: stage 1 of 3, \(sentence)"])

        var promoted = driver
        promoted.step(.verb(VerbRequest(verb: .promote(version: nil), actor: "op", reason: "", force: true)))
        var fixed = driver
        fixed.state = RolloutMachine.start(RolloutSetup(stable: "v1", candidates: ["v2"], weights: [:]))
        let done = [member("a", driver), member("b", promoted), member("c", fixed)]
        #expect(RolloutGroup.ready(done) == [0])
    }

    @Test("A member that an operator has put ahead waits; the one behind goes by its own conditions")
    func skipped() {
        var behind = ProgramDriver()
        behind.provenTick()
        var ahead = behind
        ahead.step(.verb(VerbRequest(verb: .skip, actor: "op", reason: "")))
        ahead.step(.verb(VerbRequest(verb: .approve, actor: "op", reason: "")))
        #expect(RolloutGroup.ready([member("a", ahead), member("b", behind, seconds: 1)]) == [])
        let members = [member("a", ahead), member("b", behind)]
        #expect(RolloutGroup.ready(members) == [1])
        let waits = RolloutGroup.waits(of: 0, in: members, group: "g").map(\.sentence)
        #expect(waits == ["model b of group g: stage 1 of 3"])
    }
}

// Traffic, watch and machine together, with restarts in between: a bad candidate loses its traffic in the
// step of the verdict and gets none afterwards; a good one keeps it.

import FoundationEssentials
import Metrics
import Rollout
import Testing

/// One rollout at 10 %, driven tick by tick.
private struct Loop {
    var bench: Bench
    var state: RolloutState
    var random: Seeded
    var cutAt: UInt64?

    init(seed: UInt64) {
        bench = Bench(seed: seed)
        bench.traffic.requestsPerTick = 40
        random = Seeded(seed &* 31)
        state = RolloutMachine.start(
            RolloutSetup(stable: "v1", candidates: ["v2"], weights: ["v2": 100_000]))
    }

    mutating func tick(candidate: Behaviour, stable: Behaviour) throws {
        bench.traffic.split = PairSplit(
            candidatePPM: state.weights["v2"] ?? 0, stablePPM: state.weights["v1"] ?? 0)
        bench.tick(candidate: candidate, stable: stable)
        let (next, actions) = RolloutMachine.step(
            state, .tick([VersionReadings(version: "v2", readings: bench.readings)], recovery: nil),
            wallMicros: bench.now * Tick.micros)
        if actions.contains(.cut(["v2"])) { cutAt = bench.now }
        state = next
        if random.chance(0.05) { try restart() }
    }

    /// What a process that was killed between two ticks comes back with.
    private mutating func restart() throws {
        let state = try JSONEncoder().encode(state)
        self.state = try JSONDecoder().decode(RolloutState.self, from: state)
        let saved = try JSONEncoder().encode(bench.watch.saved)
        bench.watch = CandidateWatch(
            restoring: try JSONDecoder().decode(CandidateWatch.Saved.self, from: saved),
            specs: bench.watch.specs, from: Tick(number: bench.now))
    }
}

@Suite struct ClosedLoopTests {
    @Test(
        "a candidate that goes bad loses its traffic soon and for good",
        arguments: 1...12 as ClosedRange<UInt64>)
    func goesBad(seed: UInt64) throws {
        var loop = Loop(seed: seed)
        let turns = 1000 + UInt64(loop.random.below(150))
        let isSlow = seed % 3 == 0
        let candidate: Behaviour = { tick, random in
            if tick < turns { return Behaviours.slow(1)(tick, &random) }
            return isSlow ? Behaviours.slow(2)(tick, &random) : Ending(isFailure: random.chance(0.4))
        }
        for _ in 0..<300 { try loop.tick(candidate: candidate, stable: Behaviours.slow(1)) }
        let cutAt = try #require(loop.cutAt, "seed \(seed): never cut")
        #expect(cutAt >= turns && cutAt < turns + 60, "seed \(seed): bad at \(turns), cut at \(cutAt)")
        let before = loop.bench.traffic.candidates(through: cutAt - 1).requests
        #expect(loop.bench.traffic.candidates(through: .max).requests == before)
    }

    @Test("a good candidate keeps its traffic", arguments: 1...6 as ClosedRange<UInt64>)
    func staysGood(seed: UInt64) throws {
        var loop = Loop(seed: seed)
        let behaviour: Behaviour = { tick, random in
            random.chance(0.005) ? Ending(isFailure: true) : Behaviours.slow(1)(tick, &random)
        }
        for _ in 0..<400 { try loop.tick(candidate: behaviour, stable: behaviour) }
        #expect(loop.cutAt == nil && loop.state.weights["v2"] == 100_000)
    }
}

// What hits both versions is not blamed on one: relative rules by construction, absolute ones by their veto.

import Metrics
import Rollout
import Testing

private let seeds: [UInt64] = [11, 12, 13, 14]

@Suite struct CommonCauseTests {
    @Test("an outage that hits both versions cuts nothing", arguments: seeds)
    func commonOutage(seed: UInt64) {
        var bench = Bench(seed: seed)
        bench.traffic.requestsPerTick = 50
        let outage: Behaviour = { tick, random in
            Ending(isFailure: random.chance((1050..<1200).contains(tick) ? 0.95 : 0.001))
        }
        let trip = bench.runUntilTrip(ticks: 700, candidate: outage, stable: outage)
        #expect(trip == nil, "seed \(seed): \(trip?.trip.reason ?? "")")
    }

    @Test("an outage of both that only the candidate does not survive cuts it", arguments: seeds)
    func candidateStaysDown(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        bench.traffic.requestsPerTick = 50
        let stable: Behaviour = { tick, random in
            Ending(isFailure: random.chance((1050..<1200).contains(tick) ? 0.95 : 0.001))
        }
        let candidate: Behaviour = { tick, random in
            Ending(isFailure: random.chance(tick >= 1050 ? 0.95 : 0.001))
        }
        let found = bench.runUntilTrip(ticks: 700, candidate: candidate, stable: stable)
        let trip = try #require(found)
        #expect((1200..<1230).contains(trip.tick), "seed \(seed): at \(trip.tick)")
    }

    @Test("the veto of an absolute rule: with it a common outage is no trip, without it it is one")
    func veto() throws {
        for hasVeto in [true, false] {
            let spec = GuardrailSpec(
                name: "rate", measure: .errorRate, rule: .sequentialAbove(0.02),
                vetoWhenStableToo: hasVeto)
            var bench = Bench(seed: 5, specs: [spec])
            let trip = bench.runUntilTrip(
                ticks: 200, candidate: Behaviours.failing(0.5), stable: Behaviours.failing(0.5))
            #expect((trip == nil) == hasVeto)
            let reading = try #require(bench.readings.first)
            #expect(reading.reason.contains("failed"))
        }
    }

    @Test("a stable that hangs is bad as well")
    func stableHangs() {
        let spec = GuardrailSpec(
            name: "rate", measure: .errorRate, rule: .sequentialAbove(0.02), vetoWhenStableToo: true)
        var bench = Bench(seed: 5, specs: [spec])
        let hanging: Behaviour = { _, _ in Ending(micros: 60_000_000) }
        for _ in 0..<20 { bench.tick(candidate: Behaviours.failing(0), stable: hanging) }
        let trip = bench.runUntilTrip(ticks: 200, candidate: Behaviours.failing(1), stable: hanging)
        #expect(trip == nil)
    }

    @Test("without stable traffic there is nothing to veto by: a promoted version is cut")
    func promoted() throws {
        var bench = Bench(seed: 5)
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        bench.traffic.pinsEvery = 1
        let found = bench.runUntilTrip(
            ticks: 100, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        #expect(try #require(found).trip.name == "outage")
    }

    @Test("a common outage during a ramp is no evidence against the candidate", arguments: seeds)
    func simpson(seed: UInt64) {
        var bench = Bench(seed: seed, specs: [GuardrailSpec.defaults(alpha: 0.01)[0]])
        bench.traffic.requestsPerTick = 100
        let outage: Behaviour = { tick, random in
            Ending(isFailure: random.chance(tick >= 1200 ? 0.2 : 0.005))
        }
        for (share, ticks) in [(10_000, 150), (50_000, 150), (250_000, 150)] as [(UInt32, Int)] {
            bench.traffic.split = PairSplit(candidatePPM: share, stablePPM: 1_000_000 - share)
            #expect(bench.runUntilTrip(ticks: ticks, candidate: outage, stable: outage) == nil)
        }
    }
}

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

    @Test("without stable traffic nothing is known to veto by: a dead version is cut after ten seconds")
    func promoted() throws {
        var bench = Bench(seed: 5)
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        bench.traffic.pinsEvery = 1
        let found = bench.runUntilTrip(
            ticks: 130, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        let (tick, trip) = try #require(found)
        #expect(trip.name == "outage" && tick > 1100, "at \(tick)")
    }

    @Test(
        "without stable traffic an outage that ends cuts nothing: the rule waits, and says so",
        arguments: seeds)
    func promotedOutage(seed: UInt64) {
        var bench = Bench(seed: seed)
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        bench.traffic.pinsEvery = 1
        let outage: Behaviour = { tick, _ in Ending(isFailure: (1050..<1120).contains(tick)) }
        var hasWaited = false
        for _ in 0..<400 {
            bench.tick(candidate: outage, stable: outage)
            #expect(!bench.readings.contains { $0.verdict == .fail }, "seed \(seed) at \(bench.now)")
            let reason = bench.reading("outage")?.reason ?? ""
            if reason.contains("waiting at most 10 s") { hasWaited = true }
        }
        #expect(hasWaited)
    }

    @Test(
        "short outages of both cut nothing, at any weight, however seldom control steps", arguments: [1, 3])
    func shortOutages(every: UInt64) {
        for (seed, ppm) in [(21, 500_000), (22, 950_000), (23, 990_000)] as [(UInt64, UInt32)] {
            var bench = Bench(seed: seed)
            bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
            let outage: Behaviour = { tick, random in
                // A second in ten, when what both depend on fails most of its requests.
                Ending(isFailure: random.chance(tick % 100 < 10 ? 0.7 : 0.002))
            }
            let trip = bench.runUntilTrip(ticks: 1500, candidate: outage, stable: outage, every: every)
            #expect(trip == nil, "seed \(seed): \(trip?.trip.name ?? "") \(trip?.trip.reason ?? "")")
        }
    }

    @Test("a version that fails altogether is cut at once, after a long good time as well")
    func totalFailure() throws {
        for ppm in [90_000, 950_000] as [UInt32] {
            var bench = Bench(seed: 31)
            bench.traffic.requestsPerTick = 10
            bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
            let candidate: Behaviour = { tick, random in
                Ending(isFailure: tick >= 7000 || random.chance(0.001))
            }
            let found = bench.runUntilTrip(
                ticks: 7000, candidate: candidate, stable: Behaviours.failing(0.001))
            let tick = try #require(found).tick
            // A second is the median; a seed may take longer.
            #expect(tick >= 7000 && tick <= 7030, "weight \(ppm): \(tick)")
        }
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

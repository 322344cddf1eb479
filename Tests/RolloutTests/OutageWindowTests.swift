// Outage rules look at a recent window: a version that fails everything is cut within a second and ten
// requests of its own, whatever came before; and a reason quotes the figures that the rule used.

import Metrics
import Rollout
import Testing

private let seeds: [UInt64] = [31, 32, 33, 34]

@Suite struct OutageWindowTests {
    /// Only the outage rule, as it is by default.
    private static let outage = GuardrailSpec.defaults(alpha: 0.01).filter { $0.name == "outage" }

    /// The ticks from the first failure to the trip, and the candidate's requests in them.
    private func delay(
        seed: UInt64, ppm: UInt32, perTick: Int, good: UInt64, rescues: Bool = false
    ) throws -> (ticks: UInt64, requests: Int) {
        var bench = Bench(seed: seed, specs: Self.outage)
        bench.traffic.requestsPerTick = perTick
        bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
        let dies = bench.now + good
        bench.traffic.rescuesAfter = rescues ? 1 : nil
        let candidate: Behaviour = { tick, random in
            Ending(isFailure: tick >= dies || random.chance(0.001))
        }
        let found = bench.runUntilTrip(
            ticks: Int(good) + 200, candidate: candidate, stable: Behaviours.failing(0.001))
        let (tick, trip) = try #require(found)
        #expect(tick >= dies && trip.name == "outage")
        let all = bench.traffic.candidates(through: tick).requests
        return (tick - dies, all - bench.traffic.candidates(through: dies - 1).requests)
    }

    @Test(
        "A version that fails everything is cut within a second or ten of its requests, after any good time",
        arguments: [100, 3_000, 15_000] as [UInt64], seeds)
    func dead(good: UInt64, seed: UInt64) throws {
        let slow = try delay(seed: seed, ppm: 90_000, perTick: 10, good: good)
        // A tick in which the last good answer falls, and the tick of the look, are the test's resolution.
        #expect(slow.ticks <= 11 || slow.requests <= 12, "9 %: \(slow)")
        let busy = try delay(seed: seed, ppm: 500_000, perTick: 40, good: good)
        #expect(busy.ticks <= 10, "50 %: \(busy)")
    }

    @Test("The veto is answered by one good request of stable in the bake, and by what shield retries say")
    func holdBack() throws {
        for seed in seeds {
            // A hundred requests a second, one of them stable's: it has to come first.
            let alone = try delay(seed: seed, ppm: 990_000, perTick: 10, good: 2_000)
            #expect(alone.ticks < 60, "\(seed): \(alone)")
            let shielded = try delay(seed: seed, ppm: 990_000, perTick: 10, good: 2_000, rescues: true)
            #expect(shielded.ticks <= 11, "\(seed): \(shielded)")
            let promoted = try delay(seed: seed, ppm: 1_000_000, perTick: 10, good: 2_000, rescues: true)
            #expect(promoted.ticks <= 11, "\(seed): \(promoted)")
        }
    }

    @Test("Shield retries that fail at stable too are a common cause: nothing is cut", arguments: seeds)
    func commonByRescues(seed: UInt64) {
        var bench = Bench(seed: seed, specs: Self.outage)
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        bench.traffic.rescuesAfter = 1
        let outage: Behaviour = { tick, random in
            Ending(isFailure: random.chance((1050..<1300).contains(tick) ? 1 : 0.001))
        }
        let trip = bench.runUntilTrip(ticks: 500, candidate: outage, stable: outage)
        #expect(trip == nil, "\(trip?.trip.reason ?? "")")
    }

    @Test("A tenth of all requests failing for an hour, or half a second of everything, is no outage")
    func noOutage() {
        for seed in seeds {
            var bench = Bench(seed: seed, specs: Self.outage)
            bench.traffic.requestsPerTick = 10
            bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
            let candidate: Behaviour = { tick, random in
                Ending(isFailure: tick % 300 < 4 || random.chance(0.1))
            }
            let trip = bench.runUntilTrip(
                ticks: 6_000, candidate: candidate, stable: Behaviours.failing(0.1))
            #expect(trip == nil, "\(seed): \(trip?.trip.reason ?? "")")
        }
    }

    @Test("Fewer requests than the rule could trip on are not enough to pass")
    func few() {
        var bench = Bench(seed: 6, specs: Self.outage)
        bench.traffic.requestsPerTick = 3
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        for requests in [3, 6, 9, 12] {
            bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
            bench.traffic.requestsPerTick = 0
            bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
            bench.traffic.requestsPerTick = 3
            let verdict = bench.reading("outage")?.verdict
            #expect(verdict == (requests < 10 ? .notEnoughData : .pass), "\(requests)")
        }
    }

    @Test("Stable's slow failures stand beside the candidate's")
    func slowFailures() throws {
        var bench = Bench(seed: 6, specs: Self.outage)
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        let timingOut: Behaviour = { _, random in
            random.chance(0.3) ? Ending(micros: 2_000_000, isFailure: true) : Ending()
        }
        for _ in 0..<200 { bench.tick(candidate: Behaviours.failing(0.3), stable: timingOut) }
        let share = try #require(bench.reading("outage")?.stable)
        #expect((0.2...0.4).contains(share))
    }

    @Test("A reason quotes what decided: above the limit of the rule, and the stage's figures beside it")
    func quotes() throws {
        var bench = Bench(seed: 3, specs: Self.outage)
        bench.traffic.requestsPerTick = 20
        let candidate: Behaviour = { tick, _ in Ending(isFailure: tick >= 4_000) }
        let found = bench.runUntilTrip(ticks: 4_000, candidate: candidate, stable: Behaviours.failing(0))
        let trip = try #require(found).trip
        #expect(try #require(trip.candidate) > 0.5)
        #expect(trip.candidateEvents == trip.candidateRequests && trip.candidateRequests < 100)
        #expect(trip.reason.hasPrefix("candidate 100.0 % of the last \(trip.candidateRequests) failed"))
        #expect(trip.reason.contains("since it has had this weight"))
    }

    @Test("A late regression against stable is quoted by the requests that show it", arguments: seeds)
    func quotesRelative(seed: UInt64) throws {
        var bench = Bench(seed: seed, specs: [GuardrailSpec.defaults(alpha: 0.01)[0]])
        bench.traffic.requestsPerTick = 20
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        let candidate: Behaviour = { tick, random in
            Ending(isFailure: random.chance(tick >= 5_000 ? 0.3 : 0.001))
        }
        let found = bench.runUntilTrip(
            ticks: 6_000, candidate: candidate, stable: Behaviours.failing(0.001))
        let trip = try #require(found).trip
        let (ours, theirs) = (try #require(trip.candidate), try #require(trip.stable))
        #expect(ours >= 1.5 * theirs && ours >= theirs + 0.001, "\(trip.reason)")
        #expect(trip.reason.contains("of the last"))
    }
}

@Suite struct SleepTests {
    @Test("A rule against stable sleeps without stable traffic, says so, and never passes; others stay awake")
    func sleeps() throws {
        let specs = [GuardrailSpec].defaults.map {
            var spec = $0
            if spec.isRequestBet { spec.withoutStable = .sleep }
            return spec
        }
        var bench = Bench(seed: 9, specs: specs)
        for _ in 0..<200 {
            bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0.001))
        }
        let relative = { (reading: GuardrailReading) in reading.name.hasSuffix("worse_than_stable") }
        #expect(bench.readings.filter(relative).count >= 3)
        #expect(bench.readings.filter(relative).allSatisfy { $0.verdict == .pass && $0.asleepSince == nil })
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        for _ in 0..<30 { bench.tick(candidate: Behaviours.failing(0.001), stable: Behaviours.failing(0)) }
        for reading in bench.readings where relative(reading) {
            #expect(reading.verdict == .notEnoughData, "\(reading.name)")
            #expect(reading.reason.hasPrefix("asleep: no stable traffic"))
            #expect(try #require(reading.asleepSince).number == 1_199)
        }
        #expect(bench.reading("outage")?.verdict == .pass)
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        for _ in 0..<3 { bench.tick(candidate: Behaviours.failing(0.001), stable: Behaviours.failing(0)) }
        #expect(bench.readings.allSatisfy { $0.asleepSince == nil })
    }

    @Test("No traffic at all is no sleep, and a stable that is asked seldom is awake")
    func quiet() {
        var bench = Bench(seed: 9)
        bench.traffic.requestsPerTick = 0
        for _ in 0..<700 { bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0)) }
        #expect(bench.readings.allSatisfy { $0.asleepSince == nil && $0.verdict == .notEnoughData })
        bench.traffic.requestsPerTick = 1
        bench.traffic.split = PairSplit(candidatePPM: 990_000, stablePPM: 10_000)
        var asleep = 0
        for _ in 0..<1_000 {
            bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
            asleep += bench.readings.count { $0.asleepSince != nil }
        }
        #expect(asleep < 100)
    }

    @Test("What remains without stable traffic is what compares with nothing")
    func remaining() {
        let names = GuardrailSpec.defaults(alpha: 0.01).filter(\.watchesAlone).map(\.name)
        #expect(names.contains("outage") && !names.contains { $0.hasSuffix("worse_than_stable") })
    }
}

// Laws of the watch: what trips, how soon, and what must not.

import Metrics
import Rollout
import Testing

private let seeds: [UInt64] = [1, 2, 3, 4, 5]

@Suite struct CandidateWatchTests {
    @Test("a total outage of the candidate at 5 % trips within a few of its failures", arguments: seeds)
    func outage(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        for _ in 0..<100 {
            bench.tick(candidate: Behaviours.failing(0.001), stable: Behaviours.failing(0.001))
        }
        let (before, began) = (bench.traffic.candidates(through: bench.now).failures, bench.now)
        let found = bench.runUntilTrip(
            ticks: 100, candidate: Behaviours.failing(1), stable: Behaviours.failing(0.001))
        let trip = try #require(found)
        #expect(trip.trip.name == "error_rate_worse_than_stable")
        let failures = bench.traffic.candidates(through: bench.now).failures - before
        #expect(failures <= 8, "seed \(seed): \(failures) failures, \(trip.tick - began) ticks")
        #expect(trip.trip.progress == 1)
        #expect(trip.trip.reason.hasPrefix("candidate "))
    }

    @Test("requests spaced out: the fourth failure at 5 % trips, the second never does")
    func fourthFailure() throws {
        var bench = Bench(seed: 1)
        bench.traffic.requestsPerTick = 1
        let found = bench.runUntilTrip(
            ticks: 2000, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        let trip = try #require(found)
        let failures = bench.traffic.candidates(through: trip.tick - 2).failures
        #expect((3...4).contains(failures), "\(failures) failures")
    }

    @Test("fast failures count before slow requests of their tick have ended")
    func fastFailuresBesideHangs() throws {
        var bench = Bench(seed: 3)
        let candidate: Behaviour = { _, random in
            random.chance(0.5) ? Ending(micros: 20_000_000) : Ending(micros: 5000, isFailure: true)
        }
        let specs: [GuardrailSpec] = [[GuardrailSpec].defaults[0]]
        bench.watch = CandidateWatch(specs: specs, from: Tick(number: bench.now))
        let found = bench.runUntilTrip(ticks: 100, candidate: candidate, stable: Behaviours.failing(0))
        let trip = try #require(found)
        #expect(trip.tick - 1000 < 30)
    }

    @Test("twice the latency trips soon, and the reading says what it is held to", arguments: seeds)
    func slowCandidate(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        let found = bench.runUntilTrip(ticks: 300, candidate: Behaviours.slow(2), stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect(trip.trip.name.hasPrefix("latency_"))
        #expect(bench.traffic.candidates(through: trip.tick).requests < 60)
        let median = try #require(bench.reading("latency_p50_worse_than_stable"))
        #expect(median.threshold == 39_000)
        #expect(median.reason.contains("took longer than 39.0 ms"))
    }

    @Test("a pause of the candidate's process is no slow version, however many requests it holds up")
    func pause() {
        for length in [3, 10] as [UInt64] {
            var bench = Bench(seed: length)
            bench.traffic.requestsPerTick = 200
            let pausing: Behaviour = { tick, random in
                guard (1055..<1055 + length).contains(tick) else { return Behaviours.slow(1)(tick, &random) }
                return Ending(micros: 300_000)
            }
            let trip = bench.runUntilTrip(ticks: 150, candidate: pausing, stable: Behaviours.slow(1))
            #expect(trip == nil, "paused for \(length) ticks: \(trip?.trip.reason ?? "")")
        }
    }

    @Test("a slow version is cut in its third or fourth second, however much traffic there is")
    func thirdSecond() throws {
        var bench = Bench(seed: 3)
        bench.traffic.requestsPerTick = 200
        let slow: Behaviour = { tick, random in Behaviours.slow(tick < 1055 ? 1 : 2)(tick, &random) }
        let found = bench.runUntilTrip(ticks: 150, candidate: slow, stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect((1070..<1090).contains(trip.tick))
    }

    @Test("a tail that is 30 % of requests and 2.5 times as slow trips", arguments: seeds)
    func tail(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        let candidate: Behaviour = { _, random in
            let base = 20_000 + 20_000 * random.uniform()
            return Ending(micros: UInt64(base * (random.chance(0.3) ? 2.5 : 1)))
        }
        let found = bench.runUntilTrip(ticks: 600, candidate: candidate, stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect(trip.trip.name.hasPrefix("latency_"))
    }

    @Test("a candidate that hangs trips long before its first request ends", arguments: seeds)
    func hang(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        let hanging: Behaviour = { _, _ in Ending(micros: 600_000_000) }
        let found = bench.runUntilTrip(ticks: 200, candidate: hanging, stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect(trip.tick - 1000 < 50)
    }

    @Test("one hang in twenty trips before those requests end", arguments: seeds)
    func rareHang(seed: UInt64) throws {
        var bench = Bench(seed: seed)
        bench.traffic.requestsPerTick = 100
        let candidate: Behaviour = { tick, random in
            random.chance(0.05) ? Ending(micros: 30_000_000) : Behaviours.slow(1)(tick, &random)
        }
        let found = bench.runUntilTrip(ticks: 290, candidate: candidate, stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect(trip.trip.name == "latency_p99_worse_than_stable")
    }

    @Test("without traffic the verdict is neither pass nor fail, also after there was some")
    func silence() {
        var bench = Bench(seed: 1)
        bench.traffic.requestsPerTick = 0
        bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
        #expect(bench.readings.allSatisfy { $0.verdict == .notEnoughData })
        bench.traffic.requestsPerTick = 20
        bench.health = HealthShares(candidate: 1, stable: 1)
        for _ in 0..<100 { bench.tick(candidate: Behaviours.slow(1), stable: Behaviours.slow(1)) }
        for reading in bench.readings {
            #expect(reading.verdict == .pass, "\(reading.name): \(reading.reason)")
        }
        bench.traffic.requestsPerTick = 0
        bench.health = HealthShares()
        for _ in 0..<1000 { bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0)) }
        #expect(bench.readings.allSatisfy { $0.verdict == .notEnoughData })
    }

    @Test("stable's latency unknown: latency rules wait, error rules work")
    func unknownLatency() throws {
        var bench = Bench(seed: 1, knowsLatency: false)
        let found = bench.runUntilTrip(
            ticks: 100, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        let trip = try #require(found)
        #expect(trip.trip.name == "error_rate_worse_than_stable")
        let latency = try #require(bench.reading("latency_p99_worse_than_stable"))
        #expect(latency.verdict == .notEnoughData)
        #expect(latency.reason.contains("not known yet"))
    }

    @Test("ticks with mixed weights say nothing in either arm")
    func mixedTicks() {
        var bench = Bench(seed: 1, specs: [[GuardrailSpec].defaults[0]])
        for _ in 0..<50 {
            bench.traffic.split = PairSplit(candidatePPM: 50_000, stablePPM: 950_000)
            bench.traffic.run(bench.now, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
            bench.now += 1
            let (traffic, now) = (bench.traffic, bench.now)
            bench.readings = bench.watch.step(
                now: Tick(number: now), reference: bench.reference, windows: { _ in nil },
                read: {
                    var pair = traffic.read($0, at: now)
                    pair.split = nil
                    return pair
                })
        }
        #expect(bench.readings[0].candidateRequests == 0 && bench.readings[0].verdict == .notEnoughData)
    }

    @Test("pinned requests are evidence for absolute rules alone")
    func pinned() throws {
        var bench = Bench(seed: 1)
        bench.traffic.split = PairSplit(candidatePPM: 0, stablePPM: 1_000_000)
        bench.traffic.pinsEvery = 10
        let found = bench.runUntilTrip(
            ticks: 100, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        let trip = try #require(found)
        #expect(trip.trip.name == "outage")
        #expect(bench.reading("error_rate_worse_than_stable")?.candidateRequests == 0)
    }

    @Test("what was saved goes on: evidence survives a restart, and a changed rule starts anew")
    func restart() throws {
        var bench = Bench(seed: 4)
        for _ in 0..<200 {
            bench.tick(candidate: Behaviours.failing(0.04), stable: Behaviours.failing(0.01))
        }
        let before = try #require(bench.reading("error_rate_worse_than_stable"))
        let saved = bench.watch.saved
        let from = Tick(number: bench.now)
        bench.watch = CandidateWatch(restoring: saved, specs: bench.watch.specs, from: from)
        bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
        let after = try #require(bench.reading("error_rate_worse_than_stable"))
        #expect(after.maxLogE ?? -1 >= before.maxLogE ?? 0)
        var specs = bench.watch.specs
        specs[0].alpha /= 2
        bench.watch = CandidateWatch(restoring: saved, specs: specs, from: from)
        bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
        #expect(bench.reading("error_rate_worse_than_stable")?.maxLogE ?? -1 < 0.5)
    }

    @Test("a cold start is no regression: latency counts once the candidate is as fast as stable")
    func coldStart() throws {
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        var bench = Bench(seed: 2, specs: specs)
        let cold: Behaviour = { tick, random in Behaviours.slow(tick < 1150 ? 3 : 1)(tick, &random) }
        for _ in 0..<140 { bench.tick(candidate: cold, stable: Behaviours.slow(1)) }
        let warming = try #require(bench.reading("latency_p50_worse_than_stable"))
        #expect(warming.verdict == .notEnoughData)
        #expect(warming.reason.hasPrefix("warming up until") && warming.reason.contains(" or ten minutes: 1"))
        let found = bench.runUntilTrip(ticks: 400, candidate: cold, stable: Behaviours.slow(1))
        #expect(found == nil)
        var idle = Bench(seed: 2, specs: specs)
        idle.traffic.requestsPerTick = 1
        for _ in 0..<1000 { idle.tick(candidate: Behaviours.slow(1), stable: Behaviours.slow(1)) }
        let late = try #require(idle.reading("latency_p50_worse_than_stable"))
        #expect(late.candidateRequests > 10 && late.candidateRequests < 40)
    }

    @Test("a proven but trivial difference does not trip: 1.2 times one per cent")
    func trivialDifference() {
        var bench = Bench(seed: 9, specs: [[GuardrailSpec].defaults[0]])
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        bench.traffic.requestsPerTick = 200
        let trip = bench.runUntilTrip(
            ticks: 1500, candidate: Behaviours.failing(0.012), stable: Behaviours.failing(0.01))
        #expect(trip == nil)
    }

    @Test("a regression after a long healthy time is not hidden behind it")
    func lateRegression() throws {
        var bench = Bench(seed: 6, specs: [[GuardrailSpec].defaults[0]])
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        bench.traffic.requestsPerTick = 100
        let healthy = bench.runUntilTrip(
            ticks: 600, candidate: Behaviours.failing(0.01), stable: Behaviours.failing(0.01))
        #expect(healthy == nil)
        let before = bench.traffic.candidates(through: bench.now).requests
        let found = bench.runUntilTrip(
            ticks: 200, candidate: Behaviours.failing(0.05), stable: Behaviours.failing(0.01))
        let trip = try #require(found)
        let requests = bench.traffic.candidates(through: trip.tick).requests - before
        #expect(requests < 3000, "\(requests) candidate requests")
    }
}

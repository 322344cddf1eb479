// A version that answers nobody well although nothing fails: it is cut as an outage, also where stable has no
// traffic to compare with. What clients do by themselves is not blamed on it.

import Metrics
import Rollout
import Testing

/// Good answers until a tick, then an ending of another kind.
private func until(_ tick: UInt64, _ then: Ending) -> Behaviour {
    { now, _ in now < tick ? Ending() : then }
}

/// Its client leaves after so long.
private func leaving(_ micros: UInt64) -> Ending { Ending(micros: micros, event: .cancelled) }

@Suite struct TotalLossTests {
    /// The first trip, in ticks after tick 1300, of versions whose stable's median is 30 ms.
    /// - Parameters:
    ///   - ppm: the candidate's weight.
    ///   - rate: requests of a tick.
    private func trip(
        seed: UInt64 = 5, ppm: UInt32 = 1_000_000, ticks: Int = 900,
        rate: (UInt64) -> Int = { _ in 10 }, restartAt: UInt64? = nil,
        candidate: Behaviour, stable: Behaviour = Behaviours.failing(0)
    ) -> (after: Int, trip: GuardrailReading)? {
        var bench = Bench(seed: seed)
        bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
        for _ in 0..<ticks {
            if bench.now == restartAt {
                bench.watch = CandidateWatch(
                    restoring: bench.watch.saved, specs: .defaults, from: Tick(number: bench.now))
            }
            bench.traffic.requestsPerTick = rate(bench.now)
            bench.tick(candidate: candidate, stable: stable)
            if let trip = bench.readings.first(where: { $0.verdict == .fail }) {
                return (Int(bench.now) - 1300, trip)
            }
        }
        return nil
    }

    @Test("a promoted version that hangs while its clients leave is cut as an outage within 15 s")
    func hangs() throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let found = try #require(trip(seed: seed, candidate: until(1300, leaving(200_000))))
            #expect(found.trip.name == "outage" && (1...150).contains(found.after), "\(found)")
            #expect(found.trip.reason.hasPrefix("no good answer to the candidate's last"))
            #expect(found.trip.candidateEvents >= 20 && found.trip.candidate == 1)
            #expect(found.trip.unanswered == found.trip.candidateEvents)
        }
        // One request a second.
        let slow = try #require(
            trip(ticks: 1500, rate: { $0 % 10 == 0 ? 1 : 0 }, candidate: until(1300, leaving(200_000))))
        #expect(slow.trip.name == "outage" && slow.after > 0)
    }

    @Test(
        "one that answers everything with 404 or nothing is not: a scanner that is left looks the same",
        arguments: [.rejected, .empty] as [BadEvent])
    func wrong(event: BadEvent) {
        #expect(trip(candidate: until(1300, Ending(event: event))) == nil)
        // A scanner that begins, or goes on in bursts, after the users have left.
        let scanner = until(1300, Ending(event: event))
        #expect(trip(rate: { $0 < 1300 || $0 > 1340 ? 8 : 0 }, candidate: scanner) == nil)
        #expect(trip(rate: { $0 < 1300 || $0 % 540 < 140 ? 8 : 0 }, candidate: scanner) == nil)
    }

    @Test("without stable's median and traffic the rule says that it sees no hang, and passes nothing")
    func blind() throws {
        for knowsLatency in [false, true] {
            var bench = Bench(seed: 5, knowsLatency: knowsLatency)
            for ppm in [1_000_000, 500_000] as [UInt32] {
                bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
                for _ in 0..<50 { bench.tick(candidate: { _, _ in Ending() }, stable: { _, _ in Ending() }) }
                let outage = try #require(bench.reading("outage"))
                let isBlind = !knowsLatency && ppm == 1_000_000
                #expect((outage.verdict == .pass) == !isBlind, "\(outage.reason)")
                #expect(outage.reason.contains("a hang whose clients leave is not seen") == isBlind)
            }
        }
    }

    @Test("clients that leave before stable usually answers say nothing, a little later they do")
    func early() throws {
        #expect(trip(candidate: until(1300, leaving(25_000))) == nil)
        #expect(try #require(trip(candidate: until(1300, leaving(35_000)))).after > 0)
    }

    @Test("impatient clients of a healthy version are silent, however many, and so is one good answer in ten")
    func impatient() {
        let often: Behaviour = { _, random in random.chance(0.6) ? leaving(200_000) : Ending() }
        #expect(trip(ticks: 3000, candidate: often) == nil)
        let rarely: Behaviour = { tick, random in
            tick < 1300 || random.chance(0.1) ? Ending() : leaving(200_000)
        }
        #expect(trip(ticks: 2000, candidate: rarely) == nil)
    }

    @Test("clients that are all shut down leave at one moment, and a few that come later are no traffic")
    func shutdown() {
        let fleet: Behaviour = { tick, _ in
            if tick >= 1500 { return leaving(50_000) }
            return tick < 1420 ? Ending(micros: 8_000_000) : leaving((1500 - tick) * Tick.micros)
        }
        #expect(trip(rate: { $0 < 1500 ? 10 : 0 }, candidate: fleet) == nil)
        #expect(trip(rate: { $0 < 1500 ? 10 : $0 % 100 == 0 ? 1 : 0 }, candidate: fleet) == nil)
    }

    @Test("what is left when the others have gone is as before: an impatient client, a prober, a scanner")
    func left() {
        let batch: Behaviour = { tick, random in
            tick >= 1300 || random.chance(0.2) ? leaving(100_000) : Ending()
        }
        #expect(trip(rate: { $0 < 1300 ? 10 : 2 }, candidate: batch) == nil)
        let prober = until(1300, Ending(event: .rejected))
        #expect(trip(rate: { $0 < 1300 ? 10 : $0 % 10 == 0 ? 1 : 0 }, candidate: prober) == nil)
        let scanner: Behaviour = { tick, random in
            Ending(event: tick >= 1300 && random.chance(0.98) ? .rejected : nil)
        }
        #expect(trip(rate: { $0 < 1300 ? 1 : 50 }, candidate: scanner) == nil)
    }

    @Test("pauses of five seconds whose clients leave are none, with stable's word and without")
    func pauses() {
        let pausing: Behaviour = { tick, _ in tick % 600 < 50 ? leaving(200_000) : Ending() }
        #expect(trip(ticks: 3000, candidate: pausing) == nil)
        var bench = Bench(seed: 4)
        bench.traffic.split = PairSplit(candidatePPM: 990_000, stablePPM: 10_000)
        bench.traffic.requestsPerTick = 10
        for _ in 0..<3000 {
            bench.tick(candidate: pausing, stable: Behaviours.failing(0))
            #expect(bench.reading("outage")?.verdict != .fail)
        }
    }

    @Test("what stable refuses in the same moments is not blamed on the candidate")
    func common() {
        let both: Behaviour = { tick, random in
            Ending(event: tick >= 1300 || random.chance(0.1) ? .rejected : nil)
        }
        for seed in 1...4 as ClosedRange<UInt64> {
            for ppm in [900_000, 990_000] as [UInt32] {
                let found = trip(seed: seed, ppm: ppm, candidate: both, stable: both)
                #expect(found == nil, "\(seed), \(ppm): \(found.map { "\($0)" } ?? "")")
            }
        }
    }

    @Test("a hang that began before a restart is seen after it, by what was usual before")
    func restart() throws {
        let hang = until(1300, leaving(200_000))
        for at in [1301, 1310, 1350] as [UInt64] {
            let found = try #require(trip(restartAt: at, candidate: hang), "\(at)")
            #expect(found.trip.name == "outage" && found.after > 0)
        }
        // A version that has never answered well has nothing usual, and is not blamed for it.
        #expect(trip(restartAt: 1310, candidate: { _, _ in leaving(200_000) }) == nil)
    }

    @Test("a prober that is answered well hides no hang of all others; one good answer in ten is no hang")
    func prober() throws {
        for share in [0.01, 0.03] {
            let found = try #require(
                trip(candidate: { tick, random in
                    tick < 1300 || random.chance(share) ? Ending() : leaving(200_000)
                }), "\(share)")
            #expect(found.trip.name == "outage" && found.after > 0)
            #expect(found.trip.candidateEvents < found.trip.candidateRequests)
            #expect(found.trip.reason.hasPrefix("only "))
        }
        for (share, perTick) in [(0.1, 10), (0.3, 10), (0.3, 1)] {
            let found = trip(
                ticks: 2000, rate: { _ in perTick },
                candidate: { tick, random in
                    tick < 1300 || random.chance(share) ? Ending() : leaving(200_000)
                })
            #expect(found == nil, "\(share), \(perTick)")
        }
    }

    @Test("a hang behind the beginning of an answer is seen; streams whose clients leave early are none")
    func streams() throws {
        let stuck: Behaviour = { tick, _ in
            tick < 1300 ? Ending() : Ending(micros: 2_000_000, event: .cancelled, firstByteMicros: 10_000)
        }
        #expect(try #require(trip(candidate: stuck)).trip.name == "outage")
        // Three in ten leave early, then seven.
        for (perTick, longest) in [(1, 4.0), (10, 4.0), (10, 20.0), (1, 120.0), (10, 120.0)] {
            let streams: Behaviour = { tick, random in
                let whole = UInt64(1_000_000 + random.uniform() * longest * 1_000_000)
                guard random.chance(tick < 1300 ? 0.3 : 0.7) else {
                    return Ending(micros: whole, firstByteMicros: 50_000)
                }
                return Ending(
                    micros: UInt64(200_000 + random.uniform() * 5_000_000), event: .cancelled,
                    firstByteMicros: 50_000)
            }
            let found = trip(ticks: 1200, rate: { _ in perTick }, candidate: streams)
            #expect(found == nil, "\(perTick), \(longest): \(found.map { "\($0)" } ?? "")")
        }
    }

    @Test("without stable traffic ten seconds of it decide, and what everybody shares for ten is none")
    func alone() throws {
        for micros in [200_000, 2_000_000] as [UInt64] {
            let hang = try #require(trip(candidate: until(1300, leaving(micros))))
            // From the first that left; twice a client's patience lies around the seconds that are needed.
            #expect(hang.after <= 110 + 2 * Int(micros / Tick.micros), "\(micros): \(hang.after)")
            let shared: Behaviour = { tick, _ in
                (1300..<1400).contains(tick) ? leaving(micros) : Ending()
            }
            #expect(trip(candidate: shared) == nil)
            for seed in 1...8 as ClosedRange<UInt64> {
                #expect(trip(seed: seed, rate: { _ in 1 }, candidate: shared) == nil, "\(seed)")
            }
        }
    }
}

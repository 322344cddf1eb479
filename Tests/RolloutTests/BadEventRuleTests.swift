// The rules over bad events that are no failures: answers that are not 2xx, cancels, empty answers. The same
// traffic gives the same shares to equal versions, whatever the shares are; a difference is found and named.

import Metrics
import Rollout
import Testing

/// Requests that have an event with a probability, after `micros`.
private func having(_ event: BadEvent, _ p: Double, micros: UInt64 = 20_000) -> Behaviour {
    { _, random in
        random.chance(p) ? Ending(micros: micros, isFailure: event == .failure, event: event) : Ending()
    }
}

/// Of the requests without one event, some have another.
private func both(_ first: @escaping Behaviour, _ second: @escaping Behaviour) -> Behaviour {
    { tick, random in
        let ending = first(tick, &random)
        return ending.event == nil ? second(tick, &random) : ending
    }
}

private let kinds: [(event: BadEvent, name: String)] = [
    (.rejected, "non_2xx_worse_than_stable"), (.cancelled, "cancels_worse_than_stable"),
    (.empty, "empty_worse_than_stable"),
]

@Suite struct BadEventRuleTests {
    private func trip(
        seed: UInt64, share: Double = 0.1, perTick: Int = 20, ticks: Int = 1200,
        specs: [GuardrailSpec] = .defaults,
        candidate: @escaping Behaviour, stable: @escaping Behaviour
    ) -> (requests: Int, trip: GuardrailReading)? {
        var bench = Bench(seed: seed, specs: specs)
        let ppm = UInt32(share * 1e6)
        bench.traffic.requestsPerTick = perTick
        bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
        let found = bench.runUntilTrip(ticks: ticks, candidate: candidate, stable: stable)
        return found.map { (bench.traffic.candidates(through: $0.tick).requests, $0.trip) }
    }

    @Test(
        "equal versions are silent, whatever share of their answers is not well",
        arguments: 1...3 as ClosedRange<UInt64>)
    func twins(seed: UInt64) {
        let worlds: [(String, Behaviour)] = [
            ("30 % of 404", having(.rejected, 0.3)),
            ("5 % of cancels", having(.cancelled, 0.05, micros: 100_000)),
            ("60 % of cancels", having(.cancelled, 0.6, micros: 15_000)),
            ("20 % of empty answers", having(.empty, 0.2)),
            ("all of it", both(having(.rejected, 0.1), both(having(.empty, 0.1), having(.cancelled, 0.1)))),
            ("outages", { tick, random in having(.failure, tick % 300 < 50 ? 0.8 : 0.01)(tick, &random) }),
        ]
        for (name, world) in worlds {
            for share in [0.05, 0.5] {
                let found = trip(seed: seed, share: share, candidate: world, stable: world)
                #expect(found == nil, "\(name) at \(share): \(found?.trip.reason ?? "")")
            }
        }
    }

    @Test(
        "a version that does it to every request is cut within ten of them, or a few seconds of cancels",
        arguments: kinds)
    func everything(event: BadEvent, name: String) throws {
        for seed in 1...5 as ClosedRange<UInt64> {
            let found = try #require(
                trip(
                    seed: seed, perTick: 5, candidate: having(event, 1, micros: 25_000),
                    stable: having(event, 0)))
            // Five requests a second; no second of cancels decides alone.
            let most = event == .cancelled ? 40 : 10
            #expect(found.trip.name == name && found.requests <= most, "\(found)")
            #expect(found.trip.candidateEvents >= 3 && found.trip.stableEvents == 0)
        }
    }

    @Test("a small difference is found on top of what is usual", arguments: kinds)
    func difference(event: BadEvent, name: String) throws {
        let usual = event == .cancelled ? 0.1 : 0.3
        for seed in 1...3 as ClosedRange<UInt64> {
            let found = try #require(
                trip(
                    seed: seed, share: 0.25, ticks: 6000,
                    candidate: having(event, usual + 0.1, micros: 25_000),
                    stable: having(event, usual, micros: 25_000)))
            #expect(found.trip.name == name, "\(found)")
        }
    }

    @Test(
        "fewer of them are never a reason to cut, and a difference below the stated size is not",
        arguments: kinds)
    func oneSided(event: BadEvent, name: String) {
        #expect(trip(seed: 7, share: 0.5, candidate: having(event, 0.05), stable: having(event, 0.3)) == nil)
        #expect(
            trip(seed: 8, share: 0.5, ticks: 4000, candidate: having(event, 0.004), stable: having(event, 0))
                == nil)
    }

    @Test("a version that goes on as before is not blamed while stable fails instead", arguments: kinds)
    func stableFails(event: BadEvent, name: String) {
        let usual = having(event, 0.3, micros: 20_000)
        let failing: Behaviour = { tick, random in
            (1200..<1500).contains(tick) ? having(.failure, 0.9)(tick, &random) : usual(tick, &random)
        }
        #expect(trip(seed: 9, share: 0.5, candidate: usual, stable: failing) == nil)
    }

    @Test("a version that refuses with 4xx what stable fails over is no worse")
    func mended() {
        let found = trip(
            seed: 10, share: 0.5, candidate: having(.rejected, 0.2), stable: having(.failure, 0.2))
        #expect(found == nil, "\(found?.trip.reason ?? "")")
    }

    @Test("a request cancelled at an age beyond a threshold is slow; a younger one says nothing of latency")
    func lateCancels() throws {
        let specs = [GuardrailSpec].defaults.filter { $0.name == "latency_p99_worse_than_stable" }
        let late: Behaviour = { tick, random in
            random.chance(0.1)
                ? Ending(micros: 400_000, event: .cancelled) : Behaviours.slow(1)(tick, &random)
        }
        let found = try #require(
            trip(seed: 11, specs: specs, candidate: late, stable: Behaviours.slow(1)))
        #expect(found.requests < 600)
        let early: Behaviour = { tick, random in
            random.chance(0.5) ? Ending(micros: 5_000, event: .cancelled) : Behaviours.slow(1)(tick, &random)
        }
        #expect(trip(seed: 12, specs: specs, candidate: early, stable: Behaviours.slow(1)) == nil)
        #expect(trip(seed: 13, specs: specs, candidate: late, stable: late) == nil)
    }

    @Test("one replica that pauses while its clients leave is no worse, one that hangs is found in seconds")
    func pauses() throws {
        let specs = [GuardrailSpec].defaults.filter { $0.measure == .cancels }
            .map { $0.comparing(endpoints: 1, 1) }
        let leaving = Ending(micros: 1_000_000, event: .cancelled)
        func pausing(_ length: UInt64) -> Behaviour {
            { tick, random in
                tick % 1500 < length ? leaving : Ending(event: random.chance(0.01) ? .cancelled : nil)
            }
        }
        for length in [20, 50] as [UInt64] {
            let found = trip(
                seed: 14, share: 0.5, perTick: 10, ticks: 9000, specs: specs, candidate: pausing(length),
                stable: having(.cancelled, 0.01))
            #expect(found == nil, "\(length): \(found.map { "\($0)" } ?? "")")
        }
        for seed in 15...17 as ClosedRange<UInt64> {
            let found = try #require(
                trip(
                    seed: seed, share: 0.5, ticks: 150, specs: specs,
                    candidate: having(.cancelled, 1, micros: 100_000), stable: having(.cancelled, 0.01)))
            #expect(found.trip.candidateEvents > 20 && found.trip.reason.contains("cancelled by"))
        }
    }

    @Test("copies count: a candidate without a user that rejects everything is cut, an equal one is not")
    func copies() {
        func trips(_ share: Int) -> String? {
            var watch = CandidateWatch(specs: .defaults, from: Tick(number: 0))
            let reference = LatencyReference(specs: .defaults)
            func arm(_ rejected: Int) -> ArmTick {
                var copied = ArmCounts()
                (copied.started, copied.completed) = (20, 20)
                copied.rejections.first = UInt32(rejected)
                copied.rejected = UInt32(rejected)
                return ArmTick(copied: copied)
            }
            for number in 1...100 as ClosedRange<UInt64> {
                let readings = watch.step(
                    now: Tick(number: number), reference: reference, windows: { _ in nil },
                    read: {
                        PairTick(
                            tick: $0, split: PairSplit(candidatePPM: 0, stablePPM: 1_000_000),
                            candidate: arm(share), stable: arm(2))
                    })
                if let trip = readings.first(where: { $0.verdict == .fail }) { return trip.name }
            }
            return nil
        }
        #expect(trips(20) == "non_2xx_worse_than_stable")
        #expect(trips(2) == nil)
    }

    @Test("the gate on answers that are not 2xx passes an equal version, and not one with four points more")
    func gate() {
        func passes(_ candidate: @escaping Behaviour) -> Bool {
            let spec = GateSpec(name: "g", metric: .non2xx, margin: 0.03)
            var traffic = Traffic(seed: 5)
            traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
            var watch = GateWatch(specs: [spec], from: Tick(number: 0))
            let reference = LatencyReference(specs: [])
            for number in 0..<1500 as Range<UInt64> {
                traffic.run(number, candidate: candidate, stable: having(.rejected, 0.1))
                let now = number + 1
                let readings = watch.step(
                    now: Tick(number: now), reference: reference, readings: [], guardrails: [],
                    read: { [traffic] in traffic.read($0, at: now) })
                if readings[0].verdict == .pass { return true }
            }
            return false
        }
        #expect(passes(having(.rejected, 0.1)))
        #expect(!passes(having(.rejected, 0.14)))
        #expect(!passes(both(having(.rejected, 0.1), having(.failure, 0.05))))
    }
}

// Latency from the first minute: a grossly slow version is cut before it is warm and where pauses are
// tolerated; a cold one is not, and neither are equal versions whose thresholds come from a few requests.

import Metrics
import Rollout
import Testing

@Suite struct GrossSlownessRuleTests {
    /// The default rules for versions of one endpoint each, as they are in a first rollout.
    private static let specs = GuardrailSpec.defaults(alpha: 0.01).map { $0.comparing(endpoints: 1, 1) }

    /// A bench that has seen sixty requests of stable when the rollout begins.
    private func bench(_ seed: UInt64, requestsPerTick: Int = 10) -> Bench {
        var bench = Bench(seed: seed, specs: Self.specs, knowsLatency: false)
        var stable = HistogramSnapshot()
        var random = Seeded(seed &+ 100)
        for _ in 0..<60 {
            stable.record(nanos: UInt64(20_000 + 20_000 * random.uniform()) * 1000)
        }
        let known = bench.reference.refresh(now: Tick(number: 1000), requests: stable.count) {
            stable.quantile($0)
        }
        #expect(known)
        bench.traffic.thresholds = (bench.reference.candidateThresholds, bench.reference.stableThresholds)
        bench.traffic.requestsPerTick = requestsPerTick
        bench.traffic.split = PairSplit(candidatePPM: 200_000, stablePPM: 800_000)
        return bench
    }

    @Test(
        "ten times as slow from the first request is cut within a hundred requests or ten seconds",
        arguments: 1...6 as ClosedRange<UInt64>, [2, 10, 40])
    func tenTimes(seed: UInt64, requestsPerTick: Int) throws {
        var bench = bench(seed, requestsPerTick: requestsPerTick)
        let found = bench.runUntilTrip(
            ticks: 600, candidate: Behaviours.slow(10), stable: Behaviours.slow(1))
        let trip = try #require(found)
        let requests = bench.traffic.candidates(through: trip.tick).requests
        #expect(trip.tick - 1000 <= 100 || requests <= 100, "\(trip.tick - 1000) ticks, \(requests)")
        #expect(trip.trip.reason.hasPrefix("far slower than stable for seconds on end: candidate"))
        #expect(trip.trip.progress == 1 && trip.trip.candidateEvents > 20)
    }

    @Test(
        "where both are new, stable's first twenty requests say what is gross",
        arguments: 1...4 as ClosedRange<UInt64>)
    func bothNew(seed: UInt64) throws {
        var bench = Bench(seed: seed, specs: Self.specs, knowsLatency: false)
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        bench.traffic.requestsPerTick = 2
        var stable = HistogramSnapshot()
        for _ in 0..<300 {
            let tick = bench.now
            bench.tick(candidate: Behaviours.slow(10), stable: Behaviours.slow(1))
            for request in bench.traffic.started[tick] ?? [] where !request.isCandidate {
                stable.record(nanos: request.ending.micros * 1000)
            }
            let (now, known) = (Tick(number: bench.now), stable)
            if bench.reference.refresh(now: now, requests: known.count, quantile: { known.quantile($0) }) {
                let reference = bench.reference
                bench.traffic.thresholds = (reference.candidateThresholds, reference.stableThresholds)
            }
            if bench.readings.contains(where: { $0.verdict == .fail }) { break }
        }
        #expect(bench.readings.contains { $0.verdict == .fail })
        #expect(bench.traffic.candidates(through: bench.now).requests <= 120)
    }

    @Test(
        "equal versions are not cut by thresholds from sixty requests",
        arguments: 1...6 as ClosedRange<UInt64>)
    func twins(seed: UInt64) {
        var bench = bench(seed)
        let found = bench.runUntilTrip(
            ticks: 3000, candidate: Behaviours.slow(1), stable: Behaviours.slow(1))
        #expect(found == nil)
    }

    @Test(
        "a candidate whose first two thousand requests take longer is cold, and not cut for it",
        arguments: [1.2, 2], 1...3 as ClosedRange<UInt64>)
    func cold(factor: Double, seed: UInt64) {
        var bench = bench(seed, requestsPerTick: 50)
        let cold: Behaviour = { tick, random in
            Behaviours.slow(tick < 1000 + 200 ? factor : 1)(tick, &random)
        }
        let found = bench.runUntilTrip(ticks: 800, candidate: cold, stable: Behaviours.slow(1))
        #expect(found == nil, "\(found.map { "\($0)" } ?? "")")
    }

    @Test("one that is as fast as stable is warm at once, and cut when it turns slow")
    func turnsSlow() throws {
        var bench = bench(5, requestsPerTick: 50)
        let turning: Behaviour = { tick, random in Behaviours.slow(tick < 1150 ? 1 : 2.5)(tick, &random) }
        let found = bench.runUntilTrip(ticks: 1200, candidate: turning, stable: Behaviours.slow(1))
        let trip = try #require(found)
        #expect(trip.tick >= 1150)
    }

    @Test("what the fast path has seen survives a restart")
    func restart() throws {
        var bench = bench(7)
        let found = bench.runUntilTrip(
            ticks: 600, candidate: Behaviours.slow(10), stable: Behaviours.slow(1))
        _ = try #require(found)
        let now = bench.now
        bench.watch = CandidateWatch(
            restoring: bench.watch.saved, specs: Self.specs, from: Tick(number: now))
        let second = bench.runUntilTrip(
            ticks: 100, candidate: Behaviours.slow(10), stable: Behaviours.slow(1))
        let again = try #require(second)
        // A slot that is still gross, where a new watch needs five.
        #expect(again.tick - now <= 40)
    }
}

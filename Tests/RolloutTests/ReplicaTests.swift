// One arm's replica is no coin: equal versions whose processes pause now and then are not cut, and a version
// that is really slower still is.

import Metrics
import Rollout
import Testing

@Suite struct ReplicaTests {
    /// The default p99 rule alone, with the chance of a false cut that the four have together.
    private static func specs(tolerates: Int) -> [GuardrailSpec] {
        var spec = GuardrailSpec.defaults(alpha: 0.01)[2]
        spec.warmUpRequests = 0
        spec.toleratedTicks = tolerates
        return [spec]
    }

    /// A version of one process that pauses for about two seconds every minute, at moments of its own.
    private static func pausing(_ seed: UInt64, factor: Double = 1) -> Behaviour {
        { tick, random in
            var minute = Seeded(seed &+ tick / 600)
            let begin = minute.below(580)
            let at = Int(tick % 600)
            var micros = UInt64((20_000 + 20_000 * random.uniform()) * factor)
            if (begin..<begin + 20).contains(at) { micros += UInt64(begin + 20 - at) * Tick.micros }
            return Ending(micros: micros)
        }
    }

    private func trip(_ seed: UInt64, tolerates: Int, factor: Double = 1, ticks: Int = 6000) -> UInt64? {
        var bench = Bench(seed: seed, specs: Self.specs(tolerates: tolerates))
        bench.traffic.requestsPerTick = 10
        bench.traffic.split = PairSplit(candidatePPM: 200_000, stablePPM: 800_000)
        return bench.runUntilTrip(
            ticks: ticks, candidate: Self.pausing(seed &* 7, factor: factor),
            stable: Self.pausing(seed &* 13)
        )?.tick
    }

    @Test("two processes that pause now and then are equal versions: tolerated, they are not cut")
    func pauses() {
        let found = (1...12 as ClosedRange<UInt64>).compactMap { trip($0, tolerates: 50) }
        #expect(found.count <= 1, "\(found)")
    }

    @Test("no slot proves more than its cap, wherever in it an epoch's fresh money is granted")
    func slots() throws {
        var spec = GuardrailSpec.defaults(alpha: 0.01)[1]
        (spec.warmUpRequests, spec.toleratedTicks) = (0, 50)
        var bench = Bench(seed: 3, specs: [spec])
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        bench.traffic.requestsPerTick = 29
        let pausing: Behaviour = { tick, random in
            var ending = Behaviours.slow(1)(tick, &random)
            let at = tick % 300
            if (150..<170).contains(at) { ending.micros += (170 - at) * Tick.micros }
            return ending
        }
        // Slots of a hundred ticks; a tick is decided in the one after it.
        var atStart = 0.0
        for _ in 0..<3000 {
            bench.tick(candidate: pausing, stable: Behaviours.slow(1))
            let logE = try #require(bench.readings[0].logE)
            if bench.now % 100 < 3 { atStart = logE }
            #expect(logE - atStart <= 3.1, "tick \(bench.now)")
        }
    }

    @Test("a version twice as slow is cut within three minutes all the same")
    func slower() {
        let found = (1...4 as ClosedRange<UInt64>).map { trip($0, tolerates: 50, factor: 2, ticks: 1800) }
        #expect(!found.contains(nil), "\(found)")
    }

    @Test("without pauses a version twice as slow is cut within half a minute")
    func independent() {
        for seed in 1...4 as ClosedRange<UInt64> {
            var bench = Bench(seed: seed, specs: Self.specs(tolerates: 0))
            let trip = bench.runUntilTrip(
                ticks: 300, candidate: Behaviours.slow(2), stable: Behaviours.slow(1))
            #expect(trip != nil, "seed \(seed)")
        }
    }

    @Test("versions of fewer than three endpoints tolerate pauses in latency and cancels against stable")
    func endpoints() {
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        #expect(specs.map { $0.comparing(endpoints: 2, 9).toleratedTicks } == [0, 50, 50, 0, 0, 0, 50, 0])
        #expect(specs.map { $0.comparing(endpoints: 3, 9).toleratedTicks } == [0, 0, 0, 0, 0, 0, 0, 0])
        var fast = specs[1]
        fast.toleratedTicks = 0
        #expect(fast.comparing(endpoints: 1, 1).toleratedTicks == 0)
    }
}

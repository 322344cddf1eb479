// Ticks of which too much was not sent: they compare nothing, in either direction and either arm, and what
// waits to be written is neither fast nor slow. Place: `CandidateWatch` and `GateWatch` fed with counts.
// Source: VoidTick.swift.

import Metrics
import Testing

@testable import Rollout

@Suite struct VoidTickTests {
    /// An arm's settled requests.
    private static func arm(
        _ started: UInt32, failed: UInt32 = 0, unsent: UInt32 = 0, overloaded: UInt32 = 0
    ) -> ArmCounts {
        var counts = ArmCounts()
        (counts.started, counts.completed, counts.failed) = (started, started, failed)
        (counts.excluded, counts.unsent, counts.overloaded) = (unsent, unsent, overloaded)
        return counts
    }

    private static func pair(_ candidate: ArmCounts, _ stable: ArmCounts, _ number: UInt64 = 1) -> PairTick {
        PairTick(
            tick: Tick(number: number), split: PairSplit(candidatePPM: 500_000, stablePPM: 500_000),
            candidate: ArmTick(randomised: candidate), stable: ArmTick(randomised: stable))
    }

    /// Whether the relative error rule trips on two seconds of such ticks.
    private static func trips(_ candidate: ArmCounts, _ stable: ArmCounts) -> Bool {
        let spec = GuardrailSpec.defaults(alpha: 0.01)[0]
        var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
        let reference = LatencyReference(specs: [spec], gates: [])
        var verdict = Verdict.notEnoughData
        for now in 1...20 as ClosedRange<UInt64> {
            let readings = watch.step(now: Tick(number: now), reference: reference, windows: { _ in nil }) {
                pair(candidate, stable, $0.number)
            }
            verdict = readings[0].verdict
            if verdict == .fail { return true }
        }
        return false
    }

    @Test("More than a twentieth that had no endpoint voids a tick for guardrails, in either arm")
    func endpoints() {
        let bad = Self.arm(40, failed: 20)
        #expect(Self.trips(bad, Self.arm(40)))
        #expect(Self.trips(Self.arm(40, failed: 20, unsent: 2), Self.arm(40)), "a twentieth")
        #expect(!Self.trips(Self.arm(40, failed: 20, unsent: 3), Self.arm(40)))
        #expect(!Self.trips(bad, Self.arm(40, unsent: 3)))
        #expect(!Self.trips(Self.arm(1, failed: 0, unsent: 1), Self.arm(40)))
    }

    @Test("A version cannot hide its failures behind its bound on requests in flight")
    func overload() {
        #expect(Self.trips(Self.arm(40, failed: 20, unsent: 20, overloaded: 20), Self.arm(40)))
        #expect(Self.trips(Self.arm(40, failed: 40), Self.arm(40, unsent: 30, overloaded: 30)))
    }

    @Test("For a gate a tick is void whatever the reason, and proves nothing")
    func gates() {
        for overloaded in [0, 3] as [UInt32] {
            let lost = Self.arm(40, unsent: 3, overloaded: overloaded)
            #expect(Self.pair(lost, Self.arm(40)).isVoid(for: .notWorse))
            #expect(Self.pair(Self.arm(40), lost).isVoid(for: .notWorse))
        }
        #expect(!Self.pair(Self.arm(40, unsent: 2), Self.arm(40)).isVoid(for: .notWorse))
        #expect(!Self.pair(Self.arm(0), Self.arm(0)).isVoid(for: .notWorse))
    }

    @Test("What waits to be written is neither fast nor slow, and neither good nor bad")
    func unwritten() {
        var counts = Self.arm(10)
        (counts.started, counts.unwritten, counts.fast0) = (14, 3, 9)
        #expect(counts.slow(0) == 2 && counts.silent == 1)
        var pair = Self.pair(counts, counts)
        pair.candidate.thresholds[0] = 100_000
        pair.stable.thresholds[0] = 100_000
        let latency = TickView.latency(pair, age: 5, rho: 1, evidence: 0, size: 0)
        #expect(latency.candidate.bad == 2 && latency.stable.bad == 2)
        let late = TickView.events(.failure, pair, age: TickView.deadlineTicks, lag: 1)
        #expect(late.candidate.bad == 1 && late.candidate.good == 10)
        #expect(late.stable.bad == 1 && late.stable.good == 10)
        let keys = TickView.slowKeys(
            pair, age: TickView.deadlineTicks, lag: 1, rho: 1, evidence: 0, size: 0)
        #expect(keys.candidate.bad == 2 && keys.stable.bad == 2)
    }
}

// Laws of the check after a cut for latency: the measure that tripped must be back within limits.

import Metrics
import Rollout
import Testing

@Suite struct RecoveryLatencyTests {
    private func spec(_ quantile: Double) -> GuardrailSpec {
        GuardrailSpec(
            name: "l", measure: .latency(quantile: quantile),
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0))
    }

    private func latency(_ quantile: Double) throws -> RecoveryLatency {
        var reference = LatencyReference(specs: [spec(quantile)])
        #expect(RecoveryLatency(spec(quantile), reference) == nil)
        _ = reference.refresh(now: Tick(number: 10), requests: 5_000) { _ in 20_000 }
        return try #require(RecoveryLatency(spec(quantile), reference))
    }

    /// The answer for a stable that is slow and fails at these rates.
    private func answer(
        quantile: Double, slow: Double, failing: Double = 0.001, micros: UInt32 = 20_000
    ) throws -> RecoveryReading {
        var random = Seeded(11)
        let latency = try latency(quantile)
        var watch = RecoveryWatch(from: Tick(number: 100), stableRateBefore: 0.001, latency: latency)
        #expect(watch.judgesLatency)
        var ticks: [UInt64: ArmTick] = [:]
        for now in 100...20_000 as ClosedRange<UInt64> {
            let reading = watch.step(now: Tick(number: now)) { ticks[$0.number] ?? ArmTick() }
            if reading.verdict != .watching { return reading }
            var counts = ArmCounts()
            (counts.started, counts.completed) = (40, 40)
            for _ in 0..<40 {
                if random.chance(failing) {
                    counts.failed += 1
                } else if !random.chance(slow) {
                    counts.fast0 += 1
                    counts.fast1 += 1
                }
            }
            var thresholds = SIMD8<UInt32>.zero
            thresholds[latency.slot] = micros
            ticks[now] = ArmTick(randomised: counts, thresholds: thresholds)
        }
        return watch.step(now: Tick(number: 20_001)) { _ in nil }
    }

    @Test("Stable as fast as before has recovered, at every quantile", arguments: [0.5, 0.9, 0.99])
    func recovered(quantile: Double) throws {
        let reading = try answer(quantile: quantile, slow: (1 - quantile) * 0.9)
        #expect(reading.verdict == .recovered)
        #expect(reading.latency?.micros == 20_000)
        #expect(reading.reason.contains("took longer than 20.0 ms"))
    }

    @Test("Stable that stays slow has not recovered, although nothing fails", arguments: [0.5, 0.9, 0.99])
    func slow(quantile: Double) throws {
        let reading = try answer(quantile: quantile, slow: 0.95)
        #expect(reading.verdict == .notRecovered)
    }

    @Test("Stable that is fast and fails has not recovered either")
    func failing() throws {
        #expect(try answer(quantile: 0.5, slow: 0.3, failing: 0.2).verdict == .notRecovered)
    }

    @Test("Ticks that were counted by another threshold say nothing: no answer but that of time")
    func otherThreshold() throws {
        let reading = try answer(quantile: 0.99, slow: 0, micros: 21_000)
        #expect(reading.verdict == .undecided)
        #expect(reading.latency?.requests == 0)
    }
}

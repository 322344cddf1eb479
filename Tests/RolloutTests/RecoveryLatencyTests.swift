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
        var watch = RecoveryWatch(
            from: Tick(number: 100), stableRateBefore: 0.001, measure: .latency(latency))
        #expect(watch.judgesSlots)
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
            if case .slot(let slot) = latency.counter { thresholds[slot] = micros }
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

    /// A window rule's check over a stable that fails and is slow at these rates, by histogram counts.
    private func windowAnswer(
        _ rule: GuardrailSpec.Rule, slow: Double, stable: Double? = 20_000
    ) throws -> RecoveryReading {
        var random = Seeded(5)
        var spec = GuardrailSpec(name: "w", measure: .latency(quantile: 0.95), rule: rule)
        spec.time = .firstByte
        let latency = try #require(
            RecoveryLatency(spec, LatencyReference(specs: [spec]), stable: stable))
        #expect(latency.counter == .ended(.firstByte))
        var watch = RecoveryWatch(
            from: Tick(number: 100), stableRateBefore: 0.001, measure: .latency(latency))
        #expect(!watch.judgesSlots)
        // What had ended before the cut was slow and must not count.
        var ended = EndedCounts(requests: 1_000, slow: 1_000)
        for now in 101...9_200 as ClosedRange<UInt64> {
            var counts = ArmCounts()
            (counts.started, counts.completed) = (40, 40)
            let reading = watch.step(now: Tick(number: now)) { _ in
                ArmTick(randomised: counts)
            } counts: { time, micros in
                #expect(time == .firstByte && micros == latency.micros)
                return ended
            }
            if reading.verdict != .watching { return reading }
            for _ in 0..<40 where random.chance(slow) { ended.slow += 1 }
            ended.requests += 40
        }
        return watch.step(now: Tick(number: 9_201)) { _ in nil }
    }

    @Test(
        "A rule over a window is judged by the time that it names: back within limits, or not",
        arguments: [
            (GuardrailSpec.Rule.windowAbove(20_000), 0.01, RecoveryVerdict.recovered),
            (.windowAbove(20_000), 0.3, .notRecovered),
            (.windowWorseThanStable(by: 0.3), 0.05, .recovered),
            (.windowWorseThanStable(by: 0.3), 0.5, .notRecovered),
        ])
    func window(rule: GuardrailSpec.Rule, slow: Double, verdict: RecoveryVerdict) throws {
        let reading = try windowAnswer(rule, slow: slow)
        #expect(reading.verdict == verdict)
        #expect(reading.latency?.time == "first_byte" && reading.latency?.micros == 20_000)
        #expect(reading.reason.contains("took longer than 20.0 ms to the first byte"))
    }

    @Test("A window rule against stable without a figure of stable is judged by errors alone")
    func windowWithoutStable() {
        let rule = GuardrailSpec.Rule.windowWorseThanStable(by: 0.3)
        let spec = GuardrailSpec(name: "w", measure: .latency(quantile: 0.95), rule: rule)
        #expect(RecoveryLatency(spec, LatencyReference(specs: [spec])) == nil)
    }

    @Test("Ticks that were counted by another threshold say nothing: no answer but that of time")
    func otherThreshold() throws {
        let reading = try answer(quantile: 0.99, slow: 0, micros: 21_000)
        #expect(reading.verdict == .undecided)
        #expect(reading.latency?.requests == 0)
    }
}

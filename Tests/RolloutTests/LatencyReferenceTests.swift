// Laws of the frozen latency thresholds.

import Metrics
import Rollout
import Testing

@Suite struct LatencyReferenceTests {
    private func quantile(_ scale: Double) -> (Double) -> UInt64? {
        { q in UInt64((scale * q).rounded()) }
    }

    @Test("the default guardrails take four slots, evidence and size, and a free one for what is gross")
    func slots() {
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        #expect(LatencyReference.slotsNeeded(by: specs) == 4)
        var reference = LatencyReference(specs: specs)
        #expect(reference.stableThresholds == [0, 0, 0, 0, 0])
        let renewal1 = reference.refresh(now: Tick(number: 5), requests: 1000, quantile: quantile(100_000))
        #expect(renewal1)
        #expect(reference.stableThresholds == [50_000, 50_000, 99_000, 99_000, 200_000])
        #expect(reference.candidateThresholds == [50_000, 65_000, 99_000, 128_700, 200_000])
        #expect(reference.stableLagTicks == 1)
    }

    @Test("where clocks have whole milliseconds an effect is large beyond the next value")
    func wholeMillis() {
        let gate = GateSpec(name: "p50", metric: .latency(quantile: 0.5), margin: 0.3)
        // 50.1 % take a millisecond, the others two.
        let coarse: (Double) -> UInt64? = { $0 <= 0.501 ? 1000 : 2000 }
        var reference = LatencyReference(specs: [[GuardrailSpec].defaults[1]])
        _ = reference.refresh(now: Tick(number: 5), requests: 1000, quantile: coarse)
        #expect(Array(reference.candidateThresholds.prefix(2)) == [1000, 2000])
        // A gate's threshold is its margin, whatever the clock.
        var gated = LatencyReference(specs: [[GuardrailSpec].defaults[1]], gates: [gate])
        _ = gated.refresh(now: Tick(number: 5), requests: 1000, quantile: coarse)
        #expect(Array(gated.candidateThresholds.prefix(2)) == [1000, 1300])
    }

    @Test("constant thresholds are known at once, and equal ones share a slot")
    func constants() {
        let specs = [0.5, 0.99].map {
            GuardrailSpec(
                name: "p\($0)", measure: .latency(quantile: $0), rule: .sequentialAbove(300_000))
        }
        let reference = LatencyReference(specs: specs)
        #expect(reference.candidateThresholds == [300_000] && reference.stableThresholds == [300_000])
    }

    @Test("fewer than fifty requests give no threshold but the gross one, and the lag all the same")
    func tooFew() {
        var reference = LatencyReference(specs: .defaults)
        let few = reference.refresh(now: Tick(number: 5), requests: 19, quantile: quantile(1_000_000))
        #expect(!few)
        #expect(reference.stableThresholds == [0, 0, 0, 0, 0])
        #expect(reference.stableLagTicks == 10)
        let more = reference.refresh(now: Tick(number: 8), requests: 49, quantile: quantile(1_000_000))
        #expect(more)
        #expect(reference.stableThresholds.prefix(4) == [0, 0, 0, 0] && reference.stableThresholds[4] > 0)
        let again = reference.refresh(now: Tick(number: 11), requests: 49, quantile: quantile(2_000_000))
        #expect(!again)
    }

    @Test("thresholds are renewed soon at first, and once a minute in the end; between that they are frozen")
    func frozen() {
        var reference = LatencyReference(specs: .defaults)
        var renewals: [UInt64] = []
        for now in 0..<3000 as Range<UInt64> {
            let scale = Double(100_000 + now * 100)
            let isRenewed = reference.refresh(
                now: Tick(number: now), requests: 5000, quantile: quantile(scale))
            if isRenewed { renewals.append(now) }
        }
        #expect(renewals == [0, 10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440])
    }

    @Test("a restart goes on with the thresholds it had, a changed configuration with those it shares")
    func keeping() {
        var old = LatencyReference(specs: .defaults)
        _ = old.refresh(now: Tick(number: 5_000_000), requests: 1000, quantile: quantile(100_000))
        var reference = LatencyReference(specs: .defaults, keeping: old, at: Tick(number: 10))
        #expect(reference.candidateThresholds == old.candidateThresholds)
        #expect(!reference.isDue(at: Tick(number: 19)) && reference.isDue(at: Tick(number: 20)))
        let renewed = reference.refresh(now: Tick(number: 20), requests: 5000, quantile: quantile(7000))
        #expect(renewed)
        let p99 = [[GuardrailSpec].defaults[2]]
        let fewer = LatencyReference(specs: p99, keeping: old, at: Tick(number: 10))
        #expect(fewer.candidateThresholds == [99_000, 128_700, 200_000])
        let p95 = GuardrailSpec(
            name: "p95", measure: .latency(quantile: 0.95),
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0))
        let more = LatencyReference(specs: p99 + [p95], keeping: old, at: Tick(number: 10))
        #expect(more.stableThresholds == [99_000, 99_000, 0, 0, 200_000])
        #expect(more.isDue(at: Tick(number: 11)))
    }

    @Test("ticks counted by other thresholds than stable's say nothing")
    func mismatch() {
        let specs = [[GuardrailSpec].defaults[1]]
        var bench = Bench(seed: 3, specs: specs)
        bench.traffic.thresholds.candidate[0] -= 1
        for _ in 0..<100 { bench.tick(candidate: Behaviours.slow(3), stable: Behaviours.slow(1)) }
        #expect(bench.readings[0].candidateRequests == 0)
        #expect(bench.readings[0].verdict == .notEnoughData)
    }

    @Test("more rules than slots: the ones left over never have data, and say why")
    func exhausted() {
        let specs = (1...7).map {
            GuardrailSpec(
                name: "p99 \($0)", measure: .latency(quantile: 0.99),
                rule: .sequentialAbove(Double($0) * 1000))
        }
        #expect(LatencyReference.slotsNeeded(by: specs) == 7)
        var bench = Bench(seed: 3, specs: specs)
        for _ in 0..<20 { bench.tick(candidate: Behaviours.slow(1), stable: Behaviours.slow(1)) }
        #expect(bench.readings[6].verdict == .notEnoughData)
        #expect(bench.readings[6].reason.contains("no latency slot"))
        #expect(bench.readings[0].verdict == .fail)
    }

    @Test("a spec that cannot be watched has a problem, in words")
    func problems() {
        func latency(_ rule: GuardrailSpec.Rule, _ q: Double = 0.99) -> String? {
            GuardrailSpec(name: "x", measure: .latency(quantile: q), rule: rule).problem
        }
        #expect(latency(.sequentialAbove(30_000_000)) == nil)
        #expect(latency(.sequentialAbove(30_000_001))?.contains("30 s") == true)
        #expect(latency(.windowAbove(90_000_000)) == nil)
        #expect(latency(.windowAbove(1000), 1)?.contains("quantile") == true)
        for spec in GuardrailSpec.defaults(alpha: 0.01) { #expect(spec.problem == nil) }
    }
}

// From when on was it bad: the report's look back over what the evidence rings remember.

import Metrics
import Rollout
import Testing

@Suite struct OnsetTests {
    private let errors = GuardrailSpec(
        name: "e", measure: .errorRate,
        rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.5, materialDifference: 0.001))

    /// Ticks 1,000...1,500 with so many requests of the candidate each, failing at a rate by tick.
    private func find(
        perTick: Int, seed: UInt64, stable: Double = 0.002, _ rate: (UInt64) -> Double
    ) -> Onset? {
        var random = Seeded(seed)
        var ticks: [UInt64: PairTick] = [:]
        func arm(_ count: Int, _ rate: Double) -> ArmTick {
            var counts = ArmCounts()
            counts.started = UInt32(count)
            counts.completed = counts.started
            counts.failed = (0..<count).reduce(0) { n, _ in n + (random.chance(rate) ? 1 : 0) }
            return ArmTick(randomised: counts)
        }
        for number in 1_000...1_500 as ClosedRange<UInt64> {
            ticks[number] = PairTick(
                tick: Tick(number: number), split: nil, candidate: arm(perTick, rate(number)),
                stable: arm(perTick * 9, stable))
        }
        return Onset.find(
            errors, reference: LatencyReference(specs: [errors]), now: Tick(number: 1_500)
        ) { ticks[$0.number] }
    }

    @Test(
        "A candidate that turns bad is found within a second of its turning",
        arguments: 1...20 as ClosedRange<UInt64>)
    func turning(seed: UInt64) throws {
        let onset = try #require(find(perTick: 10, seed: seed) { $0 >= 1_480 ? 0.4 : 0.002 })
        #expect((1_470...1_485).contains(onset.tick.number), "\(onset)")
        #expect(!onset.isBound)
    }

    @Test("A mild regression is dated to seconds", arguments: 1...20 as ClosedRange<UInt64>)
    func mild(seed: UInt64) throws {
        let onset = try #require(find(perTick: 20, seed: seed) { $0 >= 1_300 ? 0.05 : 0.002 })
        #expect((1_250...1_340).contains(onset.tick.number), "\(onset)")
    }

    @Test("What was bad before the evidence begins is said to have begun there or earlier")
    func bound() throws {
        let onset = try #require(find(perTick: 10, seed: 1) { _ in 0.5 })
        #expect(onset.isBound)
    }

    @Test(
        "Where stable has no requests, failures below half are dated by what the rule compared with",
        arguments: [0.002, nil], [0.36, 0.05])
    func pinned(known: Double?, rate: Double) throws {
        var random = Seeded(7)
        var ticks: [UInt64: PairTick] = [:]
        for number in 1_000...1_500 as ClosedRange<UInt64> {
            var counts = ArmCounts()
            (counts.started, counts.completed) = (20, 20)
            for _ in 0..<20 where random.chance(number >= 1_300 ? rate : 0.002) { counts.failed += 1 }
            ticks[number] = PairTick(
                tick: Tick(number: number), split: nil, candidate: ArmTick(randomised: counts),
                stable: ArmTick())
        }
        let found = Onset.find(
            errors, known: known, reference: LatencyReference(specs: [errors]), now: Tick(number: 1_500)
        ) { ticks[$0.number] }
        #expect((1_250...1_340).contains(try #require(found).tick.number))
    }

    @Test("A candidate that is as good as stable has no onset, and neither has one without requests")
    func none() {
        #expect(find(perTick: 10, seed: 2, stable: 0) { _ in 0 } == nil)
        #expect(find(perTick: 0, seed: 2) { _ in 0 } == nil)
    }

    @Test("A latency rule is dated by slow requests, hanging ones among them")
    func latency() throws {
        let spec = GuardrailSpec(
            name: "l", measure: .latency(quantile: 0.99),
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0))
        var reference = LatencyReference(specs: [spec])
        _ = reference.refresh(now: Tick(number: 900), requests: 5_000) { _ in 20_000 }
        var thresholds = SIMD8<UInt32>.zero
        for (i, micros) in reference.candidateThresholds.enumerated() { thresholds[i] = micros }
        let onset = Onset.find(spec, reference: reference, now: Tick(number: 1_500)) { tick in
            var counts = ArmCounts()
            counts.started = 20
            let fine: UInt32 = tick.number >= 1_450 ? 10 : 20
            (counts.completed, counts.fast0, counts.fast1) = (fine, fine, fine)
            let arm = ArmTick(randomised: counts, thresholds: thresholds)
            return PairTick(tick: tick, split: nil, candidate: arm, stable: arm)
        }
        #expect(onset == Onset(tick: Tick(number: 1_450), isBound: false))
    }
}

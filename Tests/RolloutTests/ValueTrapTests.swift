// What real values do to rules over them: absurd records, feedback that comes late, traffic with a season.

import Metrics
import Rollout
import Testing

@Suite struct ValueTrapTests {
    @Test("a few absurd costs among stable's first thousand do not blind the rule")
    func absurdCosts() throws {
        var bench = ValueBench(seed: 5, .worse(.cost(value: "c", cap: nil), ratio: 1.2))
        var seen = 0
        let cost = Values.cost(0.002)
        let stable: ValueOf = { random in
            seen += 1
            return [50, 300, 700].contains(seen) ? 1e300 : cost(&random)
        }
        #expect(bench.valuesToTrip(ticks: 60, candidate: Values.cost(0.002), stable: stable) == nil)
        let found = bench.valuesToTrip(ticks: 300, candidate: Values.cost(0.004), stable: stable)
        let values = try #require(found)
        #expect(values < 1500, "\(values)")
    }

    @Test("of feedback much of which comes at the end of its window a rule only alerts, and says why")
    func lateFeedback() throws {
        func action(late: Int) throws -> GuardrailReading {
            let metric = FeedbackMetric(metric: "clicks", windowMillis: 1000)
            let spec = GuardrailSpec.worse(.feedback(metric), ratio: 1.05)
            var watch = CandidateWatch(specs: [spec], from: Tick(number: 1))
            func arm(_ requests: Int, clicks: Int) -> ValueArm {
                var arm = ValueArm(
                    values: (0..<requests).map { $0 < clicks ? 1.0 : 0 })
                (arm.posted, arm.late) = (clicks, min(late, clicks))
                return arm
            }
            let ticks = (1..<100 as Range<UInt64>).map { number in
                ValueTick(
                    tick: Tick(number: number),
                    split: PairSplit(candidatePPM: 500_000, stablePPM: 500_000),
                    candidate: arm(100, clicks: 30), stable: arm(100, clicks: 50))
            }
            return watch.step(
                now: Tick(number: 100), reference: LatencyReference(specs: []), windows: { _ in nil },
                values: { _, from in ticks.filter { $0.tick >= from } }, read: { _ in nil })[0]
        }
        let early = try action(late: 0)
        #expect(early.verdict == .fail && early.action == .cut, "\(early.reason)")
        let late = try action(late: 2)
        #expect(late.verdict == .fail && late.action == .alert, "\(late.reason)")
        #expect(late.reason.contains("in the last tenth of the window"))
    }

    @Test("a season of the traffic is not the candidate's drift where stable has few requests")
    func season() {
        var random = Seeded(99)
        let rows = (0..<20_000).map { _ in Values.normal(0, 1)(&random) ?? 0 }
        let spec = GuardrailSpec(
            name: "p", measure: .drift(value: "score"),
            rule: .sequentialDriftFrom(DriftReference(values: rows), psi: 0.2), action: .alert)
        for seed in 1...10 as ClosedRange<UInt64> {
            var bench = ValueBench(seed: seed, spec)
            bench.split = PairSplit(candidatePPM: 950_000, stablePPM: 50_000)
            let noon = Values.normal(0.6, 1)
            #expect(bench.valuesToTrip(ticks: 200, candidate: noon, stable: noon) == nil, "seed \(seed)")
        }
        var drifted = ValueBench(seed: 3, spec)
        drifted.split = PairSplit(candidatePPM: 950_000, stablePPM: 50_000)
        let found = drifted.valuesToTrip(
            ticks: 400, candidate: Values.normal(0.8, 1), stable: Values.normal(0, 1))
        #expect(found != nil)
    }
}

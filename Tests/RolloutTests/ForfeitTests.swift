// What was proven while no cut was possible is given up when one becomes possible: by rules over values and
// by the fast path of slowness as by the others. What goes on is proven anew.

import Metrics
import Rollout
import Testing

@Suite struct ForfeitTests {
    /// A rule over values, and values of stable and of a version that is worse.
    struct Case: Sendable, CustomTestStringConvertible {
        var spec: GuardrailSpec
        var fine: @Sendable (inout Seeded) -> Double?
        var worse: @Sendable (inout Seeded) -> Double?
        var testDescription: String { spec.name }
    }

    private static let reference: DriftReference = {
        var random = Seeded(99)
        return DriftReference(values: (0..<20_000).map { _ in Values.normal(0, 1)(&random) ?? 0 })
    }()

    private static func rule(
        _ name: String, _ measure: GuardrailSpec.Measure, _ rule: GuardrailSpec.Rule
    ) -> GuardrailSpec {
        GuardrailSpec(name: name, measure: measure, rule: rule)
    }

    private static let worse = GuardrailSpec.Rule.sequentialWorseThanStable(
        rho: 1, materialRatio: 1, materialDifference: 0.01)

    static let cases: [Case] = [
        Case(
            spec: rule("clicks", .feedback(FeedbackMetric(metric: "clicks", windowMillis: 1_000)), worse),
            fine: { $0.chance(0.5) ? 1 : 0 }, worse: { $0.chance(0.2) ? 1 : 0 }),
        Case(
            spec: rule("confidence", .confidence(value: "c"), .sequentialBelow(0.7)),
            fine: { 0.8 + 0.1 * $0.uniform() }, worse: { 0.4 + 0.1 * $0.uniform() }),
        Case(
            spec: rule("cost", .cost(value: "c", cap: nil), worse),
            fine: { 2 * $0.uniform() }, worse: { 6 * $0.uniform() }),
        Case(
            spec: rule("missing", .missing(value: "x"), worse),
            fine: { $0.chance(0.01) ? nil : 1 }, worse: { $0.chance(0.3) ? nil : 1 }),
        Case(
            spec: rule("missing above", .missing(value: "x"), .sequentialAbove(0.1)),
            fine: { $0.chance(0.01) ? nil : 1 }, worse: { $0.chance(0.4) ? nil : 1 }),
        Case(
            spec: rule("drift", .drift(value: "x"), .sequentialDrift(psi: 0.2)),
            fine: { Values.normal(0, 1)(&$0) }, worse: { Values.normal(2, 1)(&$0) }),
        Case(
            spec: rule("drift from", .drift(value: "x"), .sequentialDriftFrom(reference, psi: 0.2)),
            fine: { Values.normal(0, 1)(&$0) }, worse: { Values.normal(2, 1)(&$0) }),
    ]

    @Test(
        "A rule over values gives up what it has proven; a version that stays bad is found again",
        arguments: cases)
    func values(_ rule: Case) {
        for goesOn in [false, true] {
            var bench = ValueBench(seed: 7, rule.spec)
            #expect(bench.valuesToTrip(ticks: 60, candidate: rule.fine, stable: rule.fine) == nil)
            #expect(bench.valuesToTrip(ticks: 1_000, candidate: rule.worse, stable: rule.fine) != nil)
            bench.forfeitProven()
            bench.wait(1)
            #expect(bench.reading.verdict != .fail, "\(bench.reading.reason)")
            #expect(bench.reading.logE ?? 1 <= 1e-9 && bench.reading.maxLogE ?? 1 <= 1e-9)
            let found = bench.valuesToTrip(
                ticks: 1_000, candidate: goesOn ? rule.worse : rule.fine, stable: rule.fine)
            #expect((found != nil) == goesOn, "\(bench.reading.reason)")
        }
    }

    @Test("What is not proven is kept")
    func unproven() {
        let rule = Self.cases[0]
        var bench = ValueBench(seed: 7, rule.spec)
        for _ in 0..<60 { bench.tick(candidate: rule.fine, stable: rule.fine) }
        while bench.reading.maxLogE ?? 0 < 1 { bench.tick(candidate: rule.worse, stable: rule.fine) }
        #expect(bench.reading.verdict != .fail)
        let before = bench.reading.maxLogE
        bench.forfeitProven()
        bench.wait(1)
        #expect(bench.reading.maxLogE == before)
    }

    @Test("The fast path of slowness gives up what it has proven, and finds a version that stays slow again")
    func gross() throws {
        for goesOn in [false, true] {
            let specs = [GuardrailSpec].defaults.map { $0.comparing(endpoints: 1, 1) }
            var bench = Bench(seed: 3, specs: specs)
            bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
            let first = bench.runUntilTrip(
                ticks: 300, candidate: Behaviours.slow(10), stable: Behaviours.slow(1))
            #expect(first?.trip.reason.hasPrefix("far slower than stable") == true)
            bench.watch.forfeitProven()
            // What is under way is slow, and is no evidence of its own.
            for _ in 0..<5 {
                bench.tick(candidate: Behaviours.slow(goesOn ? 10 : 1), stable: Behaviours.slow(1))
                #expect(!bench.readings.contains { $0.verdict == .fail }, "\(bench.now)")
            }
            let again = bench.runUntilTrip(
                ticks: 300, candidate: Behaviours.slow(goesOn ? 10 : 1), stable: Behaviours.slow(1))
            #expect((again != nil) == goesOn, "\(again?.trip.reason ?? "")")
        }
    }
}

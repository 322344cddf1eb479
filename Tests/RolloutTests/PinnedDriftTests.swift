// Laws of drift against a pinned reference, of the bins, and of how much a guardrail remembers.

import Foundation
import Metrics
import Rollout
import Testing

@Suite struct PinnedDriftTests {
    private static let rows: [Double] = {
        var random = Seeded(99)
        return (0..<20_000).map { _ in Values.normal(0, 1)(&random) ?? 0 }
    }()

    private static func spec(_ reference: DriftReference = DriftReference(values: rows)) -> GuardrailSpec {
        GuardrailSpec(
            name: "p", measure: .drift(value: "score"), rule: .sequentialDriftFrom(reference, psi: 0.2),
            action: .alert)
    }

    @Test("values like the reference pass, drifted ones trip")
    func trips() {
        var healthy = ValueBench(seed: 1, Self.spec())
        let same = Values.normal(0, 1)
        #expect(healthy.valuesToTrip(ticks: 300, candidate: same, stable: same) == nil)
        #expect(healthy.reading.verdict == .pass, "\(healthy.reading.reason)")
        var bad = ValueBench(seed: 2, Self.spec())
        #expect(bad.valuesToTrip(ticks: 300, candidate: Values.normal(0.8, 1), stable: same) != nil)
    }

    @Test("drift that stable shows as well is the traffic's, and acquits the candidate")
    func trafficDrift() {
        var bench = ValueBench(seed: 3, Self.spec())
        let drifted = Values.normal(0.8, 1)
        #expect(bench.valuesToTrip(ticks: 300, candidate: drifted, stable: drifted) == nil)
        #expect(bench.reading.verdict == .notEnoughData)
        #expect(bench.reading.reason.contains("traffic has changed"), "\(bench.reading.reason)")
    }

    @Test("a reference of a few thousand rows is no exact truth: equal values do not trip")
    func finiteReference() {
        for seed in 0..<20 as Range<UInt64> {
            var random = Seeded(1000 + seed)
            let rows = (0..<2000).map { _ in Values.normal(0, 1)(&random) ?? 0 }
            var bench = ValueBench(seed: seed, Self.spec(DriftReference(values: rows)))
            bench.requestsPerTick = 500
            let same = Values.normal(0, 1)
            #expect(bench.valuesToTrip(ticks: 60, candidate: same, stable: same) == nil, "seed \(seed)")
        }
    }

    @Test(
        "a reference that nothing can be compared with is refused with a sentence",
        arguments: [
            DriftReference(edges: [1, 2], counts: [500, 500]),
            DriftReference(edges: [2, 1], counts: [500, 500, 1]),
            DriftReference(edges: [1], counts: [500, 400]), DriftReference(edges: [], counts: [5000]),
            DriftReference(edges: [.nan], counts: [500, 5000]),
            DriftReference(edges: [1], counts: [-1, 5000]),
            DriftReference(values: []), DriftReference(values: Array(repeating: 1, count: 5000)),
        ])
    func badReference(_ reference: DriftReference) {
        #expect(Self.spec(reference).problem?.isEmpty == false)
    }
}

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

    @Test("a guardrail remembers at most a kilobyte, drift four")
    func size() {
        let clicks = OutcomeMetric(metric: "clicks", windowMillis: 1000)
        let kinds: [(GuardrailSpec, Int)] = [
            (.worse(.outcome(clicks), ratio: 1.05), 1024),
            (.worse(.missing(value: "a"), difference: 0.01), 1024),
            (.worse(.cost(value: "c", cap: nil), ratio: 1.2), 1024), (.drift(), 4096), (Self.spec(), 4096),
        ]
        for (spec, limit) in kinds {
            for ticks in [1, 30, 400] {
                var bench = ValueBench(seed: 4, spec)
                bench.requestsPerTick = ticks == 1 ? 900 : 120
                // Twenty classes, or a continuum: the most bins there are.
                let value: ValueOf = { Double($0.below(ticks == 30 ? 20 : 100_000)) / 10 }
                _ = bench.valuesToTrip(ticks: ticks, candidate: value, stable: value)
                let bytes = Self.bytes(Mirror(reflecting: bench.watch))
                #expect(bytes <= limit, "\(spec.measure) after \(ticks) ticks: \(bytes) bytes")
            }
        }
    }

    /// Bytes of the numbers in a value; the spec, words and tables of logarithms left out.
    private static func bytes(_ mirror: Mirror) -> Int {
        mirror.children.reduce(0) { sum, child in
            switch child.value {
            case is GuardrailSpec, is [GuardrailSpec], is String: sum
            case is Double, is Int, is UInt64: sum + 8
            case is Float, is UInt32: sum + 4
            case is Bool: sum + 1
            default:
                "\(type(of: child.value))" == "OddsTable"
                    ? sum : sum + bytes(Mirror(reflecting: child.value))
            }
        }
    }
}

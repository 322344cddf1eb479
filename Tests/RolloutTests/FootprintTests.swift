// What a guardrail keeps in memory, by kind.

import Metrics
import Rollout
import Testing

@Suite struct FootprintTests {
    @Test("a guardrail keeps at most a kilobyte, drift four, its rule and its tables of logarithms left out")
    func footprint() throws {
        for isSticky in [false, true] {
            for var spec in GuardrailSpec.defaults(alpha: 0.01) {
                spec.countsKeysOnce = isSticky && spec.isRequestBet
                let watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
                let bytes = try Self.bytes(watch)
                #expect(bytes <= 1024, "\(spec.name): \(bytes)")
            }
        }
        let clicks = FeedbackMetric(metric: "clicks", windowMillis: 1000)
        let reference = DriftReference(
            edges: (1...29).map { Double($0) }, counts: [Int](repeating: 50, count: 30))
        let kinds: [(GuardrailSpec, Int)] = [
            (.worse(.feedback(clicks), ratio: 1.05), 1024),
            (.worse(.missing(value: "a"), difference: 0.01), 1024),
            (.worse(.confidence(value: "a"), ratio: 1.05), 1024),
            (.worse(.cost(value: "c", cap: nil), ratio: 1.2), 1024), (.drift(), 4096),
            (
                GuardrailSpec(
                    name: "r", measure: .drift(value: "a"), rule: .sequentialDriftFrom(reference, psi: 0.2)),
                4096
            ),
        ]
        for (spec, limit) in kinds {
            for ticks in [1, 30, 400] {
                var bench = ValueBench(seed: 4, spec)
                bench.requestsPerTick = ticks == 1 ? 900 : 120
                // Twenty classes, or a continuum: the most bins there are.
                let value: ValueOf = { Double($0.below(ticks == 30 ? 20 : 100_000)) / 10 }
                _ = bench.valuesToTrip(ticks: ticks, candidate: value, stable: value)
                let bytes = try Self.bytes(bench.watch)
                #expect(bytes <= limit, "\(spec.measure) after \(ticks) ticks: \(bytes) bytes")
            }
        }
    }

    @Test("without stable's traffic a guardrail keeps 600 bytes more at most, and before that nothing")
    func pinned() throws {
        var bench = Bench(seed: 4, specs: [[GuardrailSpec].defaults[0]])
        bench.traffic.split = PairSplit(candidatePPM: 250_000, stablePPM: 750_000)
        for _ in 0..<300 { bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0)) }
        #expect(try Self.bytes(bench.watch) <= 1024)
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        for _ in 0..<100 { bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0)) }
        #expect(bench.readings[0].isPinned)
        let bytes = try Self.bytes(bench.watch)
        #expect(bytes <= 1024 + 600, "\(bytes)")
    }

    /// Bytes of the watch's only guardrail: in place, and in arrays.
    private static func bytes(_ watch: CandidateWatch) throws -> Int {
        let lists = Mirror(reflecting: watch).children.filter {
            !($0.value is [GuardrailSpec]) && $0.label != "places"
        }
        let guardrail = try #require(lists.flatMap { Mirror(reflecting: $0.value).children }.first?.value)
        return size(guardrail) + beyond(guardrail)
    }

    private static func size<T>(_ value: T) -> Int { MemoryLayout<T>.stride }

    /// What a value keeps in arrays, less what is left out and lies in place.
    private static func beyond(_ value: Any) -> Int {
        if value is GuardrailSpec || value is String { return -size(value) }
        let name = "\(type(of: value))"
        if name == "OddsTable" { return -size(value) }
        if name.hasPrefix("InlineArray") { return 0 }
        let children = Mirror(reflecting: value).children.reduce(0) { $0 + beyond($1.value) }
        // Every bet has the room of the largest, which has two tables.
        if name == "Bet", let table = table(in: value) { return -2 * size(table) }
        return children + ((value as? any Listed)?.listBytes ?? 0)
    }

    private static func table(in value: Any) -> Any? {
        if "\(type(of: value))" == "OddsTable" { return value }
        if "\(type(of: value))".hasPrefix("InlineArray") { return nil }
        return Mirror(reflecting: value).children.lazy.compactMap { table(in: $0.value) }.first
    }
}

/// An array's own memory: its header and its elements.
private protocol Listed {
    var listBytes: Int { get }
}

extension Array: Listed {
    fileprivate var listBytes: Int { capacity == 0 ? 0 : 32 + capacity * MemoryLayout<Element>.stride }
}

// What a pinned rate holds another to.

import Statistics
import Testing

@Suite struct PinnedRateTests {
    @Test("The limit is above stable's rate by half as much again and a tenth of a point, and by its doubt")
    func limits() throws {
        for (requests, events) in [(1_000, 0), (1_000, 10), (100_000, 100), (1_000_000, 300_000)] {
            let rate = Double(events) / Double(requests)
            let limit = try #require(
                PinnedRate.limit(requests: requests, events: events, ratio: 1, difference: 0))
            #expect(limit / (1 - limit) >= 1.5 * rate / (1 - rate) && limit >= rate + 0.001)
            let wide = try #require(
                PinnedRate.limit(requests: requests, events: events, ratio: 3, difference: 0.02))
            #expect(wide > limit && wide >= rate + 0.02)
        }
    }

    @Test("Requests that come bad together leave more room: as much as so many independent ones fewer")
    func effect() throws {
        func limit(_ requests: Int, _ events: Int, _ effect: Double) throws -> Double {
            try #require(
                PinnedRate.limit(
                    requests: requests, events: events, ratio: 1.5, difference: 0.001, effect: effect))
        }
        #expect(try limit(30_000, 300, 1) == limit(30_000, 300, 0.5))
        #expect(try limit(30_000, 300, 3) == limit(10_000, 100, 1))
        #expect(try limit(30_000, 300, 3) > limit(30_000, 300, 1))
        // One event in a thousand requests stays one.
        #expect(try limit(1_000, 1, 3) == limit(333, 1, 1))
    }

    @Test("More requests of the same rate leave less room; from almost none nothing is pinned")
    func room() throws {
        let limits = try [300, 3_000, 30_000, 3_000_000].map {
            try #require(PinnedRate.limit(requests: $0, events: $0 / 100, ratio: 1.5, difference: 0.001))
        }
        #expect(zip(limits, limits.dropFirst()).allSatisfy { $0 > $1 } && limits[3] < 0.016)
        #expect(PinnedRate.limit(requests: 0, events: 0, ratio: 1.5, difference: 0) == nil)
        #expect(PinnedRate.limit(requests: 2, events: 0, ratio: 1.5, difference: 0) == nil)
        #expect(PinnedRate.limit(requests: 1_000, events: 950, ratio: 1.5, difference: 0) == nil)
        let median = PinnedRate.limit(requests: 50_000, events: 20_000, ratio: 1, difference: 0, least: 0.5)
        #expect(median.map { abs($0 - 0.6) < 1e-9 } == true)
    }
}

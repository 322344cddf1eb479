// A share above its limit counts when it is proven, or when there are so many requests that the estimate is
// what the rule says.

import Statistics
import Testing

@Suite struct SureShareTests {
    private func holds(_ events: Int, of requests: Int, limit: Double) -> Bool {
        var sizes = Materiality()
        sizes.add(EpochCounts(candidateRequests: requests, candidateEvents: events))
        return sizes.candidateSurelyExceeds(limit, minEvents: 3)
    }

    @Test(
        "few requests prove a large excess only",
        arguments: [
            (3, 3, 0.5, false), (6, 6, 0.5, false), (8, 8, 0.5, false), (9, 9, 0.5, true),
            (30, 50, 0.5, false), (40, 50, 0.5, true), (2, 50, 0.01, false), (5, 50, 0.01, true),
            (120, 10_000, 0.01, false), (1_510, 3_000, 0.5, true), (1_510, 2_900, 0.5, false),
            (131, 13_000, 0.01, false), (410, 40_000, 0.01, true), (2, 2, 0.01, false),
        ])
    func proves(events: Int, requests: Int, limit: Double, isProven: Bool) {
        #expect(holds(events, of: requests, limit: limit) == isProven)
    }

    @Test("a sudden excess is seen in its moment, whatever came before")
    func moment() {
        var sizes = Materiality()
        sizes.enter(moment: 1)
        for _ in 0..<10 { sizes.add(EpochCounts(candidateRequests: 1000)) }
        #expect(!sizes.candidateSurelyExceeds(0.5, minEvents: 3))
        sizes.enter(moment: 2)
        sizes.add(EpochCounts(candidateRequests: 17, candidateEvents: 17))
        #expect(!sizes.candidateSurelyExceeds(0.5, minEvents: 3))
        sizes.add(EpochCounts(candidateRequests: 1, candidateEvents: 1))
        #expect(sizes.candidateSurelyExceeds(0.5, minEvents: 3))
    }
}

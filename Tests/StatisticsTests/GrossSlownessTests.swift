// The fast path of latency: what goes on is found within seconds, what is over within seconds never is.

import Statistics
import Testing

@Suite struct GrossSlownessTests {
    /// Log evidence at which the default p99 rule's share of alpha 1 % trips.
    private static let threshold = Wealth.logThreshold(alpha: 0.01 * 0.2 * 0.1)

    /// Ticks of twenty stable requests and four of the candidate until the trip; nil without one.
    /// - Parameter isSlow: whether the candidate's, or stable's, requests of a tick are slow.
    private func trip(
        _ ticks: UInt64, candidate: (UInt64) -> Bool, stable: (UInt64) -> Bool = { _ in false }
    ) -> UInt64? {
        var test = GrossSlowness()
        for tick in 0..<ticks {
            test.add(
                .init(
                    candidateSlow: candidate(tick) ? 4 : 0, candidate: 4, stableSlow: stable(tick) ? 20 : 0,
                    stable: 20),
                tick: tick)
            if test.maxLogE >= Self.threshold, test.isUnderWay { return tick }
        }
        return nil
    }

    @Test(
        "a version that becomes grossly slow is found within nine seconds",
        arguments: 100..<130 as Range<UInt64>)
    func goesOn(onset: UInt64) throws {
        let found = try #require(trip(400) { $0 >= onset })
        #expect(found - onset < 90)
    }

    @Test(
        "pauses of up to five seconds are never found, however often they come and wherever they begin",
        arguments: [10, 20, 30, 50] as [UInt64])
    func pauses(length: UInt64) {
        for period in [301, 307, 600, 1103] as [UInt64] {
            #expect(trip(200_000) { $0 % period < length } == nil, "every \(period)")
        }
    }

    @Test("what makes stable slow as well is not the candidate's")
    func common() {
        #expect(trip(5_000, candidate: { $0 >= 100 }, stable: { $0 >= 100 }) == nil)
        #expect(trip(5_000, candidate: { $0 >= 100 }, stable: { $0 >= 100 && $0 % 3 == 0 }) == nil)
    }

    @Test("few requests make long slots: eight of either version at least")
    func sparse() throws {
        var test = GrossSlowness()
        var requests = 0
        for tick in 0..<10_000 as Range<UInt64> where test.maxLogE < Self.threshold {
            let ours = tick % 10 == 0 ? 1 : 0
            requests += ours
            test.add(.init(candidateSlow: ours, candidate: ours, stable: 3), tick: tick)
        }
        #expect(test.maxLogE >= Self.threshold)
        #expect((40...48).contains(requests))
    }

    @Test("a lost bet costs more than a won one brings")
    func lost() {
        var test = GrossSlowness()
        // Runs of four gross slots: one bet is won, the next one lost.
        for run in 0..<200 as Range<UInt64> {
            for slot in 0..<8 as Range<UInt64> {
                for tick in 0..<15 as Range<UInt64> {
                    let slow = slot < 4 ? 4 : 0
                    test.add(
                        .init(candidateSlow: slow, candidate: 4, stable: 20),
                        tick: run * 120 + slot * 15 + tick)
                }
            }
        }
        #expect(test.maxLogE < Self.threshold)
    }
}

// The bet on sticky keys' bad events: it is a fair one as long as events keep their proportion, and notices
// when they do not.

import Statistics
import Testing

@Suite struct KeyedEventsTests {
    /// The largest log evidence of so many minutes, of `events` candidate's and stable's in a minute.
    private func evidence(_ minutes: UInt64, _ events: (UInt64) -> (Int, Int)) -> Double {
        var test = KeyedEvents()
        var cap = BurstCap(.free)
        for minute in 0..<minutes {
            if minute % 10 == 0 { test.wealth.newEpoch() }
            test.enter(minute: minute)
            test.apply(share: 0.25, first: (0, 0), again: events(minute), cap: &cap)
            test.wealth.latch()
        }
        return test.wealth.maxLogE
    }

    @Test("a proportion that stays wins nothing, however far it is from the split's")
    func lasting() {
        #expect(evidence(300) { _ in (10, 10) } < 3)
        #expect(evidence(300) { _ in (30, 5) } < 3)
        #expect(evidence(300) { _ in (1, 30) } < 3)
    }

    @Test("three times as many of the candidate's keys are proof within a few minutes")
    func change() {
        let before = evidence(30) { _ in (8, 24) }
        let after = evidence(34) { $0 < 30 ? (8, 24) : (24, 24) }
        #expect(before < 3 && after > 7, "\(before), \(after)")
    }

    @Test("a new split forgets the proportion of the old one")
    func split() {
        var test = KeyedEvents()
        var cap = BurstCap(.free)
        for minute in 0..<60 as Range<UInt64> {
            if minute == 30 {
                test.forget()
                test.wealth.newEpoch()
            }
            test.enter(minute: minute)
            test.apply(
                share: minute < 30 ? 0.05 : 0.5, first: (0, 0), again: minute < 30 ? (2, 38) : (20, 20),
                cap: &cap)
            test.wealth.latch()
        }
        #expect(test.wealth.maxLogE < 4, "\(test.wealth.maxLogE)")
    }
}

// Laws of the check after a cut.

import Metrics
import Rollout
import Testing

@Suite struct RecoveryWatchTests {
    /// The first answer, and the ticks it took.
    private func answer(rate: Double, perTick: Int, before: Double = 0.001) -> (RecoveryReading, UInt64) {
        var random = Seeded(7)
        var watch = RecoveryWatch(from: Tick(number: 100), stableRateBefore: before)
        var ticks: [UInt64: ArmTick] = [:]
        for now in 100...20_000 as ClosedRange<UInt64> {
            let reading = watch.step(now: Tick(number: now)) { ticks[$0.number] ?? ArmTick() }
            if reading.verdict != .watching { return (reading, now - 100) }
            var counts = ArmCounts()
            counts.started = UInt32(perTick)
            counts.completed = counts.started
            counts.failed = (0..<perTick).reduce(0) { n, _ in n + (random.chance(rate) ? 1 : 0) }
            ticks[now] = ArmTick(randomised: counts)
        }
        Issue.record("no answer within the hour")
        return (watch.step(now: Tick(number: 20_001)) { _ in nil }, 0)
    }

    @Test("a healthy stable has recovered after a few hundred requests")
    func recovered() {
        let (reading, ticks) = answer(rate: 0.001, perTick: 10)
        #expect(reading.verdict == .recovered)
        #expect(ticks < 60 && reading.requests < 600)
        #expect(reading.reason.contains("held to 2.0 %"))
    }

    @Test("a stable that keeps failing has not recovered")
    func notRecovered() {
        let (reading, ticks) = answer(rate: 0.2, perTick: 10)
        #expect(reading.verdict == .notRecovered)
        #expect(ticks < 60)
    }

    @Test("no traffic for 15 minutes is no answer, and says so")
    func undecided() {
        let (reading, ticks) = answer(rate: 0, perTick: 0)
        #expect(reading.verdict == .undecided)
        #expect(ticks == RecoveryWatch.ticksMax)
    }

    @Test("a stable that was never good is held to twice its own rate")
    func poorBefore() {
        let (reading, _) = answer(rate: 0.05, perTick: 50, before: 0.05)
        #expect(reading.threshold == 0.1)
        #expect(reading.verdict == .recovered)
    }

    @Test("an answer stays what it is")
    func latched() {
        var watch = RecoveryWatch(from: Tick(number: 0), stableRateBefore: 0)
        func tick(failed: UInt32) -> ArmTick {
            var counts = ArmCounts()
            (counts.started, counts.completed, counts.failed) = (1000, 1000, failed)
            return ArmTick(randomised: counts)
        }
        let first = watch.step(now: Tick(number: 5)) { _ in tick(failed: 0) }
        let later = watch.step(now: Tick(number: 50)) { _ in tick(failed: 1000) }
        #expect(first.verdict == .recovered && later.verdict == .recovered)
    }
}

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

    @Test(
        "Stable that fails visibly has not recovered, whatever it failed before; a handful is no answer",
        arguments: [0.2, 0.4, 0.8])
    func visible(before: Double) {
        let (reading, _) = answer(rate: 0.4, perTick: 10, before: before)
        #expect(reading.verdict != .recovered && reading.verdict != .watching)
        #expect(reading.threshold <= 0.1)
        var watch = RecoveryWatch(from: Tick(number: 0), stableRateBefore: 0.4)
        var few = ArmCounts()
        (few.started, few.completed) = (9, 9)
        let early = watch.step(now: Tick(number: 3)) { $0.number == 0 ? ArmTick(randomised: few) : ArmTick() }
        #expect(early.verdict == .watching)
    }

    @Test("Stable that begins to fail while it is watched has not recovered by its good minutes")
    func relapse() {
        var watch = RecoveryWatch(from: Tick(number: 0), stableRateBefore: 0.02)
        var reading = watch.step(now: Tick(number: 1)) { _ in nil }
        for now in 1..<40 as Range<UInt64> {
            reading = watch.step(now: Tick(number: now)) { tick in
                var counts = ArmCounts()
                (counts.started, counts.completed) = (4, 4)
                counts.failed = tick.number < 20 ? 0 : 3
                return ArmTick(randomised: counts)
            }
            #expect(reading.verdict != .recovered)
        }
        #expect(reading.verdict == .notRecovered)
    }

    private static let clicks = FeedbackMetric(metric: "clicks", windowMillis: 1_000)

    private func valueAnswer(
        _ measure: GuardrailSpec.Measure, mean: Double, missing: Double = 0, failing: UInt32 = 0
    ) throws -> RecoveryReading {
        let spec = GuardrailSpec(
            name: "v", measure: measure,
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.05, materialDifference: 0))
        let trip = GuardrailReading(
            name: "v", rule: "", verdict: .fail, action: .cut, progress: 1, candidate: 0.2, stable: 0.4,
            reason: "")
        var random = Seeded(3)
        var watch = RecoveryWatch(
            from: Tick(number: 100), stableRateBefore: 0.001,
            measure: RecoveryMeasure(spec, trip, LatencyReference(specs: [spec])))
        var ticks: [ValueTick] = []
        var reading = watch.step(now: Tick(number: 100)) { _ in nil }
        for now in 101...9_400 as ClosedRange<UInt64> where reading.verdict == .watching {
            let values = (0..<10).map { _ in random.chance(mean) ? 1.0 : 0 }
            let lost = (0..<10).count { _ in random.chance(missing) }
            ticks.append(
                ValueTick(
                    tick: Tick(number: now - 1), split: nil, stable: ValueArm(missing: lost, values: values)))
            reading = watch.step(now: Tick(number: now)) { _ in
                var counts = ArmCounts()
                (counts.started, counts.completed, counts.failed) = (10, 10, failing)
                return ArmTick(randomised: counts)
            } values: { _, from in
                ticks.filter { $0.tick >= from }
            }
        }
        return reading
    }

    @Test("After a cut for clicks it is the clicks that have recovered, or not")
    func clicks() throws {
        let good = try valueAnswer(.feedback(Self.clicks), mean: 0.4)
        #expect(good.verdict == .recovered && good.reason.contains("mean clicks"))
        #expect(abs(try #require(good.values).threshold - 0.3) < 1e-9)
        #expect(try valueAnswer(.feedback(Self.clicks), mean: 0.2).verdict == .notRecovered)
        #expect(try valueAnswer(.feedback(Self.clicks), mean: 0.4, failing: 5).verdict == .notRecovered)
    }

    @Test("Clicks that lie between the two decide nothing: undecided is a word")
    func between() throws {
        #expect(try valueAnswer(.feedback(Self.clicks), mean: 0.3).verdict == .undecided)
    }

    @Test("Cost is judged by its mean, a drift by nothing: it says why it is undecided")
    func others() throws {
        #expect(try valueAnswer(.cost(value: "c", cap: 1), mean: 0.4).verdict == .notRecovered)
        let drift = try valueAnswer(.drift(value: "score"), mean: 0.4)
        #expect(drift.verdict == .undecided && drift.reason.contains("drift of score"))
    }
}

// The laws of the meters: each thing counted has words of its own, and a reading holds them all.
// Every word gets a number of its own, so that two that overlap, or are swapped, show; and the ends of the
// memory are written to.

import Metrics
import Testing

@Suite struct VersionMeterTests {
    @Test("Everything that is counted is read back as itself and touches nothing else")
    func separateWords() {
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        var expected = VersionCounts()
        // A different number for each word, so that a shared or swapped word shows.
        var number: UInt64 = 0
        func times(_ body: () -> Void) -> UInt64 {
            number += 1
            for _ in 0..<number { body() }
            return number
        }
        for outcome in Outcome.allCases { expected[outcome] = times { meter.count(outcome) } }
        for (index, status) in [200, 302, 404, 503, 101].enumerated() {
            expected.statuses[index] = times { meter.countStatus(UInt16(status)) }
        }
        for reason in FallbackReason.allCases {
            expected.fallbacks[Int(reason.rawValue)] = times { meter.countFallback(reason) }
        }
        for reason in ShadowDrop.allCases {
            expected.shadowDrops[Int(reason.rawValue)] = times { meter.countShadowDrop(reason) }
        }
        for outcome in Outcome.allCases {
            expected.shadowOutcomes[Int(outcome.rawValue)] = times { meter.settleShadow(outcome, nanos: 1) }
        }
        expected.retries = times { meter.countRetry() }
        expected.shielded = times { meter.countShielded() }
        expected.rescued = times { meter.countRescue(true) }
        expected.unrescued = times { meter.countRescue(false) }
        expected.unreached = times { meter.countUnreached() }
        expected.shadowSent = times { meter.countShadowSent() }
        meter.countBytes(in: 1_001, out: 1_002)
        expected.bytesIn = 1_001
        expected.bytesOut = 1_002
        expected.started = times { meter.start(tick: Tick(number: 9), weightPPM: 7, isPinned: false) }
        for slot in 0..<ArmCounts.fastSlots { meter.setThreshold(slot, micros: .max) }
        for kind in TimeKind.allCases { meter.record(kind, nanos: 1_000 << UInt64(kind.rawValue)) }

        var counts = VersionCounts()
        meter.read(into: &counts)
        #expect(counts == expected)
        let snapshot = VersionMeter.sum([meter])
        for kind in TimeKind.allCases {
            #expect(snapshot[kind].count == 1)
            #expect(snapshot[kind].sumNanos == 1_000 << UInt64(kind.rawValue))
        }
        #expect(snapshot.shadowTime.count == expected.shadowOutcomes.reduce(0, +))
        #expect(meter.evidence.read(Tick(number: 9))?.randomised.started == UInt32(expected.started))
    }

    @Test("The longest and the shortest time stay inside the meter's bytes")
    func ends() {
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        for kind in TimeKind.allCases {
            meter.record(kind, nanos: 0)
            meter.record(kind, nanos: .max)
        }
        meter.settleShadow(.success, nanos: .max)
        meter.settleShadow(.success, nanos: 0)
        meter.countShadowSent()
        let snapshot = VersionMeter.sum([meter])
        for kind in TimeKind.allCases {
            #expect(snapshot[kind].count == 2)
            #expect(snapshot[kind].overflow == 1)
        }
        #expect(snapshot.shadowTime.count == 2)
        #expect(snapshot.shadowTime.overflow == 1)
    }

    @Test("Any status an upstream may send counts once", arguments: [0, 99, 100, 199, 600, 999, 65_535])
    func strangeStatus(status: UInt16) {
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        meter.countStatus(status)
        var counts = VersionCounts()
        meter.read(into: &counts)
        #expect(counts.statuses == [0, 0, 0, 0, 1])
        #expect(counts.bytesOut == 0 && counts.completed == 0)
    }

    @Test("Settling counts the outcome and the evidence; in flight is what has started and not ended")
    func settle() {
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        meter.setThreshold(0, micros: 2_000)
        for _ in 0..<3 { meter.start(tick: Tick(number: 1), weightPPM: 5, isPinned: false) }
        meter.settle(start: Tick(number: 1), isPinned: false, outcome: .success, nanos: 2_000_999)
        meter.settle(start: Tick(number: 1), isPinned: false, outcome: .clientCancel, nanos: 10)
        var counts = VersionCounts()
        meter.read(into: &counts)
        #expect(counts.inFlight == 1)
        #expect(counts.counted == 1)
        #expect(counts.excluded == 1)
        #expect(meter.evidence.read(Tick(number: 1))?.randomised.fast0 == 1)
    }

    @Test("Failed, counted and excluded follow the outcomes' own words")
    func derived() {
        var counts = VersionCounts()
        for (index, outcome) in Outcome.allCases.enumerated() { counts[outcome] = 1 << UInt64(index) }
        func sum(_ include: (Outcome) -> Bool) -> UInt64 {
            Outcome.allCases.filter(include).reduce(0) { $0 + counts[$1] }
        }
        #expect(counts.failed == sum { $0.isFailure })
        #expect(counts.excluded == sum { $0.isExcluded })
        #expect(counts.counted == sum { !$0.isExcluded })
        #expect(counts.completed == counts.counted + counts.excluded)
    }

    @Test("Adding a reading and taking it away again leaves what was there")
    func addAndSubtract() {
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        meter.start(tick: Tick(number: 1), weightPPM: 5, isPinned: true)
        meter.settle(start: Tick(number: 1), isPinned: true, outcome: .reset, nanos: 10)
        meter.countRetry()
        meter.record(.upstream, nanos: 500_000)
        let one = VersionMeter.sum([meter])
        var two = one
        two.add(one)
        #expect(two.counts.started == 2)
        #expect(two[.upstream].count == 2)
        two.subtract(one)
        #expect(two == one)
        var none = one
        none.subtract(two)
        none.subtract(two)
        #expect(none.counts == VersionCounts())
    }
}

@Suite struct CoreMeterTests {
    @Test("Each counter, gauge, refusal and time limit of a core has its own word, and cores add up")
    func separateWords() {
        let memories = [TestMemory(CoreMeter.byteCount), TestMemory(CoreMeter.byteCount)]
        let meters = memories.map { CoreMeter(at: $0.bytes) }
        for meter in meters {
            for counter in CoreCounter.allCases { meter.count(counter, UInt64(counter.rawValue) + 1) }
            for gauge in CoreGauge.allCases { meter.set(gauge, Int(gauge.rawValue) + 100) }
            for cause in RefusalCause.allCases {
                for _ in 0...cause.rawValue { meter.countRefusal(cause) }
            }
            for limit in TimeLimit.allCases {
                for _ in 0...limit.rawValue { meter.countTimeout(limit) }
            }
        }
        let sum = CoreMeterSnapshot.sum(meters)
        #expect(CoreCounter.allCases.allSatisfy { sum[$0] == 2 * (UInt64($0.rawValue) + 1) })
        #expect(CoreGauge.allCases.allSatisfy { sum[$0] == 2 * (Int($0.rawValue) + 100) })
        #expect(RefusalCause.allCases.allSatisfy { sum[$0] == 2 * (UInt64($0.rawValue) + 1) })
        #expect(TimeLimit.allCases.allSatisfy { sum[$0] == 2 * (UInt64($0.rawValue) + 1) })
    }

    @Test("A gauge moves up and down, below zero if its writer says so")
    func gauge() {
        let memory = TestMemory(CoreMeter.byteCount)
        let meter = CoreMeter(at: memory.bytes)
        meter.move(.exchanges, by: 3)
        meter.move(.exchanges, by: -5)
        #expect(CoreMeterSnapshot.sum([meter])[.exchanges] == -2)
    }

    @Test("The words in metrics are distinct within each set")
    func labels() {
        #expect(Set(CoreCounter.allCases.map(\.label)).count == CoreCounter.allCases.count)
        #expect(Set(CoreGauge.allCases.map(\.label)).count == CoreGauge.allCases.count)
        #expect(Set(RefusalCause.allCases.map(\.label)).count == RefusalCause.allCases.count)
        #expect(Set(TimeLimit.allCases.map(\.label)).count == TimeLimit.allCases.count)
        #expect(Set(ShadowDrop.allCases.map(\.label)).count == ShadowDrop.allCases.count)
        #expect(Set(FallbackReason.allCases.map(\.label)).count == FallbackReason.allCases.count)
        #expect(Set(Outcome.allCases.map(\.label)).count == Outcome.allCases.count)
        #expect(Set(TimeKind.allCases.map(\.label)).count == TimeKind.allCases.count)
    }
}

// What the stage watch may count: watched time and settled requests of one visit, and never anything twice.

import FoundationEssentials
import Metrics
import Rollout
import Testing

@Suite struct StageWatchTests {
    private let first = StageVisit(rollout: "rollout-1", number: 2)

    /// One request per tick, ended or not.
    private func arm(pending: Bool = false) -> ArmTick {
        var counts = ArmCounts()
        counts.started = 1
        counts.completed = pending ? 0 : 1
        return ArmTick(randomised: counts)
    }

    @Test("Requests count when their tick is settled, and a hanging one at its deadline")
    func settles() {
        var watch = StageWatch(first, from: Tick(number: 1000))
        let quick = watch.step(now: Tick(number: 1010), visit: first, keys: 0, gates: []) { _ in arm() }
        #expect(quick.requests == 9 && quick.watchedMicros == 1_000_000)
        let hanging = watch.step(now: Tick(number: 1100), visit: first, keys: 0, gates: []) { tick in
            arm(pending: tick.number == 1050)
        }
        #expect(hanging.requests == 50)
        let late = watch.step(now: Tick(number: 1352), visit: first, keys: 0, gates: []) { tick in
            arm(pending: tick.number == 1050)
        }
        #expect(late.requests == 351)
    }

    @Test("Requests that a cohort pinned, and those that say nothing about the version, do not count")
    func excluded() {
        var pinned = arm()
        swap(&pinned.randomised, &pinned.pinned)
        var excluded = arm()
        excluded.randomised.excluded = 1
        for tick in [pinned, excluded] {
            var watch = StageWatch(first, from: Tick(number: 1000))
            let reading = watch.step(now: Tick(number: 1010), visit: first, keys: 0, gates: []) { _ in tick }
            #expect(reading.requests == 0)
        }
    }

    @Test("Another visit starts at zero")
    func restarts() {
        var watch = StageWatch(first, from: Tick(number: 1000))
        _ = watch.step(now: Tick(number: 1100), visit: first, keys: 40, gates: []) { _ in arm() }
        let next = StageVisit(rollout: "rollout-1", number: 3)
        let reading = watch.step(now: Tick(number: 1101), visit: next, keys: 0, gates: []) { _ in arm() }
        #expect(reading == StageReading(visit: next, watchedMicros: 0, requests: 0, keys: 0))
    }

    @Test("A restart keeps what was seen, and neither the time in between nor a stopped process counts")
    func downTime() throws {
        var watch = StageWatch(first, from: Tick(number: 1000))
        _ = watch.step(now: Tick(number: 1100), visit: first, keys: 40, gates: []) { _ in arm() }
        let bytes = try JSONEncoder().encode(watch.saved)
        let saved = try JSONDecoder().decode(StageWatch.Saved.self, from: bytes)
        // The monotonic clock may also have started anew.
        for boot in [90_000, 3] as [UInt64] {
            var restored = StageWatch(restoring: saved, visit: first, from: Tick(number: boot))
            let reading = restored.step(now: Tick(number: boot + 10), visit: first, keys: 5, gates: []) { _ in
                arm()
            }
            #expect(reading.watchedMicros == 11_000_000 && reading.requests == 99 + 9 && reading.keys == 40)
            let stopped = restored.step(
                now: Tick(number: boot + 100_000), visit: first, keys: 50, gates: []
            ) { _ in ArmTick() }
            #expect(stopped.watchedMicros == 11_000_000 + StageWatch.gapTicksMax * Tick.micros)
            #expect(stopped.keys == 50)
        }
        let other = StageWatch(
            restoring: saved, visit: StageVisit(rollout: "rollout-2", number: 2), from: Tick(number: 5))
        #expect(other.reading([]).requests == 0)
    }

    @Test("However often it is asked, the sum is the same", arguments: 1...5 as ClosedRange<UInt64>)
    func splitting(seed: UInt64) {
        var random = Seeded(seed)
        var (often, seldom) = (
            StageWatch(first, from: Tick(number: 1000)), StageWatch(first, from: Tick(number: 1000))
        )
        let read: (Tick) -> ArmTick? = { _ in self.arm() }
        var now: UInt64 = 1000
        while now < 1800 {
            now += UInt64(random.below(100)) + 1
            for tick in now - 1...now {
                _ = often.step(now: Tick(number: tick), visit: first, keys: 0, gates: [], read: read)
            }
            _ = seldom.step(now: Tick(number: now), visit: first, keys: 0, gates: [], read: read)
            #expect(often.reading([]) == seldom.reading([]))
        }
    }
}

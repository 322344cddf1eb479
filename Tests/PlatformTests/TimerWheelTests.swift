// Laws of the timer wheel. The wheel is lazy inside (moved and cancelled deadlines stay where they were
// filed), so what counts is that nobody can tell: over any history it must agree with a dictionary of
// deadlines, and with the clock to within one tick.

import Platform
import Testing

private let tick: UInt64 = 1 << 24

/// What the wheel promises, written plainly: an id is reported in the first `advance` whose tick starts at
/// or after the deadline, and never within the tick in which it was scheduled.
private struct Model {
    var deadlines: [UInt32: UInt64] = [:]
    var current: UInt64

    mutating func schedule(_ id: UInt32, at deadline: Instant) {
        guard deadline != .never else { return deadlines[id] = nil }
        let rounded = deadline.nanos / tick + (deadline.nanos % tick == 0 ? 0 : 1)
        deadlines[id] = max(rounded, current + 1)
    }

    mutating func advance(to now: Instant) -> Set<UInt32> {
        current = max(current, now.nanos / tick)
        let due = deadlines.filter { $0.value <= current }
        for id in due.keys { deadlines[id] = nil }
        return Set(due.keys)
    }
}

private func expired(_ wheel: inout TimerWheel) -> Set<UInt32> {
    var ids: Set<UInt32> = []
    while let id = wheel.popExpired() {
        let isNew = ids.insert(id).inserted
        #expect(isNew, "\(id) was reported twice")
    }
    return ids
}

@Suite struct TimerWheelTests {
    @Test("A deadline is reported within one tick, never early")
    func precision() {
        let start = Instant(nanos: 1_000_000_007)
        for delay in [1, 1_000, tick - 1, tick, tick + 1, 10 * tick + 3, 5_000 * tick] {
            var wheel = TimerWheel(capacity: 4, start: start)
            let deadline = start + Interval(nanos: delay)
            wheel.schedule(2, at: deadline)
            var now = start
            var reported: Instant?
            while reported == nil {
                now = now + Interval(nanos: tick / 4)
                wheel.advance(to: now)
                if wheel.popExpired() != nil { reported = now }
            }
            #expect(now >= deadline)
            #expect((now - deadline).nanos <= tick + tick / 4, "delay \(delay)")
        }
    }

    @Test("A deadline beyond the horizon of 69 s comes in its time")
    func horizon() {
        var wheel = TimerWheel(capacity: 1, start: Instant(nanos: 5))
        let deadline = Instant(nanos: 0) + .seconds(3_600)
        wheel.schedule(0, at: deadline)
        var seconds: UInt64 = 0
        while true {
            seconds += 1
            wheel.advance(to: Instant(nanos: 0) + .seconds(seconds))
            if wheel.popExpired() != nil { break }
        }
        #expect(seconds == 3_600 || seconds == 3_601)
    }

    @Test("A jump of time over several turns of the wheel reports everything once")
    func jump() {
        var wheel = TimerWheel(capacity: 1_000, start: Instant(nanos: 0))
        for id in 0..<UInt32(1_000) { wheel.schedule(id, at: Instant(nanos: UInt64(id) * 50 * tick)) }
        wheel.advance(to: Instant(nanos: 100_000 * tick))
        #expect(expired(&wheel).count == 1_000)
        let count = wheel.count
        #expect(count == 0)
    }

    @Test("A deadline in the past is reported with the next tick, so a loop over the due ids ends")
    func past() {
        var wheel = TimerWheel(capacity: 1, start: Instant(nanos: 10 * tick))
        wheel.schedule(0, at: Instant(nanos: 3))
        let early = wheel.popExpired()
        #expect(early == nil)
        wheel.advance(to: Instant(nanos: 11 * tick))
        var rounds = 0
        while let id = wheel.popExpired() {
            rounds += 1
            wheel.schedule(id, at: Instant(nanos: 3))
        }
        #expect(rounds == 1)
    }

    @Test("An id that is cancelled or moved between due and reported is not reported")
    func lateChanges() {
        var wheel = TimerWheel(capacity: 3, start: Instant(nanos: 0))
        for id in 0..<UInt32(3) { wheel.schedule(id, at: Instant(nanos: tick)) }
        wheel.advance(to: Instant(nanos: 2 * tick))
        wheel.cancel(0)
        wheel.schedule(1, at: Instant(nanos: 9 * tick))
        #expect(expired(&wheel) == [2])
        wheel.advance(to: Instant(nanos: 9 * tick))
        #expect(expired(&wheel) == [1])
    }

    @Test("Never is no deadline, and an empty wheel lets the poller wait for ever")
    func never() {
        var wheel = TimerWheel(capacity: 2, start: Instant(nanos: 0))
        let empty = wheel.timeoutMillis(now: Instant(nanos: 0))
        #expect(empty == -1)
        wheel.schedule(0, at: Instant(nanos: tick * 20))
        wheel.schedule(0, at: .never)
        let cancelled = wheel.timeoutMillis(now: Instant(nanos: 0))
        #expect(cancelled == -1)
        let isSet = wheel.isScheduled(0)
        #expect(!isSet)
    }

    @Test("The time-out reaches the next deadline, rounded up to a millisecond, and is 0 when one is due")
    func timeout() {
        var wheel = TimerWheel(capacity: 2, start: Instant(nanos: 0))
        wheel.schedule(0, at: Instant(nanos: 100 * tick))
        let millis = wheel.timeoutMillis(now: Instant(nanos: 50 * tick))
        #expect(millis == Int32((50 * tick + 999_999) / 1_000_000))
        wheel.advance(to: Instant(nanos: 100 * tick))
        let due = wheel.timeoutMillis(now: Instant(nanos: 100 * tick))
        #expect(due == 0)
    }

    @Test("A deadline moved forward leaves nothing behind that wakes the poller")
    func moved() {
        var wheel = TimerWheel(capacity: 2, start: Instant(nanos: 0))
        wheel.schedule(0, at: Instant(nanos: 100 * tick))
        wheel.schedule(0, at: Instant(nanos: 50 * tick))
        wheel.advance(to: Instant(nanos: 50 * tick))
        #expect(expired(&wheel) == [0])
        wheel.schedule(1, at: Instant(nanos: 1_000 * tick))
        let millis = wheel.timeoutMillis(now: Instant(nanos: 50 * tick))
        #expect(millis == Int32((950 * tick + 999_999) / 1_000_000))
    }

    @Test("A wheel agrees with a dictionary of deadlines over any history", arguments: seeds(30))
    func model(seed: UInt64) {
        var random = Random64(seed: seed)
        let capacity: UInt64 = 1 + random.below(200)
        var now = Instant(nanos: random.below(1 << 40))
        var wheel = TimerWheel(capacity: Int(capacity), start: now)
        var model = Model(current: now.nanos / tick)
        for _ in 0..<4_000 {
            let id = UInt32(random.below(capacity))
            switch random.below(10) {
            case 0...4:
                // From the past to three turns of the wheel ahead, mostly near.
                let reach = random.below(8) == 0 ? 12_288 * tick : 40 * tick
                let offset = Interval(nanos: random.below(reach))
                let deadline = random.below(20) == 0 ? now : now + offset
                wheel.schedule(id, at: deadline)
                model.schedule(id, at: deadline)
            case 5:
                wheel.cancel(id)
                model.deadlines[id] = nil
            case 6:
                let isSet = wheel.isScheduled(id)
                #expect(isSet == (model.deadlines[id] != nil))
            default:
                let far = random.below(50) == 0
                now = now + Interval(nanos: random.below(far ? 9_000 * tick : 3 * tick))
                wheel.advance(to: now)
                let wanted = model.advance(to: now)
                let got = expired(&wheel)
                #expect(got == wanted)
                checkTimeout(wheel.timeoutMillis(now: now), model, now)
            }
            let count = wheel.count
            #expect(count == model.deadlines.count)
        }
    }

    /// Never later than the first deadline plus a millisecond; -1 exactly when there is none.
    private func checkTimeout(_ millis: Int32, _ model: Model, _ now: Instant) {
        guard let first = model.deadlines.values.min() else {
            #expect(millis == -1)
            return
        }
        let left = (Instant(nanos: first * tick) - now).nanos
        #expect(millis >= 0 && UInt64(millis) <= (left + 999_999) / 1_000_000)
    }
}

// Deadlines of connections and exchanges: one per id, most of them moved or cancelled long before they
// come. A hashed wheel (Varghese and Lauck 1987, scheme 6) of 4096 slots of 2²⁴ ns (16.8 ms, 69 s around)
// made lazy: moving a deadline later, or cancelling it, is one store, and the entry is filed anew when its
// slot comes up. The same answers deadlines beyond the horizon.
// Invariant: an armed entry is filed in a slot that comes up no later than its deadline.

/// Deadlines for ids below a capacity, at most one per id. Owner: one core.
@frozen public struct TimerWheel: ~Copyable {
    /// 24 bytes per id, all zero until first used. `deadline` 0: not armed. `filed` 0: on no list; 1: on the
    /// list of due entries; else the tick of the slot.
    @frozen @usableFromInline struct Entry {
        @usableFromInline var deadline: UInt64
        @usableFromInline var filed: UInt64
        @usableFromInline var next: UInt32
        @usableFromInline var previous: UInt32
    }

    @usableFromInline let entries: UnsafeMutablePointer<Entry>
    /// The first entry of each slot.
    @usableFromInline let heads: UnsafeMutablePointer<UInt32>
    /// Bit i: slot i has entries.
    @usableFromInline let occupied: UnsafeMutablePointer<UInt64>
    /// Bit i: word i of `occupied` is not zero.
    @usableFromInline var summary: UInt64
    @usableFromInline let limit: UInt32
    @usableFromInline var armed: UInt32
    @usableFromInline var due: UInt32
    @usableFromInline var current: UInt64

    @inlinable static var none: UInt32 { .max }
    @inlinable static var slots: UInt64 { 4096 }
    @inlinable static var tickBits: UInt64 { 24 }
    @inlinable static var onDueList: UInt64 { 1 }

    /// A deadline is reported at most this much late, never early.
    public static let resolution = Interval(nanos: 1 << 24)

    /// - Parameters:
    ///   - capacity: ids are below it; memory is taken as ids are first used.
    ///   - start: now.
    public init(capacity: Int, start: Instant) {
        precondition(capacity > 0 && capacity < Int(UInt32.max), "1…2^32-2 ids")
        entries = Pages.allocate(bytes: capacity * MemoryLayout<Entry>.stride)
            .bindMemory(to: Entry.self, capacity: capacity)
        heads = .allocate(capacity: Int(Self.slots))
        heads.initialize(repeating: Self.none, count: Int(Self.slots))
        occupied = .allocate(capacity: 64)
        occupied.initialize(repeating: 0, count: 64)
        summary = 0
        limit = UInt32(capacity)
        armed = 0
        due = Self.none
        current = Self.tick(start)
    }

    deinit {
        Pages.release(entries, bytes: Int(limit) * MemoryLayout<Entry>.stride)
        heads.deallocate()
        occupied.deallocate()
    }

    /// Deadlines that are set and not yet reported.
    @inlinable public var count: Int { Int(armed) }

    /// Sets the deadline of an id, in place of its earlier one. A deadline that has passed is reported with
    /// the next tick, never within this one; `Instant.never` cancels.
    @inlinable public mutating func schedule(_ id: UInt32, at deadline: Instant) {
        precondition(id < limit, "no such timer")
        if deadline == .never { return cancel(id) }
        let tick = max(Self.tickAtOrAfter(deadline), current &+ 1)
        let entry = entries + Int(id)
        if entry.pointee.deadline == 0 { armed &+= 1 }
        entry.pointee.deadline = tick
        if entry.pointee.filed != 0 {
            if entry.pointee.filed <= tick { return }
            unlink(id)
        }
        file(id, noLaterThan: tick)
    }

    /// Forgets the deadline of an id; nothing happens when it has none.
    @inlinable public mutating func cancel(_ id: UInt32) {
        precondition(id < limit, "no such timer")
        let entry = entries + Int(id)
        if entry.pointee.deadline == 0 { return }
        entry.pointee.deadline = 0
        armed &-= 1
    }

    @inlinable public func isScheduled(_ id: UInt32) -> Bool {
        precondition(id < limit, "no such timer")
        return entries[Int(id)].deadline != 0
    }

    /// Moves time on; what has come due waits for `popExpired`. A compare when no tick has passed.
    @inlinable public mutating func advance(to now: Instant) {
        let tick = Self.tick(now)
        if tick > current { sweep(to: tick) }
    }

    /// An id whose deadline has come, which then has none any more; nil when there is no other. In no
    /// particular order. Ids may be cancelled and scheduled between calls; the answer respects it.
    @inlinable public mutating func popExpired() -> UInt32? {
        while due != Self.none {
            let id = due
            let entry = entries + Int(id)
            due = entry.pointee.next
            entry.pointee.filed = 0
            let deadline = entry.pointee.deadline
            if deadline == 0 { continue }
            if deadline > current {
                file(id, noLaterThan: deadline)
                continue
            }
            entry.pointee.deadline = 0
            armed &-= 1
            return id
        }
        return nil
    }

    /// How long a poller may wait: 0 when something is due, -1 when nothing is set. May be too short, when
    /// the next slot holds only deadlines that have moved; never too long.
    @inlinable public func timeoutMillis(now: Instant) -> Int32 {
        if due != Self.none { return 0 }
        if armed == 0 { return -1 }
        // Something is armed, hence filed, hence some slot is occupied.
        let next = current &+ 1 &+ distance(from: current &+ 1)
        let time = Instant(nanos: (next &- 2) &<< Self.tickBits)
        return Int32(truncatingIfNeeded: ((time - now).nanos + 999_999) / 1_000_000)
    }
}

// Ticks are counted from 2, so that 0 and 1 are free for `filed`. At 2²⁴ ns each they fit 41 bits.
extension TimerWheel {
    /// The tick that `time` lies in.
    @inlinable static func tick(_ time: Instant) -> UInt64 { (time.nanos &>> tickBits) &+ 2 }

    /// The first tick that starts at or after `time`.
    @inlinable static func tickAtOrAfter(_ time: Instant) -> UInt64 {
        let rest = time.nanos & (1 &<< tickBits &- 1)
        return tick(time) &+ (rest == 0 ? 0 : 1)
    }

    /// Puts an unfiled entry into the slot of `tick`, or into the farthest one when that is too far.
    @inlinable mutating func file(_ id: UInt32, noLaterThan tick: UInt64) {
        let filed = min(tick, current &+ (Self.slots &- 1))
        let slot = Int(filed & (Self.slots &- 1))
        let entry = entries + Int(id)
        let next = heads[slot]
        entry.pointee.filed = filed
        entry.pointee.next = next
        entry.pointee.previous = Self.none
        if next == Self.none {
            occupied[slot &>> 6] |= 1 &<< UInt64(slot & 63)
            summary |= 1 &<< UInt64(slot &>> 6)
        } else {
            entries[Int(next)].previous = id
        }
        heads[slot] = id
    }

    /// Takes an entry out of its slot; entries on the due list are never unlinked.
    @inlinable mutating func unlink(_ id: UInt32) {
        let entry = entries[Int(id)]
        if entry.next != Self.none { entries[Int(entry.next)].previous = entry.previous }
        if entry.previous != Self.none {
            entries[Int(entry.previous)].next = entry.next
            return
        }
        let slot = Int(entry.filed & (Self.slots &- 1))
        heads[slot] = entry.next
        if entry.next == Self.none { clear(slot) }
    }

    @inlinable mutating func clear(_ slot: Int) {
        occupied[slot &>> 6] &= ~(1 &<< UInt64(slot & 63))
        if occupied[slot &>> 6] == 0 { summary &= ~(1 &<< UInt64(slot &>> 6)) }
    }

    /// Slots from that of `tick` to the next occupied one, around the wheel.
    /// - Precondition: some slot is occupied.
    @inlinable func distance(from tick: UInt64) -> UInt64 {
        let slot = tick & (Self.slots &- 1)
        let word = slot &>> 6
        let here = occupied[Int(word)] & (.max &<< (slot & 63))
        if here != 0 { return UInt64(here.trailingZeroBitCount) &- (slot & 63) }
        // `<<` gives 0 for the shift by 64 behind the last word.
        let later = summary & (.max << (word &+ 1))
        let found = UInt64((later != 0 ? later : summary).trailingZeroBitCount)
        precondition(found < 64, "an empty wheel has no next slot")
        let position = found &<< 6 | UInt64(occupied[Int(found)].trailingZeroBitCount)
        return (position &- slot) & (Self.slots &- 1)
    }

    /// Empties the slots that have come up: due entries to the due list, the others to where they belong.
    @usableFromInline mutating func sweep(to tick: UInt64) {
        var slot = current &+ 1
        let last = min(tick, current &+ Self.slots)
        current = tick
        while slot <= last && summary != 0 {
            slot &+= distance(from: slot)
            if slot > last { break }
            let index = Int(slot & (Self.slots &- 1))
            var id = heads[index]
            heads[index] = Self.none
            clear(index)
            while id != Self.none {
                let entry = entries + Int(id)
                let next = entry.pointee.next
                if entry.pointee.deadline == 0 {
                    entry.pointee.filed = 0
                } else if entry.pointee.deadline > current {
                    file(id, noLaterThan: entry.pointee.deadline)
                } else {
                    entry.pointee.filed = Self.onDueList
                    entry.pointee.next = due
                    due = id
                }
                id = next
            }
            slot &+= 1
        }
    }
}

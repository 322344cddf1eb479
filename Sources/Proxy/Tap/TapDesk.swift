// A core's own side of its taps: the slots that nobody uses, last returned first taken. What control wants
// drawn comes first: other copies are made only while at least half of the slots are free.
// Invariant: a slot that was taken goes to the ring or back here, once.

import Platform

/// The free slots of one core.
struct TapDesk {
    private var free = InlineArray<64, UInt8>(repeating: 0)
    private(set) var count = 0

    /// Takes a slot for an exchange with such traits; nil when there is none for it.
    mutating func take(_ ring: borrowing TapRing, _ traits: TapTraits) -> UInt8? {
        while let slot = ring.reclaim() { put(slot) }
        guard count > (traits.contains(.drawn) ? 0 : Limits.tapSlots / 2) else { return nil }
        count -= 1
        return free[count]
    }

    /// Puts a slot back that nobody needs to read.
    mutating func put(_ slot: UInt8) {
        precondition(count < Limits.tapSlots, "a slot came back twice")
        free[count] = slot
        count += 1
    }
}

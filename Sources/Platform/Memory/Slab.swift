// A table of values at stable addresses that never grows: connections, exchanges, pooled sockets. A slot
// is named by its index and its generation, so that a stale token is recognised. Free slots are reused
// last-in first-out, which keeps the resident part as small as the peak and the next slot warm in cache.
// Invariant: slots at or above `fresh` were never used; below it a slot is live or on the free list.

/// A fixed table of `Element`s. Owner: one core.
@frozen public struct Slab<Element: ~Copyable>: ~Copyable {
    /// One word of state per slot: the generation in the lower 24 bits, bit 31 when live; and the free list.
    @frozen @usableFromInline struct Mark {
        @usableFromInline var state: UInt32
        @usableFromInline var next: UInt32
    }

    @usableFromInline let elements: UnsafeMutablePointer<Element>
    @usableFromInline let marks: UnsafeMutablePointer<Mark>
    @usableFromInline let limit: UInt32
    @usableFromInline var live: UInt32
    @usableFromInline var fresh: UInt32
    @usableFromInline var free: UInt32

    @inlinable static var none: UInt32 { .max }
    @inlinable static var liveBit: UInt32 { 1 << 31 }

    /// - Parameter capacity: slots, 1…2³²-2. Memory is taken as slots are first used.
    @inlinable public init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(UInt32.max), "1…2^32-2 slots")
        precondition(MemoryLayout<Element>.stride > 0, "elements have a size")
        elements = Pages.allocate(bytes: capacity * MemoryLayout<Element>.stride)
            .bindMemory(to: Element.self, capacity: capacity)
        marks = Pages.allocate(bytes: capacity * MemoryLayout<Mark>.stride)
            .bindMemory(to: Mark.self, capacity: capacity)
        limit = UInt32(capacity)
        live = 0
        fresh = 0
        free = Self.none
    }

    @inlinable deinit {
        for slot in 0..<Int(fresh) where marks[slot].state & Self.liveBit != 0 {
            (elements + slot).deinitialize(count: 1)
        }
        Pages.release(elements, bytes: Int(limit) * MemoryLayout<Element>.stride)
        Pages.release(marks, bytes: Int(limit) * MemoryLayout<Mark>.stride)
    }

    /// Live slots.
    @inlinable public var count: Int { Int(live) }
    @inlinable public var capacity: Int { Int(limit) }
    @inlinable public var isFull: Bool { live == limit }

    /// Moves a value in and returns its slot; nil when the slab is full, and the value is destroyed.
    @inlinable public mutating func insert(_ element: consuming Element) -> Slot<Element>? {
        let slot: UInt32
        if free != Self.none {
            slot = free
            free = marks[Int(slot)].next
        } else if fresh < limit {
            slot = fresh
            fresh &+= 1
        } else {
            return nil
        }
        marks[Int(slot)].state |= Self.liveBit
        live &+= 1
        (elements + Int(slot)).initialize(to: element)
        return Slot(index: slot)
    }

    /// Destroys the value in a slot. Its generation ends: tokens and pairs that name it are stale.
    /// - Precondition: the slot is live.
    @inlinable public mutating func remove(_ slot: Slot<Element>) {
        pointer(slot).deinitialize(count: 1)
        let mark = marks + slot.row
        // Clears the live bit as well; wraps after 2^24 lives of one slot.
        mark.pointee.state = (mark.pointee.state &+ 1) & Token.generationMask
        mark.pointee.next = free
        free = slot.index
        live &-= 1
    }

    /// The value's address, for functions that use much of it; stable until `remove`.
    /// - Precondition: the slot is live.
    @inlinable public func pointer(_ slot: Slot<Element>) -> UnsafeMutablePointer<Element> {
        precondition(isLive(slot), "the slot is not live")
        return elements + slot.row
    }

    /// The value in a slot, where it lies.
    /// - Precondition: the slot is live.
    @inlinable public subscript(slot: Slot<Element>) -> Element {
        unsafeAddress { UnsafePointer(pointer(slot)) }
        nonmutating unsafeMutableAddress { pointer(slot) }
    }

    /// The current life of a slot, 24 bits.
    @inlinable public func generation(_ slot: Slot<Element>) -> UInt32 {
        precondition(slot.index < limit, "no such slot")
        return marks[slot.row].state & Token.generationMask
    }

    /// Whether a slot still lives the life that a token names; false for slots out of range.
    @inlinable public func isLive(_ slot: Slot<Element>, generation: UInt32) -> Bool {
        slot.index < limit && marks[slot.row].state == generation | Self.liveBit
    }

    /// The slot that a token names, if it still lives that life.
    @inlinable public func slot(of token: Token) -> Slot<Element>? {
        let slot = Slot<Element>(index: token.slot)
        return isLive(slot, generation: token.generation) ? slot : nil
    }

    @inlinable public func isLive(_ slot: Slot<Element>) -> Bool {
        slot.index < limit && marks[slot.row].state & Self.liveBit != 0
    }

    /// The first live slot at or after `slot`, or nil. Walks the table while it changes, as a drain does:
    /// slots removed meanwhile are skipped. Costs a look per slot ever used.
    @inlinable public func nextLive(from slot: Slot<Element>) -> Slot<Element>? {
        var index = slot.index
        while index < fresh {
            if marks[Int(index)].state & Self.liveBit != 0 { return Slot(index: index) }
            index &+= 1
        }
        return nil
    }

    /// Visits every live slot in order of index.
    @inlinable public func forEachLive(_ body: (Slot<Element>, UnsafeMutablePointer<Element>) -> Void) {
        var slot = Slot<Element>.first
        while let found = nextLive(from: slot) {
            body(found, elements + found.row)
            slot = found.next
        }
    }
}

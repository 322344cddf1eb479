// Per-slot state that never moves: pages are reserved for all slots and initialised up to the highest
// slot a plan has named, so that a sidecar with one model pays for one. Invariant: a pointer into the
// table stays good as long as the core lives.

import Platform

/// A table by slot. Confined to one core.
struct StateTable<Element>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    private let capacity: Int
    /// Slots below this are initialised.
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        base = Pages.allocate(bytes: capacity * MemoryLayout<Element>.stride)
            .bindMemory(to: Element.self, capacity: capacity)
    }

    deinit {
        Pages.release(base, bytes: capacity * MemoryLayout<Element>.stride)
    }

    /// Makes every slot below `count` usable.
    mutating func grow(to wanted: Int, filling initial: Element) {
        precondition(wanted <= capacity, "a plan names a slot beyond its table")
        while count < wanted {
            (base + count).initialize(to: initial)
            count += 1
        }
    }

    /// The state of a slot that a plan has named.
    subscript(slot: UInt32) -> UnsafeMutablePointer<Element> {
        precondition(Int(slot) < count)
        return base + Int(slot)
    }
}

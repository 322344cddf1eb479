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

    /// The slots that a plan has named, and those below them.
    var slots: SlotRow<Element> { SlotRow(count: count) }

    /// The address of the state of a slot that a plan has named, for functions that use much of it.
    func pointer(_ slot: Slot<Element>) -> UnsafeMutablePointer<Element> {
        precondition(slot.row < count)
        return base + slot.row
    }

    /// The state of a slot that a plan has named.
    subscript(slot: Slot<Element>) -> Element {
        unsafeAddress { UnsafePointer(pointer(slot)) }
        nonmutating unsafeMutableAddress { pointer(slot) }
    }
}

/// The slots of a table in order.
struct SlotRow<Element>: Sequence, IteratorProtocol {
    private var row = 0
    private let count: Int

    init(count: Int) { self.count = count }

    mutating func next() -> Slot<Element>? {
        guard row < count else { return nil }
        defer { row += 1 }
        return Slot(row: row)
    }
}

// Answers that are not due yet, earliest first: a binary heap of fixed capacity. The timer wheel's 16 ms
// slots are right for time-outs and too coarse for service times of a few milliseconds.
// Invariant: parent <= child; an entry names a connection and its generation, so a stale one is recognised.

import Platform

/// Connections by the time at which they are answered.
struct DueQueue {
    struct Entry {
        var due: Instant
        var slot: Slot<ServerConnection>
        var generation: UInt32
    }

    private var heap: [Entry] = []

    init(capacity: Int) { heap.reserveCapacity(capacity) }

    /// The earliest time, or `never`.
    var next: Instant { heap.first?.due ?? .never }

    mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].due < heap[parent].due else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest entry if it is due.
    mutating func pop(dueAt now: Instant) -> Entry? {
        guard let first = heap.first, first.due <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].due < heap[least].due {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

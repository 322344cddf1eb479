// The listening sockets of one core: a fixed row of descriptors that closes as one when the core drains.
// The sockets were bound before the core's thread started, so that a port in use is an error of the
// start. Invariant: the row is whole or closed, never in between.

import Platform

/// The listening sockets of one core.
struct Listeners: ~Copyable {
    private let row: UnsafeMutablePointer<Descriptor>
    /// Whether each stands in the core's resumed line.
    private let resumed: UnsafeMutablePointer<Bool>
    private let capacity: Int
    /// 0 once closed.
    private(set) var count: Int

    init(adopting raws: [Int32]) {
        capacity = raws.count
        row = .allocate(capacity: max(1, capacity))
        resumed = .allocate(capacity: max(1, capacity))
        resumed.initialize(repeating: false, count: capacity)
        for (index, raw) in raws.enumerated() { (row + index).initialize(to: Descriptor(adopting: raw)) }
        count = capacity
    }

    deinit {
        row.deinitialize(count: count)
        row.deallocate()
        resumed.deallocate()
    }

    /// Whether the listener stands in the resumed line.
    func isResumed(_ index: Int) -> Bool {
        precondition(index < capacity)
        return resumed[index]
    }

    func setResumed(_ index: Int, _ value: Bool) {
        precondition(index < capacity)
        resumed[index] = value
    }

    func accept(_ index: Int) -> Accepted {
        precondition(index < count)
        return Socket.accept(row[index])
    }

    func watch(_ index: Int, _ poller: borrowing Poller, _ token: Token) -> Errno? {
        precondition(index < count)
        return poller.add(row[index], token: token, interest: .readable)
    }

    /// Closes all; connections that wait in their backlogs are reset by the kernel, so accept them first.
    mutating func close() {
        row.deinitialize(count: count)
        count = 0
    }
}

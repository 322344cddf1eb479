// A way to wake a core out of its poller from another thread: eventfd(2). Signals add up: any number of
// them before the core looks is one event.
// Invariant: a signal that comes after a drain has begun is not lost; at worst it wakes once for nothing.

import CLinux

/// An eventfd. Signalled by any thread, drained by the thread whose poller watches it.
public struct Wakeup: ~Copyable, Sendable {
    /// To be watched for `readable`.
    public let descriptor: Descriptor

    public init() throws(SystemFailure) {
        descriptor = Descriptor(adopting: try check(weir_wakeup(), "create a wakeup"))
    }

    /// Wakes the watcher. Never waits.
    public func signal() {
        var one: UInt64 = 1
        // Fails only when 2^64-2 signals wait undrained; then the watcher is awake anyway.
        _ = weir_write(descriptor.raw, &one, 8)
    }

    /// Takes all signals given so far.
    public func drain() {
        var count: UInt64 = 0
        _ = weir_read(descriptor.raw, &count, 8)
    }
}

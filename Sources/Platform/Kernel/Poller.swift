// epoll(7), edge-triggered: register once, then act on changes. The event array is allocated once and
// filled by `wait`; a core walks it by index and switches on the token's kind.
// Invariant: events 0..<n of the last `wait` are initialised; nothing else is read.

import CLinux

/// An epoll instance with room for a fixed number of events per turn. Owner: one core.
@frozen public struct Poller: ~Copyable {
    @usableFromInline let descriptor: Descriptor
    @usableFromInline let events: UnsafeMutablePointer<epoll_event>
    @usableFromInline let eventsMax: Int32
    @usableFromInline var filled: Int32

    /// - Parameter eventsMax: events taken per turn, 1…65536; what is left comes with the next turn.
    public init(eventsMax: Int) throws(SystemFailure) {
        precondition(eventsMax > 0 && eventsMax <= 65_536, "1…65536 events per turn")
        descriptor = Descriptor(adopting: try check(weir_poller(), "create a poller"))
        events = .allocate(capacity: eventsMax)
        self.eventsMax = Int32(eventsMax)
        filled = 0
    }

    deinit { events.deallocate() }

    /// Watches a descriptor, edge-triggered. What is ready already is reported by the next `wait`.
    /// Closing the descriptor ends the watch, unless a duplicate of it lives on.
    @inlinable public func add(
        _ watched: borrowing Descriptor, token: Token, interest: Readiness
    ) -> Errno? {
        control(EPOLL_CTL_ADD, watched.raw, token, interest)
    }

    /// Replaces token and interest, and re-arms: what is ready already is reported again.
    @inlinable public func change(
        _ watched: borrowing Descriptor, token: Token, interest: Readiness
    ) -> Errno? {
        control(EPOLL_CTL_MOD, watched.raw, token, interest)
    }

    /// Stops watching a descriptor that stays open, such as a paused listener.
    @inlinable public func remove(_ watched: borrowing Descriptor) {
        _ = weir_poller_control(descriptor.raw, EPOLL_CTL_DEL, watched.raw, 0, 0)
    }

    @inlinable func control(_ operation: Int32, _ raw: Int32, _ token: Token, _ interest: Readiness) -> Errno?
    {
        let edgeTriggered: UInt32 = 1 << 31
        let result = weir_poller_control(
            descriptor.raw, operation, raw, interest.rawValue | edgeTriggered, token.bits)
        return result < 0 ? Errno(negated: result) : nil
    }

    /// Waits for events and returns how many there are; 0 when the time is over or a signal came.
    /// - Parameter timeoutMillis: -1 waits for ever, 0 only looks.
    @inlinable public mutating func wait(timeoutMillis: Int32) -> Int {
        let result = weir_poller_wait(descriptor.raw, events, eventsMax, timeoutMillis)
        filled = result > 0 ? result : 0
        return Int(filled)
    }

    /// Waits for events until `deadline` at the latest, exact to the timer's slack (50 us by default) where
    /// `wait(timeoutMillis:)` rounds: for an open-loop load, whose send times are its promise.
    public mutating func wait(until deadline: Instant) -> Int {
        let left = deadline - Clock.now()
        // Bound: a day, so that the conversion to the kernel's signed seconds cannot overflow.
        let nanos = Int64(min(left.nanos, 86_400_000_000_000))
        let result = weir_poller_wait_nanos(descriptor.raw, events, eventsMax, nanos)
        filled = result > 0 ? result : 0
        return Int(filled)
    }

    /// The i-th event of the last `wait`.
    @inlinable public subscript(i: Int) -> (token: Token, readiness: Readiness) {
        precondition(i >= 0 && i < Int(filled), "no such event")
        let event = events + i
        return (Token(bits: weir_event_token(event)), Readiness(rawValue: weir_event_readiness(event)))
    }
}

// Messages from Control to a core: plans, drains, stops. A few per second, so a mutex and a ring serve;
// nothing on the request path comes here.
// Invariant: the wakeup is signalled after the message is in, so a core that drains the wakeup first and
// then takes until nil misses none.

import Synchronization

/// A bounded queue with one wakeup. Any thread posts; the thread that watches the wakeup takes.
public final class Mailbox<Message: Sendable>: Sendable {
    private struct Ring {
        var messages: [Message?]
        var first = 0
        var count = 0
    }

    private let ring: Mutex<Ring>
    /// Signalled by every accepted post.
    public let wakeup: Wakeup

    /// - Parameter capacity: messages that may wait, at least 1.
    public init(capacity: Int) throws(SystemFailure) {
        precondition(capacity > 0, "room for a message")
        wakeup = try Wakeup()
        ring = Mutex(Ring(messages: Array(repeating: nil, count: capacity)))
    }

    /// Puts a message in and wakes the taker; false when the mailbox is full, and nothing happened.
    public func post(_ message: Message) -> Bool {
        let accepted = ring.withLock { ring in
            guard ring.count < ring.messages.count else { return false }
            ring.messages[(ring.first + ring.count) % ring.messages.count] = message
            ring.count += 1
            return true
        }
        if accepted { wakeup.signal() }
        return accepted
    }

    /// Puts a message in behind all others, takes out those that it makes needless, and wakes the taker;
    /// false when the mailbox is full even so, and nothing happened.
    public func post(_ message: Message, insteadOf isNeedless: (Message) -> Bool) -> Bool {
        let accepted = ring.withLock { ring in
            let waiting = (0..<ring.count).compactMap {
                ring.messages[(ring.first + $0) % ring.messages.count]
            }
            let kept = waiting.filter { !isNeedless($0) }
            guard kept.count < ring.messages.count else { return false }
            for i in ring.messages.indices { ring.messages[i] = i < kept.count ? kept[i] : nil }
            ring.messages[kept.count] = message
            (ring.first, ring.count) = (0, kept.count + 1)
            return true
        }
        if accepted { wakeup.signal() }
        return accepted
    }

    /// The oldest message, or nil. Call until nil: several posts may share one wake-up.
    public func take() -> Message? {
        ring.withLock { ring in
            guard ring.count > 0 else { return nil }
            let message = ring.messages[ring.first].take()
            ring.first = (ring.first + 1) % ring.messages.count
            ring.count -= 1
            return message
        }
    }
}

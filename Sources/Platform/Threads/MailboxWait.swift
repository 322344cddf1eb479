// Waiting for one mailbox: what a thread does that has nothing else to wait for.
// Place: between `Mailbox`, whose wakeup it watches, and the loop of the thread that empties it.
// Invariant: confined to the waiting thread once that runs.

/// A poller over one mailbox, for threads that do nothing else.
public final class MailboxWait {
    private var poller: Poller

    public init(_ poller: consuming Poller) { self.poller = poller }

    /// Watches a mailbox's wakeup; once.
    public func watch(_ wakeup: borrowing Wakeup) throws(SystemFailure) {
        if let errno = poller.add(wakeup.descriptor, token: Token(bits: 0), interest: .readable) {
            throw SystemFailure(operation: "watch a mailbox", errno: errno)
        }
    }

    /// Whether something came in time.
    @discardableResult
    public func wait(timeoutMillis: Int32) -> Bool { poller.wait(timeoutMillis: timeoutMillis) > 0 }
}

// A thread for work beside the request path: a name, a bounded mailbox that wakes it, and a stop that joins.
// Place: over `Thread` and `Mailbox`. Threads with a poller of their own (cores, admin, health) are no
// workers.
//
// Invariant: the wakeup is drained before `isStopping` is read, and that before the mailbox is emptied; so
// the last turn finds everything that was enqueued before `stop`, and no message waits for another one.

import Synchronization

/// A thread that takes turns: one at the start, one whenever a message is there or its time has come, and a
/// last one after `stop`. Any thread may enqueue and stop.
public final class Worker<Message: Sendable>: Sendable {
    /// What the worker's thread does: handles what `dequeue` gives, and says when it wants its next turn
    /// even without a message; `.never`: only with one. `isLast` is true in the turn that follows `stop`.
    public typealias Turn = (_ isLast: Bool) -> Instant

    public let name: String
    private let mailbox: Mailbox<Message>
    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    /// - Parameters:
    ///   - name: the thread's; the kernel keeps 15 bytes.
    ///   - capacity: messages that may wait, at least 1.
    public init(name: String, capacity: Int) throws(SystemFailure) {
        self.name = name
        mailbox = try Mailbox(capacity: capacity)
    }

    /// Starts the thread; once.
    /// - Parameter make: builds what the thread works with, on the thread, and returns its turn.
    public func start(_ make: sending @escaping () -> Turn) throws(SystemFailure) {
        let wait = MailboxWait(try Poller(eventsMax: 1))
        try wait.watch(mailbox.wakeup)
        let started = try Thread.spawn(name: name) { [self] in
            let turn = make()
            var isLast = false
            while !isLast {
                mailbox.wakeup.drain()
                isLast = isStopping
                let next = turn(isLast)
                if !isLast { wait.wait(timeoutMillis: Self.timeoutMillis(until: next)) }
            }
        }
        thread.withLock { running in
            precondition(running == nil, "a worker starts once")
            running = started
        }
    }

    /// Whether `stop` has been called: a turn that takes long looks here to end early.
    public var isStopping: Bool { stopping.load(ordering: .acquiring) }

    /// Lets the thread take its last turn, and returns when it has ended. A worker that has not started does
    /// nothing; a second call returns at once.
    public func stop() {
        stopping.store(true, ordering: .releasing)
        mailbox.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    /// Leaves a message for the next turn; false when the mailbox is full, and nothing happened.
    public func enqueue(_ message: Message) -> Bool { mailbox.post(message) }

    /// The oldest message, or nil; for the worker's thread, which calls it until nil.
    public func dequeue() -> Message? { mailbox.take() }

    /// For a poller: rounded up, so that it does not wake a moment too early.
    private static func timeoutMillis(until next: Instant) -> Int32 {
        if next == .never { return -1 }
        let now = Clock.now()
        return next <= now ? 0 : Int32(clamping: (next - now).millis + 1)
    }
}

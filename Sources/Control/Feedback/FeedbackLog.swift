// The feedback log's thread: accepted feedback and counted slots go to disk beside the control loop, and the
// poster is answered once they are written. Written means handed to the kernel: a kill -9 loses nothing that
// was answered, a crash of the machine at most the last second. What is lost is lost for both versions alike,
// so a test loses data and no validity.
// Invariant: the controller never waits; a full mailbox or disk is an answer ("not durable"), not a delay.

import Platform
import Synchronization

/// Where the control loop hands accepted feedback to.
protocol FeedbackStore: Sendable {
    /// Whether `enqueue` has room. Only the caller adds entries, so that it stays true.
    var hasRoom: Bool { get }
    func enqueue(_ entry: FeedbackEntry)
}

/// Blocks for the log.
struct FeedbackEntry: Sendable {
    var bytes: [UInt8]
    /// Wall-clock microseconds until which they matter.
    var expiresAt: UInt64
    /// Called with whether they are written.
    var done: (@Sendable (Bool) -> Void)?
}

/// The mailbox and the thread.
final class FeedbackLog: FeedbackStore {
    /// Entries that may wait for a slow disk; one per request of the admin API and per tick of slots.
    static let waitingMax = 1_024
    private static let pruneEvery = Interval.seconds(60)
    private static let syncEvery = Interval.seconds(1)

    private let entries: Mailbox<FeedbackEntry>
    private let waiting = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)
    /// Entries that the disk refused.
    let failures = Atomic<UInt64>(0)

    init() throws(SystemFailure) { entries = try Mailbox(capacity: Self.waitingMax) }

    var hasRoom: Bool { waiting.load(ordering: .acquiring) < Self.waitingMax }

    func enqueue(_ entry: FeedbackEntry) {
        waiting.wrappingAdd(1, ordering: .acquiringAndReleasing)
        guard !entries.post(entry) else { return }
        waiting.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        failures.wrappingAdd(1, ordering: .relaxed)
        entry.done?(false)
    }

    /// - Parameter anchor: what this process's files begin with.
    func start(_ files: consuming FeedbackFiles, anchor: ClockAnchor) throws(SystemFailure) {
        let poller = try Poller(eventsMax: 1)
        let failed = poller.add(entries.wakeup.descriptor, token: Token(bits: 0), interest: .readable)
        if let errno = failed {
            throw SystemFailure(operation: "watch the feedback log's mailbox", errno: errno)
        }
        let loop = FeedbackLogLoop(files, poller, anchor)
        let started = try Thread.spawn(name: "weir-feedback") { [self] in
            while !loop.turn(self) {}
        }
        thread.withLock { $0 = started }
    }

    /// Writes what has been enqueued, then ends the thread.
    func stop() {
        stopping.store(true, ordering: .releasing)
        entries.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    /// What runs on the thread.
    private final class FeedbackLogLoop {
        private var files: FeedbackFiles
        private var poller: Poller
        private let head: [UInt8]
        private var syncAt = Instant.never
        private var pruneAt = Clock.now() + FeedbackLog.pruneEvery

        init(_ files: consuming FeedbackFiles, _ poller: consuming Poller, _ anchor: ClockAnchor) {
            self.files = files
            self.poller = poller
            var head: [UInt8] = []
            FeedbackRecord.clock(anchor).write(to: &head)
            self.head = head
        }

        /// - Returns: whether it was the last.
        func turn(_ log: FeedbackLog) -> Bool {
            let next = min(syncAt, pruneAt)
            _ = poller.wait(timeoutMillis: Int32(clamping: (next - Clock.now()).millis + 1))
            log.entries.wakeup.drain()
            // Read before the last look into the mailbox: what was enqueued before `stop` is written.
            let isStopping = log.stopping.load(ordering: .acquiring)
            while let entry = log.entries.take() { write(entry, log) }
            let now = Clock.now()
            if now >= syncAt || isStopping { sync(log) }
            if now >= pruneAt {
                pruneAt = now + FeedbackLog.pruneEvery
                files.prune(now: Clock.wallMicros())
            }
            return isStopping
        }

        private func write(_ entry: FeedbackEntry, _ log: FeedbackLog) {
            var isWritten = true
            do throws(SystemFailure) {
                try files.append(entry.bytes, head: head, expiresAt: entry.expiresAt)
            } catch {
                isWritten = false
                log.failures.wrappingAdd(1, ordering: .relaxed)
            }
            log.waiting.wrappingSubtract(1, ordering: .acquiringAndReleasing)
            entry.done?(isWritten)
            if files.isDirty, syncAt == .never { syncAt = Clock.now() + FeedbackLog.syncEvery }
        }

        private func sync(_ log: FeedbackLog) {
            syncAt = .never
            do throws(SystemFailure) {
                try files.sync()
            } catch {
                log.failures.wrappingAdd(1, ordering: .relaxed)
            }
        }
    }
}

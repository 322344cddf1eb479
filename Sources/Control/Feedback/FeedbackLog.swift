// The feedback log's thread: accepted feedback and counted slots go to disk beside the control loop, and the
// poster is answered once they are written. Written means handed to the kernel: a kill -9 loses nothing that
// was answered, a crash of the machine at most the last second. What is lost is lost for both versions alike,
// so a test loses data and no validity.
// Invariant: the controller never waits; a full mailbox or disk is an answer ("not durable"), not a delay.

import Platform
import Synchronization

/// Where the control loop hands accepted feedback to.
package protocol FeedbackStore: Sendable {
    /// Whether `enqueue` has room. Only the caller adds entries, so that it stays true.
    var hasRoom: Bool { get }
    func enqueue(_ entry: FeedbackEntry)
}

/// Blocks for the log.
package struct FeedbackEntry: Sendable {
    var bytes: [UInt8]
    /// Wall-clock microseconds until which they matter.
    var expiresAt: UInt64
    /// Called with whether they are written.
    var done: (@Sendable (Bool) -> Void)?
}

/// The log and its worker.
package final class FeedbackLog: FeedbackStore {
    /// Entries that may wait for a slow disk; one per request of the admin API and per tick of slots.
    static let waitingMax = 1_024
    private static let pruneEvery = Interval.seconds(60)
    private static let syncEvery = Interval.seconds(1)

    private let worker: Worker<FeedbackEntry>
    private let waiting = Atomic<Int>(0)
    /// Entries that the disk refused.
    let failures = Atomic<UInt64>(0)

    package init() throws(SystemFailure) {
        worker = try Worker(name: "weir-feedback", capacity: Self.waitingMax)
    }

    package var hasRoom: Bool { waiting.load(ordering: .acquiring) < Self.waitingMax }

    package func enqueue(_ entry: FeedbackEntry) {
        waiting.wrappingAdd(1, ordering: .acquiringAndReleasing)
        guard !worker.enqueue(entry) else { return }
        waiting.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        failures.wrappingAdd(1, ordering: .relaxed)
        entry.done?(false)
    }

    /// - Parameter anchor: what this process's files begin with.
    package func start(_ files: consuming FeedbackFiles, anchor: ClockAnchor) throws(SystemFailure) {
        let loop = FeedbackLogLoop(files, anchor)
        try worker.start { [self] in
            { isLast in loop.turn(self, isLast: isLast) }
        }
    }

    /// Writes what has been enqueued, then ends the thread.
    package func stop() { worker.stop() }

    /// What runs on the thread.
    private final class FeedbackLogLoop {
        private var files: FeedbackFiles
        private let head: [UInt8]
        private var syncAt = Instant.never
        private var pruneAt = Clock.now() + FeedbackLog.pruneEvery

        init(_ files: consuming FeedbackFiles, _ anchor: ClockAnchor) {
            self.files = files
            var head: [UInt8] = []
            FeedbackRecord.clock(anchor).write(to: &head)
            self.head = head
        }

        func turn(_ log: FeedbackLog, isLast: Bool) -> Instant {
            while let entry = log.worker.dequeue() { write(entry, log) }
            let now = Clock.now()
            if now >= syncAt || isLast { sync(log) }
            if now >= pruneAt {
                pruneAt = now + FeedbackLog.pruneEvery
                files.prune(now: Clock.wallMicros())
            }
            return min(syncAt, pruneAt)
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

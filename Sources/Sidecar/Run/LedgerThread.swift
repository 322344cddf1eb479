// The ledger on its own thread: steps in by one mailbox, reports out by another. The controller never waits
// for a disk; a report wakes it.
// Invariant: what was posted before `stop` is written, or kept as refused, before `stop` returns.

import Config
import Control
import Platform
import Synchronization

/// The ledger's mailboxes and its thread.
final class LedgerThread: Ledger {
    /// Steps that share one fsync.
    static let batchMax = 256

    fileprivate let entries: Mailbox<LedgerEntry>
    let reports: Mailbox<LedgerReport>
    fileprivate let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    init() throws(SystemFailure) {
        entries = try Mailbox(capacity: LedgerEntry.waitingMax)
        // A step makes one report, a batch two more.
        reports = try Mailbox(capacity: 4 * LedgerEntry.waitingMax)
    }

    /// Opens the journal of `directory`, here, so that one that cannot be read stops the start; then writes
    /// on a thread of its own until `stop`.
    /// - Parameter state: as the start found it.
    func start(
        _ directory: StateDirectory, _ rules: JournalConfig = JournalConfig(),
        state: SavedState = SavedState()
    ) throws(SystemFailure) {
        let journal = try Journal(
            opening: FileStorage(directory.files), rules: rules, after: state.journal,
            wallMicros: Clock.wallMicros())
        let file = StateFile(directory.files)
        file.makeSpare()
        let writer = LedgerWriter(journal: journal, state: state, spareTrouble: { file.retrySpare() }) {
            state throws(SystemFailure) in
            try file.save(state)
        }
        let loop = LedgerLoop(self, writer, try Poller(eventsMax: 4))
        try loop.watch()
        // Before the controller's first turn, so that readiness never says less than what is known.
        loop.prepare()
        let started = try Thread.spawn(name: "weir-ledger") { loop.run() }
        thread.withLock { $0 = started }
    }

    /// Writes what has been posted, then ends the thread.
    func stop() {
        stopping.store(true, ordering: .releasing)
        entries.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    func post(_ entry: LedgerEntry) -> Bool { entries.post(entry) }
    func take() -> LedgerReport? { reports.take() }
}

/// What runs on the ledger's thread.
private final class LedgerLoop {
    private let ledger: LedgerThread
    private var writer: LedgerWriter
    private var poller: Poller

    init(_ ledger: LedgerThread, _ writer: LedgerWriter, _ poller: consuming Poller) {
        self.ledger = ledger
        self.writer = writer
        self.poller = poller
    }

    func watch() throws(SystemFailure) {
        let watched = poller.add(
            ledger.entries.wakeup.descriptor, token: Token(bits: 0), interest: .readable)
        if let errno = watched { throw SystemFailure(operation: "watch the ledger's mailbox", errno: errno) }
    }

    /// Sets the reserve aside and reports what there is of it.
    func prepare() { send(writer.prepare(now: Clock.now(), wallMicros: Clock.wallMicros())) }

    func run() {
        while true {
            _ = poller.wait(timeoutMillis: timeoutMillis(Clock.now()))
            ledger.entries.wakeup.drain()
            // Read before the last look into the mailbox: what was posted before `stop` is written.
            let isStopping = ledger.stopping.load(ordering: .acquiring)
            while true {
                let batch = takeBatch()
                if batch.isEmpty { break }
                send(writer.write(batch, now: Clock.now(), wallMicros: Clock.wallMicros()))
            }
            let now = Clock.now()
            if now >= writer.retryAt { send(writer.retry(now: now, wallMicros: Clock.wallMicros())) }
            if isStopping { return }
        }
    }

    /// What waits, up to a bound, so that the first report of a long queue does not wait for its last step.
    private func takeBatch() -> [LedgerEntry] {
        var batch: [LedgerEntry] = []
        while batch.count < LedgerThread.batchMax, let entry = ledger.entries.take() { batch.append(entry) }
        return batch
    }

    private func timeoutMillis(_ now: Instant) -> Int32 {
        guard writer.retryAt != .never else { return -1 }
        return Int32(clamping: (writer.retryAt - now).millis + 1)
    }

    private func send(_ reports: [LedgerReport]) {
        // Full only when the controller has stopped taking: then nobody waits for a report.
        for report in reports { _ = ledger.reports.post(report) }
    }
}

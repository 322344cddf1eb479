// The access log's thread. It alone takes records out of the cores' rings, so a disk that hangs holds up
// this thread and nothing else: the rings fill, and the cores drop records and count them.
//
// Bounds: the rings (a core's `accessRecordsDropped` counts what they did not take) and one batch of
// `batchBytesMax` here. There is no queue between.

import Metrics
import Platform
import Proxy
import Synchronization

/// Takes records from a source, writes them as lines, and says so, at most once a minute, when it cannot.
/// The thread's straight line, apart from the thread.
struct AccessPump<Sink: AccessSink & ~Copyable>: ~Copyable {
    /// A batch is written when it has grown to this, and at the end of every turn.
    static var batchBytesMax: Int { 64 << 10 }
    /// Between two warnings.
    static var warningInterval: Interval { .seconds(60) }

    var batch: AccessBatch<Sink>
    private var line: AccessLine
    private var bytes: [UInt8] = []
    private let warn: @Sendable (String) -> Void
    private var lastWarning: Instant?
    /// Lines lost when the last warning was given.
    private var lostWhenWarned: UInt64 = 0

    init(sink: consuming Sink, names: AccessNames, warn: @escaping @Sendable (String) -> Void) {
        batch = AccessBatch(sink: sink)
        line = AccessLine(names: names)
        self.warn = warn
        bytes.reserveCapacity(Self.batchBytesMax + 4_096)
    }

    mutating func adopt(_ plan: Plan) { line.names.adopt(plan) }

    /// Writes all records that `source` hands over. Returns whether there were any.
    mutating func turn(now: Instant, source: ((AccessRecord) -> Void) -> Void) -> Bool {
        var any = false
        source { record in
            any = true
            line.append(record, to: &bytes)
            if bytes.count >= Self.batchBytesMax { flush() }
        }
        flush()
        complain(now: now)
        return any
    }

    private mutating func flush() {
        batch.write(bytes)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Begins a new file, as log rotation asks for by SIGUSR1.
    mutating func reopen(now: Instant) {
        guard !batch.reopen() else { return }
        complain(now: now)
    }

    private mutating func complain(now: Instant) {
        if let lastWarning, now < lastWarning + Self.warningInterval { return }
        guard let problem = batch.takeProblem() else { return }
        lastWarning = now
        let lost = batch.lost - lostWhenWarned
        lostWhenWarned = batch.lost
        warn("access log: \(problem.name) (\(problem)); \(lost) lines lost since the last warning")
    }
}

/// The access log: a thread that writes one JSON line per access record.
final class AccessLogWriter: Sendable {
    fileprivate enum Command: Sendable {
        case adopt(Plan)
        case reopen
    }

    fileprivate let commands: Mailbox<Command>
    fileprivate let stopping = Atomic<Bool>(false)
    fileprivate let writtenLines = Atomic<UInt64>(0)
    fileprivate let lostLines = Atomic<UInt64>(0)
    private let thread = Mutex<Thread?>(nil)

    /// Opens the destination and starts the thread.
    ///
    /// - Parameters:
    ///   - path: the file that lines are appended to; nil for standard output.
    ///   - plan: names for the records' slots.
    ///   - warn: told, at most once a minute, that lines were lost and why.
    ///   - source: hands every waiting record to its argument, as `DataPlane.drainAccessLog` does. Called on
    ///     the log's thread only.
    /// - Throws: the file cannot be opened, or the thread cannot be started.
    init(
        path: String?, plan: Plan, warn: @escaping @Sendable (String) -> Void,
        source: @escaping @Sendable ((AccessRecord) -> Void) -> Void
    ) throws(SystemFailure) {
        commands = try Mailbox(capacity: 64)
        // Opened here, so that a path that cannot be written to stops the start.
        let pump = AccessPump(sink: try AccessLogFile(path: path), names: AccessNames(plan), warn: warn)
        let loop = AccessLoop(self, pump, try Poller(eventsMax: 1), source)
        try loop.watch()
        let started = try Thread.spawn(name: "weir-access-log") { loop.run() }
        thread.withLock { $0 = started }
    }

    /// Lines that reached the destination.
    var written: UInt64 { writtenLines.load(ordering: .relaxed) }
    /// Lines that it did not take.
    var lost: UInt64 { lostLines.load(ordering: .relaxed) }

    /// Takes over a plan's names; before the plan is published, so that its records find them.
    func adopt(_ plan: Plan) { _ = commands.post(.adopt(plan)) }

    /// Begins a new file under the same name, after the old one has been moved away. Standard output stays.
    func reopen() { _ = commands.post(.reopen) }

    /// Writes what still waits and ends the thread. Returns when it has ended.
    func stop() {
        stopping.store(true, ordering: .releasing)
        commands.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }
}

/// What runs on the log's thread.
private final class AccessLoop {
    /// Between two looks at the rings. While records come, a core would have to end 100,000 exchanges a
    /// second to fill its ring; after a quiet second, a burst of 20,000 a second still fits.
    private static let busyMillis: Int32 = 10
    private static let idleMillis: Int32 = 50
    private static let idleAfter = Interval.seconds(1)

    private let log: AccessLogWriter
    private var pump: AccessPump<AccessLogFile>
    private var poller: Poller
    private let source: @Sendable ((AccessRecord) -> Void) -> Void
    private var lastRecord = Clock.now()

    init(
        _ log: AccessLogWriter, _ pump: consuming AccessPump<AccessLogFile>, _ poller: consuming Poller,
        _ source: @escaping @Sendable ((AccessRecord) -> Void) -> Void
    ) {
        self.log = log
        self.pump = pump
        self.poller = poller
        self.source = source
    }

    func watch() throws(SystemFailure) {
        let watched = poller.add(log.commands.wakeup.descriptor, token: Token(bits: 0), interest: .readable)
        if let errno = watched {
            throw SystemFailure(operation: "watch the access log's mailbox", errno: errno)
        }
    }

    func run() {
        while true {
            let isIdle = Clock.now() - lastRecord > Self.idleAfter
            _ = poller.wait(timeoutMillis: isIdle ? Self.idleMillis : Self.busyMillis)
            log.commands.wakeup.drain()
            // Read before the last look at the source: what came before `stop` is written.
            let isStopping = log.stopping.load(ordering: .acquiring)
            let now = Clock.now()
            while let command = log.commands.take() {
                switch command {
                case .adopt(let plan): pump.adopt(plan)
                case .reopen: pump.reopen(now: now)
                }
            }
            if pump.turn(now: now, source: source) { lastRecord = now }
            log.writtenLines.store(pump.batch.written, ordering: .relaxed)
            log.lostLines.store(pump.batch.lost, ordering: .relaxed)
            if isStopping { return }
        }
    }
}

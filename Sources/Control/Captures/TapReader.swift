// The thread that reads what cores have copied: it drains every core's slots, lends each sample to what
// reads it, and gives the slots back. A reading that takes long, or a disk that hangs, holds up
// this thread and nothing else: the slots fill, and the cores drop copies and count them.
// Invariant: one reader at a time; a plan's names are adopted before the samples that follow it.

import Metrics
import Platform
import Proxy
import Synchronization

/// The reader of the taps.
final class TapReader: Sendable {
    fileprivate enum Command: Sendable {
        case adopt(Config, Plan)
        case trip(CaptureTrip)
    }

    /// Lines that captures have written, and lines that the disk did not take.
    let captured = Atomic<UInt64>(0)
    let lost = Atomic<UInt64>(0)
    fileprivate let commands: Mailbox<Command>
    fileprivate let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    init() throws(SystemFailure) {
        commands = try Mailbox(capacity: 256)
    }

    /// Starts the thread.
    /// - Parameters:
    ///   - source: lends every waiting sample to its argument and says how many there were, as
    ///     `DataPlane.drainTaps` does.
    ///   - make: builds what keeps captures, on the thread.
    ///   - values: builds what reads values, there.
    func start(
        _ config: Config, _ plan: Plan, source: @escaping @Sendable ((borrowing TapSample) -> Void) -> Int,
        _ make: @escaping @Sendable () -> CaptureStore,
        values: @escaping @Sendable () -> ValueExtractor
    ) throws(SystemFailure) {
        let wait = MailboxWait(try Poller(eventsMax: 1))
        try wait.watch(commands.wakeup)
        let started = try Thread.spawn(name: "weir-taps") { [self] in
            let loop = TapLoop(self, wait, source, make(), values())
            loop.adopt(config, plan)
            loop.run()
        }
        thread.withLock { $0 = started }
    }

    /// Takes over the names and rules of a plan, before it is published.
    func adopt(_ config: Config, _ plan: Plan) { _ = commands.post(.adopt(config, plan)) }

    /// Keeps the last exchanges of the trip's model. Never waits; more trips at once than fit are let go.
    func keep(_ trip: CaptureTrip) { _ = commands.post(.trip(trip)) }

    /// Reads what still waits and ends the thread.
    func stop() {
        stopping.store(true, ordering: .releasing)
        commands.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }
}

/// What runs on the reader's thread.
private final class TapLoop {
    /// Between two looks: while samples come in numbers, while some come, and after a quiet second. Values
    /// of a tick are complete once a look has followed it, so even quiet looks come once a tick.
    private static let denseMillis: Int32 = 2
    private static let busyMillis: Int32 = 20
    private static let idleMillis: Int32 = 100
    private static let idleAfter = Interval.seconds(1)

    private let reader: TapReader
    private let mailbox: MailboxWait
    private let source: @Sendable ((borrowing TapSample) -> Void) -> Int
    private var store: CaptureStore
    private var extractor: ValueExtractor
    /// Whether any model is tapped; else there is nothing to look at.
    private var isTapping = false
    private var lastSample = Clock.now()
    private var lastCount = 0

    init(
        _ reader: TapReader, _ mailbox: MailboxWait,
        _ source: @escaping @Sendable ((borrowing TapSample) -> Void) -> Int, _ store: CaptureStore,
        _ extractor: consuming ValueExtractor
    ) {
        self.reader = reader
        self.mailbox = mailbox
        self.source = source
        self.store = store
        self.extractor = extractor
    }

    func adopt(_ config: Config, _ plan: Plan) {
        isTapping = plan.models.contains { $0.tap != nil }
        store.adopt(config, plan)
        extractor.adopt(config, plan)
    }

    private var timeoutMillis: Int32 {
        guard isTapping else { return -1 }
        if lastCount >= Limits.tapSlots / 4 { return Self.denseMillis }
        return Clock.now() - lastSample > Self.idleAfter ? Self.idleMillis : Self.busyMillis
    }

    func run() {
        while true {
            mailbox.wait(timeoutMillis: timeoutMillis)
            reader.commands.wakeup.drain()
            // Read before the last look at the slots: what came before `stop` is read.
            let isStopping = reader.stopping.load(ordering: .acquiring)
            let tick = Tick(monotonicNanos: Clock.now().nanos)
            drain()
            extractor.drained(at: tick)
            while let command = reader.commands.take() {
                switch command {
                case .adopt(let config, let plan): adopt(config, plan)
                case .trip(let trip): store.trip(trip)
                }
            }
            store.turn(now: Clock.now(), wallMicros: Clock.wallMicros())
            reader.captured.store(store.written, ordering: .relaxed)
            reader.lost.store(store.lost, ordering: .relaxed)
            if isStopping { return }
        }
    }

    private func drain() {
        lastCount = source { sample in
            store.take(sample)
            extractor.read(sample)
        }
        if lastCount > 0 { lastSample = Clock.now() }
    }
}

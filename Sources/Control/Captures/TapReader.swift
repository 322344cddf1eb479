// The thread that reads what cores have copied: it drains every core's slots, lends each sample to what
// reads it, and gives the slots back. A reading that takes long, or a disk that hangs, holds up
// this thread and nothing else: the slots fill, and the cores drop copies and count them.
// Invariant: one reader at a time; a plan's names are adopted before the samples that follow it.

import Config
import Metrics
import Platform
import Proxy
import Synchronization

/// The reader of the taps.
package final class TapReader: Sendable {
    fileprivate enum Command: Sendable {
        case adopt(Config, Plan)
        case trip(CaptureTrip)
    }

    /// Lines that captures have written, and lines that the disk did not take.
    package let captured = Atomic<UInt64>(0)
    package let lost = Atomic<UInt64>(0)
    fileprivate let worker: Worker<Command>

    package init() throws(SystemFailure) { worker = try Worker(name: "weir-taps", capacity: 256) }

    /// Starts the thread.
    /// - Parameters:
    ///   - source: lends every waiting sample to its argument and says how many there were, as
    ///     `DataPlane.drainTaps` does.
    ///   - make: builds what keeps captures, on the thread.
    ///   - values: builds what reads values, there.
    package func start(
        _ config: Config, _ plan: Plan, source: @escaping @Sendable ((borrowing TapSample) -> Void) -> Int,
        _ make: @escaping @Sendable () -> CaptureStore,
        values: @escaping @Sendable () -> ValueExtractor
    ) throws(SystemFailure) {
        try worker.start { [self] in
            let loop = TapLoop(self, source, make(), values())
            loop.adopt(config, plan)
            return { _ in loop.turn() }
        }
    }

    /// Takes over the names and rules of a plan, before it is published.
    package func adopt(_ config: Config, _ plan: Plan) { _ = worker.enqueue(.adopt(config, plan)) }

    /// Keeps the last exchanges of the trip's model. Never waits; more trips at once than fit are let go.
    package func keep(_ trip: CaptureTrip) { _ = worker.enqueue(.trip(trip)) }

    /// Reads what still waits and ends the thread.
    package func stop() { worker.stop() }
}

/// What runs on the reader's thread.
private final class TapLoop {
    /// Between two looks: while samples come in numbers, while some come, and after a quiet second. Values
    /// of a tick are complete once a look has followed it, so even quiet looks come once a tick.
    private static let dense = Interval.millis(2)
    private static let busy = Interval.millis(20)
    private static let idle = Interval.millis(100)
    private static let idleAfter = Interval.seconds(1)

    private let reader: TapReader
    private let source: @Sendable ((borrowing TapSample) -> Void) -> Int
    private var store: CaptureStore
    private var extractor: ValueExtractor
    /// Whether any model is tapped; else there is nothing to look at.
    private var isTapping = false
    private var lastSample = Clock.now()
    private var lastCount = 0

    init(
        _ reader: TapReader,
        _ source: @escaping @Sendable ((borrowing TapSample) -> Void) -> Int, _ store: CaptureStore,
        _ extractor: consuming ValueExtractor
    ) {
        self.reader = reader
        self.source = source
        self.store = store
        self.extractor = extractor
    }

    func adopt(_ config: Config, _ plan: Plan) {
        isTapping = plan.models.contains { $0.tap != nil }
        store.adopt(config, plan)
        extractor.adopt(config, plan)
    }

    private func nextLook(_ now: Instant) -> Instant {
        guard isTapping else { return .never }
        if lastCount >= Limits.tapSlots / 4 { return now + Self.dense }
        return now + (now - lastSample > Self.idleAfter ? Self.idle : Self.busy)
    }

    /// Reads what is there; the last turn reads what came before `stop`.
    /// - Returns: when to look again.
    func turn() -> Instant {
        let tick = Tick(monotonicNanos: Clock.now().nanos)
        drain()
        extractor.drained(at: tick)
        while let command = reader.worker.dequeue() {
            switch command {
            case .adopt(let config, let plan): adopt(config, plan)
            case .trip(let trip): store.trip(trip)
            }
        }
        store.turn(now: Clock.now(), wallMicros: Clock.wallMicros())
        reader.captured.store(store.written, ordering: .relaxed)
        reader.lost.store(store.lost, ordering: .relaxed)
        return nextLook(Clock.now())
    }

    private func drain() {
        lastCount = source { sample in
            store.take(sample)
            extractor.read(sample)
        }
        if lastCount > 0 { lastSample = Clock.now() }
    }
}

// Readers beside a running writer, on another thread: what they see has to be something that was true.
// The writer keeps equations between the counts, so that any torn reading breaks one. Checked to fail when
// the parity bits, or the second look at the tick, are left out.

import Glibc
import Metrics
import Synchronization
import Testing

/// What the writing thread is handed.
private final class Writer: Sendable {
    let meter: VersionMeter
    let seed: UInt64
    /// The newest tick whose requests have all been settled.
    let tick = Atomic<UInt64>(0)
    let isDone = Atomic<Bool>(false)

    init(_ meter: VersionMeter, seed: UInt64) {
        self.meter = meter
        self.seed = seed
    }

    /// Laps of the ring in which every request that is not a failure is fast at all thresholds, so that
    /// any torn reading breaks an equation.
    func run() {
        var state = seed | 1
        for number: UInt64 in 1...60_000 {
            let now = Tick(number: number)
            for request in 0..<8 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                let isPinned = state & 1 == 0
                meter.start(tick: now, weightPPM: UInt32(truncatingIfNeeded: number), isPinned: isPinned)
                let outcome: Outcome = request == 3 ? .upstreamError : request == 5 ? .clientCancel : .success
                meter.settle(start: now, isPinned: isPinned, outcome: outcome, nanos: state & 0xFFFF)
                meter.record(.total, nanos: state & 0xFFFF)
            }
            tick.store(number, ordering: .releasing)
        }
        isDone.store(true, ordering: .releasing)
    }
}

@Suite struct ConcurrentReadTests {
    @Test("A reader on another thread never sees a torn bucket")
    func tornBuckets() throws {
        var random = SeededRandom()
        let memory = TestMemory(VersionMeter.byteCount)
        let meter = VersionMeter(at: memory.bytes)
        for slot in 0..<ArmCounts.fastSlots { meter.setThreshold(slot, micros: .max) }
        let writer = Writer(meter, seed: random.next())
        var thread = pthread_t()
        let context = Unmanaged.passRetained(writer).toOpaque()
        let started = pthread_create(&thread, nil, runWriter, context)
        try #require(started == 0)
        var read = 0
        var torn: [EvidenceBucket] = []
        while !writer.isDone.load(ordering: .acquiring) {
            // The bucket being written, the next ones to be taken over, and any other.
            let newest = writer.tick.load(ordering: .acquiring) + 1
            for number in [newest, newest + 1, newest &- 511, newest &- random.next() % 512] {
                guard let bucket = meter.evidence.read(Tick(number: number)) else { continue }
                read += 1
                if !Self.isWhole(bucket) && torn.count < 5 { torn.append(bucket) }
            }
        }
        pthread_join(thread, nil)
        #expect(torn.isEmpty)
        print("buckets read beside the writer: \(read)")
        for number: UInt64 in (60_000 - 511)...60_000 {
            let bucket = try #require(meter.evidence.read(Tick(number: number)))
            #expect(Self.isWhole(bucket))
            #expect(bucket.randomised.completed + bucket.pinned.completed == 8)
        }
        let counts = VersionMeter.sum([meter]).counts
        #expect(counts.started == 480_000)
        #expect(counts[.upstreamError] == 60_000)
    }

    private static func isWhole(_ bucket: EvidenceBucket) -> Bool {
        guard bucket.weightPPM == UInt32(truncatingIfNeeded: bucket.tick.number) else { return false }
        guard bucket.thresholds[0] == .max, bucket.thresholds[5] == .max else { return false }
        guard bucket.randomised.failed + bucket.pinned.failed <= 1 else { return false }
        return [bucket.randomised, bucket.pinned].allSatisfy { arm in
            let good = arm.completed &- arm.failed &- arm.excluded
            return arm.completed <= arm.started && (0..<6).allSatisfy { arm.fast($0) == good }
        }
    }
}

private func runWriter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context { Unmanaged<Writer>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}

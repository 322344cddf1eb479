// From the meters that cores write to a verdict: thresholds, tick order and the split come through.

import Metrics
import Rollout
import Testing

/// A meter on memory of its own.
private final class OwnedMeter {
    private let memory: UnsafeMutableRawPointer
    let meter: VersionMeter

    init(thresholds: [UInt32]) {
        memory = .allocate(byteCount: VersionMeter.byteCount, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: VersionMeter.byteCount)
        meter = VersionMeter(at: memory)
        for (slot, micros) in thresholds.enumerated() { meter.setThreshold(slot, micros: micros) }
    }

    deinit { memory.deallocate() }
}

@Suite struct EvidenceRingTests {
    /// Runs 200 ticks of 5 + 95 requests; those of the candidate that start in the last 100 take `candidate`
    /// nanoseconds, all others 20 ms. Returns the first trip.
    private func trip(candidate: UInt64, outcome: Outcome) -> (tick: UInt64, reading: GuardrailReading)? {
        let specs: [GuardrailSpec] = .defaults
        var reference = LatencyReference(specs: specs)
        _ = reference.refresh(now: Tick(number: 1), requests: 5000) { UInt64(20_000 + 20_000 * $0) }
        let ours = OwnedMeter(thresholds: reference.candidateThresholds)
        let theirs = OwnedMeter(thresholds: reference.stableThresholds)
        let split = PairSplit(candidatePPM: 50_000, stablePPM: 950_000)
        var watch = CandidateWatch(specs: specs, from: Tick(number: 1000))
        for number in 1000..<1200 as Range<UInt64> {
            let tick = Tick(number: number)
            for i in 0..<100 {
                let isCandidate = i < 5
                let meter = isCandidate ? ours.meter : theirs.meter
                let isBad = isCandidate && number >= 1100
                meter.start(tick: tick, weightPPM: isCandidate ? 50_000 : 950_000, isPinned: false)
                let median: UInt64 = i % 2 == 0 ? 25_000_000 : 35_000_000
                meter.settle(
                    start: tick, isPinned: false, outcome: isBad ? outcome : .success,
                    nanos: isBad ? candidate : median)
            }
            let readings = watch.step(
                now: Tick(number: number + 1), reference: reference, windows: { _ in nil },
                read: {
                    PairTick(
                        tick: $0, split: split, candidate: ArmTick(ours.meter.evidence.read($0)),
                        stable: ArmTick(theirs.meter.evidence.read($0)))
                })
            if let trip = readings.first(where: { $0.verdict == .fail }) { return (number, trip) }
        }
        return nil
    }

    @Test("failures counted by a core trip within half a second")
    func errors() throws {
        let found = try #require(trip(candidate: 1_000_000, outcome: .upstreamError))
        #expect((1100..<1105).contains(found.tick))
    }

    @Test("a slow version trips by the thresholds that its core froze")
    func latency() throws {
        let found = try #require(trip(candidate: 90_000_000, outcome: .success))
        #expect(found.reading.name.hasPrefix("latency") && found.tick < 1135)
    }

    @Test("equal versions do not trip")
    func equal() {
        #expect(trip(candidate: 30_000_000, outcome: .success) == nil)
    }

    @Test("requests of which nobody is to blame leave both counts")
    func excluded() {
        #expect(trip(candidate: 500_000_000, outcome: .timeoutClient) == nil)
    }
}

// The laws of the evidence ring: a request belongs to the tick it started in, whenever it ends; weights and
// thresholds are the tick's; a bucket that is taken over forgets. A seeded random run is compared with a
// dictionary of plain counts.

import Metrics
import Testing

/// A meter of its own, for its evidence.
private struct Bench {
    let memory = TestMemory(VersionMeter.byteCount)
    let meter: VersionMeter
    var ring: EvidenceRing { meter.evidence }

    init(thresholds: [UInt32] = []) {
        meter = VersionMeter(at: memory.bytes)
        for (slot, micros) in thresholds.enumerated() { meter.setThreshold(slot, micros: micros) }
    }
}

private func tick(_ number: UInt64) -> Tick { Tick(number: number) }

@Suite struct EvidenceRingTests {
    @Test("A request counts in the tick of its start, however late it ends")
    func startTick() {
        let bench = Bench()
        bench.ring.start(tick: tick(10), weightPPM: 50_000, isPinned: false)
        bench.ring.start(tick: tick(11), weightPPM: 50_000, isPinned: false)
        bench.ring.settle(start: tick(10), isPinned: false, outcome: .upstreamError, micros: 1)
        #expect(bench.ring.read(tick(10))?.randomised.failed == 1)
        #expect(bench.ring.read(tick(10))?.randomised.pending == 0)
        #expect(bench.ring.read(tick(11))?.randomised.failed == 0)
        #expect(bench.ring.read(tick(11))?.randomised.pending == 1)
    }

    @Test("A tick in which nothing started has no bucket, not even tick zero of untouched memory")
    func unopened() {
        let bench = Bench()
        #expect(bench.ring.read(tick(0)) == nil)
        #expect(bench.ring.read(tick(.max)) == nil)
        bench.ring.start(tick: tick(3), weightPPM: 1, isPinned: false)
        #expect(bench.ring.read(tick(2)) == nil)
        #expect(bench.ring.read(tick(3 + 512)) == nil)
    }

    @Test("A bucket that is taken over for a later tick begins at zero and forgets the earlier one")
    func reuse() {
        let bench = Bench(thresholds: [100])
        for pinned in [false, true] {
            bench.ring.start(tick: tick(7), weightPPM: 10, isPinned: pinned)
            bench.ring.settle(start: tick(7), isPinned: pinned, outcome: .success, micros: 5)
        }
        bench.ring.start(tick: tick(7 + 512), weightPPM: 20, isPinned: false)
        #expect(bench.ring.read(tick(7)) == nil)
        var expected = EvidenceBucket(tick: tick(519), weightPPM: 20)
        expected.thresholds[0] = 100
        expected.randomised.started = 1
        #expect(bench.ring.read(tick(519)) == expected)
    }

    @Test("A request that outlives the ring does not count into the bucket's next tick")
    func lateSettle() {
        let bench = Bench()
        bench.ring.start(tick: tick(7), weightPPM: 10, isPinned: false)
        bench.ring.start(tick: tick(7 + 512), weightPPM: 10, isPinned: false)
        bench.ring.settle(start: tick(7), isPinned: false, outcome: .reset, micros: 51_300_000)
        #expect(bench.ring.read(tick(519))?.randomised.completed == 0)
        #expect(bench.ring.read(tick(519))?.randomised.failed == 0)
    }

    @Test("A tick with two weights is mixed, also when the first weight returns")
    func mixedWeights() {
        let bench = Bench()
        for weight: UInt32 in [10, 10] {
            bench.ring.start(tick: tick(1), weightPPM: weight, isPinned: false)
        }
        #expect(bench.ring.read(tick(1))?.weightPPM == 10)
        for weight: UInt32 in [20, 10] {
            bench.ring.start(tick: tick(1), weightPPM: weight, isPinned: true)
            #expect(bench.ring.read(tick(1))?.weightPPM == EvidenceBucket.mixed)
        }
        bench.ring.start(tick: tick(2), weightPPM: 20, isPinned: false)
        #expect(bench.ring.read(tick(2))?.weightPPM == 20)
    }

    @Test("Thresholds are frozen when a bucket opens; a change counts from the next tick on")
    func frozenThresholds() {
        let bench = Bench(thresholds: [100, 200, 300, 400, 500, 600])
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        for slot in 0..<ArmCounts.fastSlots { bench.meter.setThreshold(slot, micros: 1) }
        bench.ring.settle(start: tick(1), isPinned: false, outcome: .success, micros: 250)
        let counts = bench.ring.read(tick(1))?.randomised ?? ArmCounts()
        #expect((0..<6).map(counts.fast) == [0, 0, 1, 1, 1, 1])
        #expect(bench.ring.read(tick(1))?.thresholds == SIMD8(100, 200, 300, 400, 500, 600, 0, 0))
        bench.ring.start(tick: tick(2), weightPPM: 10, isPinned: false)
        bench.ring.settle(start: tick(2), isPinned: false, outcome: .success, micros: 250)
        #expect(bench.ring.read(tick(2))?.randomised.fast(5) == 0)
    }

    @Test("A request is fast up to its threshold and not beyond", arguments: [(99, 1), (100, 1), (101, 0)])
    func thresholdIsInclusive(micros: UInt64, fast: UInt32) {
        let bench = Bench(thresholds: [100])
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: true)
        bench.ring.settle(start: tick(1), isPinned: true, outcome: .success, micros: micros)
        #expect(bench.ring.read(tick(1))?.pinned.fast0 == fast)
    }

    @Test("A slot that counts keys once takes what its key did before for fast; the other slots do not")
    func keysOnce() {
        let bench = Bench(thresholds: [100, 100, 1_000, 0])
        bench.meter.countKeysOnce([.slow(0), .slow(2), .slow(3)])
        let ring = bench.ring
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        bench.meter.countKeysOnce([])
        func events(_ outcome: Outcome, _ micros: UInt64) -> KeyEvents {
            ring.keyEvents(start: tick(1), outcome: outcome, micros: micros)
        }
        #expect(events(.success, 100) == [])
        #expect(events(.success, 101) == [.slow(0)])
        #expect(events(.success, 5_000) == [.slow(0), .slow(2)])
        #expect(events(.reset, 5) == [.failed, .slow(0), .slow(2)])
        #expect(events(.clientCancel, 500) == [.cancelled, .slow(0)])
        #expect(events(.clientCancel, 5) == .cancelled)
        #expect(events(.localRefusal, 5_000) == [])
        #expect(ring.keyEvents(start: tick(2), outcome: .reset, micros: 5) == .failed)
        for _ in 0..<2 { ring.start(tick: tick(1), weightPPM: 10, isPinned: false) }
        ring.settle(start: tick(1), isPinned: false, outcome: .success, micros: 500)
        ring.settle(start: tick(1), isPinned: false, outcome: .success, micros: 500, known: .slow(0))
        ring.settle(start: tick(1), isPinned: false, outcome: .reset, micros: 5, known: [.slow(0)])
        let counts = ring.read(tick(1))?.randomised ?? ArmCounts()
        #expect((0..<4).map(counts.fast) == [2, 0, 2, 0])
        #expect(counts.failed == 1 && counts.completed == 3)
    }

    @Test(
        "A sticky key's repeated failure is excluded and known, and once a minute renewed"
    )
    func repeated() {
        let bench = Bench(thresholds: [100])
        for _ in 0..<4 {
            bench.ring.start(tick: tick(1), weightPPM: 1, isPinned: false)
            bench.ring.startCopied(tick: tick(1), weightPPM: 1)
        }
        for known in [[], .failed, [.failed, KeyEvents.failed.lately]] as [KeyEvents] {
            bench.ring.settle(start: tick(1), isPinned: false, outcome: .reset, micros: 5, known: known)
            bench.ring.settleCopied(start: tick(1), outcome: .reset, micros: 5, known: known)
        }
        // A client that leaves is nobody's failure, whatever its key did before.
        bench.ring.settle(
            start: tick(1), isPinned: false, outcome: .clientCancel, micros: 5, known: .failure)
        bench.ring.settleCopied(start: tick(1), outcome: .clientCancel, micros: 5, known: .failure)
        var expected = ArmCounts()
        (expected.started, expected.completed, expected.failed, expected.excluded) = (4, 4, 1, 3)
        (expected.known, expected.renewed) = (2, 1)
        let three = EventCounts(first: 1, renewed: 1, known: 2)
        (expected.rejections, expected.empties) = (three, three)
        #expect(bench.ring.read(tick(1))?.copied == expected)
        expected.cancels = EventCounts(first: 2, renewed: 1, known: 2)
        expected.cancelled = 1
        #expect(bench.ring.read(tick(1))?.randomised == expected)
        bench.ring.start(tick: tick(513), weightPPM: 1, isPinned: false)
        #expect(bench.ring.read(tick(513))?.randomised.known == 0)
    }

    @Test("A response on its way is told from silence until its request ends")
    func begun() {
        let bench = Bench()
        for pinned in [false, true] {
            for _ in 0..<3 { bench.ring.start(tick: tick(1), weightPPM: 1, isPinned: pinned) }
            bench.ring.begin(start: tick(1), isPinned: pinned)
            bench.ring.begin(start: tick(1), isPinned: pinned)
            bench.ring.endBegun(start: tick(1), isPinned: pinned)
            bench.ring.settle(start: tick(1), isPinned: pinned, outcome: .success, micros: 5)
        }
        for arm in [bench.ring.read(tick(1))?.randomised, bench.ring.read(tick(1))?.pinned] {
            #expect(arm?.pending == 2 && arm?.begun == 1 && arm?.silent == 1)
        }
        bench.ring.begin(start: tick(2), isPinned: false)
        #expect(bench.ring.read(tick(2)) == nil)
    }

    @Test("Each kind of bad event is counted beside the failures, and a new tick forgets them")
    func badEvents() {
        let bench = Bench(thresholds: [100])
        let ring = bench.ring
        for _ in 0..<8 { ring.start(tick: tick(1), weightPPM: 1, isPinned: false) }
        func settle(_ outcome: Outcome, _ events: KeyEvents, known: KeyEvents = []) {
            ring.settle(
                start: tick(1), isPinned: false, outcome: outcome, events: events, micros: 5, known: known)
        }
        settle(.success, [])
        settle(.success, .rejected)
        settle(.clientError, .rejected, known: .rejected)
        settle(.clientError, .rejected, known: [.rejected, KeyEvents(lately: .rejected)])
        settle(.success, .empty)
        settle(.clientCancel, .cancelled)
        settle(.clientError, .failed)
        let counts = ring.read(tick(1))?.randomised ?? ArmCounts()
        #expect(counts[.rejected] == EventCounts(first: 2, renewed: 1, known: 2))
        #expect(counts[.empty] == EventCounts(first: 2) && counts[.cancelled] == EventCounts(first: 2))
        #expect(counts[.failure] == EventCounts(first: 1), "a client error that counts is a failure")
        #expect(BadEvent.allCases.map(counts.alone) == [1, 3, 1, 1])
        #expect(counts.completed == 7 && counts.excluded == 1 && counts.pending == 1 && counts.fast0 == 5)
        var sum = counts
        sum += counts
        #expect(sum[.rejected] == EventCounts(first: 4, renewed: 2, known: 4))
        #expect(BadEvent.allCases.map(sum.alone) == [2, 6, 2, 2])
        ring.start(tick: tick(513), weightPPM: 1, isPinned: false)
        #expect(ring.read(tick(513))?.randomised[.rejected] == EventCounts())
    }

    @Test("A request that is cancelled at an age beyond a threshold is known to be slow there, not below")
    func lateCancels() {
        let bench = Bench(thresholds: [100, 1_000, 0, 100, 1_000, 100])
        bench.meter.countKeysOnce([.slow(5)])
        for isPinned in [false, true] {
            for _ in 0..<2 { bench.ring.start(tick: tick(1), weightPPM: 1, isPinned: isPinned) }
            for known in [[], .slow(5)] as [KeyEvents] {
                bench.ring.settle(
                    start: tick(1), isPinned: isPinned, outcome: .clientCancel, micros: 500, known: known)
            }
        }
        for arm in [bench.ring.read(tick(1))?.randomised, bench.ring.read(tick(1))?.pinned] {
            #expect(arm?.late == SIMD8(2, 0, 0, 2, 0, 1, 0, 0) && arm?.excluded == 2 && arm?.fast0 == 0)
        }
    }

    @Test("What was not sent, and what waits to be written, is told apart, and a new tick forgets both")
    func unsent() {
        let bench = Bench()
        for pinned in [false, true] {
            for _ in 0..<6 { bench.ring.start(tick: tick(1), weightPPM: 1, isPinned: pinned) }
            for isOverloaded in [true, false, true] {
                bench.ring.countUnsent(start: tick(1), isPinned: pinned, isOverloaded: isOverloaded)
                bench.ring.settle(
                    start: tick(1), isPinned: pinned, outcome: isOverloaded ? .overloaded : .noEndpoint,
                    micros: 0)
            }
            for _ in 0..<2 { bench.ring.wait(start: tick(1), isPinned: pinned) }
            bench.ring.endWait(start: tick(1), isPinned: pinned)
        }
        for _ in 0..<3 { bench.ring.startCopied(tick: tick(1), weightPPM: 1) }
        for _ in 0..<3 { bench.ring.waitCopied(start: tick(1)) }
        bench.ring.endWaitCopied(start: tick(1))
        let bucket = bench.ring.read(tick(1))
        for arm in [bucket?.randomised, bucket?.pinned] {
            #expect(arm?.unsent == 3 && arm?.overloaded == 2 && arm?.excluded == 3)
            #expect(arm?.pending == 3 && arm?.unwritten == 1 && arm?.silent == 2)
        }
        #expect(bucket?.copied.unwritten == 2 && bucket?.copied.silent == 1)
        var sum = ArmCounts()
        for arm in [bucket?.randomised, bucket?.copied] { sum += arm ?? ArmCounts() }
        #expect(sum.unsent == 3 && sum.overloaded == 2 && sum.unwritten == 3)
        bench.ring.start(tick: tick(513), weightPPM: 1, isPinned: false)
        let next = bench.ring.read(tick(513))?.randomised
        #expect(next?.unsent == 0 && next?.unwritten == 0)
        bench.ring.wait(start: tick(2), isPinned: false)
        #expect(bench.ring.read(tick(2)) == nil)
    }

    @Test("Copied requests are kept apart, an unknown one ends as nothing, and a new tick forgets them")
    func copied() {
        let bench = Bench(thresholds: [100])
        for _ in 0..<4 { bench.ring.startCopied(tick: tick(1), weightPPM: 0) }
        bench.ring.settleCopied(start: tick(1), outcome: .success, micros: 50)
        bench.ring.settleCopied(start: tick(1), outcome: .reset, micros: 50)
        bench.ring.settleCopied(start: tick(1), outcome: .success, micros: 50, isUnknown: true)
        let bucket = bench.ring.read(tick(1))
        #expect(bucket?.randomised == ArmCounts() && bucket?.pinned == ArmCounts())
        var expected = ArmCounts()
        (expected.started, expected.completed, expected.failed) = (4, 3, 1)
        (expected.unknown, expected.fast0) = (1, 1)
        (expected.rejections, expected.empties) = (EventCounts(first: 1), EventCounts(first: 1))
        #expect(bucket?.copied == expected && bucket?.copied.pending == 1)
        bench.ring.start(tick: tick(1), weightPPM: 0, isPinned: false)
        #expect(bench.ring.read(tick(1))?.copied == expected)
        bench.ring.startCopied(tick: tick(1 + 512), weightPPM: 0)
        bench.ring.settleCopied(start: tick(1), outcome: .success, micros: 1, isUnknown: true)
        let next = bench.ring.read(tick(513))?.copied
        #expect(next?.started == 1 && next?.completed == 0 && next?.unknown == 0)
        var sum = EvidenceBucket(tick: tick(1), weightPPM: 0)
        if let bucket { sum.add(bucket) }
        #expect(sum.copied == expected)
    }

    @Test(
        "A failed or excluded request is never fast, and the excluded one is not a failure",
        arguments: Outcome.allCases)
    func outcomes(outcome: Outcome) {
        let bench = Bench(thresholds: [.max, .max, .max, .max, .max, .max])
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        bench.ring.settle(start: tick(1), isPinned: false, outcome: outcome, micros: 0)
        let counts = bench.ring.read(tick(1))?.randomised ?? ArmCounts()
        let isGood = !outcome.isFailure && !outcome.isExcluded
        #expect(counts.completed == 1)
        #expect(counts.failed == (outcome.isFailure ? 1 : 0))
        #expect(counts.excluded == (outcome.isExcluded ? 1 : 0))
        #expect((0..<6).map(counts.fast) == Array(repeating: isGood ? 1 : 0, count: 6))
    }

    @Test("Pinned requests are kept apart from randomised ones")
    func pinned() {
        let bench = Bench()
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: true)
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: true)
        bench.ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        bench.ring.settle(start: tick(1), isPinned: true, outcome: .connectFailure, micros: 10)
        let bucket = bench.ring.read(tick(1))
        #expect(bucket?.pinned.started == 2)
        #expect(bucket?.pinned.failed == 1)
        #expect(bucket?.randomised.started == 1)
        #expect(bucket?.randomised.completed == 0)
    }

    @Test("Any sequence of starts and ends reads back as a plain count of them")
    func model() {
        var random = SeededRandom()
        let thresholds: [UInt32] = [50, 100, 200, 400, 800, 1_600]
        let bench = Bench(thresholds: thresholds)
        var expected: [UInt64: EvidenceBucket] = [:]
        var open: [(tick: UInt64, isPinned: Bool)] = []
        var now: UInt64 = 1_000_000
        for _ in 0..<20_000 {
            if Int.random(in: 0..<20, using: &random) == 0 {
                now += UInt64.random(in: 1...40, using: &random)
            }
            if open.isEmpty || Bool.random(using: &random) {
                let isPinned = Int.random(in: 0..<4, using: &random) == 0
                let weight: UInt32 = Int.random(in: 0..<50, using: &random) == 0 ? 20 : 10
                bench.ring.start(tick: tick(now), weightPPM: weight, isPinned: isPinned)
                open.append((now, isPinned))
                var bucket = expected[now] ?? EvidenceBucket(tick: tick(now), weightPPM: weight)
                for (slot, micros) in thresholds.enumerated() { bucket.thresholds[slot] = micros }
                if bucket.weightPPM != weight { bucket.weightPPM = EvidenceBucket.mixed }
                bucket[isPinned].started += 1
                expected[now] = bucket
                // The tick whose bucket this one takes over is gone.
                for old in expected.keys where old != now && old % 512 == now % 512 { expected[old] = nil }
            } else {
                let request = open.remove(at: Int.random(in: open.indices, using: &random))
                let outcome = Outcome.allCases.randomElement(using: &random) ?? .success
                let micros = UInt64.random(in: 0...2_000, using: &random)
                bench.ring.settle(
                    start: tick(request.tick), isPinned: request.isPinned, outcome: outcome, micros: micros)
                expected[request.tick]?[request.isPinned].settle(
                    outcome, micros, thresholds, isPinned: request.isPinned)
            }
        }
        for number in (now - 1_100)...(now + 600) {
            #expect(bench.ring.read(tick(number)) == expected[number])
        }
    }

    @Test("Several cores' buckets of a tick add up; weights that differ are mixed")
    func cores() {
        let benches = [Bench(thresholds: [5]), Bench(thresholds: [5]), Bench(thresholds: [6])]
        benches[0].ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        benches[1].ring.start(tick: tick(1), weightPPM: 10, isPinned: false)
        benches[1].ring.settle(start: tick(1), isPinned: false, outcome: .success, micros: 5)
        let two = VersionMeter.evidence(benches.map(\.meter), at: tick(1))
        #expect(two?.weightPPM == 10)
        #expect(two?.thresholds[0] == 5)
        #expect(two?.randomised.started == 2)
        #expect(two?.randomised.fast0 == 1)
        benches[2].ring.start(tick: tick(1), weightPPM: 11, isPinned: false)
        let three = VersionMeter.evidence(benches.map(\.meter), at: tick(1))
        #expect(three?.weightPPM == EvidenceBucket.mixed)
        #expect(three?.thresholds[0] == 0)
        #expect(VersionMeter.evidence(benches.map(\.meter), at: tick(2)) == nil)
    }
}

extension EvidenceBucket {
    /// The arm that pinned, respectively randomised, requests are counted in.
    fileprivate subscript(_ isPinned: Bool) -> ArmCounts {
        get { isPinned ? pinned : randomised }
        set { if isPinned { pinned = newValue } else { randomised = newValue } }
    }
}

extension ArmCounts {
    fileprivate mutating func settle(
        _ outcome: Outcome, _ micros: UInt64, _ thresholds: [UInt32], isPinned: Bool
    ) {
        completed += 1
        if outcome == .clientCancel {
            for (slot, threshold) in thresholds.enumerated() where micros > threshold { late[slot] += 1 }
        }
        if !isPinned {
            let (isRejected, isCancelled) = (outcome == .clientError, outcome == .clientCancel)
            if outcome.isFailure || isRejected { rejections.first += 1 }
            if outcome.isFailure || isCancelled { cancels.first += 1 }
            if outcome.isFailure { empties.first += 1 }
            if isRejected { rejected += 1 }
            if isCancelled { cancelled += 1 }
        }
        if outcome.isFailure { failed += 1 }
        if outcome.isExcluded { excluded += 1 }
        guard !outcome.isFailure && !outcome.isExcluded else { return }
        if micros <= thresholds[0] { fast0 += 1 }
        if micros <= thresholds[1] { fast1 += 1 }
        if micros <= thresholds[2] { fast2 += 1 }
        if micros <= thresholds[3] { fast3 += 1 }
        if micros <= thresholds[4] { fast4 += 1 }
        if micros <= thresholds[5] { fast5 += 1 }
    }
}

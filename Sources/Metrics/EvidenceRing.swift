// The evidence ring: 512 buckets of a tick each, 51 seconds, in which a core counts a version's requests
// by the tick they STARTED in. Counting by completion would see fast failures and slow time-outs at
// different moments and take that for a difference between versions.
//
// One bucket is one cache line, so a request costs one line at its start and one at its end:
//   word 0  tick + 1; 0 while nobody may read
//   word 1  weight in force (u32) | threshold 0 (u32)        word 2  threshold 1 | threshold 2
//   word 3  started, randomised (u32) | started, pinned (u32)
//   word 4  randomised, ended:  completed | failed << 22 | excluded << 43
//   word 5  randomised, fast:   fast0 | fast1 << 21 | fast2 << 42 | parity of completed << 63
//   words 6, 7  the same for pinned
// The fields hold 2,097,151 requests per tick and core, twenty million a second: no core gets there.
//
// Invariants: one writer. A reader sees a bucket of the tick it asked for or nothing: the writer hides the
// bucket (word 0) while it clears it and the reader looks at word 0 again after it has read (a seqlock
// whose sequence is the tick). The two words of a settled request are told apart by the parity bit, so a
// reader never sees a request completed without its speed.

import Synchronization

/// A view onto `byteCount` zeroed bytes of the caller; one writer, readers on any thread.
@frozen public struct EvidenceRing: Sendable {
    @usableFromInline let words: Words
    /// The meter's thresholds, copied into each bucket when it opens.
    @usableFromInline let thresholds: HalfWords

    /// Ticks remembered; a request that ends later than that is not counted any more.
    public static let buckets = 512
    /// Bytes of the ring, 64-byte aligned.
    public static let byteCount = 512 * 64

    /// - Parameters:
    ///   - memory: `byteCount` zeroed bytes, 64-byte aligned, alive as long as this view.
    ///   - thresholds: three half words, in microseconds, written by control.
    @inlinable public init(at memory: UnsafeMutableRawPointer, thresholds: HalfWords) {
        words = Words(at: memory)
        self.thresholds = thresholds
    }

    @inlinable init(words: Words, thresholds: HalfWords) {
        self.words = words
        self.thresholds = thresholds
    }

    @inlinable func bucket(_ tick: UInt64) -> Words {
        words.advanced(by: Int(truncatingIfNeeded: tick & 511) &* 8)
    }

    // MARK: The writer

    /// Counts a request that is assigned to this version now.
    ///
    /// - Parameters:
    ///   - tick: now; never earlier than in the call before.
    ///   - weightPPM: the version's own weight in force.
    ///   - isPinned: whether a cohort or a forced version chose it.
    @inlinable public func start(tick: Tick, weightPPM: UInt32, isPinned: Bool) {
        let bucket = bucket(tick.number)
        if bucket.load(0) != tick.number &+ 1 { open(bucket, tick: tick, weightPPM: weightPPM) }
        let half = HalfWords(address: bucket.address)
        if half.load(2) != weightPPM { half.store(2, EvidenceBucket.mixed) }
        half.add(isPinned ? 7 : 6)
    }

    /// Takes a bucket over for a new tick. Once per tick, so it is kept out of line.
    @inline(never) @usableFromInline func open(_ bucket: Words, tick: Tick, weightPPM: UInt32) {
        bucket.store(0, 0)
        atomicMemoryFence(ordering: .releasing)
        let half = HalfWords(address: bucket.address)
        half.store(2, weightPPM)
        for index in 0..<3 { half.store(3 + index, thresholds.load(index)) }
        for index in 3..<8 { bucket.store(index, 0) }
        bucket.base[0].store(tick.number &+ 1, ordering: .releasing)
    }

    /// Counts the end of a request in the tick of its start; a bucket that is another tick's by now (the
    /// request took longer than the ring remembers) stays as it is.
    ///
    /// - Parameters:
    ///   - start: the tick that `start(tick:weightPPM:isPinned:)` was given.
    ///   - isPinned: as given at the start.
    ///   - micros: the latency that guardrails judge.
    @inlinable public func settle(start: Tick, isPinned: Bool, outcome: Outcome, micros: UInt64) {
        let bucket = bucket(start.number)
        guard bucket.load(0) == start.number &+ 1 else { return }
        let half = HalfWords(address: bucket.address)
        let failed: UInt64 = outcome.isFailure ? 1 : 0
        let excluded: UInt64 = outcome.isExcluded ? 1 : 0
        let good = 1 &- failed &- excluded
        let fast0: UInt64 = micros <= UInt64(half.load(3)) ? good : 0
        let fast1: UInt64 = micros <= UInt64(half.load(4)) ? good : 0
        let fast2: UInt64 = micros <= UInt64(half.load(5)) ? good : 0
        let ended = isPinned ? 6 : 4
        let ends = bucket.load(ended) &+ (1 | failed &<< 22 | excluded &<< 43)
        let fast = bucket.load(ended &+ 1) &+ (fast0 | fast1 &<< 21 | fast2 &<< 42 | 1 &<< 63)
        // Releasing, so that a reader who sees one of these stores sees all before it as well: the words
        // are never more than one request apart, which is what the parity bit can tell.
        bucket.base[ended].store(ends, ordering: .releasing)
        bucket.base[ended &+ 1].store(fast, ordering: .releasing)
    }
}

// MARK: - Readers

extension EvidenceRing {
    /// The bucket of `tick`; nil when no request started in it or it has been overwritten. Any thread.
    public func read(_ tick: Tick) -> EvidenceBucket? {
        let bucket = bucket(tick.number)
        guard bucket.base[0].load(ordering: .acquiring) == tick.number &+ 1 else { return nil }
        let half = HalfWords(address: bucket.address)
        var result = EvidenceBucket(
            tick: tick, weightPPM: half.load(2),
            thresholds: SIMD3(half.load(3), half.load(4), half.load(5)))
        result.randomised = settled(bucket, ended: 4)
        result.pinned = settled(bucket, ended: 6)
        // Started is read after completed: a request starts before it ends, so nothing is completed that
        // has not started.
        result.randomised.started = half.load(6)
        result.pinned.started = half.load(7)
        atomicMemoryFence(ordering: .acquiring)
        return bucket.load(0) == tick.number &+ 1 ? result : nil
    }

    /// One arm's ended requests, each counted in both words or in none.
    private func settled(_ bucket: Words, ended: Int) -> ArmCounts {
        let mask: UInt64 = 1 << 21 - 1
        var ends: UInt64 = 0
        var fast: UInt64 = 0
        var agree = false
        // The writer is between its two stores for a nanosecond. A writer that loses its CPU just there
        // would keep us here, so the attempts are bounded.
        for _ in 0..<100_000 where !agree {
            ends = bucket.base[ended].load(ordering: .acquiring)
            fast = bucket.base[ended + 1].load(ordering: .acquiring)
            agree = ends & 1 == fast >> 63 && bucket.load(ended) == ends
        }
        var counts = ArmCounts(
            completed: UInt32(ends & (1 << 22 - 1)),
            failed: UInt32(ends >> 22 & mask),
            excluded: UInt32(ends >> 43),
            fast0: UInt32(fast & mask),
            fast1: UInt32(fast >> 21 & mask),
            fast2: UInt32(fast >> 42 & mask))
        if !agree { counts.leaveLastPending() }
        return counts
    }
}

extension ArmCounts {
    /// Takes back one completion whose kind is not known yet, so that the bucket does not pass for settled.
    mutating func leaveLastPending() {
        if completed > 0 { completed -= 1 }
        failed = min(failed, completed)
        excluded = min(excluded, completed - failed)
        let good = completed - failed - excluded
        fast0 = min(fast0, good)
        fast1 = min(fast1, good)
        fast2 = min(fast2, good)
    }
}

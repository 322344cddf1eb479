// The evidence ring: 512 buckets of a tick each, 51 seconds, in which a core counts a version's requests
// by the tick they STARTED in. Counting by completion would see fast failures and slow time-outs at
// different moments and take that for a difference between versions.
// Invariants: one writer. A reader gets a bucket of the tick it asked for, or nothing: the writer hides it
// (word 0) while it clears it, and the reader looks at word 0 again after it has read, as in a seqlock whose
// sequence is the tick. The three words that a settled request adds to are told apart by parity bits, so
// that no reader sees a request completed without its speed. Source: guardrails/statistics.md, section 2.

import Synchronization

/// A view onto `byteCount` zeroed bytes of the caller; one writer, readers on any thread.
///
/// A bucket is four cache lines. A request that the split assigned touches the first one alone, once at its
/// start and once at its end; a pinned or copied one touches the second as well, and a long response or a
/// bad request the third and fourth:
///
///     word 0     tick + 1; 0 while nobody may read
///     word 1     weight in force (u32) | threshold 0 (u32)
///     words 2-3  thresholds 1...4
///     word 4     threshold 5 | started, randomised (u32)
///     word 5     randomised, ended: completed | failed << 22 | excluded << 43
///     word 6     randomised, fast:  fast0 | fast1 << 21 | fast2 << 42 | parity of completed << 63
///     word 7     the same for fast3...fast5
///     word 8     started, pinned (u32) | the slots that count keys once, a bit mask (u32)
///     words 9-11 as words 5-7, for pinned
///     words 12-14 as words 5-7, for copied
///     word 15    started, copied (u32) | of them unknown (u32)
///     word 16    known, randomised (u32) | of them renewed (u32)
///     word 17    the same for copied
///     word 18    begun, randomised (u32) | begun, pinned (u32)
///     word 19    unsent, randomised: without an endpoint (u16), overloaded (u16) | the same for pinned
///     word 20    unwritten, randomised (u32) | pinned (u16), copied (u16)
///     word 21    not 2xx, randomised: first | renewed << 21 | known << 42, failures among them
///     words 22, 23  the same for cancels, and for empty answers
///     word 24    rejected | cancelled << 21 | empty << 42, randomised, without the failures
///     words 25-27  as words 21, 23 and 24, for copied; nobody cancels a copy
///     words 28, 29  cancelled beyond the threshold: late0 | late1 << 21 | late2 << 42, late3...; randomised
///     words 30, 31  the same for pinned
///
/// The fields hold 2,097,151 requests per tick and core, twenty million a second: no core gets there.
@frozen public struct EvidenceRing: Sendable {
    @usableFromInline let words: Words
    /// The meter's thresholds, copied into each bucket when it opens.
    @usableFromInline let thresholds: HalfWords

    /// Ticks remembered; a request that ends later than that is not counted any more.
    public static let buckets = 512
    /// Bytes of the ring, 64-byte aligned.
    public static let byteCount = 512 * 256

    /// - Parameters:
    ///   - memory: `byteCount` zeroed bytes, 64-byte aligned, alive as long as this view.
    ///   - thresholds: `ArmCounts.fastSlots` half words, in microseconds, and the mask of the slots that
    ///     count keys once; written by control.
    @inlinable public init(at memory: UnsafeMutableRawPointer, thresholds: HalfWords) {
        words = Words(at: memory)
        self.thresholds = thresholds
    }

    @inlinable init(words: Words, thresholds: HalfWords) {
        self.words = words
        self.thresholds = thresholds
    }

    @inlinable func bucket(_ tick: UInt64) -> Words {
        words.advanced(by: Int(truncatingIfNeeded: tick & 511) &* 32)
    }

    // MARK: The writer

    /// Counts a request that is assigned to this version now.
    ///
    /// - Parameters:
    ///   - tick: now; never earlier than in the call before.
    ///   - weightPPM: the version's own weight in force.
    ///   - isPinned: whether a cohort or a forced version chose it.
    @inlinable public func start(tick: Tick, weightPPM: UInt32, isPinned: Bool) {
        start(tick, weightPPM, half: isPinned ? 16 : 9)
    }

    /// Counts one side of a pair: a request of stable that is copied now, or the copy. `tick` as for `start`.
    @inlinable public func startCopied(tick: Tick, weightPPM: UInt32) {
        start(tick, weightPPM, half: 30)
    }

    @inlinable func start(_ tick: Tick, _ weightPPM: UInt32, half index: Int) {
        let bucket = bucket(tick.number)
        if bucket.load(0) != tick.number &+ 1 { open(bucket, tick: tick, weightPPM: weightPPM) }
        let half = HalfWords(address: bucket.address)
        if half.load(2) != weightPPM { half.store(2, EvidenceBucket.mixed) }
        half.add(index)
    }

    /// Takes a bucket over for a new tick. Once per tick, so it is kept out of line.
    @inline(never) @usableFromInline func open(_ bucket: Words, tick: Tick, weightPPM: UInt32) {
        bucket.store(0, 0)
        atomicMemoryFence(ordering: .releasing)
        let half = HalfWords(address: bucket.address)
        half.store(2, weightPPM)
        for slot in 0..<6 { half.store(3 + slot, thresholds.load(slot)) }
        half.store(9, 0)
        half.store(16, 0)
        half.store(17, thresholds.load(ArmCounts.fastSlots))
        for index in 5..<8 { bucket.store(index, 0) }
        for index in 9..<32 { bucket.store(index, 0) }
        bucket.base[0].store(tick.number &+ 1, ordering: .releasing)
    }

    /// Counts the end of a request in the tick of its start; a bucket that is another tick's by now (the
    /// request took longer than the ring remembers) stays as it is.
    ///
    /// - Parameters:
    ///   - start: the tick that `start(tick:weightPPM:isPinned:)` was given.
    ///   - isPinned: as given at the start.
    ///   - events: what is bad about it beside its latency; most requests: nothing. A failure has every kind
    ///     of event.
    ///   - micros: the latency that guardrails judge.
    ///   - known: what of `keyEvents` is no news of the request's sticky key: it counts as fast in those
    ///     slots; a failure that is none is excluded and counted as known.
    @inlinable public func settle(
        start: Tick, isPinned: Bool, outcome: Outcome, events: KeyEvents, micros: UInt64,
        known: KeyEvents = []
    ) {
        settle(start, isPinned ? .pinned : .randomised, outcome, events, micros, known)
    }

    /// As above, with what `outcome` alone says of the request.
    @inlinable public func settle(
        start: Tick, isPinned: Bool, outcome: Outcome, micros: UInt64, known: KeyEvents = []
    ) {
        settle(
            start: start, isPinned: isPinned, outcome: outcome, events: outcome.events, micros: micros,
            known: known)
    }

    /// Says of a request that is in flight that its response is on its way; once, and `endBegun` before its
    /// `settle`. Parameters as for that.
    @inlinable public func begin(start: Tick, isPinned: Bool) { add(1, to: isPinned ? 37 : 36, start) }

    /// Takes back what `begin` has said, because the request ends.
    @inlinable public func endBegun(start: Tick, isPinned: Bool) { add(.max, to: isPinned ? 37 : 36, start) }

    /// Says of a request that is about to be settled as excluded that it was not sent to the version.
    /// Parameters as for `settle`.
    @inlinable public func countUnsent(start: Tick, isPinned: Bool, isOverloaded: Bool) {
        add(isOverloaded ? 1 &<< 16 : 1, to: isPinned ? 39 : 38, start)
    }

    /// Says of a request that is in flight that it waits to be written to the version: in a queue, or for a
    /// connection; once, and `endWait` when it is written, or before its `settle`.
    @inlinable public func wait(start: Tick, isPinned: Bool) { add(1, to: isPinned ? 41 : 40, start) }

    /// Takes back what `wait` has said.
    @inlinable public func endWait(start: Tick, isPinned: Bool) { add(.max, to: isPinned ? 41 : 40, start) }

    /// As `wait` and `endWait` for one side of a pair.
    @inlinable public func waitCopied(start: Tick) { add(1 &<< 16, to: 41, start) }
    @inlinable public func endWaitCopied(start: Tick) { add(0 &- (1 &<< 16), to: 41, start) }

    /// Adds to a half word of a tick that is remembered. Two fields in one never carry into each other:
    /// neither falls below zero, and a core starts far less than 65,536 requests in a tick.
    @inlinable func add(_ delta: UInt32, to half: Int, _ start: Tick) {
        let bucket = bucket(start.number)
        guard bucket.load(0) == start.number &+ 1 else { return }
        HalfWords(address: bucket.address).add(half, delta)
    }

    /// Counts the end of one side of a pair in the tick of its `startCopied`.
    ///
    /// - Parameters:
    ///   - isUnknown: what came of it will never be known, and the pair's other side counts: whoever reads it
    ///     assumes what speaks against their bet. `outcome` and `micros` mean nothing then.
    @inlinable public func settleCopied(
        start: Tick, outcome: Outcome, events: KeyEvents, micros: UInt64, known: KeyEvents = [],
        isUnknown: Bool = false
    ) {
        guard isUnknown else { return settle(start, .copied, outcome, events, micros, known) }
        let bucket = bucket(start.number)
        guard bucket.load(0) == start.number &+ 1 else { return }
        HalfWords(address: bucket.address).add(31)
        bucket.release(12, 1)
        bucket.release(13, 1 &<< 63)
        bucket.release(14, 1 &<< 63)
    }

    /// As above, with what `outcome` alone says of the request.
    @inlinable public func settleCopied(
        start: Tick, outcome: Outcome, micros: UInt64, known: KeyEvents = [], isUnknown: Bool = false
    ) {
        settleCopied(
            start: start, outcome: outcome, events: outcome.events, micros: micros, known: known,
            isUnknown: isUnknown)
    }

    @inlinable func settle(
        _ start: Tick, _ arm: Arm, _ outcome: Outcome, _ events: KeyEvents, _ micros: UInt64,
        _ known: KeyEvents
    ) {
        let bucket = bucket(start.number)
        guard bucket.load(0) == start.number &+ 1 else { return }
        let half = HalfWords(address: bucket.address)
        let isRepeated = events.intersection(known).contains(.failure)
        let failed: UInt64 = events.contains(.failure) && !isRepeated ? 1 : 0
        let excluded: UInt64 = outcome.isExcluded || isRepeated ? 1 : 0
        let good = 1 &- failed &- excluded
        // Before the words that say that it has ended, so that whoever sees those sees this.
        if !events.isEmpty { count(events, bucket, arm, micros, known) }
        // A key's slow request that is no news is fast, also if it failed.
        let repeated = excluded == 0 ? known.rawValue : 0
        // Releasing, so that a reader who sees one of these stores sees all before it as well: the words
        // are never more than one request apart, which is what the parity bits can tell.
        let ended = arm.ended
        bucket.release(ended, 1 | failed &<< 22 | excluded &<< 43)
        bucket.release(ended &+ 1, speed(half, micros, good, repeated, slot: 0))
        bucket.release(ended &+ 2, speed(half, micros, good, repeated, slot: 3))
    }

    /// Counts what is bad about a request. Rare, so it is kept out of line.
    @inline(never) @usableFromInline func count(
        _ events: KeyEvents, _ bucket: Words, _ arm: Arm, _ micros: UInt64, _ known: KeyEvents
    ) {
        let half = HalfWords(address: bucket.address)
        if events.contains(.failure), known.contains(.failure), let again = arm.again {
            half.add(again)
            if !known.contains(.failedLately) { half.add(again &+ 1) }
        }
        count(.rejected, of: events, bucket, arm, known)
        count(.cancelled, of: events, bucket, arm, known)
        count(.empty, of: events, bucket, arm, known)
        guard events == .cancelled, let late = arm.late else { return }
        for slot in 0..<ArmCounts.fastSlots {
            let threshold = half.load(3 &+ slot)
            guard threshold > 0, micros > UInt64(threshold), !known.contains(.slow(slot)) else { continue }
            bucket.add(late &+ slot / 3, 1 &<< UInt64(21 &* (slot % 3)))
        }
    }

    /// Counts one kind of event, if it is there; a request that failed is one of the kind and not of the kind
    /// alone.
    @usableFromInline func count(
        _ kind: BadEvent, of events: KeyEvents, _ bucket: Words, _ arm: Arm, _ known: KeyEvents
    ) {
        guard events.contains(KeyEvents(kind)), let word = arm.word(of: kind) else { return }
        let isNews = !known.contains(KeyEvents(kind))
        let isRenewed = !known.contains(KeyEvents(lately: kind))
        bucket.add(word, isNews ? 1 : 1 &<< 42 | (isRenewed ? 1 &<< 21 : 0))
        guard !events.contains(.failure), let totals = arm.totals else { return }
        bucket.add(totals, 1 &<< UInt64(21 &* (kind.rawValue &- 1)))
    }

    /// What a request adds to a word of three fast slots: each slot's share is 1 where it is repeated, else
    /// `good` or nothing.
    @inlinable func speed(
        _ half: HalfWords, _ micros: UInt64, _ good: UInt64, _ repeated: UInt64, slot: Int
    ) -> UInt64 {
        let bits = repeated &>> UInt64(slot)
        let a = (micros <= UInt64(half.load(3 &+ slot)) ? good : 0) | bits & 1
        let b = (micros <= UInt64(half.load(4 &+ slot)) ? good : 0) | bits &>> 1 & 1
        let c = (micros <= UInt64(half.load(5 &+ slot)) ? good : 0) | bits &>> 2 & 1
        return a | b &<< 21 | c &<< 42 | 1 &<< 63
    }

    /// What a request that ends now would tell of its sticky key, if it is the key's first of that kind. A
    /// failed request is slow as well, and a cancelled one where it has taken too long already. Slowness is
    /// nothing where the tick is forgotten.
    ///
    /// - Parameters:
    ///   - start: as for `settle`.
    ///   - events: as for `settle`.
    @inlinable public func keyEvents(
        start: Tick, outcome: Outcome, events: KeyEvents, micros: UInt64
    ) -> KeyEvents {
        guard !outcome.isExcluded || !events.isEmpty else { return [] }
        let bucket = bucket(start.number)
        let isKept = bucket.load(0) == start.number &+ 1
        let half = HalfWords(address: bucket.address)
        let isFailure = events.contains(.failure)
        var slow: UInt64 = 0
        for slot in 0..<ArmCounts.fastSlots {
            let threshold = half.load(3 &+ slot)
            let isSlow = threshold > 0 && (isFailure || micros > UInt64(threshold))
            slow |= (isSlow ? 1 : 0) &<< UInt64(slot)
        }
        // The second line is looked at for slow requests only.
        if slow != 0 { slow = isKept ? slow & UInt64(half.load(17)) : 0 }
        return KeyEvents(rawValue: slow).union(events)
    }

    /// As above, with what `outcome` alone says of the request.
    @inlinable public func keyEvents(start: Tick, outcome: Outcome, micros: UInt64) -> KeyEvents {
        keyEvents(start: start, outcome: outcome, events: outcome.events, micros: micros)
    }
}

/// Which of a version's requests a count is of, and where in a bucket it lies.
@usableFromInline enum Arm: Sendable {
    case randomised, pinned, copied

    @inlinable var ended: Int {
        switch self {
        case .randomised: 5
        case .pinned: 9
        case .copied: 12
        }
    }

    /// The half words of a key's repeated failures; pinned requests have no keys.
    @usableFromInline var again: Int? {
        switch self {
        case .randomised: 32
        case .pinned: nil
        case .copied: 34
        }
    }

    /// The word of an event beside failures: nil where nobody counts it.
    @usableFromInline func word(of event: BadEvent) -> Int? {
        switch (self, event) {
        case (.randomised, .rejected): 21
        case (.randomised, .cancelled): 22
        case (.randomised, .empty): 23
        case (.copied, .rejected): 25
        case (.copied, .empty): 26
        case (_, .failure), (.copied, .cancelled), (.pinned, _): nil
        }
    }

    @usableFromInline var totals: Int? {
        switch self {
        case .randomised: 24
        case .pinned: nil
        case .copied: 27
        }
    }

    /// The first of the two words of cancelled requests that were slow.
    @usableFromInline var late: Int? {
        switch self {
        case .randomised: 28
        case .pinned: 30
        case .copied: nil
        }
    }
}

// MARK: - Readers

extension EvidenceRing {
    /// The bucket of `tick`; nil when no request started in it or it has been overwritten. Any thread.
    public func read(_ tick: Tick) -> EvidenceBucket? {
        let bucket = bucket(tick.number)
        let sequence = tick.number &+ 1
        // The last tick of all has no sequence of its own; no clock gets there.
        guard sequence != 0, bucket.base[0].load(ordering: .acquiring) == sequence else { return nil }
        let half = HalfWords(address: bucket.address)
        var result = EvidenceBucket(tick: tick, weightPPM: half.load(2))
        for slot in 0..<ArmCounts.fastSlots { result.thresholds[slot] = half.load(3 + slot) }
        result.randomised = settled(bucket, ended: Arm.randomised.ended)
        result.pinned = settled(bucket, ended: Arm.pinned.ended)
        result.copied = settled(bucket, ended: Arm.copied.ended)
        result.copied.unknown = half.load(31)
        result.randomised.addKnown(half.load(32), renewed: half.load(33))
        result.copied.addKnown(half.load(34), renewed: half.load(35))
        result.randomised.addEvents(bucket, .randomised)
        result.pinned.addEvents(bucket, .pinned)
        result.copied.addEvents(bucket, .copied)
        // Started is read after completed: a request starts before it ends, so nothing is completed that
        // has not started.
        result.randomised.started = half.load(9)
        result.pinned.started = half.load(16)
        result.copied.started = half.load(30)
        result.randomised.addPending(begun: half.load(36), unwritten: half.load(40))
        result.pinned.addPending(begun: half.load(37), unwritten: half.load(41) & 0xFFFF)
        result.copied.addPending(begun: 0, unwritten: half.load(41) >> 16)
        result.randomised.addUnsent(half.load(38))
        result.pinned.addUnsent(half.load(39))
        atomicMemoryFence(ordering: .acquiring)
        return bucket.load(0) == sequence ? result : nil
    }

    /// One arm's ended requests, each counted in all its words or in none.
    private func settled(_ bucket: Words, ended: Int) -> ArmCounts {
        var ends: UInt64 = 0
        var low: UInt64 = 0
        var high: UInt64 = 0
        var agree = false
        // The writer is between its stores for a nanosecond. A writer that loses its CPU just there would
        // keep us here, so the attempts are bounded.
        var attempts = 0
        while !agree && attempts < 100_000 {
            attempts += 1
            ends = bucket.base[ended].load(ordering: .acquiring)
            low = bucket.base[ended + 1].load(ordering: .acquiring)
            high = bucket.base[ended + 2].load(ordering: .acquiring)
            agree = ends & 1 == low >> 63 && ends & 1 == high >> 63 && bucket.load(ended) == ends
        }
        let mask: UInt64 = 1 << 21 - 1
        var counts = ArmCounts()
        counts.completed = UInt32(ends & (1 << 22 - 1))
        counts.failed = UInt32(ends >> 22 & mask)
        counts.excluded = UInt32(ends >> 43)
        counts.fast0 = UInt32(low & mask)
        counts.fast1 = UInt32(low >> 21 & mask)
        counts.fast2 = UInt32(low >> 42 & mask)
        counts.fast3 = UInt32(high & mask)
        counts.fast4 = UInt32(high >> 21 & mask)
        counts.fast5 = UInt32(high >> 42 & mask)
        if !agree { counts.leaveLastPending(once: HalfWords(address: bucket.address).load(17)) }
        return counts
    }
}

extension ArmCounts {
    /// At most as many as are excluded: what was read later may count a request that has not ended yet.
    fileprivate mutating func addKnown(_ count: UInt32, renewed first: UInt32) {
        known = min(count, excluded)
        renewed = min(first, known)
    }

    /// What is bad about the requests that have ended; what was read later may count one that has not.
    fileprivate mutating func addEvents(_ bucket: Words, _ arm: Arm) {
        let mask: UInt64 = 1 << 21 - 1
        func fields(_ index: Int?) -> (UInt32, UInt32, UInt32) {
            guard let index else { return (0, 0, 0) }
            let word = bucket.load(index)
            return (UInt32(word & mask), UInt32(word >> 21 & mask), UInt32(word >> 42 & mask))
        }
        func counts(_ kind: BadEvent) -> EventCounts {
            let (first, renewed, known) = fields(arm.word(of: kind))
            let most = min(known, completed)
            return EventCounts(first: min(first, completed), renewed: min(renewed, most), known: most)
        }
        (rejections, cancels, empties) = (counts(.rejected), counts(.cancelled), counts(.empty))
        (rejected, cancelled, empty) = fields(arm.totals)
        let answered = completed - excluded - failed
        (rejected, cancelled, empty) = (
            min(rejected, answered), min(cancelled, excluded), min(empty, answered)
        )
        guard let first = arm.late else { return }
        let (a, b) = (fields(first), fields(first + 1))
        late = SIMD8(a.0, a.1, a.2, b.0, b.1, b.2, 0, 0)
        late.replace(with: SIMD8(repeating: excluded), where: late .> excluded)
    }

    /// At most as many as are pending, for the same reason.
    fileprivate mutating func addPending(begun started: UInt32, unwritten waiting: UInt32) {
        begun = min(started, pending)
        unwritten = min(waiting, pending - begun)
    }

    /// Without an endpoint in the low half, overloaded in the high one; at most as many as are excluded.
    fileprivate mutating func addUnsent(_ counts: UInt32) {
        unsent = min(counts & 0xFFFF + counts >> 16, excluded - known)
        overloaded = min(counts >> 16, unsent)
    }

    /// Takes back one completion whose kind is not known yet, so that the bucket does not pass for settled.
    /// - Parameter once: the slots that count keys once.
    mutating func leaveLastPending(once: UInt32) {
        if completed > 0 { completed -= 1 }
        failed = min(failed, completed)
        excluded = min(excluded, completed - failed)
        let (answered, failed) = (completed - excluded, failed)
        func bound(_ fast: UInt32, _ slot: UInt32) -> UInt32 {
            min(fast, once >> slot & 1 != 0 ? answered : answered - failed)
        }
        fast0 = bound(fast0, 0)
        fast1 = bound(fast1, 1)
        fast2 = bound(fast2, 2)
        fast3 = bound(fast3, 3)
        fast4 = bound(fast4, 4)
        fast5 = bound(fast5, 5)
    }
}

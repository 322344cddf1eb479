// One version on one core: everything that is counted about its exchanges, in one piece of memory that the
// caller owns. The core is the only writer of all but the thresholds, which control writes.
// Invariant: the words are laid out by who touches them together (see `VersionMeter`), and memory behind
// what never happens is never touched.

/// Why a request that was to go to one version went to stable.
public enum FallbackReason: UInt8, CaseIterable, Sendable {
    /// The version had no usable endpoint.
    case noEndpoint
    /// The version's bound on requests in flight and its queue were full.
    case overloaded
    /// The version had been cut, the plan that says so had not arrived yet.
    case cut

    /// The reason's word in metrics.
    public var label: String {
        switch self {
        case .noEndpoint: "no_endpoint"
        case .overloaded: "overloaded"
        case .cut: "cut"
        }
    }
}

/// Why a shadow copy was not sent, or was given up.
public enum ShadowDrop: UInt8, CaseIterable, Sendable {
    /// The bound on copies in flight was reached.
    case inFlight
    /// The request's body is larger than the shadow's bound.
    case bodyTooLarge
    /// The buffer pool ran low; shadows go first.
    case buffers
    /// No connection to be had.
    case connections
    /// The shadow's version has no usable endpoint.
    case noEndpoint
    /// The copy grew older than its bound.
    case aged
    /// The client went away before its request was complete.
    case clientGone
    /// The request was refused, or cannot be copied (an upgrade).
    case notEligible

    /// The reason's word in metrics.
    public var label: String {
        switch self {
        case .inFlight: "in_flight"
        case .bodyTooLarge: "body_too_large"
        case .buffers: "buffers"
        case .connections: "connections"
        case .noEndpoint: "no_endpoint"
        case .aged: "aged"
        case .clientGone: "client_gone"
        case .notEligible: "not_eligible"
        }
    }
}

/// A view onto `byteCount` zeroed bytes of the caller. Counts belong to the version **assigned**, whoever
/// answered in the end; shadow counts to the version the copy was sent to.
///
/// A plain exchange (random split, 2xx, success, four times) touches lines 0 and 1, one line of the evidence
/// ring, and the bin of each time:
///
///     line 0     started, bytes in, bytes out, 2xx, 3xx, 4xx, 5xx, success
///     line 1     sum and maximum of each of the four times
///     lines 2-3  retries, shielded, mended; sum and maximum of the time to connect
///     line 4     thresholds, the slots that count keys once, fallbacks by reason, other statuses
///     line 5     empty answers
///     line 7     what stable's answers to shielded requests came to
///     lines 8-14 shadow: outcomes, sent, drops by reason, its latency's totals
///     lines 16-19 the other outcomes
///     byte 2,048 the sketch of sticky keys
///     byte 4,096 the evidence ring, and after it the bins of the six histograms
@frozen public struct VersionMeter: Sendable {
    @usableFromInline let words: Words

    /// Bytes of a meter, a multiple of 4,096. Most of them are bins that are never touched.
    public static let byteCount = (binsOffset + 6 * Histogram.binBytes + 4_095) / 4_096 * 4_096
    @usableFromInline static let sketchOffset = 2_048
    @usableFromInline static let ringOffset = 4_096
    @usableFromInline static let binsOffset = 4_096 + 512 * 256
    /// Words from one histogram's bins to the next one's.
    @usableFromInline static let binWords = 4_616

    // Word indices, each an offset in the table above.
    @usableFromInline static let startedWord = 0
    @usableFromInline static let bytesInWord = 1
    @usableFromInline static let bytesOutWord = 2
    /// 2xx; 3xx, 4xx and 5xx follow.
    @usableFromInline static let statusWord = 3
    /// Outcome 0, which is success; the rest has lines of its own: 128...159.
    @usableFromInline static let successWord = 7
    @usableFromInline static let timesWord = 8
    @usableFromInline static let retriesWord = 16
    @usableFromInline static let shieldedWord = 17
    @usableFromInline static let mendedWord = 18
    @usableFromInline static let connectTimesWord = 24
    /// Six half words from here, and one for the mask of the slots that count keys once.
    @usableFromInline static let thresholdsWord = 32
    @usableFromInline static let fallbackWord = 36
    @usableFromInline static let otherStatusWord = 39
    @usableFromInline static let unreachedWord = 61
    @usableFromInline static let rescuedWord = 62
    @usableFromInline static let unrescuedWord = 63
    @usableFromInline static let emptyWord = 41
    @usableFromInline static let shadowOutcomeWord = 64
    @usableFromInline static let shadowSentWord = 96
    @usableFromInline static let shadowDropWord = 97
    @usableFromInline static let shadowTimesWord = 112
    @usableFromInline static let outcomeWord = 128

    /// - Parameter memory: `byteCount` zeroed bytes, 64-byte aligned, alive as long as any copy of this view.
    @inlinable public init(at memory: UnsafeMutableRawPointer) {
        words = Words(at: memory)
    }

    // MARK: Exchanges

    /// An exchange was assigned to this version.
    @inlinable public func start(tick: Tick, weightPPM: UInt32, isPinned: Bool) {
        words.add(Self.startedWord)
        evidence.start(tick: tick, weightPPM: weightPPM, isPinned: isPinned)
    }

    /// That exchange ended. Once for each `start`.
    ///
    /// - Parameters:
    ///   - start: the tick given to `start`.
    ///   - nanos: the latency that guardrails judge.
    @inlinable public func settle(start: Tick, isPinned: Bool, outcome: Outcome, nanos: UInt64) {
        count(outcome)
        evidence.settle(start: start, isPinned: isPinned, outcome: outcome, micros: nanos / 1_000)
    }

    /// Counts an outcome alone, for callers that keep the evidence themselves.
    @inlinable public func count(_ outcome: Outcome) {
        // success is raw value 0 and has its place in line 0; the others have theirs in lines 16 to 19.
        let raw = Int(outcome.rawValue)
        words.add(raw == 0 ? Self.successWord : Self.outcomeWord &+ raw &- 1)
    }

    /// Counts the status of a final response, any number an upstream may send; 1xx and beyond 5xx share a
    /// word.
    @inlinable public func countStatus(_ status: UInt16) {
        let `class` = Int(status / 100)
        words.add(`class` &- 2 >= 0 && `class` <= 5 ? Self.statusWord &+ `class` &- 2 : Self.otherStatusWord)
    }

    /// Counts body and head bytes read from the client and written to it.
    @inlinable public func countBytes(in received: UInt64, out sent: UInt64) {
        words.add(Self.bytesInWord, received)
        words.add(Self.bytesOutWord, sent)
    }

    /// Counts one more attempt on the same version.
    @inlinable public func countRetry() { words.add(Self.retriesWord) }

    /// Counts a failure of this version for which stable was asked in its place.
    @inlinable public func countShielded() { words.add(Self.shieldedWord) }

    /// Counts a request that ended well for its user although its first attempt failed.
    @inlinable public func countMended() { words.add(Self.mendedWord) }

    /// Counts what became of a shielded request: whether stable had an answer that is no failure.
    @inlinable public func countRescue(_ isRescued: Bool) {
        words.add(isRescued ? Self.rescuedWord : Self.unrescuedWord)
    }

    /// Counts a shielded request that did not reach stable: it was not sent, or nobody took the connection.
    @inlinable public func countUnreached() { words.add(Self.unreachedWord) }

    /// Counts a 2xx answer without a body where there may be one.
    @inlinable public func countEmpty() { words.add(Self.emptyWord) }

    /// Counts a request of this version that went to stable from the start.
    @inlinable public func countFallback(_ reason: FallbackReason) {
        words.add(Self.fallbackWord &+ Int(reason.rawValue))
    }

    /// Counts one of the exchange's times.
    @inlinable public func record(_ kind: TimeKind, nanos: UInt64) { histogram(kind).record(nanos: nanos) }

    /// The histogram of one time.
    @inlinable public func histogram(_ kind: TimeKind) -> Histogram {
        let index = Int(kind.rawValue)
        return Histogram(
            totals: words.advanced(
                by: kind == .connect ? Self.connectTimesWord : Self.timesWord &+ 2 &* index),
            bins: words.advanced(by: Self.binsOffset / 8 &+ index &* Self.binWords))
    }

    /// The requests by the tick they started in.
    @inlinable public var evidence: EvidenceRing {
        EvidenceRing(
            words: words.advanced(by: Self.ringOffset / 8),
            thresholds: HalfWords(address: words.advanced(by: Self.thresholdsWord).address))
    }

    /// The different sticky keys of the requests assigned to this version.
    @inlinable public var keys: KeySketch {
        KeySketch(words: words.advanced(by: Self.sketchOffset / 8))
    }

    // MARK: Shadow copies sent to this version

    @inlinable public func countShadowSent() { words.add(Self.shadowSentWord) }

    /// A copy was answered, or failed; `nanos` from its first byte sent to its last byte read.
    @inlinable public func settleShadow(_ outcome: Outcome, nanos: UInt64) {
        words.add(Self.shadowOutcomeWord &+ Int(outcome.rawValue))
        shadowHistogram.record(nanos: nanos)
    }

    @inlinable public func countShadowDrop(_ reason: ShadowDrop) {
        words.add(Self.shadowDropWord &+ Int(reason.rawValue))
    }

    @inlinable public var shadowHistogram: Histogram {
        Histogram(
            totals: words.advanced(by: Self.shadowTimesWord),
            bins: words.advanced(by: Self.binsOffset / 8 &+ 5 &* Self.binWords))
    }

    // MARK: Control's side

    /// Sets a latency threshold for the buckets that open from now on. Control writes this and the mask of
    /// `countKeysOnce`, nothing else.
    ///
    /// - Parameters:
    ///   - slot: 0..<`ArmCounts.fastSlots`.
    ///   - micros: within it a request is fast; 0 unsets.
    public func setThreshold(_ slot: Int, micros: UInt32) {
        precondition((0..<ArmCounts.fastSlots).contains(slot), "a meter has six thresholds")
        HalfWords(address: words.address).store(Self.thresholdsWord * 2 + slot, micros)
    }

    /// Says which slots count a sticky key's slow requests once per rollout, in buckets that open from now
    /// on.
    public func countKeysOnce(_ slots: KeyEvents) {
        HalfWords(address: words.address).store(
            Self.thresholdsWord * 2 + ArmCounts.fastSlots, UInt32(truncatingIfNeeded: slots.rawValue & 63))
    }
}

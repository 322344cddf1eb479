// What one arm's requests of one start bucket came to. The fast slots count requests that ended well within
// a latency threshold that was frozen when the bucket opened; two slots serve one relative latency
// guardrail (one for the evidence, one for the size of the effect), so six serve three quantiles. A slot that
// counts sticky keys once takes a key's later slow requests, failed ones too, for fast.
// Invariant: failed + excluded <= completed <= started; every fast slot <= completed - excluded, and where it
// does not count keys once, <= completed - failed - excluded, as are rejected and empty; renewed <= known,
// cancelled, every late slot and overloaded <= unsent are <= excluded; begun + unwritten <= pending.
// Source: guardrails/statistics.md, section 2.

/// Requests of one kind of bad event, failures among them. Of a sticky key's events in a rollout the first is
/// told from its others; without sticky keys every one is a first. Additive.
public struct EventCounts: Sendable, Hashable {
    /// The first of their keys.
    public var first: UInt32 = 0
    /// The others, and of these the first of their key in a minute.
    public var known: UInt32 = 0
    public var renewed: UInt32 = 0

    @inlinable public init(first: UInt32 = 0, renewed: UInt32 = 0, known: UInt32 = 0) {
        self.first = first
        self.renewed = renewed
        self.known = known
    }

    @inlinable public static func += (a: inout EventCounts, b: EventCounts) {
        a.first &+= b.first
        a.known &+= b.known
        a.renewed &+= b.renewed
    }
}

/// Counts of the requests that one version was assigned in one tick, by their start time. Additive.
public struct ArmCounts: Sendable, Hashable {
    /// Latency thresholds that a bucket can carry.
    public static let fastSlots = 6

    /// Requests assigned.
    public var started: UInt32 = 0
    /// Requests that have an outcome, the failed and the excluded ones included.
    public var completed: UInt32 = 0
    /// Requests whose outcome blames the version.
    public var failed: UInt32 = 0
    /// Requests whose outcome says nothing about the version.
    public var excluded: UInt32 = 0
    /// Requests without an outcome so far whose response is on its way: at most `pending`.
    public var begun: UInt32 = 0
    /// Failed requests whose sticky key had failed before in the rollout: excluded from comparisons, because
    /// the key was the coin, and failures all the same. Part of `excluded`.
    public var known: UInt32 = 0
    /// Of these the first of their key in a minute: a key's failure, once a minute.
    public var renewed: UInt32 = 0
    /// Requests of pairs that ended without anybody knowing how, while the pair's other side counts:
    /// completed and neither failed, excluded nor fast. Copied ones only.
    public var unknown: UInt32 = 0
    /// Bad events of each kind, failures among them: not 2xx, cancels, empty answers.
    public var rejections = EventCounts()
    public var cancels = EventCounts()
    public var empties = EventCounts()
    /// The same requests without the failures, keys or not: answered with 3xx or 4xx, cancelled by the client
    /// (these are excluded), answered with an empty 2xx.
    public var rejected: UInt32 = 0
    public var cancelled: UInt32 = 0
    public var empty: UInt32 = 0
    /// Of the cancelled ones those that had taken longer than each slot's threshold: they are excluded, and
    /// slow all the same. The two lanes beyond the slots are 0.
    public var late: SIMD8<UInt32> = .zero
    /// Requests that were not sent to the version, because it had no usable endpoint or was overloaded. Part
    /// of `excluded`.
    public var unsent: UInt32 = 0
    /// Of these the ones that met a bound on requests in flight and a full queue.
    public var overloaded: UInt32 = 0
    /// Requests without an outcome that wait in a queue, or for a connection to open: the version has not
    /// seen them, and has been neither fast nor slow with them.
    public var unwritten: UInt32 = 0
    /// Requests that neither failed nor were excluded and took at most the slot's threshold; in a slot that
    /// counts keys once also those whose key had been slow before.
    public var fast0: UInt32 = 0
    public var fast1: UInt32 = 0
    public var fast2: UInt32 = 0
    public var fast3: UInt32 = 0
    public var fast4: UInt32 = 0
    public var fast5: UInt32 = 0

    @inlinable public init() {}

    /// The count of fast slot `slot`, 0..<`fastSlots`.
    @inlinable public func fast(_ slot: Int) -> UInt32 {
        switch slot {
        case 0: fast0
        case 1: fast1
        case 2: fast2
        case 3: fast3
        case 4: fast4
        case 5: fast5
        default: preconditionFailure("no fast slot \(slot)")
        }
    }

    /// The bad events of a kind; of failures those that are told apart by `failed`, `known` and `renewed`.
    @inlinable public subscript(_ event: BadEvent) -> EventCounts {
        get {
            switch event {
            case .failure: EventCounts(first: failed, renewed: renewed, known: known)
            case .rejected: rejections
            case .cancelled: cancels
            case .empty: empties
            }
        }
        set {
            switch event {
            case .failure: (failed, renewed, known) = (newValue.first, newValue.renewed, newValue.known)
            case .rejected: rejections = newValue
            case .cancelled: cancels = newValue
            case .empty: empties = newValue
            }
        }
    }

    /// Requests of a kind without the failures among them; of failures all.
    @inlinable public func alone(_ event: BadEvent) -> UInt32 {
        switch event {
        case .failure: failed &+ known
        case .rejected: rejected
        case .cancelled: cancelled
        case .empty: empty
        }
    }

    /// Requests without an outcome so far; never negative, also when read while being written.
    @inlinable public var pending: UInt32 { started > completed ? started &- completed : 0 }

    /// Requests without an outcome that the version has got and has not begun to answer.
    @inlinable public var silent: UInt32 {
        let known = begun &+ unwritten
        return pending > known ? pending &- known : 0
    }

    /// Sums the counts of two cores, or of two arms.
    @inlinable public static func += (a: inout ArmCounts, b: ArmCounts) {
        a.started &+= b.started
        a.completed &+= b.completed
        a.failed &+= b.failed
        a.excluded &+= b.excluded
        a.begun &+= b.begun
        a.known &+= b.known
        a.renewed &+= b.renewed
        a.unknown &+= b.unknown
        a.rejections += b.rejections
        a.cancels += b.cancels
        a.empties += b.empties
        a.rejected &+= b.rejected
        a.cancelled &+= b.cancelled
        a.empty &+= b.empty
        a.late &+= b.late
        a.unsent &+= b.unsent
        a.overloaded &+= b.overloaded
        a.unwritten &+= b.unwritten
        a.fast0 &+= b.fast0
        a.fast1 &+= b.fast1
        a.fast2 &+= b.fast2
        a.fast3 &+= b.fast3
        a.fast4 &+= b.fast4
        a.fast5 &+= b.fast5
    }
}

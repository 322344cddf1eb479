// What one arm's requests of one start bucket came to. The fast slots count requests that ended well within
// a latency threshold that was frozen when the bucket opened; two slots serve one relative latency
// guardrail (one for the evidence, one for the size of the effect), so six serve three quantiles. A slot that
// counts sticky keys once takes a key's later slow requests, failed ones too, for fast.
// Invariant: failed + excluded <= completed <= started; every fast slot <= completed - excluded, and where it
// does not count keys once, <= completed - failed - excluded; renewed <= known <= excluded.
// Source: guardrails/statistics.md, section 2.

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

    /// Requests without an outcome so far; never negative, also when read while being written.
    @inlinable public var pending: UInt32 { started > completed ? started &- completed : 0 }

    /// Requests without an outcome and without a response on its way.
    @inlinable public var silent: UInt32 { pending > begun ? pending &- begun : 0 }

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
        a.fast0 &+= b.fast0
        a.fast1 &+= b.fast1
        a.fast2 &+= b.fast2
        a.fast3 &+= b.fast3
        a.fast4 &+= b.fast4
        a.fast5 &+= b.fast5
    }
}

// Which weights were in force in which tick: known from when plans were published and obeyed, not from the
// requests that happened to come. A tick in which a plan was under way has no split.
// Source: guardrails/statistics.md, section 2 (weights are read per request, mixed ticks are dropped).

import Metrics

/// The splits of one candidate and stable over the last minute. Control tells it of every publication.
public struct SplitHistory: Sendable, Hashable {
    /// One split and the whole ticks in which every core obeyed it.
    private struct Segment: Sendable, Hashable {
        var split: PairSplit
        var from: UInt64
        /// The first tick that is not covered any more.
        var until: UInt64 = .max
    }

    private var segments: [Segment] = []
    /// What has been published and is not obeyed by every core yet.
    private var underWay: PairSplit?

    public init() {}

    /// A plan with this split is being published in tick `now`; call it before publishing. Nothing changes
    /// when the split is the one in force.
    public mutating func publish(_ split: PairSplit, at now: Tick) {
        let last = segments.count - 1
        if underWay == nil, last >= 0, segments[last].split == split { return }
        underWay = split
        guard last >= 0, segments[last].until == .max else { return }
        segments[last].until = now.number
        segments.removeAll { $0.until <= $0.from || $0.until + 600 < now.number }
    }

    /// Every core obeys the last published plan, as seen in tick `now`.
    public mutating func obeyed(at now: Tick) {
        guard let split = underWay else { return }
        underWay = nil
        segments.append(Segment(split: split, from: now.number + 1))
    }

    /// The split in force during all of `tick` on every core; nil when there was none.
    public func split(at tick: Tick) -> PairSplit? {
        segments.last { $0.from <= tick.number && tick.number < $0.until }?.split
    }
}

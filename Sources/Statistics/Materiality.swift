// Is a proven difference also large enough to act on? Estimates are stratified by epoch (Mantel-Haenszel),
// never pooled over weights: pooling turns a common outage during a ramp into a difference (Simpson).
// A stage-cumulative estimate alone would hide a late regression behind a long healthy time, recent windows
// alone fire on noise: so the stage's estimate counts as it is, and a recent window's less 3 standard errors.
// Source: guardrails/statistics.md, section 4.1.

import Glibc

/// Requests and bad events of both versions in one epoch. Additive.
public struct EpochCounts: Sendable, Hashable, Codable {
    public var candidateRequests: Int
    public var candidateEvents: Int
    public var stableRequests: Int
    public var stableEvents: Int

    public init(
        candidateRequests: Int = 0, candidateEvents: Int = 0, stableRequests: Int = 0, stableEvents: Int = 0
    ) {
        self.candidateRequests = candidateRequests
        self.candidateEvents = candidateEvents
        self.stableRequests = stableRequests
        self.stableEvents = stableEvents
    }

    public static func += (a: inout EpochCounts, b: EpochCounts) {
        a.candidateRequests += b.candidateRequests
        a.candidateEvents += b.candidateEvents
        a.stableRequests += b.stableRequests
        a.stableEvents += b.stableEvents
    }
}

/// Sums over epochs from which every estimate follows, so that a stage of any length is a few numbers.
public struct StratifiedCounts: Sendable, Hashable, Codable {
    /// All epochs pooled: for counts and standard errors, not for estimates.
    public private(set) var pooled = EpochCounts()
    public private(set) var ratioNumerator = 0.0
    public private(set) var ratioDenominator = 0.0
    private var differenceSum = 0.0
    private var differenceWeight = 0.0

    public init() {}

    public init(_ epochs: some Sequence<EpochCounts>) {
        for epoch in epochs { add(epoch) }
    }

    /// Adds an epoch as a stratum of its own.
    public mutating func add(_ epoch: EpochCounts) {
        pooled += epoch
        let (n, k) = (Double(epoch.candidateRequests), Double(epoch.candidateEvents))
        let (m, j) = (Double(epoch.stableRequests), Double(epoch.stableEvents))
        guard n + m > 0 else { return }
        ratioNumerator += k * m / (n + m)
        ratioDenominator += j * n / (n + m)
        let weight = n * m / (n + m)
        guard weight > 0 else { return }
        differenceSum += weight * (k / n - j / m)
        differenceWeight += weight
    }

    /// The ratio of the candidate's to stable's rate; nil when stable had no event.
    public var ratio: Double? { ratioDenominator > 0 ? ratioNumerator / ratioDenominator : nil }

    /// The difference of the two rates; nil when the two never met.
    public var difference: Double? { differenceWeight > 0 ? differenceSum / differenceWeight : nil }

    /// ln of the ratio and its standard error; nil when the candidate had no event. Half an event is assumed
    /// where stable had none.
    public var logRatio: (value: Double, error: Double)? {
        guard ratioNumerator > 0 else { return nil }
        let all = Double(pooled.candidateRequests + pooled.stableRequests)
        let denominator =
            ratioDenominator > 0 ? ratioDenominator : 0.5 * Double(pooled.candidateRequests) / all
        let error =
            1 / Double(pooled.candidateEvents) + 1 / max(Double(pooled.stableEvents), 0.5)
        return (log(ratioNumerator / denominator), error.squareRoot())
    }

    /// The standard error of `difference`.
    var differenceError: Double {
        func variance(_ events: Int, _ requests: Int) -> Double {
            guard requests > 0 else { return 0 }
            let p = Double(events) / Double(requests)
            return p * (1 - p) / Double(requests)
        }
        return
            (variance(pooled.candidateEvents, pooled.candidateRequests)
            + variance(pooled.stableEvents, pooled.stableRequests)).squareRoot()
    }
}

/// An epoch's or a moment's counts in half the space or less, saved as `EpochCounts`: a count that came to
/// the end of its type would stay there. `Own` is the candidate's: an epoch ends with the tick in which it
/// comes to a thousand candidate requests, so 16 bits hold one up to 600,000 a second.
private struct PackedCounts<Own>: Sendable, Hashable, Codable
where Own: FixedWidthInteger & UnsignedInteger & Sendable {
    private var candidateRequests: Own = 0
    private var candidateEvents: Own = 0
    private var stableRequests: UInt32 = 0
    private var stableEvents: UInt32 = 0

    init() {}

    init(from decoder: any Decoder) throws { add(try EpochCounts(from: decoder)) }

    func encode(to encoder: any Encoder) throws { try counts.encode(to: encoder) }

    mutating func add(_ more: EpochCounts) {
        candidateRequests = Own(clamping: Int(candidateRequests) + more.candidateRequests)
        candidateEvents = Own(clamping: Int(candidateEvents) + more.candidateEvents)
        stableRequests = UInt32(clamping: Int(stableRequests) + more.stableRequests)
        stableEvents = UInt32(clamping: Int(stableEvents) + more.stableEvents)
    }

    var counts: EpochCounts {
        EpochCounts(
            candidateRequests: Int(candidateRequests), candidateEvents: Int(candidateEvents),
            stableRequests: Int(stableRequests), stableEvents: Int(stableEvents))
    }
}

/// The records that materiality is decided on: the current stage as a whole, and the last 32 epochs.
public struct Materiality: Sendable, Hashable, Codable {
    /// Epochs in the recent windows, the current one included.
    public static let windows = [2, 8, 32]
    /// Standard errors that a recent window's estimate must exceed the threshold by.
    public static let errors = 3.0

    /// Of `candidateSurelyExceeds`: epochs, the nats that prove it (three and a half and five standard
    /// errors), and the requests, and events within the limit, from which on an estimate tells 25 % worse
    /// from 30 %.
    private static let sureWindows = [2, 4, 8, 16, 32]
    private static let nats = 6.0
    private static let momentNats = 12.0
    private static let requestsAsGood = 3_000.0
    private static let eventsAsGood = 400.0

    private var recent = RecentEpochs<32, PackedCounts<UInt16>>(PackedCounts())
    /// The closed epochs of this stage.
    private var closed = StratifiedCounts()
    /// The moment under way, so that a sudden total failure is as large as it is whatever came before. Not
    /// saved, and empty where nobody enters moments.
    private var moment = PackedCounts<UInt32>()
    /// The lower half of its number; not one where nobody enters moments.
    private var momentNumber = UInt32.max

    private enum CodingKeys: String, CodingKey { case recent, closed }

    public init() {}

    /// Says which moment, of a few seconds, the next counts belong to.
    public mutating func enter(moment number: UInt64) {
        let low = UInt32(truncatingIfNeeded: number)
        guard low != momentNumber else { return }
        moment = PackedCounts()
        momentNumber = low
    }

    /// Closes the current epoch; `startsStage` when weights or configuration changed.
    public mutating func newEpoch(startsStage: Bool) {
        if startsStage { closed = StratifiedCounts() } else { closed.add(recent.current.counts) }
        recent.open(PackedCounts())
    }

    /// Adds to the current epoch.
    public mutating func add(_ counts: EpochCounts) {
        recent.current.add(counts)
        if momentNumber != .max { moment.add(counts) }
    }

    /// The current stage.
    public var stage: StratifiedCounts {
        var stage = closed
        stage.add(recent.current.counts)
        return stage
    }

    /// Whether the ratio of the rates is `threshold` or more.
    public func ratioReaches(_ threshold: Double, minEvents: Int) -> Bool {
        first(minEvents) { $0.ratioReaches(threshold, $1) } != nil
    }

    /// Whether the difference of the rates is `threshold` or more.
    public func differenceReaches(_ threshold: Double, minEvents: Int) -> Bool {
        first(minEvents) { $0.differenceReaches(threshold, $1) } != nil
    }

    /// The requests by which ratio and difference of the rates are that large: those by which both are, else,
    /// where each is by others, those of the difference. Nil where one of them is not.
    public func reaching(ratio: Double, difference: Double, minEvents: Int) -> EpochCounts? {
        if let both = first(minEvents, { $0.ratioReaches(ratio, $1) && $0.differenceReaches(difference, $1) })
        {
            return both
        }
        guard ratioReaches(ratio, minEvents: minEvents) else { return nil }
        return first(minEvents) { $0.differenceReaches(difference, $1) }
    }

    /// Whether the candidate's own rate exceeds `threshold`.
    public func candidateExceeds(_ threshold: Double, minEvents: Int) -> Bool {
        exceeding(threshold, minEvents: minEvents) != nil
    }

    /// The requests by which the candidate's own rate exceeds `threshold`; nil where it does not.
    public func exceeding(_ threshold: Double, minEvents: Int) -> EpochCounts? {
        first(minEvents) { $0.candidateExceeds(threshold, $1) }
    }

    /// Whether the candidate's own rate, at a threshold that says how much worse is too much, exceeds
    /// `limit`, 0...1 and both excluded: surely so, or by an estimate that is as good as the rule's words. An
    /// estimate at the limit from a few requests would trip for versions well within it.
    public func candidateSurelyExceeds(_ limit: Double, minEvents: Int) -> Bool {
        surelyExceeding(limit, minEvents: minEvents) != nil
    }

    /// The requests by which it does; nil where it does not.
    public func surelyExceeding(_ limit: Double, minEvents: Int) -> EpochCounts? {
        let enough = max(Materiality.requestsAsGood, Materiality.eventsAsGood / limit)
        func holds(_ counts: EpochCounts, nats: Double) -> Bool {
            guard counts.candidateRequests > 0, counts.candidateEvents >= minEvents else { return false }
            let n = Double(counts.candidateRequests)
            let p = Double(counts.candidateEvents) / n
            return p > limit && (n >= enough || n * FixedTests.divergence(p, limit) >= nats)
        }
        let all = stage.pooled
        if holds(all, nats: Materiality.nats) { return all }
        if holds(moment.counts, nats: Materiality.momentNats) { return moment.counts }
        for window in Materiality.sureWindows {
            var sum = EpochCounts()
            for epoch in recent.last(window) { sum += epoch.counts }
            if holds(sum, nats: Materiality.nats) { return sum }
        }
        return nil
    }

    /// The stage as it is, or a recent window less its errors: the first that passes, with enough events.
    private func first(
        _ minEvents: Int, _ test: (StratifiedCounts, _ errors: Double) -> Bool
    ) -> EpochCounts? {
        func holds(_ counts: StratifiedCounts, _ errors: Double) -> EpochCounts? {
            counts.pooled.candidateEvents >= minEvents && test(counts, errors) ? counts.pooled : nil
        }
        if let found = holds(stage, 0) ?? holds(StratifiedCounts([moment.counts]), Materiality.errors) {
            return found
        }
        for window in Materiality.windows {
            let counts = StratifiedCounts(recent.last(window).lazy.map(\.counts))
            if let found = holds(counts, Materiality.errors) { return found }
        }
        return nil
    }
}

extension StratifiedCounts {
    /// Whether the ratio less so many standard errors is `threshold` or more.
    fileprivate func ratioReaches(_ threshold: Double, _ errors: Double) -> Bool {
        guard let ratio = logRatio else { return false }
        return ratio.value - errors * ratio.error >= log(threshold)
    }

    fileprivate func differenceReaches(_ threshold: Double, _ errors: Double) -> Bool {
        guard let difference else { return false }
        return difference - errors * differenceError >= threshold
    }

    fileprivate func candidateExceeds(_ threshold: Double, _ errors: Double) -> Bool {
        let n = Double(pooled.candidateRequests)
        guard n > 0 else { return false }
        let p = Double(pooled.candidateEvents) / n
        return p - errors * (p * (1 - p) / n).squareRoot() > threshold
    }
}

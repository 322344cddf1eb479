// Means of bounded outcomes: clicks, rewards, confidences, capped costs; candidate against stable, or one
// version against a constant. Settled requests only, in the order of their start.
// Source: guardrails/statistics.md, sections 3.4 and 3.5; Waudby-Smith & Ramdas; Waudby-Smith et al. 2022.

import Glibc

/// The sequential test of a difference of means of an outcome in 0...1.
public struct MeanDifference: Sendable, Hashable, Codable {
    /// What a win proves, with the margin delta >= 0.
    public enum Claim: String, Sendable, Hashable, Codable {
        /// The candidate is higher by more than delta.
        case rise
        /// The candidate is lower by more than delta.
        case drop
        /// The candidate exceeds stable by less than delta: the gate of bad metrics.
        case noninferiorLow
        /// The candidate falls short of stable by less than delta: the gate of good metrics.
        case noninferiorHigh
    }

    /// `count` requests of one version with the same outcome.
    public struct Observation: Sendable, Hashable {
        public var isCandidate: Bool
        /// In 0...1.
        public var value: Double
        public var count: Int

        public init(isCandidate: Bool, value: Double, count: Int) {
            self.isCandidate = isCandidate
            self.value = value
            self.count = count
        }
    }

    public var wealth: Wealth
    private let sign: Double
    private let margin: Double
    private var sum: Double
    private var weight: Double

    /// `priorMean` is stable's mean from before the rollout, worth `priorWeight` requests: any value is
    /// valid, a good one is faster.
    public init(
        _ claim: Claim, delta: Double, priorMean: Double = 0.5, priorWeight: Double = 100,
        restarts: Bool = true
    ) {
        precondition(delta >= 0 && (0...1).contains(priorMean) && priorWeight > 0)
        switch claim {
        case .rise: (sign, margin) = (1, delta)
        case .drop: (sign, margin) = (-1, delta)
        case .noninferiorLow: (sign, margin) = (-1, -delta)
        case .noninferiorHigh: (sign, margin) = (1, -delta)
        }
        sum = priorMean * priorWeight
        weight = priorWeight
        wealth = Wealth(alternatives: BetGrid.fractions.count, restarts: restarts)
    }

    /// The running pooled mean that the next tick is centred on.
    public var centre: Double { sum / weight }

    /// The largest loss of a unit stake at the next tick.
    public func cap(share: Double) -> Double {
        let m = centre
        let worst =
            sign > 0 ? max(m / share, (1 - m) / (1 - share)) : max((1 - m) / share, m / (1 - share))
        return max(worst + margin, 1e-12)
    }

    /// Takes in one tick. `share` as in `RelativeEvents.add`.
    public mutating func add(share: Double, _ observations: [Observation]) {
        let odds = bet(share: share)
        var gains = MeanGains()
        for seen in observations {
            gains.add(odds.gain(seen.value, isCandidate: seen.isCandidate), count: seen.count)
        }
        wealth.apply(gains.sum())
        wealth.latch()
        for seen in observations {
            sum += Double(seen.count) * seen.value
            weight += Double(seen.count)
        }
    }

    /// The same of values as they come, which are clamped to a range of which 0 and 1 are the ends.
    public mutating func add(
        share: Double, candidate: [Double], stable: [Double], in range: ClosedRange<Double>
    ) {
        guard !candidate.isEmpty || !stable.isEmpty else { return }
        let odds = bet(share: share)
        var gains = MeanGains()
        take(candidate, isCandidate: true, odds, range, &gains)
        take(stable, isCandidate: false, odds, range, &gains)
        wealth.apply(gains.sum())
        wealth.latch()
    }

    private mutating func take(
        _ values: [Double], isCandidate: Bool, _ odds: TickBet, _ range: ClosedRange<Double>,
        _ gains: inout MeanGains
    ) {
        let scale = 1 / (range.upperBound - range.lowerBound)
        var tally = ValueTally()
        for value in values {
            let scaled = (min(max(value, range.lowerBound), range.upperBound) - range.lowerBound) * scale
            sum += scaled
            if !tally.take(scaled) { gains.add(odds.gain(scaled, isCandidate: isCandidate), count: 1) }
        }
        weight += Double(values.count)
        for i in 0..<tally.count {
            gains.add(odds.gain(tally.values[i], isCandidate: isCandidate), count: tally.counts[i])
        }
    }

    /// What a tick is bet at: fixed before its outcomes are looked at.
    private struct TickBet {
        var centre: Double
        var sign: Double
        var margin: Double
        var share: Double
        var cap: Double

        func gain(_ value: Double, isCandidate: Bool) -> Double {
            let phi = isCandidate ? (value - centre) / share : -(value - centre) / (1 - share)
            return (sign * phi - margin) / cap
        }
    }

    private func bet(share: Double) -> TickBet {
        precondition(share > 0 && share < 1)
        return TickBet(centre: centre, sign: sign, margin: margin, share: share, cap: cap(share: share))
    }
}

/// The sequential test of one version's mean against a constant.
public struct MeanAbsolute: Sendable, Hashable, Codable {
    /// What a win proves.
    public enum Claim: String, Sendable, Hashable, Codable {
        /// The mean exceeds the constant; outcomes are >= 0 and need no upper bound (cost per request).
        case above
        /// The mean falls short of the constant; outcomes lie in 0...1 (confidence, reward).
        case below
    }

    public var wealth: Wealth
    private let claim: Claim
    private let mean: Double

    /// `mean` is positive, and below 1 for `.below`.
    public init(_ claim: Claim, mean: Double, restarts: Bool = true) {
        precondition(mean > 0 && (claim == .above || mean < 1))
        self.claim = claim
        self.mean = mean
        wealth = Wealth(alternatives: BetGrid.fractions.count, restarts: restarts)
    }

    /// Takes in one tick: `count` requests per distinct `value`.
    public mutating func add(_ observations: [(value: Double, count: Int)]) {
        var gains = MeanGains()
        for (value, count) in observations { gains.add(gain(value), count: count) }
        wealth.apply(gains.sum())
        wealth.latch()
    }

    /// The same of values as they come, clamped to a range.
    public mutating func add(_ values: [Double], in range: ClosedRange<Double>) {
        guard !values.isEmpty else { return }
        var (gains, tally) = (MeanGains(), ValueTally())
        for value in values {
            let value = min(max(value, range.lowerBound), range.upperBound)
            if !tally.take(value) { gains.add(gain(value), count: 1) }
        }
        for i in 0..<tally.count { gains.add(gain(tally.values[i]), count: tally.counts[i]) }
        wealth.apply(gains.sum())
        wealth.latch()
    }

    private func gain(_ value: Double) -> Double {
        switch claim {
        case .above: value / mean - 1
        case .below: (mean - value) / (1 - mean)
        }
    }
}

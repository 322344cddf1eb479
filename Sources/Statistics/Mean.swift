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
        precondition(share > 0 && share < 1)
        let (m, cap) = (centre, cap(share: share))
        var increments = Array(repeating: 0.0, count: BetGrid.fractions.count)
        for seen in observations {
            let phi = seen.isCandidate ? (seen.value - m) / share : -(seen.value - m) / (1 - share)
            let pay = sign * phi - margin
            for k in increments.indices {
                increments[k] += Double(seen.count) * log1p(BetGrid.fractions[k] * pay / cap)
            }
        }
        wealth.add { increments[$0] }
        for seen in observations {
            sum += Double(seen.count) * seen.value
            weight += Double(seen.count)
        }
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
        var increments = Array(repeating: 0.0, count: BetGrid.fractions.count)
        for (value, count) in observations {
            let pay =
                switch claim {
                case .above: value / mean - 1
                case .below: (mean - value) / (1 - mean)
                }
            for k in increments.indices {
                increments[k] += Double(count) * log1p(BetGrid.fractions[k] * pay)
            }
        }
        wealth.add { increments[$0] }
    }
}

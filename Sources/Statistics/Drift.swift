// Drift of a distribution over bins. Against stable by betting on labels: if both versions predict from the
// same distribution, a request in bin b is the candidate's with probability w whatever b, so a drift of the
// traffic itself cannot trip it. Against a pinned reference by universal inference over a ball around it,
// because a finite reference is not the truth.
// Source: guardrails/statistics.md, sections 3.6 and 3.7; Podkopaev & Ramdas 2023; Wasserman et al. 2020.

import Glibc

/// The sequential test of "candidate and stable share one distribution over `bins` bins".
public struct DriftLabel: Sendable, Hashable, Codable {
    /// Four learners of the bins' odds: how strongly they shrink, and whether they forget at epochs.
    public static let learners: [(shrinkage: Double, forgets: Bool)] = [
        (30, false), (300, false), (30, true), (300, true),
    ]

    /// Grants at restarts go through `newEpoch`, which also makes learners forget.
    public private(set) var wealth: Wealth
    /// Counts so far by learner and bin, halved at epochs by those that forget.
    public private(set) var candidateCounts: [[Double]]
    private var stableCounts: [[Double]]

    public init(bins: Int, restarts: Bool = true) {
        precondition(bins >= 2)
        candidateCounts = Array(
            repeating: Array(repeating: 0, count: bins), count: DriftLabel.learners.count)
        stableCounts = candidateCounts
        wealth = Wealth(alternatives: DriftLabel.learners.count, restarts: restarts)
    }

    /// As `Wealth.newEpoch`, under the same condition.
    public mutating func newEpoch() {
        wealth.newEpoch()
        for (j, learner) in DriftLabel.learners.enumerated() where learner.forgets {
            for b in candidateCounts[j].indices {
                candidateCounts[j][b] *= 0.5
                stableCounts[j][b] *= 0.5
            }
        }
    }

    /// What learner `j` holds to be the ratio of the candidate's to stable's probability, by bin.
    public func ratios(learner j: Int) -> [Double] {
        let kappa = DriftLabel.learners[j].shrinkage
        let (candidate, stable) = (candidateCounts[j], stableCounts[j])
        let (c, s) = (candidate.reduce(0, +), stable.reduce(0, +))
        return candidate.indices.map { b in
            let pooled = (candidate[b] + stable[b] + 0.5) / (c + s + 0.5 * Double(candidate.count))
            return ((candidate[b] + kappa * pooled) / (c + kappa))
                / ((stable[b] + kappa * pooled) / (s + kappa))
        }
    }

    /// What the first learner that forgets remembers, in whole counts: about the last two epochs.
    public var recentCounts: (candidate: [Int], stable: [Int]) {
        let j = DriftLabel.learners.firstIndex { $0.forgets } ?? 0
        return (candidateCounts[j].map { Int($0) }, stableCounts[j].map { Int($0) })
    }

    /// Takes in one tick's counts by bin; the bets are those of the ticks before.
    public mutating func add(share: Double, candidate: [Int], stable: [Int]) {
        precondition(share > 0 && share < 1)
        precondition(candidate.count == candidateCounts[0].count && stable.count == candidate.count)
        let odds = share / (1 - share)
        var increments = Array(repeating: 0.0, count: DriftLabel.learners.count)
        for j in increments.indices {
            for (b, ratio) in ratios(learner: j).enumerated() {
                let bet = OddsBet(odds: odds, multiplier: ratio)
                increments[j] += Double(candidate[b]) * bet.hit + Double(stable[b]) * bet.miss
            }
        }
        wealth.add { increments[$0] }
        for j in increments.indices {
            for b in candidate.indices {
                candidateCounts[j][b] += Double(candidate[b])
                stableCounts[j][b] += Double(stable[b])
            }
        }
    }
}

/// The test against a pinned reference, one evidence per stage.
public enum PinnedDrift {
    /// How strongly the mixed alternatives are centred on the reference.
    public static let concentrations: [Double] = [10, 100, 1000]

    /// Probabilities from counts, with `epsilon` added to every bin; strictly positive.
    public static func smooth(_ counts: [Int], epsilon: Double = 0.5) -> [Double] {
        let total = Double(counts.reduce(0, +)) + epsilon * Double(counts.count)
        return counts.map { (Double($0) + epsilon) / total }
    }

    /// Kullback-Leibler divergence in nats.
    public static func divergence(_ p: [Double], from q: [Double]) -> Double {
        zip(p, q).reduce(0) { $1.0 > 0 ? $0 + $1.0 * log($1.0 / $1.1) : $0 }
    }

    /// The most likely probabilities whose divergence from the reference is at most `radius`: a mixture of
    /// the observed shares and the reference. At least one observation.
    public static func likeliest(counts: [Int], reference: [Double], radius: Double) -> [Double] {
        let n = Double(counts.reduce(0, +))
        precondition(n > 0 && counts.count == reference.count)
        let observed = counts.map { Double($0) / n }
        if !observed.contains(0), divergence(reference, from: observed) <= radius { return observed }
        func mixed(_ nu: Double) -> [Double] {
            zip(observed, reference).map { ($0 + nu * $1) / (1 + nu) }
        }
        var (low, high) = (-60.0, 60.0)
        for _ in 0..<200 {
            let middle = 0.5 * (low + high)
            if divergence(reference, from: mixed(exp(middle))) > radius {
                low = middle
            } else {
                high = middle
            }
        }
        return mixed(exp(high))
    }

    /// Natural log of the evidence that the counts do not come from within `radius` (in divergence) of the
    /// reference. A radius of 0 takes the reference for the exact truth, which a finite one never is.
    public static func logE(counts: [Int], reference: [Double], radius: Double) -> Double {
        guard counts.contains(where: { $0 > 0 }) else { return 0 }
        let null =
            radius > 0 ? likeliest(counts: counts, reference: reference, radius: radius) : reference
        return logSumExp(
            concentrations.map { concentration in
                logDirichletEvidence(
                    counts: counts, prior: reference.map { concentration * $0 }, null: null)
                    - log(Double(concentrations.count))
            })
    }

    /// The radius for a reference of `n` rows in `bins` bins.
    public static func radius(referenceRows n: Int, bins: Int, alpha: Double) -> Double {
        max(0.0025, chiSquareUpperQuantile(alpha / 10, degrees: bins - 1) / (2 * Double(n)))
    }

    /// Combines the evidence of the stages, finished ones frozen at their last value.
    public static func combine(stages logEs: [Double]) -> Double {
        let terms = logEs.enumerated().map { i, logE in logE - log(Double(i + 1)) - log(Double(i + 2)) }
        return logSumExp(terms + [-log(Double(logEs.count) + 1)])
    }
}

/// The evidence of several stages as it grows: `PinnedDrift.combine` without keeping every stage.
public struct StagedEvidence: Sendable, Hashable, Codable {
    /// Natural log of the current stage's evidence.
    public var current = 0.0
    /// Natural log of the finished stages', with their weights.
    private var finished = -Double.infinity
    private var stages = 1

    public init() {}

    /// The current stage's evidence is final; the next one starts with none.
    public mutating func newStage() {
        finished = logAddExp(finished, weighted)
        (stages, current) = (stages + 1, 0)
    }

    private var weighted: Double { current - log(Double(stages)) - log(Double(stages + 1)) }

    /// Natural log of the evidence of all stages.
    public var logE: Double { logSumExp([finished, weighted, -log(Double(stages + 1))]) }
}

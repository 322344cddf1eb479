// Drift of a distribution over bins, candidate against stable, by betting on labels: if both versions predict
// from the same distribution, a request in bin b is the candidate's with probability w whatever b, so a drift
// of the traffic itself cannot trip it.
// Source: guardrails/statistics.md, section 3.6; Podkopaev & Ramdas 2023.

import Glibc

/// The sequential test of "candidate and stable share one distribution over `bins` bins".
public struct DriftLabel: Sendable {
    /// Four learners of the bins' odds: how strongly they shrink, and whether they forget at epochs.
    public static let learners: [(shrinkage: Double, forgets: Bool)] = [
        (30, false), (300, false), (30, true), (300, true),
    ]

    /// Grants at restarts go through `newEpoch`, which also makes learners forget.
    public private(set) var wealth: Wealth
    private let bins: Int
    /// Counts so far by bin: the candidate's and stable's of those that do not forget, then of those that do.
    private var counts: [Double]

    public init(bins: Int, restarts: Bool = true) {
        precondition(bins >= 2)
        self.bins = bins
        counts = Array(repeating: 0, count: 4 * bins)
        wealth = Wealth(alternatives: DriftLabel.learners.count, restarts: restarts)
    }

    /// As `Wealth.newEpoch`, under the same condition.
    public mutating func newEpoch() {
        wealth.newEpoch()
        for i in 2 * bins..<4 * bins { counts[i] *= 0.5 }
    }

    /// As `Wealth.forfeit`; what has been learned stays.
    public mutating func forfeit() { wealth.forfeit() }

    /// Where the counts of a kind of learners start.
    private func start(forgets: Bool) -> Int { forgets ? 2 * bins : 0 }

    private func counts(_ range: Range<Int>) -> [Double] { Array(counts[range]) }

    /// Counts so far by learner and bin, halved at epochs by those that forget.
    public var candidateCounts: [[Double]] {
        DriftLabel.learners.map { learner in
            let at = start(forgets: learner.forgets)
            return counts(at..<at + bins)
        }
    }

    private var stableCounts: [[Double]] {
        DriftLabel.learners.map { learner in
            let at = start(forgets: learner.forgets) + bins
            return counts(at..<at + bins)
        }
    }

    /// What learners of a kind know of both versions in all.
    private func totals(_ at: Int) -> (candidate: Double, stable: Double) {
        var (candidate, stable) = (0.0, 0.0)
        for b in at..<at + bins {
            candidate += counts[b]
            stable += counts[b + bins]
        }
        return (candidate, stable)
    }

    private func ratio(
        _ b: Int, at: Int, shrinkage kappa: Double, totals: (candidate: Double, stable: Double)
    ) -> Double {
        let (candidate, stable) = (counts[at + b], counts[at + bins + b])
        let pooled = (candidate + stable + 0.5) / (totals.candidate + totals.stable + 0.5 * Double(bins))
        return ((candidate + kappa * pooled) / (totals.candidate + kappa))
            / ((stable + kappa * pooled) / (totals.stable + kappa))
    }

    /// What learner `j` holds to be the ratio of the candidate's to stable's probability, by bin.
    public func ratios(learner j: Int) -> [Double] {
        let learner = DriftLabel.learners[j]
        let at = start(forgets: learner.forgets)
        let totals = totals(at)
        return (0..<bins).map { ratio($0, at: at, shrinkage: learner.shrinkage, totals: totals) }
    }

    /// What the learners that forget remember, in whole counts: about the last two epochs.
    public var recentCounts: (candidate: [Int], stable: [Int]) {
        let at = start(forgets: true)
        return (
            counts[at..<at + bins].map { Int($0) }, counts[at + bins..<at + 2 * bins].map { Int($0) }
        )
    }

    /// Takes in one tick's counts by bin; the bets are those of the ticks before.
    public mutating func add(share: Double, candidate: [Int], stable: [Int]) {
        precondition(share > 0 && share < 1)
        precondition(candidate.count == bins && stable.count == bins)
        let odds = share / (1 - share)
        let base = log1p(odds)
        var increments = Lanes(repeating: 0)
        for (j, learner) in DriftLabel.learners.enumerated() {
            let at = start(forgets: learner.forgets)
            let totals = totals(at)
            var sum = 0.0
            // Bins without a request in the tick say nothing.
            for b in 0..<bins where candidate[b] + stable[b] > 0 {
                let ratio = ratio(b, at: at, shrinkage: learner.shrinkage, totals: totals)
                sum += Double(candidate[b] + stable[b]) * (base - log1p(ratio * odds))
                if candidate[b] > 0 { sum += Double(candidate[b]) * log(ratio) }
            }
            increments[j] = sum
        }
        wealth.apply(increments)
        wealth.latch()
        for b in 0..<bins {
            let (ours, theirs) = (Double(candidate[b]), Double(stable[b]))
            counts[b] += ours
            counts[bins + b] += theirs
            counts[2 * bins + b] += ours
            counts[3 * bins + b] += theirs
        }
    }
}

extension DriftLabel: Hashable, Codable {
    private enum CodingKeys: String, CodingKey { case wealth, candidateCounts, stableCounts }

    public init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        let ours = try saved.decode([[Double]].self, forKey: .candidateCounts)
        let theirs = try saved.decode([[Double]].self, forKey: .stableCounts)
        let bins = ours.first?.count ?? 0
        guard bins >= 2, ours.count == 4, theirs.count == 4,
            (ours + theirs).allSatisfy({ $0.count == bins })
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .candidateCounts, in: saved,
                debugDescription: "four learners count the same bins of both versions")
        }
        self.init(bins: bins)
        wealth = try saved.decode(Wealth.self, forKey: .wealth)
        counts = ours[0] + theirs[0] + ours[2] + theirs[2]
    }

    public func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        try saved.encode(wealth, forKey: .wealth)
        try saved.encode(candidateCounts, forKey: .candidateCounts)
        try saved.encode(stableCounts, forKey: .stableCounts)
    }
}

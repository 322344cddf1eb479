// Drift from a pinned reference by universal inference: a mixture of alternatives against the most likely
// distribution in a ball around the reference, because a finite reference is not the truth.
// Invariant: evidence belongs to a stage; those of finished stages are frozen.
// Source: guardrails/statistics.md, section 3.7; Wasserman et al. 2020.

import Glibc

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

    /// By how many nats counts are likelier from one distribution than from another; strictly positive ones.
    public static func nats(of counts: [Int], from p: [Double], over q: [Double]) -> Double {
        counts.indices.reduce(0) { $0 + Double(counts[$1]) * log(p[$1] / q[$1]) }
    }

    /// The most likely probabilities whose divergence from the reference is at most `radius`: a mixture of
    /// the observed shares and the reference. At least one observation, and a radius above 0.
    ///
    /// The divergence falls about as the inverse square of one plus the reference's weight, so Newton's
    /// method is used on its inverse square root; a bracket keeps it from going astray.
    public static func likeliest(counts: [Int], reference: [Double], radius: Double) -> [Double] {
        let n = Double(counts.reduce(0, +))
        precondition(n > 0 && counts.count == reference.count && radius > 0)
        let observed = counts.map { Double($0) / n }
        var weight = 1.0
        if !observed.contains(0) {
            let found = divergence(reference, from: observed)
            if found <= radius { return observed }
            weight = max((found / radius).squareRoot() - 1, 1e-9)
        }
        var (low, high) = (0.0, Double.infinity)
        for _ in 0..<200 {
            // The divergence and its slope at this weight.
            var (found, slope) = (0.0, 0.0)
            for b in reference.indices {
                let (r, o) = (reference[b], observed[b])
                let p = (o + weight * r) / (1 + weight)
                found += r * log(r / p)
                slope -= r * (r - o) / p
            }
            slope /= (1 + weight) * (1 + weight)
            if found > radius { low = weight } else { high = weight }
            var next = weight + 2 * (found - found * (found / radius).squareRoot()) / slope
            if !(next > low && next < high) { next = high < .infinity ? 0.5 * (low + high) : 2 * weight + 1 }
            let isClose = abs(next - weight) <= 1e-15 * (1 + weight)
            weight = next
            if isClose { break }
        }
        return zip(observed, reference).map { ($0 + weight * $1) / (1 + weight) }
    }

    /// Natural log of the evidence that the counts do not come from within `radius` (in divergence) of the
    /// reference. A radius of 0 takes the reference for the exact truth, which a finite one never is.
    public static func logE(counts: [Int], reference: [Double], radius: Double) -> Double {
        logE(counts: counts, reference: PinnedReference(reference), radius: radius)
    }

    /// The same with what depends on the reference alone computed before.
    public static func logE(counts: [Int], reference: PinnedReference, radius: Double) -> Double {
        let expected = reference.probabilities
        guard counts.contains(where: { $0 > 0 }) else { return 0 }
        let null = radius > 0 ? likeliest(counts: counts, reference: expected, radius: radius) : expected
        let nullLogs = null.map { log($0) }
        var total = -Double.infinity
        for (concentration, logBeta) in zip(concentrations, reference.logBetas) {
            let evidence = logDirichletEvidence(
                counts: counts, reference: expected, concentration: concentration, null: null,
                nullLogs: nullLogs, logBeta: logBeta)
            total = logAddExp(total, evidence - log(Double(concentrations.count)))
        }
        return total
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

/// A pinned reference's probabilities, with what follows from them for every evidence. Saved as an array of
/// the probabilities.
public struct PinnedReference: Sendable, Hashable, Codable {
    /// Strictly positive; smooth first.
    public let probabilities: [Double]
    /// By concentration: ln of the beta function of the prior.
    let logBetas: [Double]

    public init(_ probabilities: [Double]) {
        self.probabilities = probabilities
        logBetas = PinnedDrift.concentrations.map { concentration in
            logBeta(probabilities.map { concentration * $0 })
        }
    }

    public init(from decoder: any Decoder) throws { self.init(try [Double](from: decoder)) }

    public func encode(to encoder: any Encoder) throws { try probabilities.encode(to: encoder) }
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

    /// Throws away all winnings, the current stage's among them: the next one starts with none.
    public mutating func forfeit() {
        newStage()
        let done = Double(stages - 1)
        finished = min(finished, log(done / (done + 1)))
    }

    private var weighted: Double { current - log(Double(stages)) - log(Double(stages + 1)) }

    /// Natural log of the evidence of all stages.
    public var logE: Double { logSumExp([finished, weighted, -log(Double(stages + 1))]) }
}

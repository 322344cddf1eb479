// Tests and figures of the field that the sequential guardrails are compared with. Their p-values hold for
// one look at a sample whose size was fixed beforehand; watched continuously they are wrong 13-28 times as
// often as they say. Source: guardrails/statistics.md, sections 3.11, 4.2 and 7.

import Glibc

/// How the evidence of several guardrails shares one alpha.
public enum Combination {
    /// Bonferroni: valid whatever the dependence.
    public static func alphas(_ alpha: Double, weights: [Double]) -> [Double] {
        let total = weights.reduce(0, +)
        return weights.map { alpha * $0 / total }
    }

    /// Natural log of the average of two evidences, of which the second has `share` of the stake, 0...1.
    public static func averageLogE(_ first: Double, _ second: Double, share: Double) -> Double {
        logAddExp(first + log1p(-share), second + log(share))
    }

    /// Natural log of the weighted average of evidences that live on the same clock.
    public static func averageLogE(_ logEs: [Double], weights: [Double]) -> Double {
        let total = weights.reduce(0, +)
        return logSumExp(zip(logEs, weights).filter { $0.1 > 0 }.map { $0 + log($1 / total) })
    }
}

/// Tests of a fixed sample.
public enum FixedTests {
    /// Wald's log-likelihood ratio of k events in n at rate `p1` against `p0`.
    public static func sprtLogRatio(n: Double, k: Double, p0: Double, p1: Double) -> Double {
        k * log(p1 / p0) + (n - k) * (log1p(-p1) - log1p(-p0))
    }

    /// The Kullback-Leibler divergence, in nats, of an event of probability `p` from one of probability `q`,
    /// which lies strictly between 0 and 1: what one observation tells on average.
    public static func divergence(_ p: Double, _ q: Double) -> Double {
        (p > 0 ? p * log(p / q) : 0) + (p < 1 ? (1 - p) * (log1p(-p) - log1p(-q)) : 0)
    }

    /// The upper tail of the normal distribution.
    public static func normalTail(_ z: Double) -> Double {
        0.5 * erfc(z / 2.0.squareRoot())
    }

    /// The pooled two-proportion z of candidate over stable, with its one-sided p.
    public static func twoProportionZ(
        candidate: (n: Double, events: Double), stable: (n: Double, events: Double)
    ) -> (z: Double, p: Double) {
        let pooled = (candidate.events + stable.events) / (candidate.n + stable.n)
        let error = (pooled * (1 - pooled) * (1 / candidate.n + 1 / stable.n)).squareRoot()
        let difference = candidate.events / candidate.n - stable.events / stable.n
        let z = error == 0 ? 0 : difference / error
        return (z, normalTail(z))
    }

    /// Mann-Whitney's U and its tie-corrected z from two histograms; positive when the candidate is larger.
    public static func mannWhitney(candidate: [Int], stable: [Int]) -> (u: Double, z: Double) {
        let (n, m) = (Double(candidate.reduce(0, +)), Double(stable.reduce(0, +)))
        let total = n + m
        var (below, u, ties) = (0.0, 0.0, 0.0)
        for (x, y) in zip(candidate, stable) {
            let (x, y) = (Double(x), Double(y))
            u += x * (below + 0.5 * y)
            below += y
            let tied = x + y
            ties += tied * tied * tied - tied
        }
        let variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
        return (u, (u - n * m / 2) / variance.squareRoot())
    }

    /// How many times faster than allowed the error budget of the objective `slo` (0...1) is used up.
    public static func burnRate(bad: Double, total: Double, slo: Double) -> Double {
        total > 0 ? (bad / total) / (1 - slo) : 0
    }
}

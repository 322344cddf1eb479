// Intervals that hold at all times at once, for display beside an estimate. Unlike a textbook interval they
// may be watched while they shrink.
// Source: guardrails/statistics.md, sections 3.3 and 6; Howard, Ramdas et al. 2021; Waudby-Smith et al. 2024.

import Glibc

/// Time-uniform intervals.
public enum Intervals {
    /// The rates that k events in n do not contradict, at confidence 1 - `alpha` for all n together.
    public static func rate(n: Int, k: Int, alpha: Double) -> (lower: Double, upper: Double) {
        precondition(n >= 0 && (0...max(n, 0)).contains(k) && alpha > 0 && alpha < 1)
        guard n > 0 else { return (0, 1) }
        let (trials, events) = (Double(n), Double(k))
        let threshold = -log(alpha)
        /// The border of the excluded rates, where x is the log of the small side of the rate.
        func border(_ start: Double, _ evidence: (_ x: Double) -> Double) -> Double {
            var (outside, inside) = (-690.0, start)
            for _ in 0..<200 {
                let middle = 0.5 * (outside + inside)
                if evidence(middle) > threshold { outside = middle } else { inside = middle }
            }
            return inside
        }
        var (lower, upper) = (0.0, 1.0)
        if k > 0 {
            let x = border(k < n ? log(events / trials) : -1e-300) { x in
                logBetaBinomialEvidence(n: trials, k: events, p: exp(x), complement: -expm1(x))
            }
            lower = exp(x)
        }
        if k < n {
            let x = border(k > 0 ? log((trials - events) / trials) : -1e-300) { x in
                logBetaBinomialEvidence(n: trials, k: events, p: -expm1(x), complement: exp(x))
            }
            upper = -expm1(x)
        }
        return (lower, upper)
    }

    /// A time-uniform interval for one quantile of a histogram, as upper edges of bins; nil where a side is
    /// unbounded. `bins` are sorted and hold counts.
    public static func quantile(
        _ bins: [(upper: UInt64, count: Int)], _ q: Double, alpha: Double
    ) -> (lower: UInt64?, upper: UInt64?) {
        let n = Double(bins.reduce(0) { $0 + $1.count })
        let threshold = -log(alpha)
        var lower: UInt64?
        var below = 0.0
        for bin in bins {
            below += Double(bin.count)
            let evidence = logBetaBinomialEvidence(n: n, k: below, p: q, complement: 1 - q)
            guard evidence >= threshold else { continue }
            if below / n < q { lower = bin.upper }
            if below / n > q { return (lower, bin.upper) }
        }
        return (lower, nil)
    }

    /// Half the width of the asymptotic interval for a mean, tightest at `tunedFor` observations. For
    /// display only: it is no finite-sample statement.
    public static func meanHalfWidth(
        n: Double, deviation: Double, alpha: Double, tunedFor: Double = 1000
    ) -> Double {
        let rhoSquared = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / tunedFor
        let t = n * rhoSquared + 1
        return deviation * (2 * t / (n * n * rhoSquared) * log(t.squareRoot() / alpha)).squareRoot()
    }
}

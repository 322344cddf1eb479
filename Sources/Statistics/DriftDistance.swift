// How far two histograms are apart: sizes, not tests. With nothing wrong PSI is about (1/n + 1/m) times
// chi-square, so it is debiased before it is compared with anything.
// Source: guardrails/statistics.md, section 3.6; Yurdakul & Naranjo; Howard & Ramdas 2022.

import Glibc

/// Distances between a candidate's and stable's counts over the same bins.
public enum DriftDistance {
    /// The population stability index, with half a count added to every bin.
    public static func psi(candidate: [Int], stable: [Int]) -> Double {
        let half = 0.5 * Double(candidate.count)
        let (n, m) = (Double(candidate.reduce(0, +)) + half, Double(stable.reduce(0, +)) + half)
        var sum = 0.0
        for (x, y) in zip(candidate, stable) {
            let (p, q) = ((Double(x) + 0.5) / n, (Double(y) + 0.5) / m)
            sum += (p - q) * log(p / q)
        }
        return sum
    }

    /// What PSI is on average when nothing differs; `stable` is infinite for a reference that is exact.
    public static func psiBias(bins: Int, candidate: Double, stable: Double) -> Double {
        Double(bins - 1) * (1 / candidate + 1 / stable)
    }

    /// PSI less its bias, at least 0.
    public static func psiDebiased(candidate: [Int], stable: [Int]) -> Double {
        let (n, m) = (Double(candidate.reduce(0, +)), Double(stable.reduce(0, +)))
        return max(
            0,
            psi(candidate: candidate, stable: stable)
                - psiBias(bins: candidate.count, candidate: n, stable: m))
    }

    /// The PSI that one look at fixed counts exceeds by chance with probability `alpha`.
    public static func psiThreshold(
        bins: Int, candidate: Double, stable: Double, alpha: Double
    ) -> Double {
        (1 / candidate + 1 / stable) * chiSquareUpperQuantile(alpha, degrees: bins - 1)
    }

    /// The largest difference of the two distribution functions; both sides have counts.
    public static func ks(candidate: [Int], stable: [Int]) -> Double {
        let (n, m) = (Double(candidate.reduce(0, +)), Double(stable.reduce(0, +)))
        var (a, b, largest) = (0.0, 0.0, 0.0)
        for (x, y) in zip(candidate, stable) {
            a += Double(x)
            b += Double(y)
            largest = max(largest, abs(a / n - b / m))
        }
        return largest
    }

    /// The distance between an empirical and its true distribution function that is exceeded at any n with
    /// probability at most `alpha`.
    public static func ksRadius(n: Double, alpha: Double) -> Double {
        0.85 * ((log(1 + log(n)) + 0.8 * log(1612 / alpha)) / n).squareRoot()
    }

    /// The KS distance that proves a difference at any time, half of `alpha` to each side.
    public static func ksRadius(candidate: [Int], stable: [Int], alpha: Double) -> Double {
        let (n, m) = (Double(candidate.reduce(0, +)), Double(stable.reduce(0, +)))
        return ksRadius(n: n, alpha: alpha / 2) + ksRadius(n: m, alpha: alpha / 2)
    }
}

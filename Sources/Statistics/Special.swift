// Special functions that keep their digits at large counts: raw differences of lgamma lose nine decimals at
// a million requests.
// Sources: guardrails/statistics.md, section 8; Stirling's series; Lentz' algorithm.

import Glibc

private let logTwoPi = log(2 * Double.pi)

/// lgamma(x) less Stirling's leading terms, to about 1e-16 for every x > 0.
func stirlingRemainder(_ x: Double) -> Double {
    if x < 12 { return lgamma(x) - ((x - 0.5) * log(x) - x + 0.5 * logTwoPi) }
    let r = 1 / (x * x)
    let tail = 1.0 / 1188 - r * (691.0 / 360360 - r / 156)
    return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * tail)))) / x
}

/// ln of the multivariate beta function: the product of Gamma(a) over Gamma of the sum.
func logBeta(_ a: [Double]) -> Double {
    let total = a.reduce(0, +)
    let terms = a.reduce(0) { $0 + ($1 - 0.5) * log($1 / total) + stirlingRemainder($1) }
    return terms - stirlingRemainder(total) + 0.5 * Double(a.count - 1) * (logTwoPi - log(total))
}

/// ln of the ratio of a Dirichlet mixture's likelihood of the counts to that of the probabilities `null`; the
/// prior is `concentration` times the reference, and `logBeta` that of the prior.
/// The large terms are log1p of relative deviations, so that they cancel when counts are close to n * null.
func logDirichletEvidence(
    counts: [Int], reference: [Double], concentration: Double, null: [Double], nullLogs: [Double],
    logBeta: Double
) -> Double {
    var total = 0.0
    for b in counts.indices { total += concentration * reference[b] + Double(counts[b]) }
    var sum = 0.0
    for b in counts.indices {
        let a = concentration * reference[b]
        let (after, p) = (a + Double(counts[b]), null[b])
        if after != 0.5 { sum += (after - 0.5) * log1p((after - total * p) / (total * p)) }
        if a != 0.5 { sum += (a - 0.5) * nullLogs[b] }
        sum += stirlingRemainder(after)
    }
    sum += 0.5 * Double(counts.count - 1) * (logTwoPi - log(total)) - stirlingRemainder(total)
    return sum - logBeta
}

/// ln of the ratio of the Beta(1/2, 1/2) mixture's likelihood of k in n to that of the rate p; `complement`
/// is 1 - p and may be given where p is so close to 1 that the difference would lose it.
func logBetaBinomialEvidence(n: Double, k: Double, p: Double, complement q: Double) -> Double {
    let (total, bad, good) = (1 + n, 0.5 + k, 0.5 + (n - k))
    // The same deviation in both terms: their rounding errors cancel.
    let deviation = bad - total * p
    var sum = 0.0
    if bad != 0.5 { sum += (bad - 0.5) * log1p(deviation / (total * p)) }
    if good != 0.5 { sum += (good - 0.5) * log1p(-deviation / (total * q)) }
    sum += stirlingRemainder(bad) + stirlingRemainder(good) - stirlingRemainder(total)
    return sum + 0.5 * (logTwoPi - log(total)) - logBeta([0.5, 0.5])
}

/// The upper tail of the chi-square distribution.
public func chiSquareTail(_ x: Double, degrees: Int) -> Double {
    guard x > 0 else { return 1 }
    let (a, half) = (Double(degrees) / 2, x / 2)
    return half < a + 1 ? 1 - lowerGammaSeries(a, half) : upperGammaFraction(a, half)
}

/// The x that chi-square exceeds with probability `alpha`.
public func chiSquareUpperQuantile(_ alpha: Double, degrees: Int) -> Double {
    precondition(alpha > 0 && alpha < 1)
    var (low, high) = (0.0, 10.0)
    while chiSquareTail(high, degrees: degrees) > alpha { high *= 2 }
    for _ in 0..<200 {
        let middle = 0.5 * (low + high)
        if chiSquareTail(middle, degrees: degrees) > alpha { low = middle } else { high = middle }
    }
    return 0.5 * (low + high)
}

/// The regularised lower incomplete gamma function by its series, for x < a + 1.
private func lowerGammaSeries(_ a: Double, _ x: Double) -> Double {
    var term = 1 / a
    var (sum, n) = (term, a)
    while abs(term) > abs(sum) * 1e-17 {
        n += 1
        term *= x / n
        sum += term
    }
    return sum * exp(-x + a * log(x) - lgamma(a))
}

/// The regularised upper incomplete gamma function by its continued fraction, for x >= a + 1.
private func upperGammaFraction(_ a: Double, _ x: Double) -> Double {
    let tiny = 1e-300
    var b = x + 1 - a
    var c = 1 / tiny
    var d = 1 / b
    var h = d
    for i in 1..<100_000 {
        let an = -Double(i) * (Double(i) - a)
        b += 2
        d = an * d + b
        if abs(d) < tiny { d = tiny }
        c = b + an / c
        if abs(c) < tiny { c = tiny }
        d = 1 / d
        let delta = d * c
        h *= delta
        if abs(delta - 1) < 1e-16 { break }
    }
    return exp(-x + a * log(x) - lgamma(a)) * h
}

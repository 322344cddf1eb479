// Sums of numbers that are known by their logarithms. Everything in this target is in log space: an
// e-value of a broken candidate passes 1e300 within seconds.
// Source: guardrails/statistics.md, section 8.

import Glibc

/// ln(sum of exp(x)), by subtracting the largest; -infinity for an empty sum.
public func logSumExp(_ terms: some Sequence<Double>) -> Double {
    var largest = -Double.infinity
    for x in terms where x > largest { largest = x }
    guard largest > -Double.infinity else { return largest }
    var sum = 0.0
    for x in terms { sum += exp(x - largest) }
    return largest + log(sum)
}

/// ln(exp(a) + exp(b)).
public func logAddExp(_ a: Double, _ b: Double) -> Double {
    let largest = max(a, b)
    guard largest > -Double.infinity else { return largest }
    return largest + log(exp(a - largest) + exp(b - largest))
}

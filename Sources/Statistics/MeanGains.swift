// The log factors of a tick's values for all stakes at once. The logarithm of a product instead of a sum of
// logarithms: ten logarithms a tick instead of ten for every different value. And the few values that a tick
// may have many of, told apart without sorting.
// Invariant: a product stays within 1e-160...1e160: what would take it out goes through its own logarithm.
// Source: guardrails/statistics.md, sections 3.4 and 8.

import Glibc

/// The sum of log(1 + stake * gain) over a tick's values, by stake.
struct MeanGains {
    private var logs = Lanes(repeating: 0)
    private var products = Lanes(repeating: 1)
    private var factors = 0
    private let fractions = BetGrid.fractionLanes

    /// A factor is at least 0.1, because no stake is above 0.9 and no loss above 1; up to this gain sixteen
    /// of them are within bounds.
    private static let gainMax = 1e9

    /// `count` values whose gain on the whole wealth is `gain`, at least -1.
    mutating func add(_ gain: Double, count: Int) {
        guard count == 1, gain < MeanGains.gainMax else {
            guard count > 0 else { return }
            for k in logs.indices { logs[k] += Double(count) * log1p(fractions[k] * gain) }
            return
        }
        for k in products.indices { products[k] *= 1 + fractions[k] * gain }
        factors += 1
        if factors == 16 { flush() }
    }

    private mutating func flush() {
        for k in products.indices { logs[k] += log(products[k]) }
        products = Lanes(repeating: 1)
        factors = 0
    }

    mutating func sum() -> Lanes {
        if factors > 0 { flush() }
        return logs
    }
}

/// The first eight different values of a tick, with how often each came.
struct ValueTally {
    private(set) var values = InlineArray<8, Double>(repeating: 0)
    private(set) var counts = InlineArray<8, Int>(repeating: 0)
    private(set) var count = 0
    private var others = 0

    /// Counts a value; false when there were eight others before it. After eight more it is not looked for
    /// any longer: such a tick has hardly two values that are equal.
    mutating func take(_ value: Double) -> Bool {
        guard others < 8 else { return false }
        for i in 0..<count where values[i] == value {
            counts[i] += 1
            return true
        }
        guard count < 8 else {
            others += 1
            return false
        }
        values[count] = value
        counts[count] = 1
        count += 1
        return true
    }
}

// The engine of every sequential guardrail: a bet against "the candidate is fine". It starts with 1, stakes
// part of it before every tick at odds that are fair if the candidate is fine, and so reaches 1/alpha with
// probability at most alpha, however long and however often one looks (Ville's inequality).
//
// Invariant: E = sum of exp(a[k]) + 1/(epochs + 1) is an e-process with E = 1 at the start, for every
// schedule of `newEpoch` and every increment that is chosen before the data it is applied to.
// Source: guardrails/statistics.md, section 1.

import Glibc

/// The fixed grids of alternatives: part of the definition of every test.
public enum BetGrid {
    /// How many times the odds of a bad event may have grown.
    public static let odds: [Double] = [1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1000]
    /// Shares of the wealth that are staked on a mean.
    public static let fractions: [Double] = [
        0.9, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125,
    ]
    /// Candidate requests after which an epoch ends.
    public static let epochRequests = 1000
}

/// Which way a measure has to go to make the bet win.
public enum Direction: String, Sendable, Hashable, Codable {
    case up
    case down

    /// The grid's odds multipliers for this direction.
    var multipliers: [Double] {
        switch self {
        case .up: BetGrid.odds
        case .down: BetGrid.odds.map { 1 / $0 }
        }
    }
}

/// The bet "the odds are `multiplier` times `odds`" against "the odds are `odds`".
public struct OddsBet: Sendable, Hashable, Codable {
    /// Log factor of the wealth when the event happens.
    public let hit: Double
    /// Log factor of the wealth when it does not.
    public let miss: Double

    /// Both arguments are positive and finite.
    public init(odds: Double, multiplier: Double) {
        let d = log1p(multiplier * odds) - log1p(odds)
        hit = log(multiplier) - d
        miss = -d
    }
}

/// The wealth of a mixture of bets: over alternatives, and over the times at which they were started. Money
/// is granted to a fresh copy of every bet at epoch m with weight 1/(m(m+1)), so that a regression after a
/// long healthy time is met by money that the healthy time has not eaten.
public struct Wealth: Sendable, Hashable, Codable {
    /// Natural log of the wealth staked on each alternative.
    public private(set) var staked: [Double]
    /// Epochs opened so far, at least 1.
    public private(set) var epochs: Int
    /// The largest `logE` seen after an `add` or `observe`; latched.
    public private(set) var maxLogE: Double
    private let restarts: Bool

    /// `restarts` is off only to show what it is for.
    public init(alternatives: Int, restarts: Bool = true) {
        precondition(alternatives > 0)
        staked = Array(repeating: -.infinity, count: alternatives)
        epochs = 0
        maxLogE = 0
        self.restarts = restarts
        newEpoch()
    }

    /// Grants money to fresh copies of all bets. To be called at the start, at every change of weights or
    /// configuration, and after every `BetGrid.epochRequests` candidate requests; never because of the
    /// outcomes that are being bet on.
    public mutating func newEpoch() {
        guard restarts || epochs == 0 else { return }
        epochs += 1
        let m = Double(epochs)
        let alternatives = log(Double(staked.count))
        let grant = restarts ? -log(m) - log(m + 1) - alternatives : -alternatives
        for k in staked.indices { staked[k] = logAddExp(staked[k], grant) }
    }

    /// Applies the log factors of one tick, by alternative, and latches the evidence.
    public mutating func add(_ increment: (Int) -> Double) {
        apply(increment)
        observe(logE)
    }

    /// Applies log factors without looking at the evidence.
    public mutating func apply(_ increment: (Int) -> Double) {
        for k in staked.indices { staked[k] += increment(k) }
    }

    /// Latches evidence that was computed on a copy: of ticks that are not settled yet.
    public mutating func observe(_ logE: Double) {
        if logE > maxLogE { maxLogE = logE }
    }

    /// Natural log of the evidence.
    public var logE: Double { logE(after: { _ in 0 }) }

    /// Natural log of the evidence if these log factors were applied; nothing is kept.
    public func logE(after increment: (Int) -> Double) -> Double {
        var largest = restarts ? -log(Double(epochs) + 1) : -Double.infinity
        let cash = largest
        for k in staked.indices { largest = max(largest, staked[k] + increment(k)) }
        guard largest > -Double.infinity else { return largest }
        var sum = restarts ? exp(cash - largest) : 0
        for k in staked.indices { sum += exp(staked[k] + increment(k) - largest) }
        return largest + log(sum)
    }

    /// Throws away all winnings, so that E is at most 1 again: evidence that turned out to say nothing about
    /// the candidate. Giving money away can only lower the chance of a false trip.
    public mutating func forfeit() {
        let fair = restarts ? log(Double(epochs)) - log(Double(epochs) + 1) : 0
        let winnings = logSumExp(staked) - fair
        if winnings > 0 {
            for k in staked.indices { staked[k] -= winnings }
        }
        maxLogE = 0
    }

    /// The log evidence at which a test with false-trip probability `alpha` trips: ln(1/alpha).
    public static func logThreshold(alpha: Double) -> Double { -log(alpha) }

    /// A p-value that may be looked at at any time.
    public var alwaysValidP: Double { min(1, exp(-maxLogE)) }
}

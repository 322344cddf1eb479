// The grids of alternatives and the bets on odds: "the odds are g times o" against "the odds are o". A tick
// is settled for all ten alternatives at once, side by side, and the logarithms are kept while the odds stay.
// Invariant: a bet is fair: hit and miss, weighted by the odds, give back the stake.
// Source: guardrails/statistics.md, section 1.

import Glibc

/// A number for each alternative of a test: ten, or fewer and the rest unused.
typealias Lanes = InlineArray<10, Double>

extension Lanes {
    /// The first of them from an array of at most ten.
    init(_ numbers: [Double], rest: Double = 0) {
        precondition(numbers.count <= 10)
        self.init { $0 < numbers.count ? numbers[$0] : rest }
    }
}

/// The fixed grids of alternatives: part of the definition of every test.
public enum BetGrid {
    /// How many times the odds of a bad event may have grown.
    public static let odds: [Double] = [1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1000]
    /// Shares of the wealth that are staked on a mean.
    public static let fractions: [Double] = [
        0.9, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125,
    ]
    static let fractionLanes = Lanes(fractions)
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

    /// The same side by side.
    var lanes: Lanes { self == .up ? Direction.upLanes : Direction.downLanes }

    private static let upLanes = Lanes(Direction.up.multipliers)
    private static let downLanes = Lanes(Direction.down.multipliers)
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

    init(hit: Double, miss: Double) { (self.hit, self.miss) = (hit, miss) }
}

/// The bets of ten multipliers at the same odds: weights rarely change and logarithms are dear, so they are
/// kept for the odds of the last tick.
struct OddsTable: Sendable {
    /// `OddsBet.miss`, and the multipliers' logarithms, which a hit adds to it.
    private(set) var misses = Lanes(repeating: 0)
    private(set) var logs = Lanes(repeating: 0)
    private var odds = Double.nan

    init() {}

    /// The table of ten bets, which stays as it is.
    init(_ bets: [OddsBet]) {
        misses = Lanes(bets.map(\.miss))
        logs = Lanes(bets.map { $0.hit - $0.miss })
    }

    /// Makes it the table for these odds; multipliers are the same in every call.
    mutating func prepare(odds: Double, multipliers: @autoclosure () -> Lanes) {
        guard odds != self.odds else { return }
        self.odds = odds
        let (base, multipliers) = (log1p(odds), multipliers())
        for k in misses.indices {
            misses[k] = base - log1p(multipliers[k] * odds)
            logs[k] = log(multipliers[k])
        }
    }

    /// The log factors of events, of which `hits` are hits.
    func factors(hits: Int, of all: Int) -> Lanes {
        let (hits, all) = (Double(hits), Double(all))
        return Lanes { hits * logs[$0] + all * misses[$0] }
    }
}

// A rate against a constant: error rate, null rate, budget burn, and "p99 <= T" as a rate of 1 % above T.
// H0 (up): every request is bad with probability at most p0 given the past, whatever the drift below p0.
// A common outage trips it: it has no reference. Source: guardrails/statistics.md, section 3.1.

/// The sequential test of a rate against `p0`. Up is a trip; down proves recovery or a gate.
public struct AbsoluteRate: Sendable, Hashable, Codable {
    public var wealth: Wealth
    private let bets: [OddsBet]

    /// `p0` lies strictly between 0 and 1.
    public init(p0: Double, direction: Direction = .up, restarts: Bool = true) {
        precondition(p0 > 0 && p0 < 1)
        let odds = p0 / (1 - p0)
        bets = direction.multipliers.map { OddsBet(odds: odds, multiplier: $0) }
        wealth = Wealth(alternatives: bets.count, restarts: restarts)
    }

    /// Takes in one tick's requests.
    public mutating func add(bad: Int, good: Int) {
        apply(bad: bad, good: good)
        wealth.observe(wealth.logE)
    }

    /// As `add`, without looking at the evidence.
    public mutating func apply(bad: Int, good: Int) {
        guard bad > 0 || good > 0 else { return }
        let (bad, good) = (Double(bad), Double(good))
        wealth.apply { bad * bets[$0].hit + good * bets[$0].miss }
    }

    /// As `apply`, with the gains of the current slot capped.
    public mutating func apply(bad: Int, good: Int, cap: inout BurstCap) {
        guard bad > 0 || good > 0 else { return }
        let (bad, good, bets) = (Double(bad), Double(good), bets)
        wealth.apply { cap.limit($0, bad * bets[$0].hit + good * bets[$0].miss) }
    }

    /// The evidence with `pending` requests in flight counted as good: never more than what they will
    /// come to. Nothing is kept.
    public func logE(pendingAsGood pending: Int) -> Double {
        wealth.logE(after: { Double(pending) * bets[$0].miss })
    }
}

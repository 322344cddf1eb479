// A rate against a constant: error rate, null rate, budget burn, and "p99 <= T" as a rate of 1 % above T.
// H0 (up): every request is bad with probability at most p0 given the past, whatever the drift below p0.
// A common outage trips it: it has no reference. Source: guardrails/statistics.md, section 3.1.

/// The sequential test of a rate against `p0`. Up is a trip; down proves recovery or a gate.
public struct AbsoluteRate: Sendable {
    public var wealth: Wealth
    private let table: OddsTable

    /// `p0` lies strictly between 0 and 1.
    public init(p0: Double, direction: Direction = .up, restarts: Bool = true) {
        precondition(p0 > 0 && p0 < 1)
        var table = OddsTable()
        table.prepare(odds: p0 / (1 - p0), multipliers: direction.lanes)
        self.table = table
        wealth = Wealth(alternatives: BetGrid.odds.count, restarts: restarts)
    }

    /// Takes in one tick's requests.
    public mutating func add(bad: Int, good: Int) {
        apply(bad: bad, good: good)
        wealth.latch()
    }

    /// As `add`, without looking at the evidence.
    public mutating func apply(bad: Int, good: Int) {
        guard bad > 0 || good > 0 else { return }
        wealth.apply(table.factors(hits: bad, of: bad + good))
    }

    /// As `apply`, with the gains of the current slot capped.
    public mutating func apply(bad: Int, good: Int, cap: inout BurstCap) {
        guard bad > 0 || good > 0 else { return }
        wealth.apply(cap.limit(table.factors(hits: bad, of: bad + good)))
    }

    /// The evidence with `pending` requests in flight counted as good: never more than what they will
    /// come to. Nothing is kept.
    public func logE(pendingAsGood pending: Int) -> Double {
        wealth.logE(after: table.factors(hits: 0, of: pending))
    }
}

extension AbsoluteRate: Hashable, Codable {
    private enum CodingKeys: String, CodingKey { case wealth, bets }

    public init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        let bets = try saved.decode([OddsBet].self, forKey: .bets)
        guard bets.count == BetGrid.odds.count else {
            throw DecodingError.dataCorruptedError(
                forKey: .bets, in: saved,
                debugDescription: "a rate has \(BetGrid.odds.count) bets, not \(bets.count)")
        }
        table = OddsTable(bets)
        wealth = try saved.decode(Wealth.self, forKey: .wealth)
    }

    public func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        try saved.encode(wealth, forKey: .wealth)
        try saved.encode(bets, forKey: .bets)
    }

    private var bets: [OddsBet] {
        table.misses.indices.map { OddsBet(hit: table.logs[$0] + table.misses[$0], miss: table.misses[$0]) }
    }

    public static func == (a: AbsoluteRate, b: AbsoluteRate) -> Bool {
        a.wealth == b.wealth && a.bets == b.bets
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(wealth)
        hasher.combine(bets)
    }
}

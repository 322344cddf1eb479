// Candidate against stable by bad events alone: each is a coin "was it the candidate's?". If the candidate
// is at most rho times as bad, the odds are at most rho * w/(1-w), however the rates and the weights move
// and whatever hits both versions together. Requests that went well need no work.
// Source: guardrails/statistics.md, section 3.2; Lindon & Malek 2022.

/// The sequential test of "candidate <= rho * stable" on rare events. Up is a trip (errors, nulls); down is
/// for good events that vanish (clicks).
public struct RelativeEvents: Sendable {
    public var wealth: Wealth
    private let rho: Double
    private let direction: Direction
    private var table = OddsTable()

    /// `rho` is positive: 1 asks for "not worse at all".
    public init(rho: Double = 1, direction: Direction = .up, restarts: Bool = true) {
        precondition(rho > 0)
        self.rho = rho
        self.direction = direction
        wealth = Wealth(alternatives: BetGrid.odds.count, restarts: restarts)
    }

    /// Takes in one tick's events. `share` is the probability, at assignment, that a request of the pair
    /// goes to the candidate; 0 < share < 1.
    public mutating func add(share: Double, candidate: Int, stable: Int) {
        apply(share: share, candidate: candidate, stable: stable)
        wealth.latch()
    }

    /// As `add`, without looking at the evidence.
    public mutating func apply(share: Double, candidate: Int, stable: Int) {
        guard candidate > 0 || stable > 0 else { return }
        wealth.apply(factors(share, candidate, stable))
    }

    /// As `apply`, with the gains of the current slot capped.
    public mutating func apply(share: Double, candidate: Int, stable: Int, cap: inout BurstCap) {
        guard candidate > 0 || stable > 0 || cap.owesToll else { return }
        wealth.apply(cap.limit(factors(share, candidate, stable)))
    }

    /// A tick's log factors by alternative.
    private mutating func factors(_ share: Double, _ candidate: Int, _ stable: Int) -> Lanes {
        precondition(share > 0 && share < 1)
        table.prepare(odds: rho * share / (1 - share), multipliers: direction.lanes)
        return table.factors(hits: candidate, of: candidate + stable)
    }

    /// The evidence with `pending` stable requests in flight counted as bad: never more than what they will
    /// come to. Nothing is kept.
    public func logE(share: Double, pendingStableAsBad pending: Int) -> Double {
        var copy = self
        copy.apply(share: share, candidate: 0, stable: pending)
        return copy.wealth.logE
    }
}

extension RelativeEvents: Hashable, Codable {
    private enum CodingKeys: String, CodingKey { case wealth, rho, direction }

    public init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        let direction = try saved.decode(Direction.self, forKey: .direction)
        self.init(rho: try saved.decode(Double.self, forKey: .rho), direction: direction)
        wealth = try saved.decode(Wealth.self, forKey: .wealth)
    }

    public func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        try saved.encode(wealth, forKey: .wealth)
        try saved.encode(rho, forKey: .rho)
        try saved.encode(direction, forKey: .direction)
    }

    public static func == (a: RelativeEvents, b: RelativeEvents) -> Bool {
        a.wealth == b.wealth && a.rho == b.rho && a.direction == b.direction
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(wealth)
        hasher.combine(rho)
    }
}

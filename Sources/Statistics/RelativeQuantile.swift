// Candidate against stable by a latency quantile: the candidate's share above rho * tau is not larger than
// stable's share above tau, where tau is stable's own quantile, frozen beforehand. Uses both outcomes, slow
// and fast. For any tau the null follows from "candidate <= rho * stable, stochastically".
// Source: guardrails/statistics.md, section 3.3; Turner, Ly & Gruenwald 2024.

/// The sequential test of a latency quantile. Up is a trip; down is the promotion gate "not slower".
public struct RelativeQuantile: Sendable {
    public var wealth: Wealth
    private let direction: Direction
    /// The odds of "slow" in stable.
    private let odds: Double
    private var slow = OddsTable()
    private var fast = OddsTable()

    /// `quantile` lies strictly between 0 and 1.
    public init(quantile: Double, direction: Direction = .up, restarts: Bool = true) {
        precondition(quantile > 0 && quantile < 1)
        odds = (1 - quantile) / quantile
        self.direction = direction
        wealth = Wealth(alternatives: BetGrid.odds.count, restarts: restarts)
    }

    /// By how much the share of fast requests, or of slow ones, grows with the odds of "slow".
    private static func ratios(_ odds: Double, _ direction: Direction, slow: Bool) -> Lanes {
        let multipliers = direction.lanes
        return Lanes { (slow ? multipliers[$0] : 1) * ((1 + odds) / (1 + multipliers[$0] * odds)) }
    }

    /// One tick's requests of a version, decided at the age of its threshold.
    public struct Counts: Sendable, Hashable {
        public var slow: Int
        public var fast: Int

        public init(slow: Int, fast: Int) {
            self.slow = slow
            self.fast = fast
        }
    }

    /// Takes in one tick. `share` as in `RelativeEvents.add`.
    public mutating func add(share: Double, candidate: Counts, stable: Counts) {
        apply(share: share, candidate: candidate, stable: stable)
        wealth.latch()
    }

    /// As `add`, without looking at the evidence.
    public mutating func apply(share: Double, candidate: Counts, stable: Counts) {
        guard let factors = factors(share, candidate, stable) else { return }
        wealth.apply(factors)
    }

    /// As `apply`, with the gains of the current slot capped.
    public mutating func apply(share: Double, candidate: Counts, stable: Counts, cap: inout BurstCap) {
        guard let factors = factors(share, candidate, stable) else { return }
        wealth.apply(cap.limit(factors))
    }

    /// A tick's log factors by alternative; nil for a tick without requests.
    private mutating func factors(_ share: Double, _ candidate: Counts, _ stable: Counts) -> Lanes? {
        let (allSlow, allFast) = (candidate.slow + stable.slow, candidate.fast + stable.fast)
        guard allSlow + allFast > 0 else { return nil }
        precondition(share > 0 && share < 1)
        let (odds, direction, split) = (odds, direction, share / (1 - share))
        slow.prepare(odds: split, multipliers: RelativeQuantile.ratios(odds, direction, slow: true))
        fast.prepare(odds: split, multipliers: RelativeQuantile.ratios(odds, direction, slow: false))
        let ofSlow = slow.factors(hits: candidate.slow, of: allSlow)
        let ofFast = fast.factors(hits: candidate.fast, of: allFast)
        return Lanes { ofSlow[$0] + ofFast[$0] }
    }
}

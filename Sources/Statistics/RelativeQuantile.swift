// Candidate against stable by a latency quantile: the candidate's share above rho * tau is not larger than
// stable's share above tau, where tau is stable's own quantile, frozen beforehand. Uses both outcomes, slow
// and fast. For any tau the null follows from "candidate <= rho * stable, stochastically".
// Source: guardrails/statistics.md, section 3.3; Turner, Ly & Gruenwald 2024.

/// The sequential test of a latency quantile. Up is a trip; down is the promotion gate "not slower".
public struct RelativeQuantile: Sendable {
    public var wealth: Wealth
    private var slow: OddsTable
    private var fast: OddsTable

    /// `quantile` lies strictly between 0 and 1.
    public init(quantile: Double, direction: Direction = .up, restarts: Bool = true) {
        precondition(quantile > 0 && quantile < 1)
        let odds = (1 - quantile) / quantile
        // How the shares of fast and of slow requests change when the odds of "slow" grow by g.
        let fastRatios = direction.multipliers.map { (1 + odds) / (1 + $0 * odds) }
        slow = OddsTable(multipliers: zip(direction.multipliers, fastRatios).map { $0 * $1 })
        fast = OddsTable(multipliers: fastRatios)
        wealth = Wealth(alternatives: BetGrid.odds.count, restarts: restarts)
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
        wealth.observe(wealth.logE)
    }

    /// As `add`, without looking at the evidence.
    public mutating func apply(share: Double, candidate: Counts, stable: Counts) {
        guard let factors = factors(share, candidate, stable) else { return }
        wealth.apply(factors)
    }

    /// As `apply`, with the gains of the current slot capped.
    public mutating func apply(share: Double, candidate: Counts, stable: Counts, cap: inout BurstCap) {
        guard let factors = factors(share, candidate, stable) else { return }
        wealth.apply { cap.limit($0, factors($0)) }
    }

    /// A tick's log factors by alternative; nil for a tick without requests.
    private mutating func factors(
        _ share: Double, _ candidate: Counts, _ stable: Counts
    ) -> ((Int) -> Double)? {
        guard candidate.slow + candidate.fast + stable.slow + stable.fast > 0 else { return nil }
        precondition(share > 0 && share < 1)
        let odds = share / (1 - share)
        slow.prepare(odds: odds)
        fast.prepare(odds: odds)
        let (slow, fast) = (slow.bets, fast.bets)
        let (candidateSlow, candidateFast) = (Double(candidate.slow), Double(candidate.fast))
        let (stableSlow, stableFast) = (Double(stable.slow), Double(stable.fast))
        return {
            candidateSlow * slow[$0].hit + stableSlow * slow[$0].miss
                + candidateFast * fast[$0].hit + stableFast * fast[$0].miss
        }
    }
}

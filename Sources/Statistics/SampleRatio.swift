// Is the split what it says it is? Bets on the labels alone, whatever the outcomes: a request is the
// candidate's with odds w/(1-w), or the router is broken, not the model.
// Source: guardrails/statistics.md, section 2, point 10.

/// The sequential test of the split itself, in both directions.
public struct SampleRatio: Sendable {
    /// How far the odds of the candidate may be off, either way.
    public static let deviations: [Double] = [1.02, 1.05, 1.1, 1.25, 2]
    /// Evidence that a split is broken: 1,000, because nothing but a defect of ours can reach it.
    public static let logThreshold = Wealth.logThreshold(alpha: 0.001)

    public private(set) var wealth: Wealth
    private var table = OddsTable()
    private static let multipliers = Lanes(deviations + deviations.map { 1 / $0 })

    /// - Parameter saved: the wealth of an earlier test; that of other deviations is not taken over.
    public init(restoring saved: Wealth? = nil) {
        wealth = Wealth(alternatives: 2 * SampleRatio.deviations.count)
        if let saved, saved.staked.count == wealth.staked.count { wealth = saved }
    }

    /// As `Wealth.newEpoch`.
    public mutating func newEpoch() { wealth.newEpoch() }

    /// Takes in one tick's randomised requests; `share` as in `RelativeEvents.add`.
    public mutating func add(share: Double, candidate: Int, stable: Int) {
        guard candidate > 0 || stable > 0 else { return }
        precondition(share > 0 && share < 1)
        table.prepare(odds: share / (1 - share), multipliers: SampleRatio.multipliers)
        wealth.apply(table.factors(hits: candidate, of: candidate + stable))
        wealth.latch()
    }
}

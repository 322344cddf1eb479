// Candidate against stable by bad events where a sticky key, not a request, was the coin. Two bets in one
// mixture, half of the stake each. The first looks at keys' first bad events in the rollout: each is a coin
// "was it the candidate's?", as in RelativeEvents. But once every active key has failed once it sees nothing
// any more; so the second bets on change, with one event per key and minute: that the candidate has a larger
// share of these than the minutes before make likely. A heavy key that always fails is in those minutes
// already, a late regression is not.
//
// Invariant: a minute's odds are fixed by the minutes before it. The first bet is valid as such; the second
// as far as failing key-minutes of the two versions keep their proportion, up to the error of its estimate,
// while neither changes: argued and simulated, not proven. Source: guardrails/dependence.md, section 1.

import Glibc

/// The sequential test of "candidate <= rho * stable" on sticky keys' bad events.
public struct KeyedEvents: Sendable {
    public var wealth: Wealth
    private let rho: Double
    private var first = OddsTable()
    private var again = OddsTable()
    /// Failing key-minutes by version: those before this minute, decayed, and this minute's.
    private var past = (candidate: 0.0, stable: 0.0)
    private var now = (candidate: 0.0, stable: 0.0)
    private var minute: UInt64?

    /// Of the counts of a minute what is left a minute later.
    private static let decay = 0.97
    /// Events without which the past says nothing.
    private static let enough = 10.0
    /// How many alternatives are the first bet's; the others are the second's.
    private static let firstLanes = 5
    private static let multipliers: [Double] = [1.25, 2, 5, 30, 1000, 1.5, 2, 3, 6, 30]
    private static let lanes = Lanes(multipliers)

    public init(rho: Double = 1) {
        precondition(rho > 0)
        self.rho = rho
        wealth = Wealth(alternatives: KeyedEvents.multipliers.count)
    }

    /// Says which minute the next tick belongs to.
    public mutating func enter(minute number: UInt64) {
        guard number != minute else { return }
        let passed = Double(number - min(minute ?? number, number))
        let left = pow(KeyedEvents.decay, passed)
        past.candidate = left * (past.candidate + now.candidate)
        past.stable = left * (past.stable + now.stable)
        now = (0, 0)
        minute = number
    }

    /// Forgets the minutes before: the split has changed, and with it the proportion of events.
    public mutating func forget() {
        past = (0, 0)
        now = (0, 0)
    }

    /// Takes in a tick, without looking at the evidence, the gains of the current slot capped.
    /// - Parameters:
    ///   - share: the probability that a key goes to the candidate; 0 < share < 1.
    ///   - events: keys' first bad events, candidate's and stable's.
    ///   - repeats: others, the first of their key in a minute.
    public mutating func apply(
        share: Double, first events: (candidate: Int, stable: Int),
        again repeats: (candidate: Int, stable: Int), cap: inout BurstCap
    ) {
        precondition(share > 0 && share < 1)
        first.prepare(odds: rho * share / (1 - share), multipliers: KeyedEvents.lanes)
        again.prepare(odds: odds(share), multipliers: KeyedEvents.lanes)
        let all = (events.candidate + repeats.candidate, events.stable + repeats.stable)
        let ofFirst = first.factors(hits: events.candidate, of: events.candidate + events.stable)
        let ofAll = again.factors(hits: all.0, of: all.0 + all.1)
        wealth.apply(cap.limit(Lanes { $0 < KeyedEvents.firstLanes ? ofFirst[$0] : ofAll[$0] }))
        now.candidate += Double(all.0)
        now.stable += Double(all.1)
    }

    /// The odds, by the minutes before, that a key which fails in this one is the candidate's: as they were,
    /// with a standard error more.
    private func odds(_ share: Double) -> Double {
        let error = (1 / (past.candidate + 1) + 1 / (past.stable + 1)).squareRoot()
        let odds = (past.candidate + share) / (past.stable + 1 - share) * exp(error)
        let isKnown = past.candidate + past.stable >= KeyedEvents.enough
        return rho * (isKnown ? odds : max(odds, share / (1 - share)))
    }
}

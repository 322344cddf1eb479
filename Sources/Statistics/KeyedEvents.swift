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
    private var past = Counts()
    private var now = Counts()
    /// The lower half of the minute's number; not one before there is a minute.
    private var minute = UInt32.max

    private struct Counts: Sendable {
        var candidate: Float = 0
        var stable: Float = 0
    }

    /// Of the counts of a minute what is left a minute later.
    private static let decay = 0.97
    /// Events without which the past says nothing, and nothing is bet on it.
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
        let low = UInt32(truncatingIfNeeded: number)
        guard low != minute else { return }
        let left = minute == .max ? 1 : Float(pow(KeyedEvents.decay, Double(low &- minute)))
        past.candidate = left * (past.candidate + now.candidate)
        past.stable = left * (past.stable + now.stable)
        now = Counts()
        minute = low
    }

    /// Forgets the minutes before: the split has changed, and with it the proportion of events.
    public mutating func forget() {
        past = Counts()
        now = Counts()
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
        let known = Double(past.candidate + past.stable) >= KeyedEvents.enough ? all : (0, 0)
        let ofAll = again.factors(hits: known.0, of: known.0 + known.1)
        wealth.apply(cap.limit(Lanes { $0 < KeyedEvents.firstLanes ? ofFirst[$0] : ofAll[$0] }))
        now.candidate += Float(all.0)
        now.stable += Float(all.1)
    }

    /// The odds, by the minutes before, that a key which fails in this one is the candidate's: as they were,
    /// with a standard error more.
    private func odds(_ share: Double) -> Double {
        let (ours, theirs) = (Double(past.candidate), Double(past.stable))
        let error = (1 / (ours + 1) + 1 / (theirs + 1)).squareRoot()
        return rho * (ours + share) / (theirs + 1 - share) * exp(error)
    }
}

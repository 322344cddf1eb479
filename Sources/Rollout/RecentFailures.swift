// The recent window of a rule against a constant: the candidate's requests since its failures last were
// within the limit. What a reading quotes, and by what a total outage is seen whatever came before it.
//
// Theory: the sum of (bad - limit) over requests, held at zero (Page 1954), goes back to the last moment up
// to which the version kept the limit: however long a good time was, it is not in these figures. Beside it
// the run of failures without one good answer. A bet that has been won and lost over an hour needs more
// failures than a fresh one; a run does not.
//
// A run is not covered by alpha at the limit itself: of a version that fails exactly half of its requests,
// ten in a row fail once in a thousand. At a fifth, which nobody calls up, it is once in ten millions.
//
// Invariant: requests that have not ended are in neither; a tick with a good answer ends the run.

import Metrics
import Statistics

/// The candidate's last requests under a rule against a constant.
struct RecentFailures: Sendable, Hashable {
    /// The requests since the limit was kept last.
    private(set) var counts = EpochCounts()
    private var surplus = 0.0
    /// The first of these ticks.
    private(set) var since: UInt64 = 0
    /// Failures in a row, and the tick of the first.
    private(set) var run = 0
    private var runSince: UInt64 = 0

    /// Failures in a row that are an outage, and the ticks that they have to last: half a second, so that no
    /// single moment decides.
    static let runMin = 10
    static let runTicks: UInt64 = 5
    /// Limits from which on a rule is about outages; below, ten failures are proof by themselves.
    static let outageLimit = 0.2

    mutating func take(_ tick: TickView, limit: Double, at number: UInt64) {
        let bad = tick.candidate.bad
        let good = tick.candidate.good - tick.pendingAsGood
        guard bad > 0 || good > 0 || surplus > 0 else { return }
        if surplus == 0 { (counts, since) = (EpochCounts(), number) }
        surplus = max(0, surplus + Double(bad) - limit * Double(bad + good))
        counts += EpochCounts(
            candidateRequests: bad + good, candidateEvents: bad,
            stableRequests: tick.stable.bad + tick.stable.good, stableEvents: tick.stable.bad)
        if surplus == 0 { counts = EpochCounts() }
        if good > 0 {
            run = 0
        } else if bad > 0 {
            if run == 0 { runSince = number }
            run += bad
        }
    }

    /// Whether the version is down at the start of tick `now`: nothing but failures, enough of them, for long
    /// enough.
    func isDown(_ spec: GuardrailSpec, now: UInt64) -> Bool {
        guard case .sequentialAbove(let limit) = spec.rule, spec.measure == .errorRate,
            limit >= RecentFailures.outageLimit, run >= max(RecentFailures.runMin, spec.minEvents)
        else { return false }
        let ticks = max(RecentFailures.runTicks, UInt64(max(0, spec.toleratedTicks)))
        // The first failure may have come at the end of its tick.
        return now > runSince && now - runSince - 1 >= ticks
    }

    /// What the version fails at least of its requests, with 95 % confidence; 0 without a run.
    var rateAtLeast: Double { run > 3 ? 1 - 3 / Double(run) : 0 }
}

// The common-cause guard of absolute rules: whether stable broke the same rule at the moments at which the
// candidate did. Looks back from now over the ticks alone in which the candidate had a bad request, because
// good moments before and after say nothing about an outage and only thin it out.
//
//   stable there, n requests known or hanging, b bad, p = b/n     answer
//   p reaches the limit                                           common cause: the evidence is forfeited
//   p is below the limit and n kl(p, limit) >= 3                  stable was fine: the rule may trip
//   else                                                          unknown: the evidence is kept and waits
//
// Where all of the candidate's last requests have failed, a common cause would fail nearly all of stable's:
// the limit of the second line is then what the candidate's rate is at least, so that one or two good
// answers of stable tell the two apart. Stable's answers to shielded requests count as its requests.
//
// After ten seconds of waiting the rule may trip if the candidate is still bad; else the evidence is
// forfeited. Where stable had no request at all in these moments there is no word to come, and the ten
// seconds are those of the bad time itself, where its beginning is known: no shared moment lasts longer.
// Invariant: a guard only delays a trip or forfeits it, so it can only lower the chance of a false one.
// Source: guardrails/dependence.md, section 2.

import Metrics
import Statistics

/// A guardrail's common-cause guard: since when its evidence waits for word of stable.
struct CommonCause: Sendable {
    /// The tick since which it waits; `never` where it does not.
    private var since = CommonCause.never
    private static let never = UInt64.max

    /// What is known of stable at the moments that the evidence comes from.
    enum Word: Sendable, Hashable {
        /// Nobody asked: there is no evidence, or no guard.
        case unasked
        /// Stable was fine, or nothing could be known of it and the candidate stayed bad.
        case fine
        /// Stable was as bad.
        case common
        case unknown
    }

    /// One tick of the two, as far as it is known.
    struct Moment {
        var candidate = TickView.Arm()
        var stable = TickView.Arm()
    }

    /// Ticks in a row in which the candidate was only good that end the bad time, if its requests in them are
    /// more than this many times the requests among which the limit allows one bad.
    private static let goodTicks = 5
    private static let goodFactor = 2.0
    /// Bad requests of the candidate, and requests of stable, that are enough.
    private static let enough = 30
    /// Nats by which stable must be proven to be within the limit.
    private static let nats = 3.0
    /// Ticks that evidence waits at most: 10 s; then the candidate's last 2 s decide, or as many requests as
    /// the limit allows four bad ones among, where those are more.
    private static let waitTicks: UInt64 = 100
    private static let lastTicks: UInt64 = 20
    private static let lastFactor = 4.0

    /// Asks about stable.
    /// - Parameters:
    ///   - isProven: whether there is evidence to trip on; without, nothing waits.
    ///   - limit: the rate of the rule, 0...1, both excluded.
    ///   - rate: what the candidate fails at least of its requests at the moment, 0...1, both excluded.
    ///   - minEvents: bad requests of the candidate whose moments must be known, so that one stray failure
    ///     after an outage does not speak for it.
    ///   - begun: when the bad time was first seen, where that is known.
    ///   - moment: a tick before now; nil where nothing is known of it.
    mutating func judge(
        isProven: Bool, now: UInt64, limit: Double, rate: Double = 0, minEvents: Int, begun: UInt64? = nil,
        moment: (UInt64) -> Moment?
    ) -> Word {
        guard isProven else {
            since = CommonCause.never
            return .unasked
        }
        let found = CommonCause.look(now, limit, moment)
        let (stable, events) = (found.stable, found.events)
        let all = stable.bad + stable.good
        let share = all > 0 ? Double(stable.bad) / Double(all) : 0
        if all > 0, share >= limit {
            since = CommonCause.never
            return .common
        }
        if events >= minEvents, isFine(share, of: all, limit: max(limit, rate)) {
            since = CommonCause.never
            return .fine
        }
        since = min(since, now)
        let from = all == 0 ? min(since, begun ?? since) : since
        guard now - from >= CommonCause.waitTicks else { return .unknown }
        if CommonCause.isStillBad(now, limit, moment) { return .fine }
        since = CommonCause.never
        return .common
    }

    /// Whether so many requests prove that stable keeps the limit.
    private func isFine(_ share: Double, of all: Int, limit: Double) -> Bool {
        share < limit && Double(all) * FixedTests.divergence(share, limit) >= CommonCause.nats
    }

    /// What the candidate's bad ticks hold.
    struct Look {
        /// Stable's requests in them.
        var stable = TickView.Arm()
        /// Bad requests of the candidate.
        var events = 0
        /// Its last requests, while none of them was good.
        var run = 0

        /// As `RecentFailures`: where all has failed, a common cause would fail nearly all of stable's.
        var rateAtLeast: Double { run >= RecentFailures.runMin ? 1 - 3 / Double(run) : 0 }
    }

    /// Looks back over the candidate's bad ticks.
    static func look(_ now: UInt64, _ limit: Double, _ moment: (UInt64) -> Moment?) -> Look {
        // Fewer requests than this cannot prove that stable keeps the limit.
        let needed = max(enough, Int(min((nats / FixedTests.divergence(0, limit)).rounded(.up), 1e6)))
        let oldest = now - min(now, UInt64(EvidenceRing.buckets - 2))
        var (found, quiet, good, isRun) = (Look(), 0, 0, true)
        var number = now
        while number > oldest, quiet < goodTicks || Double(good) * limit < goodFactor {
            number -= 1
            guard let tick = moment(number) else { continue }
            if tick.candidate.good > 0 { isRun = false }
            if tick.candidate.bad > 0 {
                (quiet, good) = (0, 0)
                found.events += tick.candidate.bad
                if isRun { found.run += tick.candidate.bad }
                found.stable.bad += tick.stable.bad
                found.stable.good += tick.stable.good
                if found.events >= enough, found.stable.bad + found.stable.good >= needed { break }
            } else if tick.candidate.good > 0 {
                quiet += 1
                good += tick.candidate.good
            }
        }
        return found
    }

    private static func isStillBad(_ now: UInt64, _ limit: Double, _ moment: (UInt64) -> Moment?) -> Bool {
        let oldest = now - min(now, UInt64(EvidenceRing.buckets - 2))
        var last = TickView.Arm()
        var number = now
        while number > oldest,
            now - number < lastTicks || Double(last.bad + last.good) * limit < lastFactor
        {
            number -= 1
            guard let tick = moment(number) else { continue }
            last.bad += tick.candidate.bad
            last.good += tick.candidate.good
        }
        return Double(last.bad) > limit * Double(last.bad + last.good)
    }
}

extension CommonCause.Moment {
    /// What is known of a tick's requests by errors: those that have ended, and of stable also those that are
    /// older than nearly all of its requests ever get.
    init(errorsOf pair: PairTick, age: UInt64, lag: UInt64) {
        let (ours, theirs) = (pair.candidate.answered(for: .worse), pair.stable.all)
        candidate.bad = ours.failures
        candidate.good = ours.answered - Int(ours.failed)
        stable.bad = theirs.failures + (age >= lag ? Int(theirs.silent) : 0) + pair.unrescued
        stable.good = theirs.answered - Int(theirs.failed) + pair.rescued
    }

    /// The same of a tick that is decided by age; nil before that.
    init?(_ view: TickView) {
        guard case .settled = view.state else { return nil }
        (candidate, stable) = (view.candidate, view.stable)
    }
}

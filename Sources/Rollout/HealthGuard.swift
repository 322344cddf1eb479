// Whether a candidate can be reached: the share of its endpoints that pass their active checks. It is a
// state, not a sample, so there is nothing to test: the rule is the limit and how long it is broken. A
// request finds no endpoint of a version exactly while none passes, so this is also the rule about requests
// that could not be sent: they are no evidence in any comparison.
//
// The common-cause guard asks whether stable could be reached over the same moments, since the candidate
// fell below the limit. Nothing said of stable before that counts: checks of two versions fall due at
// different times, and a cause that the two share is found at one of them first.
//
//   stable's checks          stable's requests since, up to 2 s   answer
//   below the limit as well  any                                  common cause: no trip
//   one has passed since     answered, or none                    stable can be reached: the rule may trip
//   one has passed since     most failed                          common cause
//   none has passed since    any                                  unknown: waits, a check is due
//   it has none              as above; none at all                unknown, for 10 s at most
//
// A common cause that is over is found to be over at one version first as well. So a candidate is held to be
// still away only when each of its failing endpoints has failed a check that began after stable was fine.
// Invariant: a trip needs the candidate below the limit and stable known to be fine for all of `for`, and a
// check of the candidate since.
// Source: guardrails/dependence.md, section 2; statistics.md, section 7, the timer of "for".

import Metrics
import Statistics

/// What active checks say of a candidate's endpoints and of stable's now.
public struct HealthShares: Sendable, Hashable {
    /// The share of the candidate's endpoints that pass their checks; nil where nobody checks them.
    public var candidate: Double?
    public var stable: Double?
    /// Checks that stable's endpoints have passed so far; another number says that one has since.
    public var stablePasses: UInt64
    /// The tick in which a failing endpoint of the candidate last began a check that failed: the earliest of
    /// all its failing endpoints. Nil where none is known.
    public var candidateFailedAt: UInt64?

    public init(
        candidate: Double? = nil, stable: Double? = nil, stablePasses: UInt64 = 0,
        candidateFailedAt: UInt64? = nil
    ) {
        self.candidate = candidate
        self.stable = stable
        self.stablePasses = stablePasses
        self.candidateFailedAt = candidateFailedAt
    }
}

/// A health guardrail's state: since when the limit is broken, and its `for` timer.
struct HealthGuard: Sendable {
    let spec: GuardrailSpec
    private let sentence: String
    private var timer = Debounce()
    /// The tick since which the candidate is below the limit, and stable's passed checks then.
    private var since = HealthGuard.never
    private var passesThen: UInt64 = 0
    /// The tick since which stable is known to be fine beside it.
    private var fineSince = HealthGuard.never
    private static let never = UInt64.max

    /// Ticks whose requests say whether a version can be reached: 2 s.
    private static let lastTicks: UInt64 = 20
    /// Ticks that the rule waits for word of a stable that nobody checks: 10 s.
    private static let waitTicks: UInt64 = 100

    init(_ spec: GuardrailSpec) {
        self.spec = spec
        sentence = spec.sentence
    }

    private var floor: Double {
        guard case .below(let floor) = spec.rule else {
            preconditionFailure("\(spec.name) is no rule on health")
        }
        return floor
    }

    /// - Parameter read: as in `CandidateWatch.step`; asked only while the limit is broken.
    mutating func step(now: Tick, shares: HealthShares, read: (Tick) -> PairTick?) -> GuardrailReading {
        let share = shares.candidate
        let isBroken = share.map { $0 < floor } ?? false
        if !isBroken {
            since = HealthGuard.never
        } else if since == HealthGuard.never {
            (since, passesThen) = (now.number, shares.stablePasses)
        }
        let last = isBroken ? requests(before: now, read) : nil
        let word = last.map { stableWord(now, shares, $0.stable) } ?? .unasked
        fineSince = word == .fine ? min(fineSince, now.number) : HealthGuard.never
        let isAsked = word != .fine || shares.candidateFailedAt.map { $0 >= fineSince } ?? false
        let isHeld = word == .common || word == .unknown || !isAsked
        let trips = timer.evaluate(
            isBroken && !isHeld, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
        var progress = 0.0
        if let held = timer.held(at: now.number) {
            progress = min(0.5 + 0.5 * Double(held) / Double(max(1, spec.forTicks)), 0.99)
        }
        let verdict: Verdict = trips ? .fail : share == nil || isHeld ? .notEnoughData : .pass
        return GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict, action: spec.action,
            progress: trips ? 1 : progress, candidate: share, stable: shares.stable, threshold: floor,
            words: .health(share, stable: word, isAsked: isAsked, unsent: last?.unsent ?? 0))
    }

    private func stableWord(_ now: Tick, _ shares: HealthShares, _ last: TickView.Arm) -> CommonCause.Word {
        guard spec.vetoWhenStableToo else { return .unasked }
        if let theirs = shares.stable {
            if theirs < floor { return .common }
            guard shares.stablePasses != passesThen else { return .unknown }
        } else if last.bad + last.good == 0, now.number - since < HealthGuard.waitTicks {
            return .unknown
        }
        return last.bad > last.good ? .common : .fine
    }

    /// What came of stable's requests since the limit is broken, and how many of the candidate's found no
    /// endpoint; of the last 2 s at most.
    private func requests(
        before now: Tick, _ read: (Tick) -> PairTick?
    ) -> (stable: TickView.Arm, unsent: Int) {
        var (stable, unsent) = (TickView.Arm(), 0)
        for number in max(since, now.number - min(now.number, HealthGuard.lastTicks))..<now.number {
            guard let pair = read(Tick(number: number)) else { continue }
            let (ours, theirs) = (pair.candidate.all, pair.stable.all)
            stable.bad += theirs.failures
            stable.good += theirs.answered - Int(theirs.failed)
            unsent += Int(ours.unsent - min(ours.overloaded, ours.unsent))
        }
        return (stable, unsent)
    }
}

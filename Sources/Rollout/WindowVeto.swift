// The common-cause guard of a window rule against a constant. Whoever crosses a limit first is chance where
// both versions fail, and few requests of stable, or none, say nothing of a window; so an error rule asks
// about the moments in which the candidate failed, and counts what stable answered to shielded requests.
//
//   stable over the window       at the candidate's bad moments    answer
//   breaks the limit             any                               common cause
//   keeps it, or few requests    enough to ask `CommonCause`       its answer
//   keeps it                     there were none lately            stable was fine
//   any other                    too few to ask                    unknown, for ten seconds; then fine
//
// A common cause is in the window for as long as that is: until then only moments convict. Of a latency there
// is the window alone: while stable is near the limit too, or unknown, the rule waits ten seconds.
// Invariant: a guard only delays a trip or prevents it. Source: guardrails/dependence.md, section 2.

import Metrics

/// What is known of stable while the candidate breaks a window rule's limit.
struct WindowVeto: Sendable {
    private var cause = CommonCause()
    /// Stable was found to be fine since the limit is broken.
    private var isAcquitted = false
    /// The moments do not tell yet.
    private var isAsking = false
    /// The tick since which the limit is broken; nil while it is kept.
    private var since: UInt64?
    /// Until then the window may hold a common cause.
    private var commonUntil: UInt64 = 0
    /// Stable's requests at the candidate's bad moments, as of the last look.
    private var seen = TickView.Arm()

    /// Requests of stable that are enough for its share of a window.
    private static let requestsMin = 10
    /// Ticks to wait for word of stable where only time can tell: 10 s.
    private static let waitTicks: UInt64 = 100

    /// Asks about stable.
    /// - Parameters:
    ///   - isBroken: whether the candidate breaks the limit over the window.
    ///   - moment: as for `CommonCause.judge`.
    mutating func judge(
        _ spec: GuardrailSpec, isBroken: Bool, _ pair: WindowPair, limit: Double, now: UInt64,
        moment: (UInt64) -> CommonCause.Moment?
    ) -> CommonCause.Word {
        seen = TickView.Arm()
        guard isBroken else {
            (cause, isAcquitted, isAsking, since) = (CommonCause(), false, false, nil)
            return .unasked
        }
        let began = since ?? now
        since = began
        let isKnown = pair.stable.requests >= Self.requestsMin
        let stable = isKnown ? spec.measure.value(pair.stable) : nil
        // A stray failure of few requests says nothing.
        let isOfErrors = spec.measure == .errorRate
        if let stable, stable > limit, !isOfErrors || pair.stable.failures >= spec.minEvents {
            commonUntil = now + UInt64(max(1, spec.windowTicks))
            return .common
        }
        if isAcquitted { return .fine }
        let word: CommonCause.Word
        if isOfErrors {
            word = judge(spec, isKnown: stable != nil, began, limit, now, moment)
        } else {
            let isFar = stable.map { 2 * $0 <= limit } ?? false
            word = isFar || now - began >= Self.waitTicks ? .fine : .unknown
        }
        isAcquitted = word == .fine
        return word
    }

    private mutating func judge(
        _ spec: GuardrailSpec, isKnown: Bool, _ began: UInt64, _ limit: Double, _ now: UInt64,
        _ moment: (UInt64) -> CommonCause.Moment?
    ) -> CommonCause.Word {
        let found = CommonCause.look(now, limit, moment)
        seen = found.stable
        guard isAsking || found.events >= max(1, spec.minEvents) else {
            let all = found.stable.bad + found.stable.good
            let isCommon = all > 0 && Double(found.stable.bad) >= limit * Double(all)
            if now < commonUntil || isCommon { return .common }
            let isOver = now - began >= Self.waitTicks || isKnown && found.events == 0
            return isOver ? .fine : .unknown
        }
        let word = cause.judge(
            isProven: true, now: now, limit: limit, rate: found.rateAtLeast, minEvents: spec.minEvents,
            moment: moment)
        isAsking = word == .unknown
        if word == .common { commonUntil = now + UInt64(max(1, spec.windowTicks)) }
        return word
    }

    /// What a reason adds.
    func words(_ word: CommonCause.Word) -> String {
        let all = seen.bad + seen.good
        let share = Sentence.share(seen.bad, of: all)
        let moments = all > 0 ? ", \(share) at the candidate's bad moments with shielded requests" : ""
        return moments + ReadingWords.cause(word)
    }
}

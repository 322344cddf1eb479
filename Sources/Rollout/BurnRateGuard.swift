// Use of the error budget: the sequential test that errors burn it too fast, and beside it a plain cap on
// what the candidate may use up of a month's budget in all, however slowly. The cap is arithmetic, not a
// test: it has no false trips and needs no alpha. What stable fails at the same moments is nobody's use of
// the budget: the test has the common-cause guard, and the cap leaves such moments out.
// Source: guardrails/statistics.md, section 3.11.

import Metrics
import Statistics

/// A burn-rate guardrail's state.
struct BurnRateGuard: Sendable {
    let spec: GuardrailSpec
    private let sentence: String
    private(set) var test: SequentialGuard
    /// Failures of the candidate over the whole rollout that use up its share of the budget; nil: no cap.
    private let failuresMax: Int?
    /// Failures that no longer count against it.
    private var forgiven = 0
    /// When the failures of a bad time began, and how many there had been before.
    private var badTime = BadTime()
    private var cause = CommonCause()
    /// The share is used up, and the moments do not tell yet by whom.
    private var isAsking = false
    /// The share was found to be used up, and not by a common cause.
    private var isUsedUp = false

    private struct BadTime {
        var before = 0
        /// Of the last step, and when there were more last.
        var count = 0
        var grew: UInt64 = 0
    }

    /// Ticks without a failure that end a bad time: 5 s.
    private static let quietTicks: UInt64 = 50

    /// Share of a 30-day budget that a candidate may use up.
    static let budgetShare = 0.02

    init(_ spec: GuardrailSpec, from: Tick) {
        guard case .sequentialBurn(let budget, _, let requests) = spec.rule else {
            preconditionFailure("\(spec.name) watches no budget")
        }
        self.spec = spec
        sentence = spec.sentence
        var inner = spec
        inner.rule = .sequentialAbove(spec.rateLimit)
        // The budget is the users'.
        test = SequentialGuard(inner, from: from, countsCopies: false)
        failuresMax = requests.map {
            max(spec.minEvents, Int(min(BurnRateGuard.budgetShare * budget * $0, 1e15).rounded(.up)))
        }
    }

    mutating func restore(_ wealth: Wealth, _ materiality: Materiality, bad: Int) {
        test.restore(wealth, materiality, bad: bad)
        (badTime.before, badTime.count) = (bad, bad)
    }

    /// As for `SequentialGuard`; a share of the budget that is used up is granted once more.
    mutating func forfeitProven() {
        test.forfeitProven()
        if let failuresMax, bad >= failuresMax { forgiven = test.badInAll }
        (isAsking, isUsedUp) = (false, false)
    }

    /// Failures that count, the settled ones and all.
    var burned: Int { max(0, test.committed.bad - forgiven) }
    private var bad: Int { max(0, test.badInAll - forgiven) }

    mutating func skip(to oldest: UInt64) { test.skip(to: oldest) }

    mutating func step(
        now: Tick, reference: LatencyReference, ticks: TickCache, read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        var reading = test.step(now: now, reference: reference, ticks: ticks, read: read)
        reading.rule = sentence
        guard let failuresMax else { return reading }
        let word = judgeCap(failuresMax, now: now.number) { [spec] in
            spec.moment($0, now: now.number, reference, ticks, read)
        }
        let used =
            "\(Sentence.count(bad)) of the \(Sentence.count(failuresMax)) failures that its"
            + " share of the budget allows"
        reading.reason += ", \(used)"
        if word == .common || word == .unknown { reading.reason += ReadingWords.cause(word) }
        if isUsedUp {
            (reading.verdict, reading.progress) = (.fail, 1)
        } else if bad >= failuresMax, reading.verdict == .pass {
            reading.verdict = .notEnoughData
        } else if reading.verdict != .fail {
            let share = min(Double(bad) / Double(failuresMax), 0.99)
            reading.progress = max(reading.progress, share)
        }
        return reading
    }

    /// Forgives what stable fails as well, and says whether the rest uses up the share. One that is used up
    /// slowly needs no word of stable.
    private mutating func judgeCap(
        _ failuresMax: Int, now: UInt64, moment: (UInt64) -> CommonCause.Moment?
    ) -> CommonCause.Word {
        let (count, last) = (test.badInAll, badTime)
        if count > last.count {
            if now - min(now, last.grew) > Self.quietTicks { badTime.before = last.count }
            badTime.grew = now
        }
        badTime.count = count
        let isAcute = now - min(now, badTime.grew) <= Self.quietTicks && spec.vetoWhenStableToo
        let isReached = bad >= failuresMax
        guard isAcute, !isUsedUp, count > last.count || isReached else {
            isUsedUp = isUsedUp || isReached
            return .unasked
        }
        let found = CommonCause.look(now, spec.rateLimit, moment)
        let (theirs, all) = (found.stable.bad, found.stable.bad + found.stable.good)
        // A stray failure of stable forgives nothing.
        if theirs >= max(1, spec.minEvents), Double(theirs) >= spec.rateLimit * Double(all) {
            return forgive()
        }
        guard isReached, isAsking || found.events >= spec.minEvents else {
            isUsedUp = isReached
            return .unasked
        }
        let word = cause.judge(
            isProven: true, now: now, limit: spec.rateLimit, rate: found.rateAtLeast,
            minEvents: spec.minEvents, moment: moment)
        isAsking = word == .unknown
        switch word {
        case .common: return forgive()
        case .unknown: break
        case .fine, .unasked: isUsedUp = true
        }
        return word
    }

    /// Takes the failures of the bad time off.
    private mutating func forgive() -> CommonCause.Word {
        forgiven += max(0, test.badInAll - badTime.before)
        badTime.before = test.badInAll
        return .common
    }
}

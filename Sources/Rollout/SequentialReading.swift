// A sequential guardrail's step: its view of ticks, its verdict with the common-cause guard, its words.
// Invariant: an absolute rule that stable breaks at the same moments neither passes nor fails.
// Source: guardrails/statistics.md, sections 3.1, 3.3 and 4.1.

import Metrics
import Statistics

extension SequentialGuard {
    /// Takes in the ticks before now and gives the reading.
    mutating func step(
        now: Tick, reference: LatencyReference, ticks: TickCache, read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        let lag = reference.stableLagTicks ?? SequentialGuard.lagUnknown
        let slots = reference.slots(for: spec)
        let spec = spec
        let (seen, stable) = look(ticks, lag: lag, slots: slots) { number, now, isLoss in
            let pair = number >= ticks.from ? ticks.pair(number) : read(Tick(number: number))
            guard isLoss else {
                return pair.flatMap { spec.moment($0, age: now - number - 1, lag: lag, slots: slots) }
            }
            return pair.map {
                CommonCause.Moment(lossOf: $0, age: now - number - 1, lag: lag, slot: slots?.evidence)
            }
        }
        advanceGross(ticks, slot: reference.grossSlot)
        advancePinned(ticks, lag: lag, slots: slots)
        let isAwaited = stable == .common || stable == .unknown
        let trips = trips(seen, now: now, isHeld: isAwaited)
        let isBlind = isBlind(seen, slots, reference)
        let isOpen = isAwaited || !seen.hasData(spec, now: now) || isBlind && slots != nil
        let verdict: Verdict = trips != nil ? .fail : isOpen ? .notEnoughData : .pass
        var reading = reading(
            seen, decisive: trips, verdict: verdict, stable: stable, slots: slots, reference: reference)
        if isBlind, trips == nil {
            reading.reason += "; a hang whose clients leave is not seen: how long stable takes is unknown"
        }
        return reading
    }

    /// Whether nothing would see a version that answers nobody while its clients leave: without stable's
    /// median no cancelled request counts, and without its requests there is nothing to compare with.
    private func isBlind(
        _ seen: SequentialProgress, _ slots: (evidence: Int, size: Int)?, _ reference: LatencyReference
    ) -> Bool {
        guard spec.watchesLoss, seen.materiality.stage.pooled.stableRequests == 0 else { return false }
        return slots.map { reference.candidateThresholds[$0.evidence] == 0 } ?? true
    }

    /// The lag before stable's latency is known, in ticks.
    static let lagUnknown: UInt64 = 5
}

extension GuardrailSpec {
    /// A tick as this rule sees it. To copy one costs as much as to look at it, and most are compared as they
    /// are.
    func view(_ tick: PairTick, age: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?) -> TickView {
        guard rule.isRelative, tick.isOfCopies else {
            return view(compared: tick, age: age, lag: lag, slots: slots)
        }
        return view(compared: tick.compared(for: .worse), age: age, lag: lag, slots: slots)
    }

    private func view(
        compared pair: PairTick, age: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?
    ) -> TickView {
        if rule.isRelative, pair.isVoid(for: .worse) { return .dropped }
        if rule.isRelative, let event = measure.event { return .events(event, pair, age: age, lag: lag) }
        switch (rule, measure) {
        case (.sequentialAbove, .errorRate):
            return .errors(pair, age: age, slot: slots?.evidence)
        case (.sequentialWorseThanStable(let rho, _, _), .latency):
            guard let slots else { return .dropped }
            if countsKeysOnce {
                return .slowKeys(
                    pair, age: age, lag: lag, rho: rho, evidence: slots.evidence, size: slots.size)
            }
            return .latency(pair, age: age, rho: rho, evidence: slots.evidence, size: slots.size)
        case (.sequentialAbove(let micros), .latency):
            guard let slots else { return .dropped }
            return .latency(pair, age: age, micros: UInt32(micros), slot: slots.evidence)
        default:
            return .dropped
        }
    }
}

extension GuardrailSpec {
    /// A tick with little or nothing of stable, measured as in a comparison: the sizes of both count. Nil
    /// while it is not settled.
    func alone(
        _ pair: PairTick, age: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?
    ) -> TickView? {
        var alone = pair
        if pair.split?.isCandidateAlone ?? true { alone.stable = ArmTick() }
        // Any split of the two: what is counted does not depend on it.
        alone.split = .copies
        let view = view(alone, age: age, lag: lag, slots: slots)
        switch view.state {
        case .settled, .dropped: return view
        case .hidden, .open: return nil
        }
    }

    /// What the common-cause guard of a rule on errors knows of a tick.
    /// - Parameter ticks: those that have been read already.
    func moment(
        _ number: UInt64, now: UInt64, _ reference: LatencyReference, _ ticks: TickCache,
        _ read: (Tick) -> PairTick?
    ) -> CommonCause.Moment? {
        let pair = number >= ticks.from ? ticks.pair(number) : read(Tick(number: number))
        return pair.map {
            CommonCause.Moment(
                errorsOf: $0, age: now - number - 1,
                lag: reference.stableLagTicks ?? SequentialGuard.lagUnknown)
        }
    }

    /// What the common-cause guard of an absolute rule knows of a tick.
    func moment(
        _ pair: PairTick, age: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?
    ) -> CommonCause.Moment? {
        if case .errorRate = measure { return CommonCause.Moment(errorsOf: pair, age: age, lag: lag) }
        return CommonCause.Moment(view(pair, age: age, lag: lag, slots: slots))
    }
}

extension TickCache {
    /// A tick as a rule sees it at the start of tick `now`.
    func view(
        _ number: UInt64, _ spec: GuardrailSpec, at now: UInt64, countsCopies: Bool, lag: UInt64,
        slots: (evidence: Int, size: Int)?
    ) -> TickView {
        guard let pair = pair(number) else { return .dropped }
        let age = now - number - 1
        if countsCopies { return spec.view(pair, age: age, lag: lag, slots: slots) }
        return spec.view(pair.withoutCopies, age: age, lag: lag, slots: slots)
    }
}

extension SequentialGuard {
    private func reading(
        _ seen: SequentialProgress, decisive: EpochCounts?, verdict: Verdict, stable word: CommonCause.Word,
        slots: (evidence: Int, size: Int)?, reference: LatencyReference
    ) -> GuardrailReading {
        let isGross = verdict == .fail && isGross
        // A trip shows the requests that it rests on, everything else the whole stage.
        let whole = seen.materiality.stage.pooled
        let isHeldBack = word == .common || word == .unknown
        let isLoss = isLoss(seen) && (verdict == .fail || isHeldBack)
        let recent =
            isLoss
            ? seen.loss.counts
            : isHeldBack && seen.recent.counts.candidateEvents > 0 ? seen.recent.counts : nil
        let used = decisive ?? recent ?? whole
        let counts = isGross ? gross?.test.run.epoch ?? EpochCounts() : used
        let maxLogE = isGross ? gross?.test.maxLogE ?? 0 : wealth.maxLogE
        let fast = gross.map { $0.test.maxLogE / $0.logThreshold(spec) } ?? 0
        let progress = min(max(maxLogE / logThreshold, fast, 0), 1)
        var reading = GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict, action: spec.action,
            logE: isGross ? gross?.test.logE : seen.bet.wealth.logE, maxLogE: maxLogE,
            progress: verdict == .fail ? 1 : min(progress, 0.99),
            candidateRequests: counts.candidateRequests, stableRequests: counts.stableRequests,
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents,
            alpha: spec.alpha * spec.comparedAlphaShare,
            words: words(seen, (counts, whole), stable: word, slots: slots, reference: reference))
        if counts.candidateRequests > 0 {
            reading.candidate = Double(counts.candidateEvents) / Double(counts.candidateRequests)
        }
        if counts.stableRequests > 0 {
            reading.stable = Double(counts.stableEvents) / Double(counts.stableRequests)
        }
        reading.threshold = threshold(stable: reading.stable, slots: slots, reference: reference)
        if isLoss {
            reading.reason = ReadingWords.loss(seen.loss, stable: word).text
            reading.unanswered = Int(seen.loss.lost)
        }
        if isGross, spec.isLatencyBet, let slot = reference.grossSlot {
            let micros = reference.candidateThresholds[slot]
            reading.threshold = Double(micros)
            reading.reason = ReadingWords.gross(counts, micros: micros).text
        }
        return reading
    }

    /// What the candidate is held to: a rate, or microseconds.
    private func threshold(
        stable: Double?, slots: (evidence: Int, size: Int)?, reference: LatencyReference
    ) -> Double? {
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(_, let ratio, let difference), _) where spec.measure.event != nil:
            return stable.map { max($0 * ratio, $0 + difference) }
        case (.sequentialWorseThanStable, .latency):
            guard let slots else { return nil }
            let micros = reference.candidateThresholds[slots.size]
            return micros > 0 ? Double(micros) : nil
        case (.sequentialAbove(let limit), _):
            return limit
        default:
            return nil
        }
    }

    private func words(
        _ seen: SequentialProgress, _ figures: (used: EpochCounts, whole: EpochCounts),
        stable: CommonCause.Word, slots: (evidence: Int, size: Int)?, reference: LatencyReference
    ) -> ReadingWords {
        guard case .latency(let quantile) = spec.measure else {
            guard let event = spec.measure.event, event != .failure else {
                return .failures(figures.used, of: figures.whole, stable: stable)
            }
            return .events(event, figures.used, of: figures.whole)
        }
        guard let slots else {
            return .text("no latency slot left for this rule: at most \(ArmCounts.fastSlots) are counted")
        }
        let (limit, tau) = (
            reference.candidateThresholds[slots.size], reference.stableThresholds[slots.size]
        )
        if limit == 0 { return .quantileUnknown(quantile) }
        let started = seen.warmUp.started
        if seen.decided == 0, started > 0, started < spec.warmUpRequests {
            return .warmingUp(started, of: spec.warmUpRequests)
        }
        return .slowness(
            figures.used, of: figures.whole, micros: limit, stableMicros: tau, stable: stable)
    }
}

extension GrossSlowness.Counts {
    var epoch: EpochCounts {
        EpochCounts(
            candidateRequests: Int(candidate), candidateEvents: Int(candidateSlow),
            stableRequests: Int(stable), stableEvents: Int(stableSlow))
    }
}

// A sequential guardrail's step: its view of ticks, its verdict with the common-cause guard, its words.
// Invariant: an absolute rule that stable breaks as well in the same seconds neither passes nor fails.
// Source: guardrails/statistics.md, sections 3.1, 3.3 and 4.1.

import Metrics
import Statistics

extension SequentialGuard {
    /// Takes in the ticks before now and gives the reading.
    mutating func step(
        now: Tick, reference: LatencyReference, ticks: TickCache, read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        let lag = reference.stableLagTicks ?? SequentialGuard.lagUnknown
        let (spec, countsCopies) = (spec, countsCopies)
        let slots = reference.slots(for: spec)
        func view(_ number: UInt64) -> TickView {
            guard let pair = ticks.pair(number) else { return .dropped }
            let seen = countsCopies ? pair : pair.withoutCopies
            return spec.view(seen, age: ticks.age(number), lag: lag, slots: slots)
        }
        let (seen, logE) = advance(now: now, view: view)
        var isVetoed = false
        if spec.vetoWhenStableToo, bet.wealth.maxLogE >= logThreshold, !spec.rule.isRelative {
            isVetoed = stableIsBadToo(now: now, lag: lag, slots: slots) { number in
                number >= ticks.from ? ticks.pair(number) : read(Tick(number: number))
            }
            if isVetoed { forfeit() }
        }
        let trips = trips(seen, now: now)
        let verdict: Verdict =
            trips ? .fail : isVetoed || !seen.hasData(now: now) ? .notEnoughData : .pass
        return reading(seen, verdict: verdict, logE: logE, isVetoed: isVetoed, reference: reference)
    }

    /// The lag before stable's latency is known, in ticks.
    static let lagUnknown: UInt64 = 5
    /// Bad requests of the candidate over whose span stable is looked at, and stable's requests that are
    /// enough to say that it is bad as well.
    private static let vetoEvents = 10
    private static let vetoRequests = 3

    /// The common-cause guard: whether stable broke the same rule while the candidate's last bad requests
    /// started. Looks back over as many ticks as hold them, so that an outage of a second is judged by that
    /// second and not by the minute before it.
    private func stableIsBadToo(
        now: Tick, lag: UInt64, slots: (evidence: Int, size: Int)?, pair: (UInt64) -> PairTick?
    ) -> Bool {
        var (candidateBad, bad, requests) = (0, 0, 0)
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        var number = now.number
        while number > oldest {
            number -= 1
            guard let pair = pair(number) else { continue }
            let age = now.number - number - 1
            let tick = spec.view(pair, age: age, lag: lag, slots: slots)
            guard tick.state != .hidden, tick.state != .dropped else { continue }
            candidateBad += tick.candidate.bad
            bad += tick.stable.bad
            requests += tick.stable.bad + tick.stable.good
            if case .errorRate = spec.measure, age >= lag {
                // Older than nearly all of stable's requests ever get: it hangs.
                bad += Int(pair.stable.all.pending)
                requests += Int(pair.stable.all.pending)
            }
            let isEnough = requests >= SequentialGuard.vetoRequests
            if candidateBad >= max(spec.minEvents, SequentialGuard.vetoEvents), isEnough { break }
        }
        return requests >= SequentialGuard.vetoRequests
            && Double(bad) > spec.rateLimit * Double(requests)
    }

    /// Whether there is traffic to judge: enough in all, and some within the last window.
    func hasData(now: Tick) -> Bool {
        guard let lastDecided, decided >= max(1, spec.minRequests) else { return false }
        return now.number - lastDecided <= UInt64(max(spec.windowTicks, 1)) + TickView.deadlineTicks
    }
}

extension GuardrailSpec {
    /// A tick as this rule sees it.
    func view(_ tick: PairTick, age: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?) -> TickView {
        let pair = rule.isRelative ? tick.compared(for: .worse) : tick
        switch (rule, measure) {
        case (.sequentialWorseThanStable, .errorRate):
            return .errors(pair, age: age, lag: lag)
        case (.sequentialAbove, .errorRate):
            return .errors(pair, age: age)
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

extension SequentialGuard {
    private func reading(
        _ seen: SequentialGuard, verdict: Verdict, logE: Double, isVetoed: Bool, reference: LatencyReference
    ) -> GuardrailReading {
        let counts = seen.materiality.stage.pooled
        let maxLogE = bet.wealth.maxLogE
        let progress = min(max(maxLogE / logThreshold, 0), 1)
        var reading = GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict, action: spec.action, logE: logE,
            maxLogE: maxLogE, progress: verdict == .fail ? 1 : min(progress, 0.99),
            candidateRequests: counts.candidateRequests, stableRequests: counts.stableRequests,
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents, alpha: spec.alpha,
            reason: "")
        if counts.candidateRequests > 0 {
            reading.candidate = Double(counts.candidateEvents) / Double(counts.candidateRequests)
        }
        if counts.stableRequests > 0 {
            reading.stable = Double(counts.stableEvents) / Double(counts.stableRequests)
        }
        reading.threshold = threshold(stable: reading.stable, reference: reference)
        reading.reason = reason(counts, seen: seen, isVetoed: isVetoed, reference: reference)
        return reading
    }

    /// What the candidate is held to: a rate, or microseconds.
    private func threshold(stable: Double?, reference: LatencyReference) -> Double? {
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(_, let ratio, let difference), .errorRate):
            return stable.map { max($0 * ratio, $0 + difference) }
        case (.sequentialWorseThanStable, .latency):
            guard let slots = reference.slots(for: spec) else { return nil }
            let micros = reference.candidateThresholds[slots.size]
            return micros > 0 ? Double(micros) : nil
        case (.sequentialAbove(let limit), _):
            return limit
        default:
            return nil
        }
    }

    private func reason(
        _ counts: EpochCounts, seen: SequentialGuard, isVetoed: Bool, reference: LatencyReference
    ) -> String {
        let ours = Sentence.share(counts.candidateEvents, of: counts.candidateRequests)
        let theirs = Sentence.share(counts.stableEvents, of: counts.stableRequests)
        let cause = isVetoed ? "; common cause, the candidate is not blamed" : ""
        guard case .latency(let quantile) = spec.measure else {
            return "candidate \(ours) failed, stable \(theirs)\(cause)"
        }
        guard let slots = reference.slots(for: spec) else {
            return "no latency slot left for this rule: at most \(ArmCounts.fastSlots) are counted"
        }
        let (limit, tau) = (
            reference.candidateThresholds[slots.size], reference.stableThresholds[slots.size]
        )
        guard limit > 0 else {
            return "stable's \(Sentence.quantile(quantile)) is not known yet:"
                + " it takes \(Sentence.count(Int(LatencyReference.requestsMin))) requests"
        }
        if seen.decided == 0, seen.started > 0, seen.started < spec.warmUpRequests {
            return "warming up: \(Sentence.count(seen.started)) of"
                + " \(Sentence.count(spec.warmUpRequests)) candidate requests"
        }
        let (above, beside) = (Sentence.time(micros: Double(limit)), Sentence.time(micros: Double(tau)))
        return "candidate \(ours) failed or took longer than \(above), stable \(theirs)"
            + (limit == tau ? "" : " longer than \(beside)") + cause
    }
}

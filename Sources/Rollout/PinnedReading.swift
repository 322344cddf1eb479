// What a rule against stable says while stable has no traffic and there is something to hold the candidate
// to. Control adds whom it is compared with, and until when: Rollout knows neither names nor wall clocks.
// Invariant: a trip shows the requests that decided it beside all since; no traffic is never a pass.

import Metrics
import Statistics

extension SequentialGuard {
    /// The reading against stable as it was; nil where nothing is pinned.
    mutating func withoutStable(now: Tick, _ reference: LatencyReference) -> GuardrailReading? {
        let trips = tripsPinned(now: now.number)
        guard let test = pinned, test.isPinned, let action = spec.pinnedAction else { return nil }
        let counts = test.counts
        let isWithin = Double(counts.candidateEvents) <= test.limit * Double(counts.candidateRequests)
        let hasData = test.word != .waiting && test.hasData(spec, now: now.number)
        let verdict: Verdict = trips ? .fail : hasData && isWithin ? .pass : .notEnoughData
        let slot = reference.slots(for: spec)?.size
        let micros = slot.map { reference.candidateThresholds[$0] } ?? 0
        let wealth = test.wealth
        let progress = min(max(wealth.maxLogE / test.logThreshold(spec), 0), 0.99)
        var reading = GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict,
            action: test.word == .undecided ? .alert : action, logE: wealth.logE,
            maxLogE: wealth.maxLogE, progress: trips ? 1 : progress,
            candidateRequests: counts.candidateRequests, stableRequests: counts.stableRequests,
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents,
            threshold: spec.measure.event != nil ? test.limit : Double(micros),
            alpha: spec.alpha * spec.pinnedAlphaShare,
            words: .pinned(
                counts, last: trips ? test.decisive : nil, spec.measure.event, limit: test.limit,
                micros: micros, test.word, isAlone: test.isAlone))
        if trips, let last = test.decisive {
            (reading.candidateRequests, reading.candidateEvents) = (Int(last.requests), Int(last.events))
        }
        if reading.candidateRequests > 0 {
            reading.candidate = Double(reading.candidateEvents) / Double(reading.candidateRequests)
        }
        if counts.stableRequests > 0 {
            reading.stable = Double(counts.stableEvents) / Double(counts.stableRequests)
        }
        reading.isPinned = true
        reading.pinnedUntil = test.until.map { Tick(number: $0) }
        return reading
    }
}

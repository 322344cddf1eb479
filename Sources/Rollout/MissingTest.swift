// Missing values: null, absent or not a number where one was expected. Against stable each is a coin "was it
// the candidate's?", against a constant a rate.
// Source: guardrails/statistics.md, section 3.8.

import Statistics

/// The bet on missing values.
struct MissingTest: ValueTest {
    private var relative: RelativeEvents?
    private var absolute: AbsoluteRate?
    private var sizes = Materiality()

    init(_ spec: GuardrailSpec) {
        if case .sequentialWorseThanStable(let rho, _, _) = spec.rule {
            relative = RelativeEvents(rho: rho)
        } else {
            absolute = AbsoluteRate(p0: spec.rateLimit)
        }
    }

    mutating func newEpoch(startsStage: Bool) {
        relative?.wealth.newEpoch()
        absolute?.wealth.newEpoch()
        sizes.newEpoch(startsStage: startsStage)
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        let (ours, theirs) = (tick.candidate, tick.stable)
        if relative != nil {
            guard let share else { return }
            relative?.add(share: share, candidate: ours.missing, stable: theirs.missing)
        } else {
            absolute?.add(bad: ours.missing, good: ours.values.count)
        }
        sizes.add(
            EpochCounts(
                candidateRequests: ours.observed, candidateEvents: ours.missing,
                stableRequests: theirs.observed, stableEvents: theirs.missing))
    }

    var logE: Double { relative?.wealth.logE ?? absolute?.wealth.logE ?? 0 }

    func isMaterial(_ spec: GuardrailSpec) -> Bool {
        switch spec.rule {
        case .sequentialWorseThanStable(_, let ratio, let difference):
            sizes.differenceReaches(difference, minEvents: spec.minEvents)
                && (ratio <= 1 || sizes.ratioReaches(ratio, minEvents: spec.minEvents))
        case _ where spec.forTicks > 0:
            sizes.candidateExceeds(spec.rateLimit, minEvents: spec.minEvents)
        default:
            // The evidence itself proves that the constant is exceeded.
            sizes.stage.pooled.candidateEvents >= spec.minEvents
        }
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool {
        let stable = sizes.stage.pooled
        return absolute != nil && stable.stableRequests > 0
            && Double(stable.stableEvents) > spec.rateLimit * Double(stable.stableRequests)
    }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        let counts = sizes.stage.pooled
        let ours = Sentence.share(counts.candidateEvents, of: counts.candidateRequests)
        let theirs = Sentence.share(counts.stableEvents, of: counts.stableRequests)
        var figures = ValueFigures(
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents,
            reason: "candidate \(ours) missing, stable \(theirs)")
        if counts.candidateRequests > 0 {
            figures.candidate = Double(counts.candidateEvents) / Double(counts.candidateRequests)
        }
        if counts.stableRequests > 0 {
            figures.stable = Double(counts.stableEvents) / Double(counts.stableRequests)
        }
        switch spec.rule {
        case .sequentialWorseThanStable(_, _, let difference):
            figures.threshold = figures.stable.map { $0 + difference }
        default: figures.threshold = spec.rateLimit
        }
        return figures
    }
}

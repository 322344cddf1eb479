// Missing values: null, absent or not a number where one was expected. Against stable each is a coin "was it
// the candidate's?", against a constant a rate.
// Source: guardrails/statistics.md, section 3.8.

import Statistics

/// The bet on missing values.
struct MissingTest: ValueTest {
    private var bet: Kind
    private var sizes = Materiality()

    /// One of two, in the same room.
    private enum Kind: Sendable, Hashable {
        case relative(RelativeEvents)
        case absolute(AbsoluteRate)
    }

    init(_ spec: GuardrailSpec) {
        if case .sequentialWorseThanStable(let rho, _, _) = spec.rule {
            bet = .relative(RelativeEvents(rho: rho))
        } else {
            bet = .absolute(AbsoluteRate(p0: spec.rateLimit))
        }
    }

    mutating func newEpoch(startsStage: Bool) {
        switch bet {
        case .relative(var test):
            test.wealth.newEpoch()
            bet = .relative(test)
        case .absolute(var test):
            test.wealth.newEpoch()
            bet = .absolute(test)
        }
        sizes.newEpoch(startsStage: startsStage)
    }

    mutating func forfeit() {
        switch bet {
        case .relative(var test):
            test.wealth.forfeit()
            bet = .relative(test)
        case .absolute(var test):
            test.wealth.forfeit()
            bet = .absolute(test)
        }
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        let (ours, theirs) = (tick.candidate, tick.stable)
        switch bet {
        case .relative(var test):
            guard let share else { return }
            test.add(share: share, candidate: ours.missing, stable: theirs.missing)
            bet = .relative(test)
        case .absolute(var test):
            test.add(bad: ours.missing, good: ours.values.count)
            bet = .absolute(test)
        }
        sizes.add(
            EpochCounts(
                candidateRequests: ours.observed, candidateEvents: ours.missing,
                stableRequests: theirs.observed, stableEvents: theirs.missing))
    }

    var logE: Double {
        switch bet {
        case .relative(let test): test.wealth.logE
        case .absolute(let test): test.wealth.logE
        }
    }

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
        guard case .absolute = bet else { return false }
        let stable = sizes.stage.pooled
        return stable.stableRequests > 0
            && Double(stable.stableEvents) > spec.rateLimit * Double(stable.stableRequests)
    }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        let counts = sizes.stage.pooled
        var figures = ValueFigures(
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents,
            words: .missing(counts))
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

extension MissingTest {
    private enum CodingKeys: String, CodingKey { case relative, absolute, sizes }

    init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        if let test = try saved.decodeIfPresent(RelativeEvents.self, forKey: .relative) {
            bet = .relative(test)
        } else {
            bet = .absolute(try saved.decode(AbsoluteRate.self, forKey: .absolute))
        }
        sizes = try saved.decode(Materiality.self, forKey: .sizes)
    }

    func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        switch bet {
        case .relative(let test): try saved.encode(test, forKey: .relative)
        case .absolute(let test): try saved.encode(test, forKey: .absolute)
        }
        try saved.encode(sizes, forKey: .sizes)
    }
}

// Drift of a value's distribution from a pinned histogram. Such a reference cannot tell a drift of the model
// from one of its traffic, so the same test runs on stable, and stable's own drift acquits the candidate.
//
// Invariant: one evidence per stage; those of finished stages are frozen. Evaluated once a second, because it
// solves for the most likely distribution near the reference. Source: guardrails/statistics.md, section 3.7.

import Statistics

/// The bet against "the candidate's values come from near the reference".
struct PinnedDriftTest: ValueTest {
    private let bins: DriftBins
    private let reference: PinnedReference
    private let radius: Double
    private var candidate: Stages
    private var stable: Stages
    private var evaluatedAt: UInt64?

    /// Values of each version without which a distance says nothing.
    private static let requestsMin = 100
    private static let ticksPerEvaluation: UInt64 = 10
    /// Nats of evidence a request with which stable is taken to drift, however few its requests are: at a
    /// high weight the candidate's evidence grows twenty times as fast from the same season.
    private static let natsPerRequest = 0.01

    /// Nats by which stable's values must speak for the reference and against the candidate's distribution
    /// before the candidate is blamed: a season is in stable's values long before it is proven by them.
    private static let natsForReference = 3.0

    /// One version's counts of this stage, and the evidence of all stages.
    private struct Stages: Sendable, Hashable, Codable {
        var counts: [Int]
        private(set) var evidence = StagedEvidence()
        private(set) var maxLogE = 0.0

        init(bins: Int) { counts = Array(repeating: 0, count: bins) }

        mutating func evaluate(_ reference: PinnedReference, radius: Double) {
            evidence.current = PinnedDrift.logE(counts: counts, reference: reference, radius: radius)
            maxLogE = max(maxLogE, evidence.logE)
        }

        mutating func newStage() {
            evidence.newStage()
            for b in counts.indices { counts[b] = 0 }
        }

        mutating func forfeit() {
            newStage()
            evidence.forfeit()
            maxLogE = 0
        }
    }

    init(_ spec: GuardrailSpec) {
        guard case .sequentialDriftFrom(let pinned, _) = spec.rule else {
            preconditionFailure("\(spec.name) has no reference")
        }
        bins = DriftBins(edges: pinned.edges)
        reference = PinnedReference(PinnedDrift.smooth(pinned.counts))
        radius = PinnedDrift.radius(referenceRows: pinned.rows, bins: pinned.counts.count, alpha: spec.alpha)
        candidate = Stages(bins: pinned.counts.count)
        stable = candidate
    }

    mutating func newEpoch(startsStage: Bool) {
        guard startsStage else { return }
        evaluate()
        candidate.newStage()
        stable.newStage()
    }

    /// The evidence is a function of the stage's counts, so both versions' begin anew.
    mutating func forfeit() {
        candidate.forfeit()
        stable.newStage()
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        bins.count(tick.candidate.values, into: &candidate.counts)
        bins.count(tick.stable.values, into: &stable.counts)
        let last = evaluatedAt ?? tick.tick.number
        evaluatedAt = last
        if tick.tick.number >= last + PinnedDriftTest.ticksPerEvaluation {
            evaluatedAt = tick.tick.number
            evaluate()
        }
    }

    private mutating func evaluate() {
        candidate.evaluate(reference, radius: radius)
        stable.evaluate(reference, radius: radius)
    }

    var logE: Double { candidate.evidence.logE }

    func isMaterial(_ spec: GuardrailSpec) -> Bool {
        guard case .sequentialDriftFrom(let pinned, let limit) = spec.rule,
            let found = distance(pinned, candidate.counts)
        else { return false }
        // With less than that of stable nothing says that the traffic is as it was; without any there is
        // nobody to ask.
        let (ours, theirs) = (candidate.counts.reduce(0, +), stable.counts.reduce(0, +))
        return ours >= max(PinnedDriftTest.requestsMin, spec.minRequests)
            && (theirs == 0 || !spec.vetoWhenStableToo
                || (theirs >= PinnedDriftTest.requestsMin
                    && natsForReference(pinned) >= PinnedDriftTest.natsForReference))
            && found >= limit
    }

    /// How much more likely stable's values are from the reference than from where the candidate's are.
    private func natsForReference(_ pinned: DriftReference) -> Double {
        let (usual, drifted) = (PinnedDrift.smooth(pinned.counts), PinnedDrift.smooth(candidate.counts))
        return PinnedDrift.nats(of: stable.counts, from: usual, over: drifted)
    }

    private func distance(_ pinned: DriftReference, _ counts: [Int]) -> Double? {
        counts.contains { $0 > 0 }
            ? DriftDistance.psiDebiased(candidate: counts, stable: pinned.counts) : nil
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool {
        let seen = stable.counts.reduce(0, +)
        return stable.maxLogE >= Wealth.logThreshold(alpha: spec.alpha)
            || stable.evidence.current > PinnedDriftTest.natsPerRequest * Double(seen)
    }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        guard case .sequentialDriftFrom(let pinned, let limit) = spec.rule else {
            preconditionFailure("\(spec.name) has no reference")
        }
        let (ours, theirs) = (distance(pinned, candidate.counts), distance(pinned, stable.counts))
        return ValueFigures(
            candidate: ours, stable: theirs, threshold: limit,
            words: .driftFrom(
                candidate: (ours, candidate.counts.reduce(0, +)),
                stable: (theirs, stable.counts.reduce(0, +))))
    }
}

// Drift of a value's distribution against stable's of the same time. Stable's first thousand values make the
// bins; from then on candidate and stable are compared by label. A drift of the traffic itself hits both.
//
// Invariant: bins are frozen before the first bet. While they are learned, one buffer of a thousand values is
// the whole state; afterwards it is gone. Source: guardrails/statistics.md, section 3.6.

import Statistics

/// The bet on a difference of distributions.
struct DriftTest: ValueTest {
    private var learned: [Float] = []
    private var bins: DriftBins?
    private var label: DriftLabel?
    /// The current stage's counts by bin.
    private var candidate: [Int] = []
    private var stable: [Int] = []

    /// Values of stable that make the bins, and requests of each version without which a distance says
    /// nothing.
    static let learnedMin = 1000
    private static let requestsMin = 100
    /// Chance that a recent distance of nothing but noise passes for material.
    private static let noise = 0.001

    init(_ spec: GuardrailSpec) {}

    mutating func newEpoch(startsStage: Bool) {
        label?.newEpoch()
        guard startsStage else { return }
        for b in candidate.indices { (candidate[b], stable[b]) = (0, 0) }
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        guard let bins else {
            learned += tick.stable.values.prefix(DriftTest.learnedMin - learned.count).map { Float($0) }
            if learned.count >= DriftTest.learnedMin { freeze() }
            return
        }
        guard let share, !tick.candidate.values.isEmpty || !tick.stable.values.isEmpty else { return }
        var ours = Array(repeating: 0, count: bins.count)
        var theirs = ours
        bins.count(tick.candidate.values, into: &ours)
        bins.count(tick.stable.values, into: &theirs)
        label?.add(share: share, candidate: ours, stable: theirs)
        for b in ours.indices {
            candidate[b] += ours[b]
            stable[b] += theirs[b]
        }
    }

    private mutating func freeze() {
        let made = DriftBins(freezing: learned)
        bins = made
        learned = []
        label = DriftLabel(bins: made.count)
        candidate = Array(repeating: 0, count: made.count)
        stable = candidate
    }

    var logE: Double { label?.wealth.logE ?? 0 }

    func isMaterial(_ spec: GuardrailSpec) -> Bool {
        guard case .sequentialDrift(let limit) = spec.rule, let label else { return false }
        let least = max(DriftTest.requestsMin, spec.minRequests)
        if (distance(candidate, stable, least: least) ?? -1) >= limit { return true }
        // The learner that forgets: about the last two thousand requests of the candidate.
        let (ours, theirs) = label.recentCounts
        guard let recent = distance(ours, theirs, least: least) else { return false }
        let noise = DriftDistance.psiThreshold(
            bins: ours.count, candidate: Double(ours.reduce(0, +)), stable: Double(theirs.reduce(0, +)),
            alpha: DriftTest.noise)
        return recent - noise >= limit
    }

    /// The debiased stability index; nil with too few requests.
    private func distance(_ ours: [Int], _ theirs: [Int], least: Int) -> Double? {
        guard ours.reduce(0, +) >= least, theirs.reduce(0, +) >= least else { return nil }
        return DriftDistance.psiDebiased(candidate: ours, stable: theirs)
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool { false }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        guard case .sequentialDrift(let limit) = spec.rule, let bins else {
            return ValueFigures(
                reason: "stable's values are not known yet: \(Sentence.count(learned.count)) of"
                    + " \(Sentence.count(DriftTest.learnedMin))")
        }
        let (n, m) = (candidate.reduce(0, +), stable.reduce(0, +))
        let found = distance(candidate, stable, least: 1)
        let index = found.map { Sentence.value($0) } ?? "unknown"
        return ValueFigures(
            candidate: found, threshold: limit,
            reason: "stability index \(index) over \(bins.count) bins, candidate \(Sentence.count(n)) values,"
                + " stable \(Sentence.count(m))")
    }
}

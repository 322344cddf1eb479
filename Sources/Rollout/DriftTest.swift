// Drift of a value's distribution against stable's of the same time. Stable's first values make the
// bins; from then on candidate and stable are compared by label. A drift of the traffic itself hits both.
//
// Invariant: bins are frozen before the first bet. While they are learned, one buffer of 900 values is
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

    /// Values of stable that make the bins, as many as fit into 4 KB with the rest; and requests of each
    /// version without which a distance says nothing.
    static let learnedMin = 900
    private static let requestsMin = 100
    /// Chance that a recent distance of nothing but noise passes for material.
    private static let noise = 0.001
    /// By number of bins: what nothing but noise exceeds with that chance, times the error of the counts.
    private static let noiseQuantiles = (0...max(DriftBins.classesMax + 1, 10)).map { bins in
        chiSquareUpperQuantile(noise, degrees: max(bins - 1, 1))
    }

    init(_ spec: GuardrailSpec) {}

    mutating func newEpoch(startsStage: Bool) {
        label?.newEpoch()
        guard startsStage else { return }
        for b in candidate.indices { (candidate[b], stable[b]) = (0, 0) }
    }

    mutating func forfeit() { label?.forfeit() }

    mutating func take(_ tick: ValueTick, share: Double?) {
        guard let bins else {
            learned.reserveCapacity(DriftTest.learnedMin)
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
        let error = 1 / Double(ours.reduce(0, +)) + 1 / Double(theirs.reduce(0, +))
        return recent - error * DriftTest.noiseQuantiles[ours.count] >= limit
    }

    /// The debiased stability index; nil with too few requests.
    private func distance(_ ours: [Int], _ theirs: [Int], least: Int) -> Double? {
        guard ours.reduce(0, +) >= least, theirs.reduce(0, +) >= least else { return nil }
        return DriftDistance.psiDebiased(candidate: ours, stable: theirs)
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool { false }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        guard case .sequentialDrift(let limit) = spec.rule, let bins else {
            return ValueFigures(words: .learning(learned.count, of: DriftTest.learnedMin))
        }
        let (n, m) = (candidate.reduce(0, +), stable.reduce(0, +))
        let found = distance(candidate, stable, least: 1)
        return ValueFigures(
            candidate: found, threshold: limit,
            words: .drift(
                index: found, bins: bins.count, candidate: n, stable: m,
                recent: recent(spec, than: found ?? 0)))
    }

    /// What a drift that is proven and began late comes to, so that nobody looks for it in the stage's index.
    private func recent(_ spec: GuardrailSpec, than found: Double) -> (index: Double, count: Int)? {
        guard let label, logE >= Wealth.logThreshold(alpha: spec.alpha) else { return nil }
        let (ours, theirs) = label.recentCounts
        guard let index = distance(ours, theirs, least: 1), index > found else { return nil }
        return (index, ours.reduce(0, +))
    }
}

// The mean of a value: outcomes, confidence and cost, against stable or against a constant. Against stable
// the value is clamped to a range first, because no method can bound the mean of a heavy tail; for costs the
// range ends at a cap, and what lies above the cap is watched as an event beside it.
//
// Invariant: range, cap and prior are fixed by values that no bet was placed on.
// Source: guardrails/statistics.md, sections 3.4, 3.5, 3.9 and 3.10.

import Statistics

/// The bet on a mean.
struct MeanTest: ValueTest {
    private var learning: Learning?
    private var relative: MeanDifference?
    private var absolute: MeanAbsolute?
    /// Costs above the cap, with a tenth of the stake.
    private var excess: RelativeEvents?
    private var excessNow = EpochCounts()
    private var excessBefore = StratifiedCounts()
    private var sizes = MeanMateriality()
    /// What a value is clamped to; no upper end against a constant.
    private let lowest: Double
    private var highest: Double
    private let claim: MeanDifference.Claim

    private static let excessShare = 0.1
    /// How much more often the cap must be exceeded before that counts as material.
    private static let excessRatio = 1.5

    init(_ spec: GuardrailSpec) {
        switch spec.measure {
        case .outcome(let metric):
            (lowest, highest) = (metric.lowest, metric.highest)
            claim = metric.isHigherBetter ? .drop : .rise
        case .cost(_, let cap):
            (lowest, highest) = (0, cap ?? .greatestFiniteMagnitude)
            claim = .rise
        default:
            (lowest, highest) = (0, 1)
            claim = .drop
        }
        switch (spec.measure, spec.rule) {
        case (_, .sequentialAbove(let limit)): absolute = MeanAbsolute(.above, mean: limit)
        case (_, .sequentialBelow(let floor)): absolute = MeanAbsolute(.below, mean: floor)
        case (.cost(_, let cap), _):
            learning = Learning(isForCap: cap == nil)
            excess = RelativeEvents()
        default: learning = Learning(isForCap: false)
        }
    }

    mutating func newEpoch(startsStage: Bool) {
        relative?.wealth.newEpoch()
        absolute?.wealth.newEpoch()
        excess?.wealth.newEpoch()
        sizes.newEpoch(startsStage: startsStage)
        if startsStage { excessBefore = StratifiedCounts() } else { excessBefore.add(excessNow) }
        excessNow = EpochCounts()
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        if absolute != nil {
            let ours = tick.candidate.values.map(clamped)
            absolute?.add(ours.tallied())
            sizes.add(candidate: ours, stable: tick.stable.values.lazy.map(clamped))
        } else if learning != nil {
            learning?.take(tick.stable.values)
            startBetting()
        } else if let share {
            compare(tick, share: share)
        }
    }

    /// Ends the learning when stable has shown enough.
    private mutating func startBetting() {
        guard let learned = learning, learned.isDone else { return }
        if learned.isForCap { highest = max(learned.cap, .leastNormalMagnitude) }
        learning = nil
        let mean = scaled(clamped(learned.sum / Double(learned.count)))
        relative = MeanDifference(claim, delta: 0, priorMean: mean, priorWeight: Double(learned.count))
    }

    private mutating func compare(_ tick: ValueTick, share: Double) {
        let ours = tick.candidate.values.map(clamped)
        let theirs = tick.stable.values.map(clamped)
        let seen =
            ours.tallied().map {
                MeanDifference.Observation(isCandidate: true, value: scaled($0.value), count: $0.count)
            }
            + theirs.tallied().map {
                MeanDifference.Observation(isCandidate: false, value: scaled($0.value), count: $0.count)
            }
        relative?.add(share: share, seen)
        sizes.add(candidate: ours, stable: theirs)
        guard excess != nil else { return }
        let above = EpochCounts(
            candidateRequests: ours.count, candidateEvents: tick.candidate.values.count { $0 > highest },
            stableRequests: theirs.count, stableEvents: tick.stable.values.count { $0 > highest })
        excess?.add(share: share, candidate: above.candidateEvents, stable: above.stableEvents)
        excessNow += above
    }

    private func clamped(_ value: Double) -> Double { min(max(value, lowest), highest) }
    private func scaled(_ value: Double) -> Double { (value - lowest) / (highest - lowest) }

    var logE: Double {
        if let absolute { return absolute.wealth.logE }
        guard let relative else { return 0 }
        guard let excess else { return relative.wealth.logE }
        return Combination.averageLogE(
            [relative.wealth.logE, excess.wealth.logE],
            weights: [1 - MeanTest.excessShare, MeanTest.excessShare])
    }

    func isMaterial(_ spec: GuardrailSpec) -> Bool {
        switch spec.rule {
        case .sequentialWorseThanStable(_, let ratio, let difference):
            let sign = claim == .rise ? 1.0 : -1
            let isLarge =
                (ratio <= 1 || sizes.differs(sign, byShare: ratio - 1))
                && (difference <= 0 || sizes.differs(sign, by: difference))
            return isLarge || excessIsMaterial(minEvents: spec.minEvents)
        case .sequentialAbove(let limit) where spec.forTicks > 0:
            return sizes.candidateExceeds(1, limit)
        case .sequentialBelow(let floor) where spec.forTicks > 0:
            return sizes.candidateExceeds(-1, floor)
        default:
            // The evidence itself proves that the constant is passed.
            return sizes.stage.pooled.candidate.count >= Double(spec.minEvents)
        }
    }

    private func excessIsMaterial(minEvents: Int) -> Bool {
        guard excess != nil else { return false }
        var stage = excessBefore
        stage.add(excessNow)
        guard stage.pooled.candidateEvents >= minEvents, let ratio = stage.logRatio else { return false }
        return stage.ratioNumerator >= MeanTest.excessRatio * stage.ratioDenominator && ratio.value > 0
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool {
        guard absolute != nil, let stable = sizes.stage.pooled.stable.mean else { return false }
        switch spec.rule {
        case .sequentialAbove(let limit): return stable > limit
        case .sequentialBelow(let floor): return stable < floor
        default: return false
        }
    }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        if let learning {
            return ValueFigures(
                reason: "stable's values are not known yet: \(Sentence.count(learning.count)) of"
                    + " \(Sentence.count(learning.least))")
        }
        let pooled = sizes.stage.pooled
        let (ours, theirs) = (pooled.candidate.mean, pooled.stable.mean)
        func words(_ mean: Double?, _ count: Double) -> String {
            "\(mean.map { Sentence.value($0) } ?? "unknown") of \(Sentence.count(Int(count)))"
        }
        var figures = ValueFigures(
            candidate: ours, stable: theirs, candidateEvents: excessNow.candidateEvents,
            stableEvents: excessNow.stableEvents, threshold: threshold(spec, stable: theirs),
            reason: "candidate's mean \(words(ours, pooled.candidate.count)),"
                + " stable's \(words(theirs, pooled.stable.count))")
        if excess != nil { figures.reason += ", costs above \(Sentence.value(highest)) counted as that" }
        return figures
    }

    private func threshold(_ spec: GuardrailSpec, stable: Double?) -> Double? {
        switch spec.rule {
        case .sequentialWorseThanStable(_, let ratio, let difference):
            let sign = claim == .rise ? 1.0 : -1
            return stable.map { $0 + sign * max(abs($0) * (ratio - 1), difference) }
        case .sequentialAbove(let limit), .sequentialBelow(let limit): return limit
        default: return nil
        }
    }
}

/// Stable's first values: the mean that the test is centred on, and the cap of costs.
private struct Learning: Sendable, Hashable, Codable {
    let isForCap: Bool
    private(set) var count = 0
    private(set) var sum = 0.0
    /// The largest values, descending: enough to find p99.9 of up to seven thousand.
    private var largest: [Double] = []

    init(isForCap: Bool) { self.isForCap = isForCap }

    /// Values of stable that end it.
    var least: Int { isForCap ? 1000 : 100 }
    var isDone: Bool { count >= least }

    mutating func take(_ values: [Double]) {
        for value in values where !isForCap || count < 7000 {
            count += 1
            sum += value
            guard isForCap, largest.count < 8 || value > largest[7] else { continue }
            let place = largest.firstIndex { $0 < value } ?? largest.count
            largest.insert(value, at: place)
            if largest.count > 8 { largest.removeLast() }
        }
    }

    /// Stable's p99.9, at least what it was.
    var cap: Double { largest[min(count / 1000, largest.count - 1)] }
}

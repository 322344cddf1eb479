// The mean of a value: feedback, confidence and cost, against stable or against a constant. Against stable
// the value is clamped to a range first, because no method can bound the mean of a heavy tail; for costs the
// range ends at a cap, and what lies above the cap is watched as an event beside it.
//
// Invariant: range, cap and prior are fixed by values that no bet was placed on.
// Source: guardrails/statistics.md, sections 3.4, 3.5, 3.9 and 3.10.

import Statistics

/// The bet on a mean.
struct MeanTest: ValueTest {
    private var phase: Phase
    /// Costs above the cap, with a tenth of the stake; in an array, because it takes room and only costs
    /// against stable have it.
    private var excess: [Excess] = []
    private var sizes = MeanMateriality()
    /// What a value is clamped to; no upper end against a constant.
    private let lowest: Double
    private var highest: Double
    private let claim: MeanDifference.Claim

    /// What the test is at: one of them, in the same room.
    private enum Phase: Sendable, Hashable {
        case learning(Learning)
        case relative(MeanDifference)
        case absolute(MeanAbsolute)
    }

    private static let excessShare = 0.1

    init(_ spec: GuardrailSpec) {
        switch spec.measure {
        case .feedback(let metric):
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
        case (_, .sequentialAbove(let limit)): phase = .absolute(MeanAbsolute(.above, mean: limit))
        case (_, .sequentialBelow(let floor)): phase = .absolute(MeanAbsolute(.below, mean: floor))
        case (.cost(_, let cap), _):
            phase = .learning(Learning(isForCap: cap == nil))
            excess = [Excess()]
        default: phase = .learning(Learning(isForCap: false))
        }
    }

    mutating func newEpoch(startsStage: Bool) {
        switch phase {
        case .learning: break
        case .relative(var test):
            test.wealth.newEpoch()
            phase = .relative(test)
        case .absolute(var test):
            test.wealth.newEpoch()
            phase = .absolute(test)
        }
        sizes.newEpoch(startsStage: startsStage)
        for i in excess.indices { excess[i].newEpoch(startsStage: startsStage) }
    }

    mutating func forfeit() {
        switch phase {
        case .learning: break
        case .relative(var test):
            test.wealth.forfeit()
            phase = .relative(test)
        case .absolute(var test):
            test.wealth.forfeit()
            phase = .absolute(test)
        }
        for i in excess.indices { excess[i].test.wealth.forfeit() }
    }

    mutating func take(_ tick: ValueTick, share: Double?) {
        switch phase {
        case .absolute(var test):
            test.add(tick.candidate.values, in: lowest...highest)
            phase = .absolute(test)
            count(tick)
        case .learning(var learning):
            learning.take(tick.stable.values)
            phase = .learning(learning)
            if learning.isDone { startBetting(learning) }
        case .relative(var test):
            guard let share else { return }
            let (ours, theirs) = (tick.candidate.values, tick.stable.values)
            test.add(share: share, candidate: ours, stable: theirs, in: lowest...highest)
            phase = .relative(test)
            count(tick)
            for i in excess.indices { excess[i].take(ours, theirs, cap: highest, share: share) }
        }
    }

    /// Ends the learning when stable has shown enough.
    private mutating func startBetting(_ learned: Learning) {
        if learned.isForCap { highest = max(learned.cap, .leastNormalMagnitude) }
        let mean = min(max(learned.mean(cappedAt: highest), lowest), highest)
        phase = .relative(
            MeanDifference(
                claim, delta: 0, priorMean: (mean - lowest) / (highest - lowest),
                priorWeight: Double(learned.count)))
    }

    private mutating func count(_ tick: ValueTick) {
        let (lowest, highest) = (lowest, highest)
        func clamped(_ value: Double) -> Double { min(max(value, lowest), highest) }
        sizes.add(
            candidate: tick.candidate.values.lazy.map(clamped),
            stable: tick.stable.values.lazy.map(clamped))
    }

    var logE: Double {
        switch phase {
        case .learning: return 0
        case .absolute(let test): return test.wealth.logE
        case .relative(let test):
            guard let excess = excess.first else { return test.wealth.logE }
            return Combination.averageLogE(
                test.wealth.logE, excess.test.wealth.logE, share: MeanTest.excessShare)
        }
    }

    func isMaterial(_ spec: GuardrailSpec) -> Bool {
        switch spec.rule {
        case .sequentialWorseThanStable(_, let ratio, let difference):
            let sign = claim == .rise ? 1.0 : -1
            let isLarge =
                (ratio <= 1 || sizes.differs(sign, byShare: ratio - 1))
                && (difference <= 0 || sizes.differs(sign, by: difference))
            return isLarge || excess.first?.isMaterial(minEvents: spec.minEvents) == true
        case .sequentialAbove(let limit) where spec.forTicks > 0:
            return sizes.candidateExceeds(1, limit)
        case .sequentialBelow(let floor) where spec.forTicks > 0:
            return sizes.candidateExceeds(-1, floor)
        default:
            // The evidence itself proves that the constant is passed.
            return sizes.stage.pooled.candidate.count >= Double(spec.minEvents)
        }
    }

    func isCommonCause(_ spec: GuardrailSpec) -> Bool {
        guard case .absolute = phase, let stable = sizes.stage.pooled.stable.mean else { return false }
        switch spec.rule {
        case .sequentialAbove(let limit): return stable > limit
        case .sequentialBelow(let floor): return stable < floor
        default: return false
        }
    }

    func figures(_ spec: GuardrailSpec) -> ValueFigures {
        if case .learning(let learning) = phase {
            return ValueFigures(words: .learning(learning.count, of: learning.least))
        }
        let pooled = sizes.stage.pooled
        let (ours, theirs) = (pooled.candidate.mean, pooled.stable.mean)
        return ValueFigures(
            candidate: ours, stable: theirs, candidateEvents: excess.first?.now.candidateEvents ?? 0,
            stableEvents: excess.first?.now.stableEvents ?? 0, threshold: threshold(spec, stable: theirs),
            words: .means(
                candidate: (ours, Int(pooled.candidate.count)),
                stable: (theirs, Int(pooled.stable.count)), cap: excess.isEmpty ? nil : highest))
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

extension MeanTest {
    private enum CodingKeys: String, CodingKey {
        case learning, relative, absolute, excess, excessNow, excessBefore, sizes, lowest, highest, claim
    }

    init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        if let learning = try saved.decodeIfPresent(Learning.self, forKey: .learning) {
            phase = .learning(learning)
        } else if let test = try saved.decodeIfPresent(MeanDifference.self, forKey: .relative) {
            phase = .relative(test)
        } else {
            phase = .absolute(try saved.decode(MeanAbsolute.self, forKey: .absolute))
        }
        if let test = try saved.decodeIfPresent(RelativeEvents.self, forKey: .excess) {
            let now = try saved.decode(EpochCounts.self, forKey: .excessNow)
            let before = try saved.decode(StratifiedCounts.self, forKey: .excessBefore)
            excess = [Excess(test: test, now: now, before: before)]
        }
        sizes = try saved.decode(MeanMateriality.self, forKey: .sizes)
        lowest = try saved.decode(Double.self, forKey: .lowest)
        highest = try saved.decode(Double.self, forKey: .highest)
        claim = try saved.decode(MeanDifference.Claim.self, forKey: .claim)
    }

    func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        switch phase {
        case .learning(let learning): try saved.encode(learning, forKey: .learning)
        case .relative(let test): try saved.encode(test, forKey: .relative)
        case .absolute(let test): try saved.encode(test, forKey: .absolute)
        }
        if let excess = excess.first {
            try saved.encode(excess.test, forKey: .excess)
            try saved.encode(excess.now, forKey: .excessNow)
            try saved.encode(excess.before, forKey: .excessBefore)
        }
        try saved.encode(sizes, forKey: .sizes)
        try saved.encode(lowest, forKey: .lowest)
        try saved.encode(highest, forKey: .highest)
        try saved.encode(claim, forKey: .claim)
    }
}

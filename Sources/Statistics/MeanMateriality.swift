// Is a proven difference of means also large enough to act on? As `Materiality`, for values instead of
// events: the stage's estimate counts as it is once it rests on enough requests, and less three standard
// errors before that; recent windows always less three standard errors.
//
// Invariant: estimates are stratified by epoch, never pooled over weights.
// Source: guardrails/statistics.md, sections 3.4 and 4.1.

import Glibc

/// Count, sum and sum of squares of values. Additive.
public struct Moments: Sendable, Hashable, Codable {
    public private(set) var count = 0.0
    public private(set) var sum = 0.0
    private var squares = 0.0

    public init() {}

    public mutating func add(_ value: Double) {
        count += 1
        sum += value
        squares += value * value
    }

    public static func += (a: inout Moments, b: Moments) {
        a.count += b.count
        a.sum += b.sum
        a.squares += b.squares
    }

    /// Nil without values.
    public var mean: Double? { count > 0 ? sum / count : nil }

    /// The variance of the mean; 0 without values.
    var meanVariance: Double {
        guard count > 0 else { return 0 }
        return max(0, squares / count - sum / count * (sum / count)) / count
    }
}

/// The values of both versions in one epoch. Additive.
public struct MeanCounts: Sendable, Hashable, Codable {
    public var candidate = Moments()
    public var stable = Moments()

    public init() {}

    public static func += (a: inout MeanCounts, b: MeanCounts) {
        a.candidate += b.candidate
        a.stable += b.stable
    }
}

/// Sums over epochs from which the estimates follow.
public struct StratifiedMeans: Sendable, Hashable, Codable {
    /// All epochs pooled: for counts and errors, not for differences.
    public private(set) var pooled = MeanCounts()
    private var differenceSum = 0.0
    private var stableSum = 0.0
    private var weight = 0.0

    public init() {}

    /// Adds an epoch as a stratum of its own.
    public mutating func add(_ epoch: MeanCounts) {
        pooled += epoch
        guard let ours = epoch.candidate.mean, let theirs = epoch.stable.mean else { return }
        let (n, m) = (epoch.candidate.count, epoch.stable.count)
        let w = n * m / (n + m)
        differenceSum += w * (ours - theirs)
        stableSum += w * theirs
        weight += w
    }

    /// Candidate's mean less stable's; nil when the two never met.
    public var difference: Double? { weight > 0 ? differenceSum / weight : nil }
    /// Stable's mean in the same epochs.
    public var stable: Double? { weight > 0 ? stableSum / weight : nil }

    /// The standard error of `difference`.
    var differenceError: Double {
        (pooled.candidate.meanVariance + pooled.stable.meanVariance).squareRoot()
    }
}

/// The records that the size of a difference of means is decided on: the stage, and the last 8 epochs.
public struct MeanMateriality: Sendable, Hashable, Codable {
    /// Epochs in the recent windows, the current one included.
    public static let windows = [2, 8]
    /// Candidate requests from which the stage's estimate counts as it is.
    public static let candidateMin = 500.0

    private var recent = RecentEpochs<8, MeanCounts>(MeanCounts())
    private var closed = StratifiedMeans()

    public init() {}

    /// Closes the current epoch; `startsStage` when weights or configuration changed.
    public mutating func newEpoch(startsStage: Bool) {
        if startsStage { closed = StratifiedMeans() } else { closed.add(recent.current) }
        recent.open(MeanCounts())
    }

    /// Adds values to the current epoch.
    public mutating func add(candidate: some Sequence<Double>, stable: some Sequence<Double>) {
        var counts = MeanCounts()
        for value in candidate { counts.candidate.add(value) }
        for value in stable { counts.stable.add(value) }
        recent.current += counts
    }

    /// The current stage.
    public var stage: StratifiedMeans {
        var stage = closed
        stage.add(recent.current)
        return stage
    }

    /// Whether the candidate is higher (`sign` 1) or lower (-1) than stable by `share` of stable's own mean.
    public func differs(_ sign: Double, byShare share: Double) -> Bool {
        reaches { means, errors in
            guard let difference = means.difference, let stable = means.stable else { return false }
            return sign * difference - errors * means.differenceError >= share * abs(stable)
        }
    }

    /// Whether the candidate is higher (`sign` 1) or lower (-1) than stable by `difference`.
    public func differs(_ sign: Double, by difference: Double) -> Bool {
        reaches { means, errors in
            guard let found = means.difference else { return false }
            return sign * found - errors * means.differenceError >= difference
        }
    }

    /// Whether the candidate's own mean lies above (`sign` 1) or below (-1) a constant.
    public func candidateExceeds(_ sign: Double, _ limit: Double) -> Bool {
        reaches { means, errors in
            guard let mean = means.pooled.candidate.mean else { return false }
            return sign * (mean - limit) - errors * means.pooled.candidate.meanVariance.squareRoot() > 0
        }
    }

    private func reaches(_ test: (StratifiedMeans, _ errors: Double) -> Bool) -> Bool {
        let stage = stage
        let isEnough = stage.pooled.candidate.count >= MeanMateriality.candidateMin
        if test(stage, isEnough ? 0 : Materiality.errors) { return true }
        return MeanMateriality.windows.contains { count in
            var means = StratifiedMeans()
            for epoch in recent.last(count) { means.add(epoch) }
            return test(means, Materiality.errors)
        }
    }
}

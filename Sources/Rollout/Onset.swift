// When did it begin? Looks back from a cut over the ticks that the evidence rings remember and says from
// which one on the candidate was bad: the last time at which a running sum of the evidence for "as bad as it
// is now" against "as good as stable" was zero.
// Place: asked once per cut, for the report; it decides nothing.
// Source: Page 1954, "Continuous inspection schemes"; the last zero of the sum is the likeliest change point.

import Metrics
import Statistics

/// From when on a candidate was bad.
public struct Onset: Sendable, Hashable {
    /// The tick in which its first bad request of that time started.
    public var tick: Tick
    /// It was bad already in the first of the ticks that were read and had requests: where there were earlier
    /// ones that cannot be read, it may have begun in them.
    public var isBound: Bool

    public init(tick: Tick, isBound: Bool) {
        self.tick = tick
        self.isBound = isBound
    }

    /// One arm's decided requests of a tick.
    private struct Counts {
        var tick: UInt64
        var bad = 0.0
        var good = 0.0
    }

    /// Ticks that are looked at, before the cut.
    public static let span = UInt64(EvidenceRing.buckets - 20)
    /// What stable is taken to fail where nothing is known of it.
    private static let usual = 0.01

    /// - Parameters:
    ///   - spec: the rule that tripped; nil for an operator's cut, which is looked at by errors.
    ///   - isLoss: whether it tripped by clients that left, and not by failures.
    ///   - known: stable's rate that the rule compared with, where stable has no requests now; nil: none.
    ///   - now: the tick of the cut.
    ///   - read: as in `CandidateWatch.step`.
    /// - Returns: nil when the candidate has no bad requests, or the rule is not over events or latency.
    public static func find(
        _ spec: GuardrailSpec?, isLoss: Bool = false, known: Double? = nil, reference: LatencyReference,
        now: Tick,
        read: (Tick) -> PairTick?
    ) -> Onset? {
        var slot: Int?
        var normal: Double?
        var event = BadEvent.failure
        if let spec, case .latency(let quantile) = spec.measure {
            guard let slots = reference.slots(for: spec) else { return nil }
            slot = slots.evidence
            normal = 1 - quantile
        } else if let spec {
            guard let kind = spec.measure.event else { return nil }
            event = isLoss ? .cancelled : kind
        }
        var ticks: [Counts] = []
        var (stableBad, stableAll) = (0.0, 0.0)
        for number in (now.number - min(now.number, span))...now.number {
            guard let pair = read(Tick(number: number)) else { continue }
            let age = now.number - number
            if let counts = counts(pair.candidate, number, age: age, slot, event) { ticks.append(counts) }
            if let counts = counts(pair.stable, number, age: age, slot, event) {
                stableBad += counts.bad
                stableAll += counts.bad + counts.good
            }
        }
        let base = normal ?? (stableAll > 0 ? (stableBad + 0.5) / (stableAll + 1) : known ?? usual)
        return lastZero(ticks, base: min(max(base, 0.001), 0.5))
    }

    private static func counts(
        _ arm: ArmTick, _ tick: UInt64, age: UInt64, _ slot: Int?, _ event: BadEvent
    ) -> Counts? {
        let all = arm.all
        guard all.started > 0 else { return nil }
        var counts = Counts(tick: tick)
        if let slot {
            guard arm.thresholds[slot] > 0, age > LatencyReference.ticks(UInt64(arm.thresholds[slot])) else {
                return nil
            }
            counts.good = Double(all.fast(slot))
            counts.bad = Double(all.slow(slot))
        } else {
            counts.bad = Double(all.alone(event))
            counts.good = max(0, Double(all.ended(event)) - counts.bad)
        }
        return counts
    }

    private static func lastZero(_ ticks: [Counts], base: Double) -> Onset? {
        let recent = ticks.suffix(20)
        let all = recent.reduce(0) { $0 + $1.bad + $1.good }
        guard all > 0 else { return nil }
        // Half of what it is now: a sum that is tuned too high sees a mild beginning as noise.
        let now = recent.reduce(0) { $0 + $1.bad } / all
        let rate = min(max(2 * base, 0.5 * now), 0.95)
        let odds = base / (1 - base)
        let bet = OddsBet(odds: odds, multiplier: rate / (1 - rate) / odds)
        var sum = 0.0
        var start: UInt64?
        for counts in ticks {
            sum += counts.bad * bet.hit + counts.good * bet.miss
            if sum <= 0 {
                (sum, start) = (0, nil)
            } else if start == nil {
                start = counts.tick
            }
        }
        return start.map { Onset(tick: Tick(number: $0), isBound: $0 == ticks.first?.tick) }
    }
}

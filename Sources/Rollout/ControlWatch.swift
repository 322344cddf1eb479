// The watch on a control arm: it is held against the rest of stable by the default rules on bad events, by
// the fast path of gross slowness and by health. An arm that fails is no opponent: beside it a candidate that
// fails alike looks well. That it is slower is what an arm is there for, unless it is grossly slow. Under
// sticky keys no slot counts gross slowness, because a heavy key may be slow by itself.
//
// Invariant: what it says of an arm rests on the past, so whom a later tick's candidate is compared with is
// chosen before its coins fall, and the candidate's own alpha holds whatever becomes of the arm. This watch
// has an alpha of its own, for withdrawing an arm that is no worse.

import Metrics
import Statistics

/// One control arm beside the rest of stable; stepped every tick by control.
public struct ControlWatch: Sendable {
    /// The attempt that the arm belongs to: `id/attempt` of the climb.
    public let attempt: String
    private var watch: CandidateWatch
    private var gross: GrossGuard
    private let slowness: GuardrailSpec

    /// The chance that an arm like the rest of stable is ever withdrawn.
    public static let alpha = 0.01
    /// The part of it that gross slowness has.
    private static let slownessShare = 0.1
    /// What reasons call the arm, which is in a candidate's place.
    private static let noun = "control arm"

    /// The rules, of which none is on latency: a small cold arm may be slower than the rest.
    static func specs(countsKeysOnce: Bool, endpoints: [Int]) -> [GuardrailSpec] {
        let all = GuardrailSpec.defaults(alpha: alpha).filter {
            $0.measure == .health || $0.isRequestBet && $0.measure.event != nil
        }
        return GuardrailSpec.share(alpha: alpha * (1 - slownessShare), among: all).map {
            var spec = $0
            spec.countsKeysOnce = countsKeysOnce && spec.isRequestBet
            return endpoints.reduce(spec) { $0.comparing(endpoints: $1) }
        }
    }

    /// - Parameters:
    ///   - countsKeysOnce: whether requests are assigned by sticky keys.
    ///   - endpoints: how many the arm has, and the rest of stable.
    public init(attempt: String, countsKeysOnce: Bool, endpoints: [Int], from: Tick) {
        self.attempt = attempt
        watch = CandidateWatch(
            specs: ControlWatch.specs(countsKeysOnce: countsKeysOnce, endpoints: endpoints), from: from)
        gross = GrossGuard(from: from.number)
        slowness = GuardrailSpec(
            name: "grossly_slow", measure: .latency(quantile: 0.5),
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0),
            alpha: ControlWatch.alpha * ControlWatch.slownessShare)
    }

    /// Takes in what has happened before tick `now`; parameters as for `CandidateWatch.step`, of the arm in
    /// place of the candidate.
    /// - Returns: the reading that says that the arm is worse than the rest; nil while none does.
    public mutating func step(
        now: Tick, reference: LatencyReference, health: () -> HealthShares = { HealthShares() },
        read: (Tick) -> PairTick?
    ) -> GuardrailReading? {
        let found = watch.step(
            now: now, reference: reference, windows: { _ in nil }, health: health, read: read)
        gross.skip(to: now.number - min(now.number, UInt64(EvidenceRing.buckets - 2)))
        let slot = reference.grossSlot
        gross.advance(
            TickCache(now: now, from: gross.next, read: read), at: now.number, slowness,
            countsCopies: false, slot: slot)
        if var failed = found.first(where: { $0.verdict == .fail }) {
            failed.reason = failed.reason(of: ControlWatch.noun)
            return failed
        }
        guard gross.holds(slowness), let slot else { return nil }
        let counts = gross.test.run.epoch
        return GuardrailReading(
            name: slowness.name, rule: "most of its requests grossly slow beside stable's", verdict: .fail,
            action: .alert, logE: gross.test.logE, maxLogE: gross.test.maxLogE, progress: 1,
            candidateRequests: counts.candidateRequests, stableRequests: counts.stableRequests,
            candidateEvents: counts.candidateEvents, stableEvents: counts.stableEvents,
            alpha: slowness.alpha,
            reason: ReadingWords.gross(counts, micros: reference.candidateThresholds[slot])
                .text(of: ControlWatch.noun))
    }

    /// As for `CandidateWatch`.
    public mutating func forfeitProven() {
        watch.forfeitProven()
        gross.forfeitProven(slowness)
    }
}

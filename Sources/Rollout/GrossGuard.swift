// The fast path of a latency rule against stable: a version that is grossly slow is cut after some seven
// seconds, before it is warm and where pauses are tolerated, because no pause lasts that long. It counts the
// model's gross slot, on a clock of its own: a request is decided at the age of that threshold, and the
// rule's other evidence must not wait for it.
// Cancels against stable have it too: there a slot is gross if most clients of the candidate left.
// Invariant: takes settled ticks only, in order of start; its alpha is a share of the rule's.
// Source: guardrails/dependence.md, section 3.

import Metrics
import Statistics

/// How far the fast path of one rule has come.
struct GrossGuard: Sendable {
    /// The share of the rule's alpha; of cancels, which have half of a latency rule's alpha, twice that, so
    /// that it takes as many slots.
    static func alphaShare(_ spec: GuardrailSpec) -> Double { spec.isLatencyBet ? 0.1 : 0.2 }

    private(set) var test = GrossSlowness()
    /// The first tick that is not counted.
    private(set) var next: UInt64

    init(from: UInt64) { next = from }

    /// Goes on with the evidence of an earlier process.
    mutating func restore(_ old: GrossSlowness) {
        test = old
        test.interrupt()
    }

    /// Gives up on ticks that the evidence rings have forgotten.
    mutating func skip(to oldest: UInt64) {
        if oldest > next { test.interrupt() }
        next = max(next, oldest)
    }

    /// Gives up evidence that would trip by itself.
    mutating func forfeitProven(_ spec: GuardrailSpec) {
        if test.maxLogE >= logThreshold(spec) { test.forfeit() }
    }

    /// Counts the ticks that have settled.
    /// - Parameter slot: where gross slowness is counted; nil where no slot was left for it.
    mutating func advance(
        _ ticks: TickCache, at now: UInt64, _ spec: GuardrailSpec, countsCopies: Bool, slot: Int?
    ) {
        guard slot != nil || !spec.isLatencyBet else {
            next = max(next, now)
            return
        }
        while next < now {
            guard let pair = ticks.pair(next) else {
                next += 1
                continue
            }
            let seen = (countsCopies ? pair : pair.withoutCopies).compared(for: .worse)
            if seen.isVoid(for: .worse) {
                next += 1
                continue
            }
            let age = now - next - 1
            let view =
                if spec.isLatencyBet, let slot {
                    TickView.latency(seen, age: age, rho: 1, evidence: slot, size: slot)
                } else {
                    TickView.cancels(seen, age: age)
                }
            switch view.state {
            case .hidden, .open: return
            case .dropped: break
            case .settled:
                let (ours, theirs) = (view.candidate, view.stable)
                test.add(
                    GrossSlowness.Counts(
                        candidateSlow: ours.bad, candidate: ours.bad + ours.good, stableSlow: theirs.bad,
                        stable: theirs.bad + theirs.good),
                    tick: next)
            }
            next += 1
        }
    }

    /// Whether the version is grossly slow now, and has been for too long.
    func holds(_ spec: GuardrailSpec) -> Bool {
        test.isUnderWay && test.maxLogE >= logThreshold(spec) && Int(test.run.candidateSlow) >= spec.minEvents
    }

    func logThreshold(_ spec: GuardrailSpec) -> Double {
        Wealth.logThreshold(alpha: spec.alpha * GrossGuard.alphaShare(spec))
    }
}

extension GuardrailSpec {
    /// Whether the rule has the fast path: latency and cancels against stable, request by request. A few
    /// heavy sticky keys may be slow by themselves.
    var watchesGrossSlowness: Bool { isRequestBet && comesInBursts && !countsKeysOnce }
}

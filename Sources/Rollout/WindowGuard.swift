// The industry's rules over a rolling window: "error rate > 2 % for 5 m", "p95 30 % worse than stable".
// Kept because people know them; they have no bound on false trips, and their debounce costs its length in
// bad traffic. A limit that is a constant is vetoed where stable breaks it too (`WindowVeto`).
// Source: guardrails/statistics.md, section 7.

import Metrics
import Statistics

/// A windowed guardrail's state: its `for` timer, and what is known of stable.
struct WindowGuard: Sendable {
    let spec: GuardrailSpec
    /// The rule in words.
    private let sentence: String
    private var timer = Debounce()
    private var veto = WindowVeto()

    init(_ spec: GuardrailSpec) {
        self.spec = spec
        sentence = spec.sentence
    }

    /// What the rule makes of a window.
    private struct Evaluation {
        /// Nil without enough data.
        var holds: Bool?
        var candidate: Double?
        var stable: Double?
        var limit: Double?
        /// What is known of stable while the rule holds.
        var stableWord = CommonCause.Word.unasked
    }

    /// Evaluates the rule over the window that ends now.
    /// - Parameters:
    ///   - ticks: those that have been read already.
    ///   - read: as in `CandidateWatch.step`; asked only while a limit is broken.
    mutating func step(
        now: Tick, reference: LatencyReference, windows: (WindowQuery) -> WindowPair?, ticks: TickCache,
        read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        let pair = windows(
            WindowQuery(ticks: spec.windowTicks, quantile: spec.measure.quantile, time: spec.time))
        var evaluation = pair.map(evaluate) ?? Evaluation(holds: nil)
        if case .windowBurn = spec.rule, evaluation.holds == true {
            let short = windows(WindowQuery(ticks: spec.shortWindowTicks)).flatMap {
                spec.measure.value($0.candidate)
            }
            evaluation.holds = short.map { $0 > spec.rateLimit }
        }
        if spec.vetoWhenStableToo, !spec.rule.isRelative, let pair, let limit = evaluation.limit {
            evaluation.stableWord = veto.judge(
                spec, isBroken: evaluation.holds == true, pair, limit: limit, now: now.number
            ) {
                spec.moment($0, now: now.number, reference, ticks, read)
            }
            if evaluation.stableWord == .common || evaluation.stableWord == .unknown {
                evaluation.holds = nil
            }
        }
        let fires = timer.evaluate(
            evaluation.holds, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
        let verdict: Verdict = fires ? .fail : evaluation.holds == nil ? .notEnoughData : .pass
        return GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict, action: spec.action,
            progress: fires ? 1 : progress(evaluation, now: now), candidate: evaluation.candidate,
            stable: evaluation.stable, candidateRequests: pair?.candidate.requests ?? 0,
            stableRequests: pair?.stable.requests ?? 0, candidateEvents: pair?.candidate.failures ?? 0,
            stableEvents: pair?.stable.failures ?? 0, threshold: evaluation.limit,
            reason: reason(evaluation, pair))
    }

    private func evaluate(_ pair: WindowPair) -> Evaluation {
        var result = Evaluation(
            holds: nil, candidate: spec.measure.value(pair.candidate),
            stable: spec.measure.value(pair.stable))
        let isEnough = pair.candidate.requests >= max(1, spec.minRequests)
        switch spec.rule {
        case .windowAbove, .windowBurn:
            let limit = if case .windowAbove(let limit) = spec.rule { limit } else { spec.rateLimit }
            result.limit = limit
            guard isEnough, let value = result.candidate else { return result }
            result.holds = value > limit && hasEvents(pair.candidate)
        case .windowWorseThanStable(let by):
            result.limit = result.stable.map { $0 * (1 + by) }
            guard isEnough, pair.stable.requests >= max(1, spec.minRequests),
                let value = result.candidate, let limit = result.limit
            else { return result }
            result.holds = value > limit && hasEvents(pair.candidate)
        default:
            preconditionFailure("\(spec.name) is no window rule")
        }
        return result
    }

    /// One poisoned request cannot trip an error rule alone; a quantile has its own rank.
    private func hasEvents(_ arm: WindowArm) -> Bool {
        spec.measure.quantile != nil || arm.failures >= spec.minEvents
    }

    /// Half for reaching the limit, half for the `for` timer.
    private func progress(_ evaluation: Evaluation, now: Tick) -> Double {
        if let held = timer.held(at: now.number) {
            return min(0.5 + 0.5 * Double(held) / Double(max(1, spec.forTicks)), 0.99)
        }
        guard let value = evaluation.candidate, let limit = evaluation.limit, limit > 0 else { return 0 }
        return 0.5 * min(1, value / limit)
    }

    private func reason(_ evaluation: Evaluation, _ pair: WindowPair?) -> String {
        guard let pair, let value = evaluation.candidate else { return "no requests in the window" }
        let (ours, theirs) = (pair.candidate, pair.stable)
        let cause = veto.words(evaluation.stableWord)
        guard let quantile = spec.measure.quantile else {
            return "candidate \(Sentence.share(ours.failures, of: ours.requests)) failed,"
                + " stable \(Sentence.share(theirs.failures, of: theirs.requests))\(cause)"
        }
        let name = Sentence.quantile(quantile)
        let stable = evaluation.stable.map { Sentence.time(micros: $0) } ?? "unknown"
        return "candidate \(name) \(Sentence.time(micros: value)) of \(Sentence.count(ours.requests)),"
            + " stable \(stable) of \(Sentence.count(theirs.requests))\(cause)"
    }
}

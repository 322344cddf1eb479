// The share of a candidate's endpoints that are healthy, as health checks and ejection see it. It is a state,
// not a sample, so there is nothing to test: the rule is the limit and how long it is broken.
// Source: guardrails/statistics.md, section 7, the timer of "for".

import Metrics
import Statistics

/// A health guardrail's state: its `for` timer.
struct HealthGuard: Sendable {
    let spec: GuardrailSpec
    private let sentence: String
    private var timer = Debounce()

    init(_ spec: GuardrailSpec) {
        self.spec = spec
        sentence = spec.sentence
    }

    mutating func step(now: Tick, share: Double?) -> GuardrailReading {
        guard case .below(let floor) = spec.rule else {
            preconditionFailure("\(spec.name) is no rule on health")
        }
        let trips = timer.evaluate(
            share.map { $0 < floor }, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
        var progress = 0.0
        if let held = timer.held(at: now.number) {
            progress = min(0.5 + 0.5 * Double(held) / Double(max(1, spec.forTicks)), 0.99)
        }
        return GuardrailReading(
            name: spec.name, rule: sentence, verdict: trips ? .fail : share == nil ? .notEnoughData : .pass,
            action: spec.action, progress: trips ? 1 : progress, candidate: share, threshold: floor,
            reason: share.map { "\(Sentence.percent($0)) of the candidate's endpoints are healthy" }
                ?? "no endpoint of the candidate is watched")
    }
}

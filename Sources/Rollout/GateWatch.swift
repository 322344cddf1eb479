// The promotion gates of one stage, fed with the ticks that guardrails see. Where a guardrail bets that the
// candidate is worse, a gate bets that it is not worse than its margin allows: no traffic proves nothing, and
// a stage that is too short for a proof is held, not promoted.
//
// Invariant: a watch knows its own stage only; settled ticks alone count, in order of start, and pending
// requests are never taken for good ones. Source: guardrails/statistics.md, section 5.

import Metrics
import Statistics

/// All gates of a stage: made when the stage begins, stepped every tick by control.
public struct GateWatch: Sendable {
    public let specs: [GateSpec]
    private var gates: [Gate]

    /// Starts with the requests of tick `from`. Specs have no `problem`.
    /// - Parameter stableErrorRate: stable's rate from before the stage, which the error gate is centred on:
    ///   any value is sound, a good one is faster; nil takes stable's first hundred requests.
    public init(specs: [GateSpec], from: Tick, stableErrorRate: Double? = nil) {
        self.specs = specs
        gates = specs.map {
            precondition($0.problem == nil, "\($0.name): \($0.problem ?? "")")
            return Gate($0, from: from, stableErrorRate: stableErrorRate)
        }
    }

    /// Goes on with what an earlier process had proven in the same stage; `valuesFrom` as for guardrails.
    public init(
        restoring saved: Saved, specs: [GateSpec], from: Tick,
        valuesFrom: (_ next: Tick) -> Tick? = { _ in nil }
    ) {
        self.init(specs: specs, from: from)
        for (i, spec) in specs.enumerated() {
            guard let old = saved.gates.first(where: { $0.spec.isSaved(of: spec) }) else { continue }
            gates[i].restore(old.state, next: valuesFrom(Tick(number: old.state.next)) ?? from, from: from)
        }
    }

    /// Takes in what has happened before tick `now`; readings in the order of `specs`. Parameters as for
    /// `CandidateWatch.step`; `readings` are what that has just said, which drift gates rest on.
    /// - Parameter keys: different sticky keys of the candidate in this stage; nil where requests are
    ///   assigned one by one.
    public mutating func step(
        now: Tick, reference: LatencyReference, readings: [GuardrailReading], guardrails: [GuardrailSpec],
        keys: Int? = nil, values: ValueFeed = { _, _ in [] }, read: (Tick) -> PairTick?
    ) -> [GateReading] {
        gates.indices.map { i in
            if case .drift(let value) = specs[i].metric {
                return GateReading(drift: value, specs[i], readings, guardrails).doubted(by: keys)
            }
            gates[i].advance(now: now, reference: reference, values: values, read: read)
            return gates[i].reading(reference, keys: keys)
        }
    }

    /// What must survive a restart inside the stage.
    public var saved: Saved {
        Saved(gates: gates.map { Saved.Gate(spec: $0.spec, state: $0.state) })
    }

    /// The evidence so far, by gate.
    public struct Saved: Sendable, Hashable, Codable {
        struct Gate: Sendable, Hashable, Codable {
            var spec: GateSpec
            var state: GateState
        }

        var gates: [Gate]
    }
}

extension GateReading {
    /// Different sticky keys without which a stage proves nothing: the key was the coin, not the request.
    static let keysMin = 200

    /// The reading where keys are assigned and not requests: undecided with too few of them.
    func doubted(by keys: Int?) -> GateReading {
        guard let keys, keys < GateReading.keysMin, verdict == .pass else { return self }
        return doubted(
            "\(Sentence.count(keys)) different keys in this stage, and a proof over sticky keys takes"
                + " \(Sentence.count(GateReading.keysMin))")
    }

    /// The reading of a proof that is not to be trusted.
    func doubted(_ doubt: String) -> GateReading {
        var doubted = self
        doubted.verdict = .notEnoughData
        doubted.progress = min(progress, 0.99)
        let rest = reason.hasPrefix("proven: ") ? String(reason.dropFirst("proven: ".count)) : reason
        doubted.reason = "undecided: \(doubt); \(rest)"
        return doubted
    }

    /// Candidate requests that a drift guardrail must have seen: that two distributions are equal cannot be
    /// proven.
    private static var driftRequests: Int { 1000 }

    fileprivate init(
        drift value: String, _ spec: GateSpec, _ readings: [GuardrailReading], _ guardrails: [GuardrailSpec]
    ) {
        let names = guardrails.filter { $0.measure == .drift(value: value) }.map(\.name)
        let found = readings.filter { names.contains($0.name) }
        let requests = found.map(\.candidateRequests).min() ?? 0
        let tripped = found.first { $0.verdict == .fail }
        let isEnough = requests >= GateReading.driftRequests
        let verdict: Verdict = tripped != nil ? .fail : isEnough ? .pass : .notEnoughData
        let seen = "\(Sentence.count(requests)) of \(Sentence.count(GateReading.driftRequests)) requests seen"
        self.init(
            name: spec.name, rule: spec.sentence, verdict: verdict,
            progress: verdict == .pass ? 1 : min(Double(requests) / Double(GateReading.driftRequests), 0.99),
            candidate: found.first?.candidate, candidateRequests: requests,
            reason: found.isEmpty
                ? "no drift guardrail watches \(value)"
                : tripped.map { "\($0.name) has tripped: \($0.reason)" } ?? "no drift found, \(seen)")
    }
}

extension GateSpec {
    /// The gate in words.
    var sentence: String {
        let surely = ", alpha \(Sentence.percent(alpha))"
        switch metric {
        case .errorRate: return "error rate less than \(Sentence.percent(margin)) above stable's\(surely)"
        case .non2xx:
            return "share of answers that are not 2xx less than \(Sentence.percent(margin)) above stable's"
                + surely
        case .latency(let q):
            let quantile = Sentence.quantile(q)
            return "latency \(quantile) less than \(Sentence.percent(margin)) above stable's\(surely)"
        case .feedback(let metric):
            let side = metric.isHigherBetter ? "below" : "above"
            return "mean \(metric.metric) less than \(Sentence.percent(margin)) \(side) stable's\(surely)"
        case .missing(let value):
            return "missing \(value) less than \(Sentence.percent(margin)) above stable's\(surely)"
        case .errorRateBelow: return "error rate below \(Sentence.percent(margin))\(surely)"
        case .drift(let value): return "\(value) has not drifted from stable's"
        }
    }

    /// What is impossible about this gate, as a sentence; nil when it can be watched.
    public var problem: String? {
        if !(alpha > 0 && alpha < 1) { return "alpha must lie between 0 % and 100 %" }
        switch metric {
        case .errorRate, .non2xx, .missing, .errorRateBelow:
            return margin > 0 && margin < 1 ? nil : "a margin of rates lies between 0 % and 100 %"
        case .latency(let quantile):
            if !(quantile > 0 && quantile < 1) { return "a quantile lies between p0 and p100, both excluded" }
            return margin >= 0 && margin.isFinite ? nil : "a latency's margin must not be negative"
        case .feedback(let metric):
            if !(metric.lowest < metric.highest && (metric.highest - metric.lowest).isFinite) {
                return "the range of feedback runs from a lower to a higher value"
            }
            return margin > 0 && margin < 1 ? nil : "the margin of feedback lies between 0 % and 100 %"
        case .drift: return nil
        }
    }
}

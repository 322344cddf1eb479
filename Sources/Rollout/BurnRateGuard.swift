// Use of the error budget: the sequential test that errors burn it too fast, and beside it a plain cap on
// what the candidate may use up of a month's budget in all, however slowly. The cap is arithmetic, not a
// test: it has no false trips and needs no alpha. Source: guardrails/statistics.md, section 3.11.

import Metrics
import Statistics

/// A burn-rate guardrail's state.
struct BurnRateGuard: Sendable {
    let spec: GuardrailSpec
    private let sentence: String
    private(set) var test: SequentialGuard
    /// Failures of the candidate over the whole rollout that use up its share of the budget; nil: no cap.
    private let failuresMax: Int?
    /// Failures that no longer count against it.
    private var forgiven = 0

    /// Share of a 30-day budget that a candidate may use up.
    static let budgetShare = 0.02

    init(_ spec: GuardrailSpec, from: Tick) {
        guard case .sequentialBurn(let budget, _, let requests) = spec.rule else {
            preconditionFailure("\(spec.name) watches no budget")
        }
        self.spec = spec
        sentence = spec.sentence
        var inner = spec
        inner.rule = .sequentialAbove(spec.rateLimit)
        // The budget is the users'.
        test = SequentialGuard(inner, from: from, countsCopies: false)
        failuresMax = requests.map {
            max(spec.minEvents, Int(min(BurnRateGuard.budgetShare * budget * $0, 1e15).rounded(.up)))
        }
    }

    mutating func restore(_ wealth: Wealth, _ materiality: Materiality, bad: Int) {
        test.restore(wealth, materiality, bad: bad)
    }

    /// As for `SequentialGuard`; a share of the budget that is used up is granted once more.
    mutating func forfeitProven() {
        test.forfeitProven()
        if let failuresMax, bad >= failuresMax { forgiven = test.badInAll }
    }

    /// Failures that count, the settled ones and all.
    var burned: Int { max(0, test.committed.bad - forgiven) }
    private var bad: Int { max(0, test.badInAll - forgiven) }

    mutating func skip(to oldest: UInt64) { test.skip(to: oldest) }

    mutating func step(
        now: Tick, reference: LatencyReference, ticks: TickCache, read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        var reading = test.step(now: now, reference: reference, ticks: ticks, read: read)
        reading.rule = sentence
        guard let failuresMax else { return reading }
        let used =
            "\(Sentence.count(bad)) of the \(Sentence.count(failuresMax)) failures that its"
            + " share of the budget allows"
        reading.reason += ", \(used)"
        if bad >= failuresMax {
            (reading.verdict, reading.progress) = (.fail, 1)
        } else if reading.verdict != .fail {
            let share = min(Double(bad) / Double(failuresMax), 0.99)
            reading.progress = max(reading.progress, share)
        }
        return reading
    }
}

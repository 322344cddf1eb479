// All guardrails of one candidate against stable, fed tick by tick. Read all, decide, say: every step reads
// the ticks that any guardrail has not settled yet, once, and then lets each guardrail take what it needs.
//
// Invariant: the verdicts are a function of the specs and of what `read` and `windows` have returned, in
// order. Source: guardrails/statistics.md, sections 2 and 4.

import Metrics
import Statistics

/// The guardrails of one candidate: one watch per model and candidate, stepped every tick by control.
public struct CandidateWatch: Sendable {
    public let specs: [GuardrailSpec]
    private var guards: [Guard]
    private let from: Tick

    private enum Guard: Sendable {
        case sequential(SequentialGuard)
        case window(WindowGuard)
    }

    /// Starts watching with the requests of tick `from`. Specs have no `problem`.
    public init(specs: [GuardrailSpec], from: Tick) {
        self.specs = specs
        self.from = from
        guards = specs.map {
            precondition($0.problem == nil, "\($0.name): \($0.problem ?? "")")
            return $0.rule.isSequential
                ? .sequential(SequentialGuard($0, from: from)) : .window(WindowGuard($0))
        }
    }

    /// Takes over what an earlier process had seen. A guardrail whose spec has changed starts anew.
    public init(restoring saved: Saved, specs: [GuardrailSpec], from: Tick) {
        self.init(specs: specs, from: from)
        for (i, spec) in specs.enumerated() {
            guard case .sequential(var test) = guards[i],
                let old = saved.guardrails.first(where: { $0.spec == spec })
            else { continue }
            test.restore(old.wealth, old.materiality)
            guards[i] = .sequential(test)
        }
    }

    /// Takes in what has happened before tick `now` and says where every guardrail stands, in the order of
    /// `specs`.
    /// - Parameters:
    ///   - now: the current tick; grows by at least one from call to call.
    ///   - reference: the model's latency thresholds, refreshed before this call.
    ///   - windows: the pair over a rolling window; nil where nothing has been counted yet.
    ///   - values: the ticks of a signal that are complete; rules over values are fed from it.
    ///   - health: the share of the candidate's endpoints that are healthy; nil where nobody knows.
    ///   - read: the pair's counts of one tick, zeros where nothing started; nil when they are lost.
    public mutating func step(
        now: Tick, reference: LatencyReference, windows: (WindowQuery) -> WindowPair?,
        values: ValueSource = { _, _ in [] }, health: () -> Double? = { nil }, read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        let ticks = TickCache(now: now, from: firstUnsettled(now), read: read)
        return guards.indices.map { i in
            var reading = step(i, now: now, reference, ticks, windows, read)
            reading.isDryRun = specs[i].isDryRun
            reading.runbookURL = specs[i].runbookURL
            return reading
        }
    }

    private mutating func step(
        _ i: Int, now: Tick, _ reference: LatencyReference, _ ticks: TickCache,
        _ windows: (WindowQuery) -> WindowPair?, _ read: (Tick) -> PairTick?
    ) -> GuardrailReading {
        switch guards[i] {
        case .sequential(var test):
            let reading = test.step(now: now, reference: reference, ticks: ticks, read: read)
            guards[i] = .sequential(test)
            return reading
        case .window(var rule):
            let reading = rule.step(now: now, windows: windows)
            guards[i] = .window(rule)
            return reading
        }
    }

    /// The first tick that some guardrail has not settled, at most as old as the evidence rings remember.
    private mutating func firstUnsettled(_ now: Tick) -> UInt64 {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        var first = now.number
        for i in guards.indices {
            guard case .sequential(var test) = guards[i] else { continue }
            test.skip(to: oldest)
            guards[i] = .sequential(test)
            first = min(first, test.next)
        }
        return first
    }

    /// What must survive a restart; losing it spends another alpha.
    public var saved: Saved {
        Saved(
            guardrails: guards.compactMap {
                guard case .sequential(let test) = $0 else { return nil }
                return Saved.Guardrail(
                    spec: test.spec, wealth: test.bet.wealth, materiality: test.materiality)
            })
    }

    /// The evidence so far, by guardrail; window rules have none.
    public struct Saved: Sendable, Hashable, Codable {
        struct Guardrail: Sendable, Hashable, Codable {
            var spec: GuardrailSpec
            var wealth: Wealth
            var materiality: Materiality
        }

        var guardrails: [Guardrail]
    }
}

/// The unsettled ticks of one step, each read once.
struct TickCache {
    private let pairs: [PairTick?]
    let from: UInt64
    let now: Tick

    init(now: Tick, from: UInt64, read: (Tick) -> PairTick?) {
        self.now = now
        self.from = from
        pairs = (from..<max(from, now.number)).map { read(Tick(number: $0)) }
    }

    /// A tick from `from` on and before now; nil when its counts are lost.
    func pair(_ number: UInt64) -> PairTick? { pairs[Int(number - from)] }

    /// Whole ticks since the end of that tick.
    func age(_ number: UInt64) -> UInt64 { now.number - number - 1 }
}

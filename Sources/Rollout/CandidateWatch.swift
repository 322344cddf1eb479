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
        /// Being stepped: taken out for that, so that its arrays are changed in place.
        case taken
        case sequential(SequentialGuard)
        case window(WindowGuard)
        case burn(BurnRateGuard)
        case health(HealthGuard)
        case mean(ValueGuard<MeanTest>)
        case missing(ValueGuard<MissingTest>)
        case drift(ValueGuard<DriftTest>)
        case pinned(ValueGuard<PinnedDriftTest>)

        init(_ spec: GuardrailSpec, from: Tick) {
            switch spec.watcher {
            case .requests: self = .sequential(SequentialGuard(spec, from: from))
            case .window: self = .window(WindowGuard(spec))
            case .burn: self = .burn(BurnRateGuard(spec, from: from))
            case .health: self = .health(HealthGuard(spec))
            case .mean: self = .mean(ValueGuard(spec, from: from))
            case .missing: self = .missing(ValueGuard(spec, from: from))
            case .drift: self = .drift(ValueGuard(spec, from: from))
            case .pinnedDrift: self = .pinned(ValueGuard(spec, from: from))
            case nil: preconditionFailure("\(spec.name): the rule does not go with its measure")
            }
        }
    }

    /// Starts watching with the requests of tick `from`. Specs have no `problem`.
    public init(specs: [GuardrailSpec], from: Tick) {
        self.specs = specs
        self.from = from
        guards = specs.map {
            precondition($0.problem == nil, "\($0.name): \($0.problem ?? "")")
            return Guard($0, from: from)
        }
    }

    /// Takes over what an earlier process had seen. A guardrail whose spec has changed starts anew.
    /// - Parameter valuesFrom: the first tick of values that the earlier process had not counted, given the
    ///   one that it would have counted next by its own clock; nil where clocks do not compare: then values
    ///   are counted from `from` on.
    public init(
        restoring saved: Saved, specs: [GuardrailSpec], from: Tick,
        valuesFrom: (_ next: Tick) -> Tick? = { _ in nil }
    ) {
        self.init(specs: specs, from: from)
        for (i, spec) in specs.enumerated() {
            guard let old = saved.guardrails.first(where: { $0.spec == spec }) else { continue }
            func next(_ number: UInt64) -> Tick { valuesFrom(Tick(number: number)) ?? from }
            switch guards[i] {
            case .sequential(var test):
                guard let wealth = old.wealth, let sizes = old.materiality else { continue }
                test.restore(wealth, sizes)
                guards[i] = .sequential(test)
            case .burn(var test):
                guard let wealth = old.wealth, let sizes = old.materiality else { continue }
                test.restore(wealth, sizes, bad: old.burned ?? 0)
                guards[i] = .burn(test)
            case .mean(var test):
                if let state = old.mean { test.restore(state, next: next(state.next)) }
                guards[i] = .mean(test)
            case .missing(var test):
                if let state = old.missing { test.restore(state, next: next(state.next)) }
                guards[i] = .missing(test)
            case .drift(var test):
                if let state = old.drift { test.restore(state, next: next(state.next)) }
                guards[i] = .drift(test)
            case .pinned(var test):
                if let state = old.pinned { test.restore(state, next: next(state.next)) }
                guards[i] = .pinned(test)
            case .window, .health, .taken: continue
            }
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
        values: ValueFeed = { _, _ in [] }, health: () -> Double? = { nil }, read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        let ticks = TickCache(now: now, from: firstUnsettled(now), read: read)
        return guards.indices.map { i in
            var guardrail = Guard.taken
            swap(&guardrail, &guards[i])
            var reading: GuardrailReading
            switch consume guardrail {
            case .sequential(var test):
                reading = test.step(now: now, reference: reference, ticks: ticks, read: read)
                guards[i] = .sequential(test)
            case .window(var rule):
                reading = rule.step(now: now, windows: windows)
                guards[i] = .window(rule)
            case .burn(var test):
                reading = test.step(now: now, reference: reference, ticks: ticks, read: read)
                guards[i] = .burn(test)
            case .health(var rule):
                reading = rule.step(now: now, share: health())
                guards[i] = .health(rule)
            case .mean(var test):
                reading = test.step(now: now, values: values)
                guards[i] = .mean(test)
            case .missing(var test):
                reading = test.step(now: now, values: values)
                guards[i] = .missing(test)
            case .drift(var test):
                reading = test.step(now: now, values: values)
                guards[i] = .drift(test)
            case .pinned(var test):
                reading = test.step(now: now, values: values)
                guards[i] = .pinned(test)
            case .taken: preconditionFailure("a guardrail is stepped once")
            }
            reading.isDryRun = specs[i].isDryRun
            reading.runbookURL = specs[i].runbookURL
            return reading
        }
    }

    /// The first tick that some guardrail has not settled, at most as old as the evidence rings remember.
    private mutating func firstUnsettled(_ now: Tick) -> UInt64 {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        var first = now.number
        for i in guards.indices {
            if case .sequential(var test) = guards[i] {
                test.skip(to: oldest)
                guards[i] = .sequential(test)
                first = min(first, test.next)
            } else if case .burn(var test) = guards[i] {
                test.skip(to: oldest)
                guards[i] = .burn(test)
                first = min(first, test.test.next)
            }
        }
        return first
    }

    /// What must survive a restart; losing it spends another alpha.
    public var saved: Saved {
        Saved(
            guardrails: guards.compactMap { guardrail in
                switch guardrail {
                case .sequential(let test):
                    Saved.Guardrail(
                        spec: test.spec, wealth: test.bet.wealth, materiality: test.materiality)
                case .burn(let rule):
                    Saved.Guardrail(
                        spec: rule.spec, wealth: rule.test.bet.wealth, materiality: rule.test.materiality,
                        burned: rule.test.bad)
                case .mean(let test): Saved.Guardrail(spec: test.spec, mean: test.state)
                case .missing(let test): Saved.Guardrail(spec: test.spec, missing: test.state)
                case .drift(let test): Saved.Guardrail(spec: test.spec, drift: test.state)
                case .pinned(let test): Saved.Guardrail(spec: test.spec, pinned: test.state)
                case .window, .health, .taken: nil
                }
            })
    }

    /// The evidence so far, by guardrail; window and health rules have none.
    public struct Saved: Sendable, Hashable, Codable {
        struct Guardrail: Sendable, Hashable, Codable {
            var spec: GuardrailSpec
            // What the guardrail's kind has; the others are nil.
            var wealth: Wealth?
            var materiality: Materiality?
            var burned: Int?
            var mean: ValueGuard<MeanTest>.State?
            var missing: ValueGuard<MissingTest>.State?
            var drift: ValueGuard<DriftTest>.State?
            var pinned: ValueGuard<PinnedDriftTest>.State?
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

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
    // By kind, so that each is stepped in place and takes the room that it needs.
    private var sequential: [SequentialGuard] = []
    private var windows: [WindowGuard] = []
    private var burns: [BurnRateGuard] = []
    private var healths: [HealthGuard] = []
    private var means: [ValueGuard<MeanTest>] = []
    private var missing: [ValueGuard<MissingTest>] = []
    private var drifts: [ValueGuard<DriftTest>] = []
    private var pinned: [ValueGuard<PinnedDriftTest>] = []
    /// Where each guardrail stands, in the order of `specs`.
    private var places: [(kind: GuardrailSpec.Watcher, index: Int)] = []
    private var sleep: Sleep

    /// Starts watching with the requests of tick `from`. Specs have no `problem`.
    public init(specs: [GuardrailSpec], from: Tick) {
        self.specs = specs
        sleep = Sleep(from: from)
        for spec in specs { add(spec, from) }
    }

    private mutating func add(_ spec: GuardrailSpec, _ from: Tick) {
        precondition(spec.problem == nil, "\(spec.name): \(spec.problem ?? "")")
        guard let kind = spec.watcher else {
            preconditionFailure("\(spec.name): the rule does not go with its measure")
        }
        let index: Int
        switch kind {
        case .requests: index = sequential.take(SequentialGuard(spec, from: from))
        case .window: index = windows.take(WindowGuard(spec))
        case .burn: index = burns.take(BurnRateGuard(spec, from: from))
        case .health: index = healths.take(HealthGuard(spec))
        case .mean: index = means.take(ValueGuard(spec, from: from))
        case .missing: index = missing.take(ValueGuard(spec, from: from))
        case .drift: index = drifts.take(ValueGuard(spec, from: from))
        case .pinnedDrift: index = pinned.take(ValueGuard(spec, from: from))
        }
        places.append((kind, index))
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
            guard let old = saved.guardrails.first(where: { $0.spec.isSaved(of: spec) }) else { continue }
            func next(_ number: UInt64) -> Tick { valuesFrom(Tick(number: number)) ?? from }
            let at = places[i].index
            switch places[i].kind {
            case .requests:
                guard let wealth = old.wealth, let sizes = old.materiality else { continue }
                sequential[at].restore(wealth, sizes, gross: old.gross, usual: old.usual)
                if let pinned = old.withoutStable {
                    let until = pinned.until.flatMap { valuesFrom(Tick(number: $0)) }
                    sequential[at].restore(pinned, until: until?.number)
                }
            case .burn:
                guard let wealth = old.wealth, let sizes = old.materiality else { continue }
                burns[at].restore(wealth, sizes, bad: old.burned ?? 0)
            case .mean: if let state = old.mean { means[at].restore(state, next: next(state.next)) }
            case .missing: if let state = old.missing { missing[at].restore(state, next: next(state.next)) }
            case .drift: if let state = old.drift { drifts[at].restore(state, next: next(state.next)) }
            case .pinnedDrift: if let state = old.pinned { pinned[at].restore(state, next: next(state.next)) }
            case .window, .health: continue
            }
        }
    }

    /// Takes in what has happened before tick `now` and says where every guardrail stands, in the order of
    /// `specs`.
    /// - Parameters:
    ///   - now: the current tick; grows by at least one from call to call.
    ///   - reference: the model's latency thresholds, refreshed before this call.
    ///   - windows: the pair over a rolling window; nil where nothing has been counted yet.
    ///   - values: the ticks of a value that are complete; rules over values are fed from it.
    ///   - health: what active checks say of the endpoints of both.
    ///   - read: the pair's counts of one tick, zeros where nothing started; nil when they are lost.
    public mutating func step(
        now: Tick, reference: LatencyReference, windows: (WindowQuery) -> WindowPair?,
        values: ValueFeed = { _, _ in [] }, health: () -> HealthShares = { HealthShares() },
        read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        let ticks = TickCache(now: now, from: firstUnsettled(now), read: read)
        sleep.look(at: now) { $0 >= ticks.from ? ticks.pair($0) : read(Tick(number: $0)) }
        let asleep = sleep.since(now)
        var readings: [GuardrailReading] = []
        readings.reserveCapacity(places.count)
        for (i, place) in places.enumerated() {
            let at = place.index
            switch place.kind {
            case .requests:
                readings.append(
                    sequential[at].step(now: now, reference: reference, ticks: ticks, read: read))
            case .window:
                readings.append(
                    self.windows[at].step(
                        now: now, reference: reference, windows: windows, ticks: ticks, read: read))
            case .burn:
                readings.append(burns[at].step(now: now, reference: reference, ticks: ticks, read: read))
            case .health: readings.append(healths[at].step(now: now, shares: health(), read: read))
            case .mean: readings.append(means[at].step(now: now, values: values))
            case .missing: readings.append(missing[at].step(now: now, values: values))
            case .drift: readings.append(drifts[at].step(now: now, values: values))
            case .pinnedDrift: readings.append(pinned[at].step(now: now, values: values))
            }
            if place.kind.hasOneLimit { readings[i].withholdPass(specs[i]) }
            if let asleep, specs[i].rule.isRelative, readings[i].verdict != .fail {
                let isOfRequests = place.kind == .requests
                if isOfRequests, let pinned = sequential[at].withoutStable(now: now, reference) {
                    readings[i] = pinned
                } else {
                    let isKnown = isOfRequests && sleep.isWithoutWeight
                    readings[i].sleep(since: asleep, known: isKnown ? sequential[at].knownOfStable : nil)
                }
            }
            if specs[i].isDryRun { readings[i].isDryRun = true }
            readings[i].runbookURL = specs[i].runbookURL
        }
        return readings
    }

    /// The first tick that some guardrail has not settled, at most as old as the evidence rings remember.
    private mutating func firstUnsettled(_ now: Tick) -> UInt64 {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        var first = now.number
        for i in sequential.indices {
            sequential[i].skip(to: oldest)
            first = min(first, sequential[i].oldest)
        }
        for i in burns.indices {
            burns[i].skip(to: oldest)
            first = min(first, burns[i].test.next)
        }
        return first
    }

    /// Gives up evidence that would trip by itself, of requests and of values; whoever calls it begins the
    /// windows of the other rules anew. What goes on trips anew. For the moment in which a cut becomes
    /// possible that was not before.
    public mutating func forfeitProven() {
        for i in sequential.indices { sequential[i].forfeitProven() }
        for i in burns.indices { burns[i].forfeitProven() }
        for i in means.indices { means[i].forfeitProven() }
        for i in missing.indices { missing[i].forfeitProven() }
        for i in drifts.indices { drifts[i].forfeitProven() }
        for i in pinned.indices { pinned[i].forfeitProven() }
    }

    /// What must survive a restart; losing it spends another alpha.
    public var saved: Saved {
        Saved(
            guardrails: places.enumerated().compactMap { i, place in
                let (spec, at) = (specs[i], place.index)
                switch place.kind {
                case .requests:
                    let test = sequential[at]
                    return Saved.Guardrail(
                        spec: spec, wealth: test.wealth, materiality: test.committed.materiality,
                        gross: test.gross?.test,
                        usual: spec.watchesLoss ? test.committed.loss.usual : nil,
                        withoutStable: test.pinned.first?.state)
                case .burn:
                    let test = burns[at].test
                    return Saved.Guardrail(
                        spec: spec, wealth: test.wealth, materiality: test.committed.materiality,
                        burned: burns[at].burned)
                case .mean: return Saved.Guardrail(spec: spec, mean: means[at].state)
                case .missing: return Saved.Guardrail(spec: spec, missing: missing[at].state)
                case .drift: return Saved.Guardrail(spec: spec, drift: drifts[at].state)
                case .pinnedDrift: return Saved.Guardrail(spec: spec, pinned: pinned[at].state)
                case .window, .health: return nil
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
            var gross: GrossSlowness?
            var usual: TotalLoss.Usual?
            var withoutStable: PinnedStable.State?
            var mean: ValueGuard<MeanTest>.State?
            var missing: ValueGuard<MissingTest>.State?
            var drift: ValueGuard<DriftTest>.State?
            var pinned: ValueGuard<PinnedDriftTest>.State?

            // The words of saved states.
            private enum CodingKeys: String, CodingKey {
                case spec, wealth, materiality, burned, gross, usual, mean, missing, drift, pinned
                case withoutStable = "alone"
            }
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
}

extension Array {
    /// Appends an element and says where it is.
    fileprivate mutating func take(_ element: Element) -> Int {
        append(element)
        return count - 1
    }
}

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

    /// Takes over what an earlier process had seen. A guardrail whose spec has changed starts anew, but for
    /// what is known of stable as it was, which a rule with the same measure goes on with.
    /// - Parameter valuesFrom: the first tick of values that the earlier process had not counted, given the
    ///   one that it would have counted next by its own clock; nil where clocks do not compare: then values
    ///   are counted from `from` on.
    public init(
        restoring saved: Saved, specs: [GuardrailSpec], from: Tick,
        valuesFrom: (_ next: Tick) -> Tick? = { _ in nil }
    ) {
        self.init(specs: specs, from: from)
        if let last = saved.comparedUntil.flatMap({ valuesFrom(Tick(number: $0)) }) { sleep.restore(last) }
        if let isWeightless = saved.isWeightless { sleep.restore(isWithoutWeight: isWeightless) }
        for (i, spec) in specs.enumerated() {
            let at = places[i].index
            if places[i].kind == .requests, var known = saved.reference(for: spec) {
                known.until = known.until.flatMap { valuesFrom(Tick(number: $0))?.number }
                sequential[at].learnStable(known)
            }
            guard let old = saved.guardrails.first(where: { $0.spec.isSaved(of: spec) }) else { continue }
            func next(_ number: UInt64) -> Tick { valuesFrom(Tick(number: number)) ?? from }
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
            if specs[i].rule.isRelative {
                lookWithoutStable(place, &readings[i], now, asleep: asleep, reference)
            }
            if readings[i].action == .alert, specs[i].action != .alert {
                readings[i].ruleAction = specs[i].action
            }
            if specs[i].isDryRun { readings[i].isDryRun = true }
            readings[i].runbookURL = specs[i].runbookURL
        }
        return readings
    }

    /// Replaces the reading of a comparison while stable has no traffic, or too little: by the one with
    /// stable as it was where that knows more of it, else it sleeps. No traffic of stable is no pass.
    private mutating func lookWithoutStable(
        _ place: (kind: GuardrailSpec.Watcher, index: Int), _ reading: inout GuardrailReading, _ now: Tick,
        asleep: Tick?, _ reference: LatencyReference
    ) {
        reading.isComparison = true
        let (isOfRequests, at) = (place.kind == .requests, place.index)
        guard reading.verdict != .fail else { return }
        if isOfRequests, asleep != nil || sequential[at].knowsMoreOfThen,
            let pinned = sequential[at].withoutStable(now: now, reference)
        {
            reading = pinned
            reading.isComparison = true
        } else if let asleep {
            let isKnown = isOfRequests && sleep.isWithoutWeight
            reading.sleep(
                since: asleep, isKnown: sleep.last != nil,
                known: isKnown ? sequential[at].knownOfStable : nil)
        } else if isOfRequests, sleep.isStableThin, reading.verdict == .pass, reading.stableRequests == 0 {
            reading.verdict = .notEnoughData
        }
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
                        withoutStable: test.pinned?.state, stable: test.reference)
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
            }, comparedUntil: sleep.last?.number, isWeightless: sleep.isWeightless)
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
            var stable: StableReference?
            var mean: ValueGuard<MeanTest>.State?
            var missing: ValueGuard<MissingTest>.State?
            var drift: ValueGuard<DriftTest>.State?
            var pinned: ValueGuard<PinnedDriftTest>.State?

            // The words of saved states.
            private enum CodingKeys: String, CodingKey {
                case spec, wealth, materiality, burned, gross, usual, stable, mean, missing, drift, pinned
                case withoutStable = "alone"
            }
        }

        var guardrails: [Guardrail]
        /// The last tick with requests of both; nil: none, and in states of earlier releases.
        var comparedUntil: UInt64?
        /// Whether stable had no weight, where the rules slept; nil: they were awake.
        var isWeightless: Bool?

        /// What is known of stable for a rule: by itself, by one of its name, or by the one that knows most.
        fileprivate func reference(for spec: GuardrailSpec) -> StableReference? {
            let usable = guardrails.filter { $0.stable != nil && $0.spec.countsStable(as: spec) }
            let own = usable.first { $0.spec.isSaved(of: spec) } ?? usable.first { $0.spec.name == spec.name }
            if let own { return own.stable }
            return usable.compactMap(\.stable).max { $0.worth < $1.worth }
        }

        /// Forgets stable, because another version is stable now.
        public mutating func forgetStable() {
            for i in guardrails.indices where guardrails[i].spec.isRequestBet {
                (guardrails[i].stable, guardrails[i].withoutStable) = (nil, nil)
                if guardrails[i].materiality != nil { guardrails[i].materiality = Materiality() }
            }
        }
    }
}

extension CandidateWatch {
    /// Takes over what the rules of another watch of the same candidate know of stable as it was, for rules
    /// that measure the same and know less.
    public mutating func learnStable(from other: CandidateWatch) {
        for i in sequential.indices {
            let spec = sequential[i].spec
            let known = other.sequential.filter { $0.spec.countsStable(as: spec) }.compactMap(\.reference)
            if let most = known.max(by: { $0.worth < $1.worth }) { sequential[i].learnStable(most) }
        }
    }

    /// The names of the rules that can go on without stable's traffic, compared with stable as it was.
    public var rulesKnowingStable: Set<String> {
        Set(sequential.filter { $0.spec.watchesPinned && $0.knowsStable }.map(\.spec.name))
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

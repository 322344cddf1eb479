// Stable as it was, for the time when it has no traffic, or a tenth at most: at 100 %, in a bake, and after a
// promotion. A rule against stable then holds the candidate to what stable's rate was in the stage that says
// most of it (StableReference), with a margin (PinnedRate): of events their rate, of latency the share above
// stable's threshold.
//
//   tick                                       what happens
//   stable has more than a tenth               it moves on: this is the ordinary comparison's
//   the first one with a tenth or less         the limit is pinned, from an earlier stage
//   the first one with nothing                 it is pinned anew where the stage just ended says more
//   the others                                 a bet against the limit, by slots, capped, rested and tolled
//   the bet wins                               stable's requests, then PinnedVeto, say if it fails too
//   it says common                             the winnings are forfeited
//   it says anything but that or waiting       a trip, latched
//
// Nothing here tells a worse model from other traffic, so a trip alerts unless the rule says more.
// Invariant: takes settled ticks only, in order of start, and never one that the ordinary evidence has not
// passed, so that the limit comes from the past. Source: guardrails/dependence.md, sections 2 and 3.

import Metrics
import Statistics

/// How far the comparison with stable as it was has come, for one rule.
struct PinnedStable: Sendable {
    /// What must survive a restart.
    struct State: Sendable, Hashable, Codable {
        var wealth: Wealth
        var limit: Double
        var counts: EpochCounts
        /// The last tick with traffic of both; nil where it is not known.
        var until: UInt64?
        /// What a trip was decided by.
        var decisive: Recent?
        /// What is known of stable while the candidate is bad.
        var word: PinnedVeto.Word?
        var usual: PinnedVeto.Usual?
        var asked: Recent?
    }

    /// Slots after which fresh money is staked: a minute or two, because every slot costs its toll.
    private static let epochSlots: UInt64 = 12

    private var test = AbsoluteRate(p0: 0.5)
    private var cap = BurstCap(.tolerant)
    /// The rate that is too high; 0 where nothing is pinned.
    private(set) var limit = 0.0
    /// Requests of stable that the limit comes from, and of the candidate since.
    private(set) var counts = EpochCounts()
    /// The last seconds, half as much of them with every slot.
    private(set) var recent = Recent()
    /// What had been seen of the last seconds when the bet won.
    private(set) var decisive: Recent?
    private var veto = PinnedVeto()
    /// What the veto said last of winnings; nil before there are some.
    private(set) var word: PinnedVeto.Word?
    /// The first tick that is not counted.
    private(set) var next: UInt64
    /// The last tick of the stage that the limit is from; nil before there is one, or where clocks do not
    /// compare.
    private(set) var until: UInt64?
    /// Whether stable had little or nothing in the last tick, and whether it had nothing.
    private var isWatching = false
    private(set) var isAlone = false
    /// Stable's own requests of the last seconds, where it has some.
    private var beside = Recent()
    /// Requests of stable without which its share says nothing of latency.
    private static let besideMin = 8
    private var lastCounted: UInt64 = 0
    /// The number of the last epoch; one per so many slots of time in which there was something to count.
    private var epoch: UInt64 = 0
    private var timer = Debounce()

    /// Begins with a tick in which stable has little or nothing.
    init(from: UInt64) { next = from }

    var wealth: Wealth { test.wealth }

    /// Goes on with the evidence of an earlier process; the restart opens a new epoch.
    /// - Parameter until: the last tick with traffic of both, by this process's clock.
    mutating func restore(_ old: State, until: UInt64?) {
        let isOurs = old.wealth.staked.count == test.wealth.staked.count
        guard isOurs, old.limit > 0, old.limit < 1 else { return }
        (limit, counts, self.until) = (old.limit, old.counts, until)
        (isWatching, isAlone) = (true, true)
        test = AbsoluteRate(p0: limit)
        test.wealth = old.wealth
        test.wealth.newEpoch()
        (decisive, word) = (old.decisive, old.word)
        veto = PinnedVeto(usual: old.usual ?? PinnedVeto.Usual(), past: old.asked ?? Recent())
    }

    /// Nil where nothing is pinned.
    var state: State? {
        guard isPinned else { return nil }
        return State(
            wealth: test.wealth, limit: limit, counts: counts, until: until, decisive: decisive, word: word,
            usual: veto.usual, asked: veto.past)
    }

    /// Gives up on ticks that the evidence rings have forgotten.
    mutating func skip(to oldest: UInt64) { next = max(next, oldest) }

    /// Whether there is something that the candidate is held to.
    var isPinned: Bool { isWatching && limit > 0 }

    /// Takes in a tick in which both, or only the candidate, may have had traffic.
    /// - Parameters:
    ///   - pair: with what stable made of shielded requests.
    ///   - kept: what earlier stages have shown of stable.
    ///   - stage: of the comparison, what the stage under way or just ended has shown.
    ///   - view: the tick as the rule sees it, with stable's part where it has weight; nil while it is not
    ///     settled.
    /// - Returns: whether the tick is done with.
    mutating func take(
        _ pair: PairTick, _ spec: GuardrailSpec, kept: StableReference?, stage: StableReference,
        view: () -> TickView?
    ) -> Bool {
        guard let split = pair.split else { return true }
        guard split.isCandidateAlone || split.isStableThin else {
            (isWatching, isAlone) = (false, false)
            return true
        }
        if !isWatching || split.isCandidateAlone && !isAlone {
            var ended = stage
            ended.until = next - min(next, 1)
            let known = split.isCandidateAlone ? StableReference.better(kept, ended) : kept
            // What goes on from one to the other keeps its evidence.
            if !isWatching || known.map({ $0.counts.stableRequests != counts.stableRequests }) ?? false {
                pin(spec, known)
            }
        }
        (isWatching, isAlone) = (true, split.isCandidateAlone)
        guard limit > 0 else { return true }
        guard let view = view() else { return false }
        beside.add(view.size.stableRequests, view.size.stableEvents)
        guard view.size.candidateRequests > 0 else { return true }
        count(view.size, pair, spec)
        return true
    }

    /// The tick is done with.
    mutating func move() { next += 1 }

    /// Chooses the limit from what is known of stable.
    private mutating func pin(_ spec: GuardrailSpec, _ known: StableReference?) {
        let past = known?.counts ?? EpochCounts()
        (recent, beside, decisive, word, lastCounted) = (Recent(), Recent(), nil, nil, 0)
        limit = known.flatMap(spec.pinnedLimit) ?? 0
        until = known?.until
        counts = EpochCounts(stableRequests: past.stableRequests, stableEvents: past.stableEvents)
        veto = PinnedVeto(
            usual: .init(
                stage: past, known?.retries ?? Retries(), isOfEvents: spec.measure.event == .failure))
        guard limit > 0 else { return }
        var wealth = test.wealth
        // A trip was another time's, and has been said.
        if isProven(spec) { wealth.forfeit() }
        test = AbsoluteRate(p0: limit)
        test.wealth = wealth
        test.wealth.newEpoch()
        cap = BurstCap(.tolerant)
        epoch = next / spec.pinnedSlotTicks / PinnedStable.epochSlots
    }

    private mutating func count(_ size: EpochCounts, _ pair: PairTick, _ spec: GuardrailSpec) {
        let slot = next / spec.pinnedSlotTicks
        if cap.enter(slot: slot) {
            let isNewEpoch = slot / PinnedStable.epochSlots != epoch
            recent.fade()
            beside.fade()
            veto.enter(limit: limit, isNewEpoch: isNewEpoch)
            if isNewEpoch { test.wealth.newEpoch() }
            epoch = slot / PinnedStable.epochSlots
        }
        let (requests, events) = (size.candidateRequests, size.candidateEvents)
        recent.add(requests, events, pair)
        veto.add(requests, events, pair)
        counts.candidateRequests += requests
        counts.candidateEvents += events
        lastCounted = next
        test.apply(bad: events, good: requests - events, cap: &cap)
        if events > 0 { test.wealth.latchIfLarger() }
        if isProven(spec), decisive == nil || word == .undecided { judge(spec) }
    }

    /// Asks about stable, and again where that has not told yet.
    private mutating func judge(_ spec: GuardrailSpec) {
        if isShared(spec) {
            test.wealth.forfeit()
            (decisive, word) = (nil, nil)
            return
        }
        let isStillBad = decisive != nil || Double(recent.events) > limit * Double(recent.requests)
        let found = veto.judge(now: next, limit: limit, spec.measure, isStillBad: isStillBad)
        switch found {
        case .common:
            test.wealth.forfeit()
            decisive = nil
        // An alert goes on after a restart.
        case .waiting: if decisive != nil { return }
        case .undecided: if decisive == nil { decisive = recent }
        case .unasked, .fine, .unreached: decisive = recent
        }
        word = found
    }

    /// Whether stable's own few requests break the limit as well, and are at least half as much worse than
    /// stable was as the candidate's are.
    private func isShared(_ spec: GuardrailSpec) -> Bool {
        let least = spec.measure.event == nil ? Self.besideMin : 1
        guard beside.events > 0, Int(beside.requests) >= least else { return false }
        let ours = Double(recent.events) / Double(max(1, recent.requests))
        let usual = Double(counts.stableEvents) / Double(max(1, counts.stableRequests))
        return Double(beside.events) >= max(limit, (ours + usual) / 2) * Double(beside.requests)
    }

    func logThreshold(_ spec: GuardrailSpec) -> Double {
        Wealth.logThreshold(alpha: spec.alpha * spec.pinnedAlphaShare)
    }

    /// Gives up winnings that would trip by themselves.
    mutating func forfeitProven(_ spec: GuardrailSpec) {
        veto.forgetUnreached()
        guard isProven(spec) else { return }
        test.wealth.forfeit()
        (decisive, word) = (nil, nil)
    }

    private func isProven(_ spec: GuardrailSpec) -> Bool { test.wealth.maxLogE >= logThreshold(spec) }

    /// Whether it trips, and has for the rule's `for`.
    mutating func trips(_ spec: GuardrailSpec, now: UInt64) -> Bool {
        let holds = isPinned && decisive != nil && counts.candidateEvents >= spec.minEvents
        return timer.evaluate(holds, tick: now, forTicks: UInt64(max(0, spec.forTicks)))
    }

    /// Whether the candidate has been asked enough, and lately.
    func hasData(_ spec: GuardrailSpec, now: UInt64) -> Bool {
        guard lastCounted > 0, counts.candidateRequests >= max(1, spec.minRequests) else { return false }
        return now - min(now, lastCounted) <= UInt64(max(spec.windowTicks, 1)) + TickView.deadlineTicks
    }
}

extension GuardrailSpec {
    /// Whether the rule goes on without stable's traffic, compared with stable as it was.
    public var watchesPinned: Bool { isRequestBet && withoutStable != .sleep }

    /// What a trip without stable's traffic does; nil where the rule sleeps then.
    var pinnedAction: Action? { watchesPinned ? withoutStable.action : nil }

    /// The share of the rule's alpha. An alert cuts nothing and has an alpha of its own; what cuts or holds
    /// takes half of the rule's.
    var pinnedAlphaShare: Double {
        switch withoutStable {
        case .cut, .hold: 0.5
        case .alert, .sleep: 1
        }
    }

    /// What the comparison leaves it of the rule's alpha.
    var comparedAlphaShare: Double { watchesPinned && pinnedAlphaShare < 1 ? 1 - pinnedAlphaShare : 1 }

    /// Ticks of a slot: as where moments are tolerated, twice their length where one pause makes many.
    fileprivate var pinnedSlotTicks: UInt64 {
        let tolerated = UInt64(max(toleratedTicks, GuardrailSpec.toleratedByDefault))
        return comesInBursts ? 2 * tolerated : tolerated
    }

    /// What the candidate is held to, by a stage; nil where too little is known of it. Where keys stay with a
    /// version, few of them may have been stable's: there both versions' requests count.
    func pinnedLimit(_ known: StableReference) -> Double? {
        let (past, effect) = (known.counts, known.effect)
        guard case .sequentialWorseThanStable(_, let ratio, let difference) = rule else { return nil }
        let isOfEvents = measure.event != nil
        func limit(_ requests: Int, _ events: Int) -> Double? {
            PinnedRate.limit(
                requests: requests, events: events, ratio: isOfEvents ? ratio : 1,
                difference: isOfEvents ? difference : 0, effect: effect,
                least: measure.quantile.map { 1 - $0 } ?? 0)
        }
        guard let alone = limit(past.stableRequests, past.stableEvents) else { return nil }
        guard countsKeysOnce else { return alone }
        let all = limit(
            past.stableRequests + past.candidateRequests, past.stableEvents + past.candidateEvents)
        return all.map { max($0, alone) }
    }
}

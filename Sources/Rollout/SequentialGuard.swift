// One sequential guardrail on the stream of ticks. The committed state covers a prefix of settled ticks in
// the order of their start; every step replays the unsettled ticks behind it on a copy, with bounds for what
// is in flight, so that fast failures are seen at once and nothing is counted before its time.
//
// Invariant: what the copy shows is never more than what the ticks will come to once they are settled, so
// its largest evidence may be latched. Source: guardrails/statistics.md, sections 1, 2 and 4.1.

import Metrics
import Statistics

/// A sequential guardrail's state.
struct SequentialGuard: Sendable {
    let spec: GuardrailSpec
    /// The rule in words.
    let sentence: String
    /// Whether an absolute rule judges copies as well as what users got.
    let countsCopies: Bool
    /// In half the space, beside a truth value.
    private var badCount: UInt32 = 0
    /// What the settled ticks have come to.
    private(set) var committed: SequentialProgress
    /// The first tick that is not committed.
    private(set) var next: UInt64
    /// Bad requests of the candidate over the whole rollout, as of the last step: the unsettled included.
    private(set) var badInAll: Int {
        get { Int(badCount) }
        set { badCount = UInt32(clamping: newValue) }
    }
    private(set) var timer = Debounce()
    /// The fast path of latency against stable.
    private(set) var gross: GrossGuard?
    /// For the time without stable's traffic: none before a stage has ended, or stable has lost its weight.
    var aside: [StableAside] = []
    private var cause = CommonCause()
    /// The tick of the last step; 0 before the first.
    private var stepped: UInt64 = 0

    init(_ spec: GuardrailSpec, from: Tick, countsCopies: Bool = true) {
        self.spec = spec
        self.countsCopies = countsCopies
        sentence = spec.sentence
        committed = SequentialProgress(spec)
        next = from.number
        if spec.watchesGrossSlowness { gross = GrossGuard(from: from.number) }
    }

    /// The evidence of the settled ticks, with the largest ever seen.
    var wealth: Wealth { committed.bet.wealth }

    /// Takes over the evidence of an earlier process; the restart opens a new epoch.
    mutating func restore(
        _ wealth: Wealth, _ materiality: Materiality, bad: Int = 0, gross: GrossSlowness? = nil,
        usual: TotalLoss.Usual? = nil
    ) {
        if let gross { self.gross?.restore(gross) }
        guard wealth.staked.count == self.wealth.staked.count else { return }
        committed.restore(spec, wealth, materiality, bad: bad, usual: usual)
        badInAll = bad
    }

    /// Gives up evidence that would trip by itself: it is of a time when nothing could be done about it. What
    /// goes on, an outage, is seen as it is.
    mutating func forfeitProven() {
        if wealth.maxLogE >= logThreshold { committed.bet.wealth.forfeit() }
        gross?.forfeitProven(spec)
        for i in aside.indices { aside[i].pinned?.forfeitProven(spec) }
    }

    /// Takes over what an earlier process had pinned.
    /// - Parameter until: the last tick with traffic of both, by this process's clock.
    mutating func restore(_ old: PinnedStable.State, until: UInt64?) {
        guard spec.watchesPinned else { return }
        var pinned = PinnedStable(from: next)
        pinned.restore(old, until: until)
        makeAside()
        aside[0].pinned = pinned
    }

    /// The log evidence that trips; the fast path has a share of the alpha, and so has what goes on without
    /// stable if it may cut.
    var logThreshold: Double {
        let share = spec.comparedAlphaShare * (gross == nil ? 1 : 1 - GrossGuard.alphaShare(spec))
        return Wealth.logThreshold(alpha: spec.alpha * share)
    }

    /// The first tick that is not counted yet.
    var oldest: UInt64 { min(next, gross?.next ?? next, aside.first?.pinned?.next ?? next) }

    /// Commits what has settled and looks at the rest.
    /// - Parameters:
    ///   - now: the tick as of which it looks, at most the step's.
    ///   - lag: stable's p99 in ticks.
    ///   - slots: where the rule's latencies are counted.
    /// - Returns: the state after the replay, which the reading is taken from.
    mutating func advance(
        _ ticks: TickCache, at now: UInt64, lag: UInt64, slots: (evidence: Int, size: Int)?
    ) -> SequentialProgress {
        while next < now {
            let tick = ticks.view(next, spec, at: now, countsCopies: countsCopies, lag: lag, slots: slots)
            if case .settled = tick.state {
                keepStage(before: tick.split)
                watchPinned(tick.split)
                committed.take(tick, spec, at: next, isFinal: true)
                if spec.watchesPinned, let pair = ticks.pair(next) {
                    committed.add(rescued: pair.rescued, unrescued: pair.unrescued)
                }
            } else if case .dropped = tick.state {
                watchPinned(ticks.pair(next)?.split)
            } else {
                break
            }
            next += 1
        }
        var seen = committed
        replay: for number in next..<max(next, now) {
            let tick = ticks.view(number, spec, at: now, countsCopies: countsCopies, lag: lag, slots: slots)
            switch tick.state {
            case .hidden: break replay
            case .dropped: continue
            case .settled, .open:
                seen.take(tick, spec, at: number, isFinal: false)
            }
        }
        committed.bet.wealth.observe(seen.bet.wealth.maxLogE)
        if spec.watchesLoss { committed.loss.begin(seen.loss, at: now) }
        badInAll = seen.bad
        return seen
    }

    /// Gives up on ticks that the evidence rings have forgotten.
    mutating func skip(to oldest: UInt64) {
        next = max(next, oldest)
        gross?.skip(to: oldest)
        if !aside.isEmpty { aside[0].pinned?.skip(to: oldest) }
    }

    /// Looks at what is grossly slow.
    mutating func advanceGross(_ ticks: TickCache, slot: Int?) {
        gross?.advance(ticks, at: ticks.now.number, spec, countsCopies: countsCopies, slot: slot)
    }

    /// Whether the fast path trips.
    var isGross: Bool { gross?.holds(spec) ?? false }

    /// Ticks that a late step catches up on, one by one.
    private static let lateTicksMax: UInt64 = 50

    /// Takes in the ticks before now. A rule with the common-cause guard takes its evidence tick by tick,
    /// however seldom control gets to step: looked at later, a bad moment would be judged by others.
    mutating func look(
        _ ticks: TickCache, lag: UInt64, slots: (evidence: Int, size: Int)?,
        moment: (_ number: UInt64, _ now: UInt64, _ isLoss: Bool) -> CommonCause.Moment?
    ) -> (seen: SequentialProgress, stable: CommonCause.Word) {
        let now = ticks.now.number
        guard spec.vetoWhenStableToo, !spec.rule.isRelative else {
            return (advance(ticks, at: now, lag: lag, slots: slots), .unasked)
        }
        let first = stepped == 0 ? now : min(stepped + 1, now)
        var at = max(first, now - min(now, SequentialGuard.lateTicksMax))
        stepped = now
        while true {
            let seen = advance(ticks, at: at, lag: lag, slots: slots)
            let isDown = seen.recent.isDown(spec, now: at)
            let isProven = wealth.maxLogE >= logThreshold || isDown
            let isLoss = !isProven && seen.loss.isSuspected
            let rate = isDown ? seen.recent.rateAtLeast : isLoss ? seen.loss.rateAtLeast : 0
            let word = cause.judge(
                isProven: isProven || isLoss, now: at, limit: spec.rateLimit, rate: rate,
                minEvents: spec.minEvents, begun: isLoss ? seen.loss.since : nil
            ) {
                // What went amiss before is what is usual.
                isLoss && $0 < seen.loss.since ? nil : moment($0, at, isLoss)
            }
            if word == .common, isProven { committed.bet.wealth.forfeit() }
            if word == .fine || at == now { return (seen, word) }
            at += 1
        }
    }

    /// Whether what goes amiss is no failure: there is no evidence of these.
    func isLoss(_ seen: SequentialProgress) -> Bool {
        wealth.maxLogE < logThreshold && seen.loss.isSuspected && !seen.recent.isDown(spec, now: stepped)
    }

    /// Whether the trip rule holds, and has held for the rule's `for`.
    /// - Parameter isHeld: the evidence waits for word of stable, or was forfeited.
    /// - Returns: the requests that decide it; nil where it does not trip.
    mutating func trips(_ seen: SequentialProgress, now: Tick, isHeld: Bool) -> EpochCounts? {
        let isProven = wealth.maxLogE >= logThreshold || seen.recent.isDown(spec, now: now.number)
        var decisive: EpochCounts?
        if !isHeld {
            if isProven { decisive = seen.decisive(spec) }
            if decisive == nil, isLoss(seen), seen.loss.isTotal(spec) { decisive = seen.loss.counts }
            // The fast path has figures of its own.
            if decisive == nil, isGross { decisive = seen.materiality.stage.pooled }
        }
        let fires = timer.evaluate(
            decisive != nil, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
        return fires ? decisive : nil
    }
}

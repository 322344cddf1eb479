// How far a sequential guardrail has come: its evidence, the sizes of effects and its clocks, flat in one
// place, so that the look at ticks that are not settled yet is a copy without any allocation.
//
// Invariant: an epoch starts before the tick's outcomes are looked at, and depends on time, requests counted
// and weights only; so the evidence is an e-process whatever the traffic does.
// Source: guardrails/statistics.md, sections 1, 2 and 4.1.

import Metrics
import Statistics

/// When epochs start: with the stream, at a change of the split, after every thousand candidate requests.
struct EpochClock: Sendable, Hashable, Codable {
    private var since: UInt32 = 0
    private var last: PairSplit?

    /// What starts before a tick with this split, if anything.
    enum Mark {
        case none
        case epoch
        case stage
    }

    /// - Parameter requests: of the candidate, after which an epoch ends.
    mutating func before(_ split: PairSplit?, requests: Int = BetGrid.epochRequests) -> Mark {
        if let split {
            defer { last = split }
            if let last, last != split {
                since = 0
                return .stage
            }
        }
        guard Int(since) >= requests else { return .none }
        since = 0
        return .epoch
    }

    /// Whether a tick with this split starts a stage.
    func startsStage(_ split: PairSplit) -> Bool { last.map { $0 != split } ?? false }

    mutating func count(_ started: Int) { since = UInt32(clamping: Int(since) + started) }
}

extension GuardrailSpec {
    /// Ticks of a slot of the cap: a second, where moments are tolerated twice their length for latency and
    /// cancels (a moment touches two slots at most) and once for other events.
    fileprivate var capTicks: UInt64 {
        guard toleratedTicks > 0 else { return 10 }
        return UInt64(toleratedTicks) * (comesInBursts ? 2 : 1)
    }

    /// Requests of the candidate after which an epoch ends: a thousand, or those after which a version
    /// without any bad request has lost a nat of the smallest alternative against a constant. Against a
    /// high limit a good thousand would leave nothing to bet with when the version fails in the middle of
    /// it.
    var epochRequests: Int {
        guard case .sequentialAbove = rule else { return BetGrid.epochRequests }
        return min(BetGrid.epochRequests, Int((10 / rateLimit).rounded(.up)))
    }
}

/// The bets that a guardrail can be.
enum Bet: Sendable {
    case events(RelativeEvents)
    case quantile(RelativeQuantile)
    case rate(AbsoluteRate)
    case keys(KeyedEvents)

    var wealth: Wealth {
        get {
            switch self {
            case .events(let test): test.wealth
            case .quantile(let test): test.wealth
            case .rate(let test): test.wealth
            case .keys(let test): test.wealth
            }
        }
        set {
            switch self {
            case .events(var test):
                test.wealth = newValue
                self = .events(test)
            case .quantile(var test):
                test.wealth = newValue
                self = .quantile(test)
            case .rate(var test):
                test.wealth = newValue
                self = .rate(test)
            case .keys(var test):
                test.wealth = newValue
                self = .keys(test)
            }
        }
    }

    /// Says which minute the next tick belongs to, and whether its weights are new.
    mutating func enter(minute: UInt64, isNewSplit: Bool) {
        guard case .keys(var test) = self else { return }
        if isNewSplit { test.forget() }
        test.enter(minute: minute)
        self = .keys(test)
    }

    /// Applies a tick, latency with the gains of a second capped, and latches the evidence where it may have
    /// grown to a maximum.
    /// - Parameter isFinal: whether the tick is settled, and so are all before it; then stable's fast
    ///   requests, which count for the bet as well, may make the maximum.
    mutating func apply(_ view: TickView, cap: inout BurstCap, isFinal: Bool) {
        let (candidate, stable) = (view.candidate, view.stable)
        switch self {
        case .events(var test):
            // Most ticks of a good version say nothing.
            guard let share = view.share, candidate.bad > 0 || stable.bad > 0 || cap.owesToll else { return }
            test.apply(share: share, candidate: candidate.bad, stable: stable.bad, cap: &cap)
            if candidate.bad > 0 { test.wealth.latchIfLarger() }
            self = .events(test)
        case .quantile(var test):
            guard let share = view.share else { return }
            let ours = RelativeQuantile.Counts(slow: candidate.bad, fast: candidate.good)
            let theirs = RelativeQuantile.Counts(slow: stable.bad, fast: stable.good)
            test.apply(share: share, candidate: ours, stable: theirs, cap: &cap)
            if isFinal || candidate.bad > 0 { test.wealth.latchIfLarger() }
            self = .quantile(test)
        case .rate(var test):
            test.apply(bad: candidate.bad, good: candidate.good, cap: &cap)
            if candidate.bad > 0 { test.wealth.latchIfLarger() }
            self = .rate(test)
        case .keys(var test):
            let again = (view.candidateAgain, view.stableAgain)
            guard let share = view.share,
                candidate.bad + stable.bad + again.0 + again.1 > 0 || cap.owesToll
            else { return }
            test.apply(
                share: share, first: (candidate.bad, stable.bad), again: again, cap: &cap)
            if candidate.bad + again.0 > 0 { test.wealth.latchIfLarger() }
            self = .keys(test)
        }
    }
}

/// What a sequential guardrail has counted up to a tick.
struct SequentialProgress: Sendable {
    var bet: Bet
    var materiality = Materiality()
    private var clock = EpochClock()
    /// Whether the last tick compared the candidate with a control arm.
    private var isAgainstControl = false
    /// A pause of the candidate's process makes all requests of its moment slow, and impatient clients cancel
    /// them; no second may decide alone.
    /// Failures are not capped unless the rule tolerates such moments: a version that fails for a second
    /// fails.
    private var cap: BurstCap
    /// An epoch has begun, and its money waits for the next slot of the cap.
    private var owesEpoch = false
    /// What only some rules need, in one place.
    private var extra: Extra
    private enum Extra: Sendable {
        case design(DesignEffect)
        case loss(TotalLoss)
    }
    private static let blockTicks: UInt64 = 50
    private static let momentTicks: UInt64 = 20
    private static let latencyMomentTicks: UInt64 = 100
    private static let minuteTicks: UInt64 = 600
    /// Against a constant: the candidate's last requests, as far back as they break the limit.
    private(set) var recent = RecentFailures()
    /// The last tick with a decided request of the candidate, and how many there were in all.
    private var lastDecided = SequentialProgress.never
    private(set) var decided: Int {
        get { Int(decidedCount) }
        set { decidedCount = UInt32(clamping: newValue) }
    }
    /// Bad requests of the candidate over the whole rollout.
    private(set) var bad: Int {
        get { Int(badCount) }
        set { badCount = UInt32(clamping: newValue) }
    }
    // In half the space.
    private var decidedCount: UInt32 = 0
    private var badCount: UInt32 = 0
    /// Stable's answers to shielded requests since the weights of now; of settled ticks only.
    private(set) var retries = Retries()
    /// Whether the candidate's latency says anything yet.
    private(set) var warmUp = WarmUp()
    private static let never = UInt64.max

    init(_ spec: GuardrailSpec) {
        let tolerates = spec.toleratedTicks > 0
        let isOfEvents = spec.measure.event != nil
        extra = spec.watchesLoss ? .loss(TotalLoss()) : .design(DesignEffect())
        cap = BurstCap(
            spec.comesInBursts ? tolerates ? .tolerant : .capped : tolerates ? .resting : .free)
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(let rho, _, _), _) where isOfEvents && spec.countsKeysOnce:
            bet = .keys(KeyedEvents(rho: rho))
        case (.sequentialWorseThanStable(let rho, _, _), _) where isOfEvents:
            bet = .events(RelativeEvents(rho: rho))
        case (.sequentialWorseThanStable, .latency) where spec.countsKeysOnce:
            // Where the threshold stands is tau's matter; the keys' first slow requests are compared as such.
            bet = .events(RelativeEvents())
        case (.sequentialWorseThanStable, .latency(let quantile)):
            bet = .quantile(RelativeQuantile(quantile: quantile))
        case (.sequentialAbove, _):
            bet = .rate(AbsoluteRate(p0: spec.rateLimit))
        default:
            preconditionFailure("\(spec.name) is no sequential test on requests")
        }
    }

    /// Under an outage rule: whether it answers nobody well, though nothing fails.
    var loss: TotalLoss {
        get { if case .loss(let loss) = extra { loss } else { TotalLoss() } }
        set { extra = .loss(newValue) }
    }

    /// How much less latencies say than independent ones; of events, for the time without stable's traffic,
    /// how much less stable's say about its rate.
    private(set) var design: DesignEffect {
        get { if case .design(let design) = extra { design } else { DesignEffect() } }
        set { extra = .design(newValue) }
    }

    /// Goes on from the evidence of an earlier process; the restart opens a new epoch.
    mutating func restore(
        _ spec: GuardrailSpec, _ wealth: Wealth, _ materiality: Materiality, bad: Int,
        usual: TotalLoss.Usual?
    ) {
        bet.wealth = wealth
        self.materiality = materiality
        self.materiality.newEpoch(startsStage: false)
        bet.wealth.newEpoch()
        self.bad = bad
        if let usual, spec.watchesLoss { loss = TotalLoss(usual) }
        // It was warm, or as good as: the candidate has not been restarted with us.
        warmUp.end(after: spec.warmUpRequests)
    }

    /// Starts the epoch that is due, then counts the tick.
    mutating func take(_ tick: TickView, _ spec: GuardrailSpec, at number: UInt64, isFinal: Bool) {
        let isWarm = warmUp.isOver(spec.warmUpRequests, at: number)
        if spec.warmUpRequests > 0 { warmUp.count(tick, at: number) }
        forgetOther(tick.split)
        if spec.isLatencyBet {
            temper(tick, at: number)
        } else if spec.watchesPinned {
            learn(tick, at: number)
        }
        guard isWarm else { return }
        let mark = clock.before(tick.split, requests: spec.epochRequests)
        if mark != .none {
            materiality.newEpoch(startsStage: mark == .stage)
            if mark == .stage { retries = Retries() }
            owesEpoch = true
        }
        bet.enter(minute: number / SequentialProgress.minuteTicks, isNewSplit: mark == .stage)
        if cap.enter(slot: number / spec.capTicks), owesEpoch {
            bet.wealth.newEpoch()
            owesEpoch = false
        }
        bet.apply(tick, cap: &cap, isFinal: isFinal)
        materiality.enter(moment: number / (spec.isLatencyBet ? Self.latencyMomentTicks : Self.momentTicks))
        materiality.add(tick.size)
        if case .sequentialAbove = spec.rule { recent.take(tick, limit: spec.rateLimit, at: number) }
        if spec.watchesLoss { loss.take(tick.loss, at: number) }
        bad += tick.candidate.bad + tick.candidateAgain
        clock.count(tick.started)
        let requests = tick.size.candidateRequests
        if requests > 0 {
            decided += requests
            lastDecided = number
        }
    }

    /// Counts a tick's answers of stable to shielded requests.
    mutating func add(rescued: Int, unrescued: Int) { retries.add(rescued: rescued, unrescued: unrescued) }

    /// Whether a tick with this split ends the stage under way.
    func ends(with split: PairSplit) -> Bool { clock.startsStage(split) }

    /// What the stage under way has shown of stable.
    func reference(until: UInt64?) -> StableReference {
        StableReference(
            counts: materiality.stage.pooled, effect: design.effect, retries: retries, until: until,
            isAgainstControl: isAgainstControl)
    }

    /// Forgets how requests vary where the candidate is compared with other servers than before: a control
    /// arm that was withdrawn because it failed says nothing of the rest of stable.
    private mutating func forgetOther(_ split: PairSplit?) {
        guard let split, split.isAgainstControl != isAgainstControl else { return }
        isAgainstControl = split.isAgainstControl
        if case .design = extra { extra = .design(DesignEffect()) }
    }

    /// Sets what the tick's bet is multiplied by, from the blocks before its own, and counts the tick.
    private mutating func temper(_ tick: TickView, at number: UInt64) {
        guard tick.share != nil else { return }
        if design.enter(block: number / SequentialProgress.blockTicks) { cap.temper = 1 / design.effect }
        design.add(
            candidateSlow: tick.candidate.bad, candidateFast: tick.candidate.good,
            stableSlow: tick.stable.bad, stableFast: tick.stable.good)
    }

    /// Counts how stable's events vary from block to block; the bets of events are not tempered.
    private mutating func learn(_ tick: TickView, at number: UInt64) {
        guard tick.size.stableRequests > 0 else { return }
        var learned = design
        learned.enter(block: number / SequentialProgress.blockTicks)
        let events = tick.size.stableEvents
        learned.add(aloneSlow: events, fast: tick.size.stableRequests - events)
        design = learned
    }

    /// The requests by which the effect is as large as the rule asks for, with at least `minEvents` bad ones
    /// among them; nil where it is not.
    func decisive(_ spec: GuardrailSpec) -> EpochCounts? {
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(_, let ratio, let difference), _) where spec.measure.event != nil:
            return materiality.reaching(ratio: ratio, difference: difference, minEvents: spec.minEvents)
        case (.sequentialWorseThanStable, .latency(let quantile)):
            return materiality.surelyExceeding(1 - quantile, minEvents: spec.minEvents)
        case (.sequentialAbove, _) where spec.forTicks > 0:
            return materiality.exceeding(spec.rateLimit, minEvents: spec.minEvents)
        default:
            // The evidence itself proves that the constant is exceeded.
            let all = materiality.stage.pooled
            guard all.candidateEvents >= spec.minEvents else { return nil }
            return recent.counts.candidateEvents > 0 ? recent.counts : all
        }
    }

    /// Whether there is traffic to judge: enough in all, and some within the last window.
    func hasData(_ spec: GuardrailSpec, now: Tick) -> Bool {
        // A rule against a constant is silent about fewer requests than it could trip on.
        let least = spec.rule.isRelative ? 1 : max(1, spec.minEvents)
        guard lastDecided <= now.number, decided >= max(least, spec.minRequests) else { return false }
        return now.number - lastDecided <= UInt64(max(spec.windowTicks, 1)) + TickView.deadlineTicks
    }
}

// One sequential guardrail on the stream of ticks. The committed state covers a prefix of settled ticks in
// the order of their start; every step replays the unsettled ticks behind it on a copy, with bounds for what
// is in flight, so that fast failures are seen at once and nothing is counted before its time.
//
// Invariant: an epoch starts before the tick's outcomes are looked at, and depends on requests counted and
// weights only; so the evidence is an e-process whatever the traffic does.
// Source: guardrails/statistics.md, sections 1, 2 and 4.1.

import Metrics
import Statistics

/// When epochs start: with the stream, at a change of the split, after every thousand candidate requests.
struct EpochClock: Sendable, Hashable, Codable {
    private var since = 0
    private var last: PairSplit?

    /// What starts before a tick with this split, if anything.
    enum Mark {
        case none
        case epoch
        case stage
    }

    mutating func before(_ split: PairSplit?) -> Mark {
        if let split {
            defer { last = split }
            if let last, last != split {
                since = 0
                return .stage
            }
        }
        guard since >= BetGrid.epochRequests else { return .none }
        since = 0
        return .epoch
    }

    mutating func count(_ started: Int) { since += started }
}

/// The three bets that a guardrail can be.
enum Bet: Sendable {
    /// Being changed: the test is taken out for that, so that its arrays are changed in place.
    case taken
    case events(RelativeEvents)
    case quantile(RelativeQuantile)
    case rate(AbsoluteRate)

    var wealth: Wealth {
        get {
            switch self {
            case .events(let test): test.wealth
            case .quantile(let test): test.wealth
            case .rate(let test): test.wealth
            case .taken: preconditionFailure("the test is being changed")
            }
        }
        set { change { $0 = newValue } }
    }

    /// Changes the wealth in place.
    mutating func change(_ body: (inout Wealth) -> Void) {
        let bet = self
        self = .taken
        switch consume bet {
        case .events(var test):
            body(&test.wealth)
            self = .events(test)
        case .quantile(var test):
            body(&test.wealth)
            self = .quantile(test)
        case .rate(var test):
            body(&test.wealth)
            self = .rate(test)
        case .taken:
            preconditionFailure("the test is being changed")
        }
    }

    /// Applies a tick without looking at the evidence; latency with the gains of a second capped.
    mutating func apply(_ view: TickView, cap: inout BurstCap) {
        let (candidate, stable) = (view.candidate, view.stable)
        let bet = self
        self = .taken
        switch consume bet {
        case .events(var test):
            if let share = view.share {
                test.apply(share: share, candidate: candidate.bad, stable: stable.bad, cap: &cap)
            }
            self = .events(test)
        case .quantile(var test):
            if let share = view.share {
                let ours = RelativeQuantile.Counts(slow: candidate.bad, fast: candidate.good)
                let theirs = RelativeQuantile.Counts(slow: stable.bad, fast: stable.good)
                test.apply(share: share, candidate: ours, stable: theirs, cap: &cap)
            }
            self = .quantile(test)
        case .rate(var test):
            test.apply(bad: candidate.bad, good: candidate.good, cap: &cap)
            self = .rate(test)
        case .taken:
            preconditionFailure("the test is being changed")
        }
    }
}

/// A sequential guardrail's state.
struct SequentialGuard: Sendable {
    let spec: GuardrailSpec
    /// The rule in words.
    let sentence: String
    /// Whether an absolute rule judges copies as well as what users got.
    let countsCopies: Bool
    private(set) var bet: Bet
    private(set) var materiality = Materiality()
    private var clock = EpochClock()
    /// A pause of the candidate's process makes all requests of its moment slow; no second may decide alone.
    /// Failures are not capped: a version that fails for a second fails.
    private var cap: BurstCap
    /// Ticks of a slot of the cap.
    private static let capTicks: UInt64 = 10
    /// The first tick that is not committed.
    private(set) var next: UInt64
    /// The last tick with a decided request of the candidate, and how many there were in all.
    private(set) var lastDecided: UInt64?
    private(set) var decided = 0
    /// Bad requests of the candidate over the whole rollout, as of the last step: the unsettled included.
    private(set) var badInAll = 0
    private(set) var bad = 0
    private(set) var timer = Debounce()
    /// Requests of the candidate that have started, and the tick of the first.
    private(set) var started = 0
    private var firstStart: UInt64?

    init(_ spec: GuardrailSpec, from: Tick, countsCopies: Bool = true) {
        self.spec = spec
        self.countsCopies = countsCopies
        sentence = spec.sentence
        let most = spec.measure == .errorRate ? Double.infinity : BurstCap.standard
        cap = BurstCap(alternatives: BetGrid.odds.count, most: most)
        next = from.number
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(let rho, _, _), .errorRate):
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

    /// Takes over the evidence of an earlier process; the restart opens a new epoch.
    mutating func restore(_ wealth: Wealth, _ materiality: Materiality, bad: Int = 0) {
        guard wealth.staked.count == bet.wealth.staked.count else { return }
        bet.wealth = wealth
        bet.change { $0.newEpoch() }
        self.materiality = materiality
        self.materiality.newEpoch(startsStage: false)
        self.bad = bad
        badInAll = bad
        // It was warm, or as good as: the candidate has not been restarted with us.
        started = max(spec.warmUpRequests, 1)
    }

    /// Ticks after its first request at which a candidate is taken for warm.
    private static let warmUpTicks: UInt64 = 600

    /// Whether the candidate was warm before the tick: a matter of counts and time, not of outcomes.
    private func isWarm(at number: UInt64) -> Bool {
        if started >= spec.warmUpRequests { return true }
        return firstStart.map { number - $0 >= SequentialGuard.warmUpTicks } ?? false
    }

    /// The log evidence that trips.
    var logThreshold: Double { Wealth.logThreshold(alpha: spec.alpha) }

    /// Commits what has settled and looks at the rest. `view` gives a tick as this guardrail sees it, by
    /// number.
    /// - Returns: the state after the replay, which the reading is taken from, and the evidence now.
    mutating func advance(now: Tick, view: (UInt64) -> TickView) -> (seen: SequentialGuard, logE: Double) {
        var logE = bet.wealth.logE
        while next < now.number {
            let tick = view(next)
            if case .settled = tick.state {
                take(tick, at: next)
                logE = bet.wealth.logE
                bet.change { $0.observe(logE) }
            } else if case .dropped = tick.state {
            } else {
                break
            }
            next += 1
        }
        var seen = self
        var best = logE
        replay: for number in next..<max(next, now.number) {
            let tick = view(number)
            switch tick.state {
            case .hidden: break replay
            case .dropped: continue
            case .settled, .open:
                seen.take(tick, at: number)
                if tick.candidate.bad > 0 { best = max(best, seen.bet.wealth.logE) }
            }
        }
        bet.change { $0.observe(best) }
        badInAll = seen.bad
        return (seen, seen.bet.wealth.logE)
    }

    /// Starts the epoch that is due, then counts the tick.
    private mutating func take(_ tick: TickView, at number: UInt64) {
        let isWarm = isWarm(at: number)
        started += tick.started
        if tick.started > 0, firstStart == nil { firstStart = number }
        guard isWarm else { return }
        switch clock.before(tick.split) {
        case .none: break
        case .epoch: newEpoch(startsStage: false)
        case .stage: newEpoch(startsStage: true)
        }
        cap.enter(slot: number / SequentialGuard.capTicks)
        bet.apply(tick, cap: &cap)
        materiality.add(tick.size)
        bad += tick.candidate.bad
        clock.count(tick.started)
        let requests = tick.size.candidateRequests
        if requests > 0 {
            decided += requests
            lastDecided = number
        }
    }

    private mutating func newEpoch(startsStage: Bool) {
        bet.change { $0.newEpoch() }
        materiality.newEpoch(startsStage: startsStage)
    }

    /// Gives up on ticks that the evidence rings have forgotten.
    mutating func skip(to oldest: UInt64) { next = max(next, oldest) }

    /// Throws the evidence away: what it was won from hit stable as well.
    mutating func forfeit() { bet.change { $0.forfeit() } }

    /// Whether the trip rule holds, and has held for the rule's `for`.
    mutating func trips(_ seen: SequentialGuard, now: Tick) -> Bool {
        let holds = bet.wealth.maxLogE >= logThreshold && seen.isMaterial
        return timer.evaluate(holds, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
    }

    /// Whether the effect is as large as the rule asks for, on at least `minEvents` bad requests.
    var isMaterial: Bool {
        switch (spec.rule, spec.measure) {
        case (.sequentialWorseThanStable(_, let ratio, let difference), .errorRate):
            return materiality.ratioReaches(ratio, minEvents: spec.minEvents)
                && materiality.differenceReaches(difference, minEvents: spec.minEvents)
        case (.sequentialWorseThanStable, .latency(let quantile)):
            return materiality.candidateExceeds(1 - quantile, minEvents: spec.minEvents)
        case (.sequentialAbove, _) where spec.forTicks > 0:
            return materiality.candidateExceeds(spec.rateLimit, minEvents: spec.minEvents)
        default:
            // The evidence itself proves that the constant is exceeded.
            return materiality.stage.pooled.candidateEvents >= spec.minEvents
        }
    }
}

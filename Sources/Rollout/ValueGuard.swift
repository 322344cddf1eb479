// A sequential guardrail on values: feedback, scores, confidences, costs, missing fields. It is fed with
// ticks that are complete, in the order of their start, and bets on them with one of the tests beside this
// file. Nothing is looked at twice and nothing is guessed, so there is no replay.
//
// Invariant: an epoch starts before the tick's values are looked at, and depends on requests counted and
// weights only. Source: guardrails/statistics.md, sections 1, 3.4 to 3.10 and 4.1.

import Metrics
import Statistics

/// The bet of a value guardrail.
protocol ValueTest: Sendable, Hashable, Codable {
    init(_ spec: GuardrailSpec)
    /// As `Wealth.newEpoch`, under the same condition.
    mutating func newEpoch(startsStage: Bool)
    /// Throws away all winnings, so that the evidence is at most 1 again.
    mutating func forfeit()
    /// Takes in a tick; `share` is the candidate's of the pair, nil where there is nothing to compare.
    mutating func take(_ tick: ValueTick, share: Double?)
    /// Natural log of the evidence now.
    var logE: Double { get }
    /// Whether the effect is as large as the rule asks for.
    func isMaterial(_ spec: GuardrailSpec) -> Bool
    /// Whether stable shows the same, so that the candidate is not to blame.
    func isCommonCause(_ spec: GuardrailSpec) -> Bool
    /// The numbers of a reading.
    func figures(_ spec: GuardrailSpec) -> ValueFigures
}

/// What a test has to show: estimates in the measure's unit, and words.
struct ValueFigures {
    var candidate: Double?
    var stable: Double?
    var candidateEvents = 0
    var stableEvents = 0
    var threshold: Double?
    var words: ReadingWords
}

/// A value guardrail's state.
struct ValueGuard<Test: ValueTest>: Sendable {
    let spec: GuardrailSpec
    private let sentence: String
    private let name: String
    private(set) var state: State
    private var timer = Debounce()
    /// When the last complete tick with a request of the candidate came in.
    private var lastFed: UInt64?

    /// What must survive a restart.
    struct State: Sendable, Hashable, Codable {
        var test: Test
        var maxLogE = 0.0
        /// Requests looked at over the whole rollout.
        var candidateRequests = 0
        var stableRequests = 0
        /// The first tick that is not counted.
        var next: UInt64
        fileprivate var clock = EpochClock()
        /// Of what is posted later; nil where an earlier version saved none.
        fileprivate var delays: Delays?
    }

    /// How late what is posted comes. Where much of it comes at the end of its window, more comes after it,
    /// and the version whose users take longer looks worse than it is.
    struct Delays: Sendable, Hashable, Codable {
        private var candidate = 0
        private var candidateLate = 0
        private var stable = 0
        private var stableLate = 0

        /// The share in the last tenth of the window that says that the window is too short, and the posts
        /// without which a share says nothing.
        private static var lateShare: Double { 0.02 }
        private static var postsMin: Int { 50 }

        fileprivate mutating func count(_ tick: ValueTick) {
            candidate += tick.candidate.posted
            candidateLate += tick.candidate.late
            stable += tick.stable.posted
            stableLate += tick.stable.late
        }

        /// The larger share of the two, where it is too large.
        var tooLate: Double? {
            func share(_ late: Int, of all: Int) -> Double {
                all >= Self.postsMin ? Double(late) / Double(all) : 0
            }
            let share = max(share(candidateLate, of: candidate), share(stableLate, of: stable))
            return share > Self.lateShare ? share : nil
        }
    }

    init(_ spec: GuardrailSpec, from: Tick) {
        guard let name = spec.measure.valueName else { preconditionFailure("\(spec.name) watches no values") }
        self.spec = spec
        self.name = name
        sentence = spec.sentence
        state = State(test: Test(spec), next: from.number)
    }

    /// Takes over the evidence of an earlier process; the restart opens a new epoch.
    mutating func restore(_ old: State, next: Tick) {
        state = old
        state.next = next.number
        state.test.newEpoch(startsStage: false)
    }

    /// Gives up evidence that would trip by itself: it is of a time when nothing could be done about it.
    mutating func forfeitProven() {
        guard state.maxLogE >= logThreshold else { return }
        state.test.forfeit()
        state.maxLogE = 0
    }

    /// The log evidence that trips.
    private var logThreshold: Double { Wealth.logThreshold(alpha: spec.alpha) }

    /// Takes in the ticks that have become complete and gives the reading.
    mutating func step(now: Tick, values: ValueFeed) -> GuardrailReading {
        for tick in values(name, Tick(number: state.next)) where tick.tick.number >= state.next {
            take(tick)
            if tick.candidate.observed > 0 { lastFed = now.number }
        }
        let isCommon = spec.vetoWhenStableToo && state.test.isCommonCause(spec)
        let isProven = state.maxLogE >= logThreshold
        let holds = isProven && !isCommon && state.test.isMaterial(spec)
        // What lasts has to be seen lasting: without values the timer starts anew.
        let isSeen = spec.forTicks == 0 || isFresh(now)
        let trips = timer.evaluate(
            isSeen ? holds : nil, tick: now.number, forTicks: UInt64(max(0, spec.forTicks)))
        // What is proven and has to last is no pass meanwhile.
        let isOpen = holds || isCommon || !hasData(now) || isBeyondConstant
        let verdict: Verdict = trips ? .fail : isOpen ? .notEnoughData : .pass
        return reading(verdict, isCommon: isProven && isCommon)
    }

    /// Whether the candidate is beyond the limit of a rule that names one.
    private var isBeyondConstant: Bool {
        switch spec.rule {
        case .sequentialAbove(let limit): (state.test.figures(spec).candidate ?? limit) > limit
        case .sequentialBelow(let limit): (state.test.figures(spec).candidate ?? limit) < limit
        default: false
        }
    }

    private mutating func take(_ tick: ValueTick) {
        switch state.clock.before(tick.split) {
        case .none: break
        case .epoch: state.test.newEpoch(startsStage: false)
        case .stage: state.test.newEpoch(startsStage: true)
        }
        state.test.take(tick, share: tick.split?.share)
        state.maxLogE = max(state.maxLogE, state.test.logE)
        if case .feedback = spec.measure {
            var delays = state.delays ?? Delays()
            delays.count(tick)
            state.delays = delays
        }
        state.clock.count(tick.candidate.observed)
        state.candidateRequests += tick.candidate.observed
        state.stableRequests += tick.stable.observed
        state.next = tick.tick.number + 1
    }

    private func hasData(_ now: Tick) -> Bool {
        state.candidateRequests >= max(1, spec.minRequests) && isFresh(now)
    }

    private func isFresh(_ now: Tick) -> Bool {
        guard let lastFed else { return false }
        return now.number - lastFed <= UInt64(max(spec.windowTicks, 1)) + TickView.deadlineTicks
    }

    private func reading(_ verdict: Verdict, isCommon: Bool) -> GuardrailReading {
        let figures = state.test.figures(spec)
        let progress = min(max(state.maxLogE / logThreshold, 0), 1)
        let tooLate = state.delays?.tooLate
        let words = tooLate.map { ReadingWords.late(figures.words, $0) } ?? figures.words
        return GuardrailReading(
            name: spec.name, rule: sentence, verdict: verdict, action: tooLate == nil ? spec.action : .alert,
            logE: state.test.logE,
            maxLogE: state.maxLogE, progress: verdict == .fail ? 1 : min(progress, 0.99),
            candidate: figures.candidate, stable: figures.stable,
            candidateRequests: state.candidateRequests, stableRequests: state.stableRequests,
            candidateEvents: figures.candidateEvents, stableEvents: figures.stableEvents,
            threshold: figures.threshold, alpha: spec.alpha,
            words: state.candidateRequests == 0
                ? .noValues : isCommon ? .traffic(words) : words)
    }
}

extension [Double] {
    /// Different values up to which looking for one is cheaper than sorting all.
    private static var fewMax: Int { 8 }

    /// Distinct values with their counts: a bet costs logarithms per value.
    func tallied() -> [(value: Double, count: Int)] {
        var runs: [(value: Double, count: Int)] = []
        for value in self {
            if let found = runs.firstIndex(where: { $0.value == value }) {
                runs[found].count += 1
            } else if runs.count < Self.fewMax {
                runs.append((value, 1))
            } else {
                return talliedBySorting()
            }
        }
        return runs
    }

    private func talliedBySorting() -> [(value: Double, count: Int)] {
        var runs: [(value: Double, count: Int)] = []
        for value in sorted() {
            if let last = runs.last, last.value == value {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((value, 1))
            }
        }
        return runs
    }
}

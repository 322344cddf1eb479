// One promotion gate: which requests it looks at, what it bets on them, its words.
// Invariant: what a bet rests on (centre, margin, thresholds) is fixed before the tick it is placed on.
// Source: guardrails/statistics.md, sections 3.3, 3.4 and 5.

import Metrics
import Statistics

/// What a gate has seen: all that survives a restart.
struct GateState: Sendable, Hashable, Codable {
    /// The bet on a difference of rates or means.
    var mean: MeanDifference?
    /// The bet on a latency quantile or on a rate against a constant: its wealth.
    var wealth: Wealth?
    var maxLogE = 0.0
    /// Stable's first values, until the bet on a mean can start.
    var learnedCount = 0.0
    var learnedSum = 0.0
    /// Settled requests, and the sum of what they came to: bad events, or values.
    var candidateRequests = 0
    var stableRequests = 0
    var candidateSum = 0.0
    var stableSum = 0.0
    /// Sticky keys' repeated failures among them; nil where an earlier version saved none.
    var candidateKnown: Int?
    var stableKnown: Int?
    /// The first tick that is not counted.
    var next: UInt64
    var clock = EpochClock()
}

/// A gate's state and its bet.
struct Gate: Sendable {
    let spec: GateSpec
    private(set) var state: GateState
    private var quantile: RelativeQuantile?
    private var rate: AbsoluteRate?

    /// Requests of stable whose mean the bet is centred on; of feedback, also those that the margin is a
    /// share of.
    private static let learnedMin = 100.0
    private static let learnedForMargin = 2000.0
    private static let priorWeight = 1000.0

    init(_ spec: GateSpec, from: Tick, stableErrorRate: Double?) {
        self.spec = spec
        state = GateState(next: from.number)
        switch spec.metric {
        case .latency(let q): quantile = RelativeQuantile(quantile: q, direction: .down)
        case .errorRateBelow: rate = AbsoluteRate(p0: spec.margin, direction: .down)
        case .errorRate:
            if let known = stableErrorRate {
                startBetting(.noninferiorLow, spec.margin, mean: known, weight: Gate.priorWeight)
            }
        case .non2xx, .feedback, .missing, .drift: break
        }
    }

    /// Goes on with a saved state; the restart opens a new epoch.
    mutating func restore(_ old: GateState, next: Tick, from: Tick) {
        state = old
        state.next = spec.metric.valueName == nil ? from.number : next.number
        if let wealth = old.wealth {
            quantile?.wealth = wealth
            rate?.wealth = wealth
        }
        newEpoch()
    }

    private mutating func startBetting(
        _ claim: MeanDifference.Claim, _ delta: Double, mean: Double, weight: Double
    ) {
        state.mean = MeanDifference(
            claim, delta: delta, priorMean: min(max(mean, 0), 1), priorWeight: max(weight, 1))
    }

    private mutating func newEpoch() {
        state.mean?.wealth.newEpoch()
        quantile?.wealth.newEpoch()
        rate?.wealth.newEpoch()
    }

    /// Takes in the ticks that have settled.
    mutating func advance(
        now: Tick, reference: LatencyReference, values: ValueFeed, read: (Tick) -> PairTick?
    ) {
        if let name = spec.metric.valueName {
            for tick in values(name, Tick(number: state.next)) where tick.tick.number >= state.next {
                take(tick)
                state.next = tick.tick.number + 1
            }
        } else {
            let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
            state.next = max(state.next, oldest)
            settle(now, reference, read)
        }
        state.wealth = quantile?.wealth ?? rate?.wealth
        state.maxLogE = max(state.maxLogE, logE)
    }

    private mutating func settle(_ now: Tick, _ reference: LatencyReference, _ read: (Tick) -> PairTick?) {
        let slot = reference.slot(for: spec)
        while state.next < now.number {
            let age = now.number - state.next - 1
            let pair = read(Tick(number: state.next))
            let view = pair.map { self.view($0, age: age, slot: slot) } ?? TickView.dropped
            switch view.state {
            case .settled: take(view)
            case .dropped: break
            case .open, .hidden: return
            }
            state.next += 1
        }
    }

    private func view(_ tick: PairTick, age: UInt64, slot: Int?) -> TickView {
        let pair = tick.compared(for: .notWorse)
        if pair.isVoid(for: .notWorse) { return .dropped }
        switch spec.metric {
        case .latency:
            guard let slot else { return .dropped }
            return .latency(pair, age: age, rho: 1 + spec.margin, evidence: slot, size: slot)
        case .errorRateBelow: return .provenErrors(tick, age: age)
        case .non2xx: return .events(.rejected, pair, age: age, lag: .max)
        case .errorRate, .feedback, .missing, .drift: return .events(.failure, pair, age: age, lag: .max)
        }
    }

    /// Counts a tick of requests.
    private mutating func take(_ view: TickView) {
        if case .none = state.clock.before(view.split) {} else { newEpoch() }
        var (ours, theirs) = (view.candidate, view.stable)
        // What must not be worse is all that users get, a key's repeated events as well.
        ours.bad += view.candidateKnown
        theirs.bad += view.stableKnown
        state.candidateKnown = (state.candidateKnown ?? 0) + view.candidateKnown
        state.stableKnown = (state.stableKnown ?? 0) + view.stableKnown
        if rate != nil {
            rate?.add(bad: ours.bad, good: ours.good)
        } else if quantile != nil, let share = view.share {
            let slow = RelativeQuantile.Counts(slow: ours.bad, fast: ours.good)
            quantile?.add(
                share: share, candidate: slow,
                stable: RelativeQuantile.Counts(slow: theirs.bad, fast: theirs.good))
        } else if let share = view.share {
            compare(
                share: share, [(0, ours.good), (1, ours.bad)], [(0, theirs.good), (1, theirs.bad)])
        }
        state.clock.count(view.started)
        state.candidateRequests += ours.bad + ours.good
        state.stableRequests += theirs.bad + theirs.good
        state.candidateSum += Double(ours.bad)
        state.stableSum += Double(theirs.bad)
    }

    /// Counts a tick of values.
    private mutating func take(_ tick: ValueTick) {
        if case .none = state.clock.before(tick.split) {} else { newEpoch() }
        defer { state.clock.count(tick.candidate.observed) }
        guard let share = tick.split?.share else { return }
        let (ours, theirs) = (tick.candidate, tick.stable)
        if case .feedback(let metric) = spec.metric {
            let (mine, others) = (metric.clamped(ours.values), metric.clamped(theirs.values))
            let width = metric.highest - metric.lowest
            func scaled(_ values: [Double]) -> [(value: Double, count: Int)] {
                values.tallied().map { (($0.value - metric.lowest) / width, $0.count) }
            }
            compare(share: share, scaled(mine), scaled(others))
            state.candidateRequests += mine.count
            state.stableRequests += others.count
            state.candidateSum += mine.reduce(0, +)
            state.stableSum += others.reduce(0, +)
        } else {
            compare(
                share: share, [(0, ours.values.count), (1, ours.missing)],
                [(0, theirs.values.count), (1, theirs.missing)])
            state.candidateRequests += ours.observed
            state.stableRequests += theirs.observed
            state.candidateSum += Double(ours.missing)
            state.stableSum += Double(theirs.missing)
        }
    }

    /// Bets on a tick's outcomes in 0...1, or learns stable's mean from it.
    private mutating func compare(
        share: Double, _ ours: [(value: Double, count: Int)], _ theirs: [(value: Double, count: Int)]
    ) {
        guard state.mean == nil else {
            state.mean?.add(
                share: share,
                ours.map { .init(isCandidate: true, value: $0.value, count: $0.count) }
                    + theirs.map { .init(isCandidate: false, value: $0.value, count: $0.count) })
            return
        }
        for seen in theirs {
            state.learnedCount += Double(seen.count)
            state.learnedSum += Double(seen.count) * seen.value
        }
        let mean = state.learnedSum / max(state.learnedCount, 1)
        guard state.learnedCount >= learnedMin else { return }
        if case .feedback(let metric) = spec.metric {
            let raw = metric.lowest + mean * (metric.highest - metric.lowest)
            let delta = spec.margin * abs(raw) / (metric.highest - metric.lowest)
            startBetting(
                metric.isHigherBetter ? .noninferiorHigh : .noninferiorLow, delta, mean: mean,
                weight: state.learnedCount)
        } else {
            startBetting(.noninferiorLow, spec.margin, mean: mean, weight: state.learnedCount)
        }
    }

    private var learnedMin: Double {
        if case .feedback = spec.metric { return Gate.learnedForMargin }
        return Gate.learnedMin
    }

    private var logE: Double {
        state.mean?.wealth.logE ?? quantile?.wealth.logE ?? rate?.wealth.logE ?? 0
    }
}

extension Gate {
    /// Where the gate stands; `keys` as for `GateWatch.step`.
    func reading(_ reference: LatencyReference, keys: Int?) -> GateReading {
        let passes = state.maxLogE >= Wealth.logThreshold(alpha: spec.alpha)
        let progress = min(max(state.maxLogE / Wealth.logThreshold(alpha: spec.alpha), 0), 0.99)
        var reading = GateReading(
            name: spec.name, rule: spec.sentence, verdict: passes ? .pass : .notEnoughData, logE: logE,
            maxLogE: state.maxLogE, progress: passes ? 1 : progress,
            candidateRequests: state.candidateRequests, stableRequests: state.stableRequests, reason: "")
        if state.candidateRequests > 0 {
            reading.candidate = state.candidateSum / Double(state.candidateRequests)
        }
        if state.stableRequests > 0 { reading.stable = state.stableSum / Double(state.stableRequests) }
        reading.reason = (passes ? "proven: " : "not proven yet: ") + words(reading, reference)
        reading = reading.doubted(by: keys)
        if keys != nil, reading.verdict == .pass, let doubt = doubtOfRepeats {
            reading = reading.doubted(doubt)
        }
        return reading
    }

    /// What speaks against a proof in which most failures are those of keys that had failed before: whichever
    /// version has the few broken keys looks worse, and if that is stable, the candidate's own failures are
    /// hidden. Nil where the repeats are too few to hide half of the margin.
    private var doubtOfRepeats: String? {
        switch spec.metric {
        case .errorRate, .errorRateBelow: break
        // That keys get 404s again and again is nothing special.
        case .non2xx, .latency, .feedback, .missing, .drift: return nil
        }
        let (ours, theirs) = (state.candidateKnown ?? 0, state.stableKnown ?? 0)
        let failures = Int(state.candidateSum + state.stableSum)
        let share = max(
            Double(ours) / Double(max(state.candidateRequests, 1)),
            Double(theirs) / Double(max(state.stableRequests, 1)))
        guard 2 * (ours + theirs) > failures, 2 * share >= spec.margin else { return nil }
        return "\(Sentence.count(ours + theirs)) of \(Sentence.count(failures)) failures are repeats of keys"
            + " that had failed before, so a few keys decide; skip the stage by hand if they are not the"
            + " version's"
    }

    private func words(_ reading: GateReading, _ reference: LatencyReference) -> String {
        let (n, m) = (Sentence.count(state.candidateRequests), Sentence.count(state.stableRequests))
        guard let ours = reading.candidate else {
            guard case .latency(let q) = spec.metric else { return "no settled candidate requests yet" }
            let isKnown = reference.slot(for: spec).map { reference.stableThresholds[$0] > 0 } ?? false
            return isKnown
                ? "no settled candidate requests yet" : "stable's \(Sentence.quantile(q)) is not known yet"
        }
        if case .feedback = spec.metric {
            let theirs = reading.stable.map { Sentence.value($0) } ?? "unknown"
            return "candidate's mean \(Sentence.value(ours)) of \(n), stable's \(theirs) of \(m)"
        }
        let theirs = reading.stable.map { Sentence.percent($0) } ?? "unknown"
        let what =
            switch spec.metric {
            case .latency: "slower than their limit"
            case .non2xx: "not answered with 2xx"
            case .missing: "missing"
            case .errorRate, .errorRateBelow, .feedback, .drift: "failed"
            }
        return "candidate \(Sentence.percent(ours)) of \(n) \(what), stable \(theirs) of \(m)"
    }
}

extension GateSpec.Metric {
    /// The name of the value that is looked at; nil for what the requests themselves tell.
    public var valueName: String? {
        switch self {
        case .feedback(let metric): metric.valueName
        case .missing(let value): "value:\(value)"
        case .errorRate, .non2xx, .latency, .errorRateBelow, .drift: nil
        }
    }
}

extension FeedbackMetric {
    /// Values inside the range.
    func clamped(_ values: [Double]) -> [Double] { values.map { min(max($0, lowest), highest) } }
}

extension TickView {
    /// Errors against a constant that is to be proven kept: what is silent at the deadline has failed.
    static func provenErrors(_ pair: PairTick, age: UInt64) -> TickView {
        let candidate = pair.candidate.answered(for: .notWorse)
        let atDeadline = age >= deadlineTicks
        guard atDeadline || (age >= graceTicks && candidate.pending == 0) else { return .hidden }
        var view = TickView.errors(pair, age: age, for: .notWorse)
        view.candidate.bad = candidate.failures + Int(candidate.silent)
        view.candidate.good = candidate.answered - Int(candidate.failed)
        view.candidate.good += Int(candidate.begun)
        view.state = .settled
        return view
    }
}

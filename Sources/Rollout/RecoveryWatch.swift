// After a cut: did stable's measurements return within limits? Judged by what tripped: errors always, and
// beside them the latency or the value that the rule was over. Two opposite sequential tests at one rate on
// all traffic that stable now serves: one proves that it is better (recovered), the other that it is worse
// (not recovered: the cause is probably not the candidate). 15 minutes without either, or nothing of stable
// that could be judged: undecided.
//
//   recovered        at least 100 requests, proven below the limit, and stable does not fail visibly now
//   not recovered    proven above the limit
//   undecided        neither in time; or what tripped says nothing about stable alone
//
// Recovery corroborates a cut, it does not prove it: an outage that ends by itself also recovers.
// Invariant: no stable that fails a tenth of its requests has recovered, whatever it failed before.
// Source: guardrails/statistics.md, section 6.

import Metrics
import Statistics

/// The answer of a recovery check.
public enum RecoveryVerdict: String, Sendable, Hashable, Codable, CaseIterable {
    case watching
    case recovered
    case notRecovered = "not_recovered"
    case undecided
}

/// A recovery check's verdict and its numbers.
public struct RecoveryReading: Sendable, Hashable, Codable {
    public var verdict: RecoveryVerdict
    /// Stable's settled requests since the cut, and the failed ones among them.
    public var requests: Int
    public var events: Int
    /// The rate that stable is held to, 0...1.
    public var threshold: Double
    /// The numbers in words.
    public var reason: String
    /// After a cut for latency: stable's requests, the ones slower than `micros`, and the share allowed.
    public var latency: Latency?
    /// After a cut for a value: stable's values, their mean, and what it is held to.
    public var values: Values?

    /// The part of a recovery check that judges a value.
    public struct Values: Sendable, Hashable, Codable {
        public var count: Int
        public var mean: Double?
        public var threshold: Double
    }

    /// The latency part of a recovery check.
    public struct Latency: Sendable, Hashable, Codable {
        public var requests: Int
        public var slow: Int
        public var micros: UInt32
        public var threshold: Double
        /// Which time, as `total`; nil in readings of earlier releases, which know no other.
        public var time: String?
    }

    public init(
        verdict: RecoveryVerdict, requests: Int, events: Int, threshold: Double, reason: String,
        latency: Latency? = nil
    ) {
        self.verdict = verdict
        self.requests = requests
        self.events = events
        self.threshold = threshold
        self.reason = reason
        self.latency = latency
    }
}

/// Watches stable after a cut.
public struct RecoveryWatch: Sendable {
    private var errors: RecoveryTest
    /// Above this stable is proven not to have recovered; at least the threshold of `errors`.
    private var failing: RecoveryTest
    private var slow: RecoveryTest?
    private var measure: RecoveryMeasure
    private let from: UInt64
    private var next: UInt64
    private var since = 0
    /// Requests and failures of the last seconds, each tick's less than the one after it.
    private var lately = (requests: 0.0, failures: 0.0)
    /// What had ended at the last look, and how much has since the last epoch.
    private var ended: EndedCounts?
    private var endedSince = 0
    private var verdict = RecoveryVerdict.watching

    /// Chance of a wrong answer, each way.
    public static let alpha = 0.05
    /// Ticks after which no answer is the answer: 15 minutes, and how long feedback is waited for.
    public static let ticksMax: UInt64 = 9000
    /// Requests, or values, without which stable has not recovered.
    public static let requestsMin = 100
    /// The largest rate that anything recovered can have, and the largest that it takes to prove the opposite
    /// where stable was bad before.
    private static let recoveredMax = 0.1
    private static let failingMax = 0.5
    /// What of the last seconds is left after a tick; failures there that are visible.
    private static let latelyKept = 0.95
    private static let visible = 3.0
    /// Ticks between two looks at a histogram.
    private static let lookTicks: UInt64 = 10

    /// - Parameters:
    ///   - from: the first tick whose requests count: the cut plus one.
    ///   - stableRateBefore: stable's error rate before the rollout or the trip, 0...1.
    ///   - limit: the absolute rate that users must never see, 0...1, both excluded.
    ///   - measure: what tripped.
    public init(
        from: Tick, stableRateBefore: Double, limit: Double = 0.02, measure: RecoveryMeasure = .errors
    ) {
        precondition(limit > 0 && limit < 1)
        let asBefore = max(limit, 2 * stableRateBefore)
        errors = RecoveryTest(threshold: min(asBefore, max(limit, Self.recoveredMax)))
        failing = RecoveryTest(threshold: min(asBefore, max(limit, Self.failingMax)))
        if case .latency(let latency) = measure { slow = RecoveryTest(threshold: latency.limit) }
        self.measure = measure
        self.from = from.number
        next = from.number
    }

    /// Takes in stable's requests that started before `now`; `read` as in `CandidateWatch.step`. A request
    /// that has not ended at its deadline has failed.
    /// - Parameters:
    ///   - counts: what the histogram of a time has of stable, ever growing; asked for once a second, for
    ///     rules over windows only.
    ///   - values: as in `CandidateWatch.step`, for rules over values only.
    public mutating func step(
        now: Tick, read: (Tick) -> ArmTick?,
        counts: (_ time: TimeKind, _ overMicros: UInt32) -> EndedCounts? = { _, _ in nil },
        values: ValueFeed = { _, _ in [] }
    ) -> RecoveryReading {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        next = max(next, min(oldest, now.number))
        while verdict == .watching, next < now.number {
            let age = now.number - next - 1
            let arm = read(Tick(number: next)) ?? ArmTick()
            let counts = arm.all
            let isSettled = age >= TickView.graceTicks && counts.pending == 0
            guard isSettled || age >= TickView.deadlineTicks else { break }
            take(counts, arm.thresholds)
            next += 1
        }
        if verdict == .watching, let latency, case .ended(let time) = latency.counter,
            ended == nil || now.number % RecoveryWatch.lookTicks == 0,
            let found = counts(time, latency.micros)
        {
            take(found)
        }
        if verdict == .watching, case .values(var found) = measure {
            found.take(from: from, values)
            measure = .values(found)
            decide()
        }
        if verdict == .watching, now.number >= from + RecoveryWatch.ticksMax + lagTicks {
            verdict = .undecided
        }
        return reading
    }

    /// Whether the latency thresholds must stay as they are.
    public var judgesSlots: Bool {
        if case .slot? = latency?.counter { true } else { false }
    }

    private var latency: RecoveryLatency? {
        if case .latency(let latency) = measure { latency } else { nil }
    }

    /// Ticks for which values are waited.
    private var lagTicks: UInt64 {
        if case .values(let values) = measure { values.lagTicks } else { 0 }
    }

    private var reading: RecoveryReading {
        var reading = RecoveryReading(
            verdict: verdict, requests: errors.requests, events: errors.events, threshold: errors.threshold,
            reason: "stable \(Sentence.share(errors.events, of: errors.requests)) failed since the cut,"
                + " held to \(Sentence.percent(errors.threshold))")
        switch measure {
        case .errors: break
        case .unjudged(let why): reading.reason += "; \(why)"
        case .values(let values):
            reading.values = .init(count: values.count, mean: values.mean, threshold: values.limit)
            reading.reason += "; \(values.words)"
        case .latency(let latency):
            guard let slow else { break }
            reading.latency = .init(
                requests: slow.requests, slow: slow.events, micros: latency.micros,
                threshold: slow.threshold, time: latency.time.label)
            let share = Sentence.share(slow.events, of: slow.requests)
            let limit = Sentence.time(micros: Double(latency.micros))
            reading.reason +=
                "; \(share) took longer than \(limit)\(latency.words), held to "
                + Sentence.percent(slow.threshold)
        }
        if verdict == .undecided, isEnough, isFailingVisibly { reading.reason += "; it still fails visibly" }
        return reading
    }

    private mutating func take(_ counts: ArmCounts, _ thresholds: SIMD8<UInt32>) {
        if since >= BetGrid.epochRequests {
            errors.newEpoch()
            failing.newEpoch()
            if judgesSlots { slow?.newEpoch() }
            since = 0
        }
        since += Int(counts.started)
        let failed = counts.failures + Int(counts.silent)
        let good = counts.answered - Int(counts.failed) + Int(counts.begun)
        errors.add(bad: failed, good: good)
        failing.add(bad: failed, good: good)
        lately.requests = Self.latelyKept * lately.requests + Double(failed + good)
        lately.failures = Self.latelyKept * lately.failures + Double(failed)
        if let latency, case .slot(let slot) = latency.counter, thresholds[slot] == latency.micros {
            let fast = Int(counts.fast(slot))
            slow?.add(bad: counts.slow(slot), good: fast)
        }
        decide()
    }

    /// Takes in what has ended since the last look; the first one is where counting begins.
    private mutating func take(_ found: EndedCounts) {
        defer { ended = found }
        guard let before = ended, found.requests > before.requests, found.slow >= before.slow else { return }
        if endedSince >= BetGrid.epochRequests {
            slow?.newEpoch()
            endedSince = 0
        }
        let requests = Int(clamping: found.requests - before.requests)
        let bad = min(requests, Int(clamping: found.slow - before.slow))
        endedSince += requests
        slow?.add(bad: bad, good: requests - bad)
        decide()
    }

    private mutating func decide() {
        // Either test may prove the worse, so the two share the chance of a wrong answer.
        let share = slow == nil ? RecoveryWatch.alpha : RecoveryWatch.alpha / 2
        var isBetter = isEnough && errors.isBetter(RecoveryWatch.alpha) && !isFailingVisibly
        var isWorse = failing.isWorse(share)
        if let slow {
            isBetter = isBetter && slow.requests >= Self.requestsMin && slow.isBetter(RecoveryWatch.alpha)
            isWorse = isWorse || slow.isWorse(share)
        }
        if case .values(let values) = measure {
            isBetter = isBetter && values.isBetter
            isWorse = isWorse || values.isWorse
        }
        if isWorse {
            verdict = .notRecovered
        } else if isBetter {
            if case .unjudged = measure { verdict = .undecided } else { verdict = .recovered }
        }
    }

    private var isEnough: Bool { errors.requests >= Self.requestsMin }

    /// Whether more of the last seconds' requests failed than twice the limit allows.
    private var isFailingVisibly: Bool {
        lately.failures >= Self.visible && lately.failures > 2 * errors.threshold * lately.requests
    }
}

// After a cut: did stable's measurements return within limits? Two opposite sequential tests at one rate on
// all traffic that stable now serves: one proves that it is better (recovered), the other that it is worse
// (not recovered: the cause is probably not the candidate). 15 minutes without either: undecided.
// Recovery corroborates a cut, it does not prove it: an outage that ends by itself also recovers.
// Source: guardrails/statistics.md, section 6.

import Metrics
import Statistics

/// The answer of a recovery check.
public enum RecoveryVerdict: String, Sendable, Hashable, Codable {
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
    private var slow: RecoveryTest?
    private let latency: RecoveryLatency?
    private let from: UInt64
    private var next: UInt64
    private var since = 0
    /// What had ended at the last look, and how much has since the last epoch.
    private var ended: EndedCounts?
    private var endedSince = 0
    private var verdict = RecoveryVerdict.watching

    /// Chance of a wrong answer, each way.
    public static let alpha = 0.05
    /// Ticks after which no answer is the answer: 15 minutes.
    public static let ticksMax: UInt64 = 9000
    /// Ticks between two looks at a histogram.
    private static let lookTicks: UInt64 = 10

    /// - Parameters:
    ///   - from: the first tick whose requests count: the cut plus one.
    ///   - stableRateBefore: stable's error rate before the rollout or the trip, 0...1.
    ///   - limit: the absolute rate that users must never see, 0...1, both excluded.
    ///   - latency: what stable's latency is held to, after a cut for latency.
    public init(
        from: Tick, stableRateBefore: Double, limit: Double = 0.02, latency: RecoveryLatency? = nil
    ) {
        precondition(limit > 0 && limit < 1)
        errors = RecoveryTest(threshold: min(max(limit, 2 * stableRateBefore), 0.9))
        slow = latency.map { RecoveryTest(threshold: $0.limit) }
        self.latency = latency
        self.from = from.number
        next = from.number
    }

    /// Takes in stable's requests that started before `now`; `read` as in `CandidateWatch.step`. A request
    /// that has not ended at its deadline has failed.
    /// - Parameter counts: what the histogram of a time has of stable, ever growing; asked for once a second,
    ///   for rules over windows only.
    public mutating func step(
        now: Tick, read: (Tick) -> ArmTick?,
        counts: (_ time: TimeKind, _ overMicros: UInt32) -> EndedCounts? = { _, _ in nil }
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
        if verdict == .watching, now.number >= from + RecoveryWatch.ticksMax { verdict = .undecided }
        return reading
    }

    /// Whether the latency thresholds must stay as they are.
    public var judgesSlots: Bool {
        if case .slot? = latency?.counter { true } else { false }
    }

    private var reading: RecoveryReading {
        var reading = RecoveryReading(
            verdict: verdict, requests: errors.requests, events: errors.events, threshold: errors.threshold,
            reason: "stable \(Sentence.share(errors.events, of: errors.requests)) failed since the cut,"
                + " held to \(Sentence.percent(errors.threshold))")
        if let latency, let slow {
            reading.latency = .init(
                requests: slow.requests, slow: slow.events, micros: latency.micros,
                threshold: slow.threshold, time: latency.time.label)
            let share = Sentence.share(slow.events, of: slow.requests)
            let limit = Sentence.time(micros: Double(latency.micros))
            reading.reason +=
                "; \(share) took longer than \(limit)\(latency.words), held to "
                + Sentence.percent(slow.threshold)
        }
        return reading
    }

    private mutating func take(_ counts: ArmCounts, _ thresholds: SIMD8<UInt32>) {
        if since >= BetGrid.epochRequests {
            errors.newEpoch()
            if judgesSlots { slow?.newEpoch() }
            since = 0
        }
        since += Int(counts.started)
        let failed = counts.failures + Int(counts.silent)
        let good = counts.answered - Int(counts.failed) + Int(counts.begun)
        errors.add(bad: failed, good: good)
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
        if errors.isWorse(share) || slow?.isWorse(share) == true {
            verdict = .notRecovered
        } else if errors.isBetter(RecoveryWatch.alpha), slow?.isBetter(RecoveryWatch.alpha) ?? true {
            verdict = .recovered
        }
    }
}

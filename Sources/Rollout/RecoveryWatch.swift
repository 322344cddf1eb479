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

    public init(verdict: RecoveryVerdict, requests: Int, events: Int, threshold: Double, reason: String) {
        self.verdict = verdict
        self.requests = requests
        self.events = events
        self.threshold = threshold
        self.reason = reason
    }
}

/// Watches stable after a cut.
public struct RecoveryWatch: Sendable {
    private var better: AbsoluteRate
    private var worse: AbsoluteRate
    private let threshold: Double
    private let from: UInt64
    private var next: UInt64
    private var since = 0
    private var requests = 0
    private var events = 0
    private var verdict = RecoveryVerdict.watching

    /// Chance of a wrong answer, each way.
    public static let alpha = 0.05
    /// Ticks after which no answer is the answer: 15 minutes.
    public static let ticksMax: UInt64 = 9000

    /// - Parameters:
    ///   - from: the first tick whose requests count: the cut plus one.
    ///   - stableRateBefore: stable's error rate before the rollout or the trip, 0...1.
    ///   - limit: the absolute rate that users must never see, 0...1, both excluded.
    public init(from: Tick, stableRateBefore: Double, limit: Double = 0.02) {
        precondition(limit > 0 && limit < 1)
        threshold = min(max(limit, 2 * stableRateBefore), 0.9)
        better = AbsoluteRate(p0: threshold, direction: .down)
        worse = AbsoluteRate(p0: threshold, direction: .up)
        self.from = from.number
        next = from.number
    }

    /// Takes in stable's requests that started before `now`; `read` as in `CandidateWatch.step`. A request
    /// that has not ended at its deadline has failed.
    public mutating func step(now: Tick, read: (Tick) -> ArmTick?) -> RecoveryReading {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        next = max(next, min(oldest, now.number))
        while verdict == .watching, next < now.number {
            let age = now.number - next - 1
            let counts = read(Tick(number: next))?.all ?? ArmCounts()
            let isSettled = age >= TickView.graceTicks && counts.pending == 0
            guard isSettled || age >= TickView.deadlineTicks else { break }
            take(counts)
            next += 1
        }
        if verdict == .watching, now.number >= from + RecoveryWatch.ticksMax { verdict = .undecided }
        return RecoveryReading(
            verdict: verdict, requests: requests, events: events, threshold: threshold,
            reason: "stable \(Sentence.share(events, of: requests)) failed since the cut,"
                + " held to \(Sentence.percent(threshold))")
    }

    private mutating func take(_ counts: ArmCounts) {
        if since >= BetGrid.epochRequests {
            better.wealth.newEpoch()
            worse.wealth.newEpoch()
            since = 0
        }
        let bad = Int(counts.failed) + Int(counts.pending)
        let good = counts.answered - Int(counts.failed)
        better.add(bad: bad, good: good)
        worse.add(bad: bad, good: good)
        since += Int(counts.started)
        requests += bad + good
        events += bad
        let threshold = Wealth.logThreshold(alpha: RecoveryWatch.alpha)
        if worse.wealth.maxLogE >= threshold {
            verdict = .notRecovered
        } else if better.wealth.maxLogE >= threshold {
            verdict = .recovered
        }
    }
}

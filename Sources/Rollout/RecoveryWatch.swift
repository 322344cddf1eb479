// After a cut: did stable's measurements return within limits? Two opposite sequential tests on all traffic
// that stable now serves. Source: guardrails/statistics.md, section 6.

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
    /// Stable's requests since the cut, and the bad ones among them.
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
    /// - Parameters:
    ///   - from: the first tick whose requests count: the cut plus one.
    ///   - stableRateBefore: stable's error rate before the rollout or the trip, 0...1.
    ///   - limit: the absolute rate that users must never see, 0...1.
    public init(from: Tick, stableRateBefore: Double, limit: Double = 0.02) {
    }

    /// Takes in stable's requests that started before `now`; `read` as in `CandidateWatch.step`.
    public mutating func step(now: Tick, read: (Tick) -> ArmTick?) -> RecoveryReading {
        RecoveryReading(verdict: .watching, requests: 0, events: 0, threshold: 0, reason: "")
    }
}

// What a guardrail says at a tick, with the numbers behind it: shown live, and the evidence of a cut. It is
// written into the journal as it is, so everything a person needs to judge a cut stands in it.
// Invariant: `progress` is 1 exactly where the verdict is fail; a pass is never beyond the limit it names.

import Metrics

/// A guardrail's verdict and its evidence.
public struct GuardrailReading: Sendable, Hashable, Codable {
    /// The guardrail's name.
    public var name: String
    /// The rule as a sentence.
    public var rule: String
    public var verdict: Verdict
    public var action: GuardrailSpec.Action
    /// Natural log of the evidence now, and the largest so far; nil for window rules.
    public var logE: Double?
    public var maxLogE: Double?
    /// Share of the way to a trip, 0...1; 1 is a trip.
    public var progress: Double
    /// The measure: a rate 0...1, or microseconds for window rules on latency. Nil without data.
    public var candidate: Double?
    public var stable: Double?
    /// Requests that the estimates rest on.
    public var candidateRequests: Int
    public var stableRequests: Int
    /// Bad events among them: failures, or requests slower than `threshold`.
    public var candidateEvents: Int
    public var stableEvents: Int
    /// What the candidate is held to: a rate 0...1, or microseconds.
    public var threshold: Double?
    /// Chance of a false trip over the rollout; nil for window rules, which have no such bound.
    public var alpha: Double?
    /// The numbers in words: "candidate 12.0 % of 250 failed, stable 0.1 % of 4,750".
    public var reason: String {
        get { words.text }
        set { words = .text(newValue) }
    }
    private var words: ReadingWords

    /// The same with another word for "candidate": what the version is to the one that it is compared with.
    func reason(of noun: String) -> String { words.text(of: noun) }
    /// The rule's runbook.
    public var runbookURL: String?
    /// Where a version answers hardly anybody though nothing fails: requests whose clients left without an
    /// answer; else nil.
    public internal(set) var unanswered: Int?
    // Optional, so that evidence journaled before it existed still loads.
    private var dryRun: Bool?
    /// A rule against stable without traffic of stable: the last tick in which there was some. Not saved.
    public internal(set) var asleepSince: Tick?
    /// There was none at all since the watch began, which is the tick of `asleepSince` then. Not saved.
    public internal(set) var isAsleepLonger = false
    /// A rule that sleeps because too little is known of stable as it was: the requests of stable that were
    /// counted in the last stage with traffic of both. Not saved.
    public internal(set) var asleepKnown: Int?
    /// A rule against stable without traffic of stable that compares with stable as it was. Not saved.
    public internal(set) var isPinned = false
    /// The last tick that stable is known from; nil where clocks do not compare. Not saved.
    public internal(set) var pinnedUntil: Tick?

    /// What the rule itself would do, where a trip only alerts: stable has no traffic, or feedback comes too
    /// late. Not saved.
    public internal(set) var ruleAction: GuardrailSpec.Action?
    /// Whether it compares the candidate with stable. Not saved.
    public internal(set) var isComparison = false

    /// Whether a trip of the rule is recorded and changes nothing.
    public var isDryRun: Bool {
        get { dryRun ?? false }
        set { dryRun = newValue ? true : nil }
    }

    public init(
        name: String, rule: String, verdict: Verdict, action: GuardrailSpec.Action, logE: Double? = nil,
        maxLogE: Double? = nil, progress: Double, candidate: Double? = nil, stable: Double? = nil,
        candidateRequests: Int = 0, stableRequests: Int = 0, candidateEvents: Int = 0, stableEvents: Int = 0,
        threshold: Double? = nil, alpha: Double? = nil, reason: String
    ) {
        self.init(
            name: name, rule: rule, verdict: verdict, action: action, logE: logE, maxLogE: maxLogE,
            progress: progress, candidate: candidate, stable: stable, candidateRequests: candidateRequests,
            stableRequests: stableRequests, candidateEvents: candidateEvents, stableEvents: stableEvents,
            threshold: threshold, alpha: alpha, words: .text(reason))
    }

    init(
        name: String, rule: String, verdict: Verdict, action: GuardrailSpec.Action, logE: Double? = nil,
        maxLogE: Double? = nil, progress: Double, candidate: Double? = nil, stable: Double? = nil,
        candidateRequests: Int = 0, stableRequests: Int = 0, candidateEvents: Int = 0, stableEvents: Int = 0,
        threshold: Double? = nil, alpha: Double? = nil, words: ReadingWords
    ) {
        self.name = name
        self.rule = rule
        self.verdict = verdict
        self.action = action
        self.logE = logE
        self.maxLogE = maxLogE
        self.progress = progress
        self.candidate = candidate
        self.stable = stable
        self.candidateRequests = candidateRequests
        self.stableRequests = stableRequests
        self.candidateEvents = candidateEvents
        self.stableEvents = stableEvents
        self.threshold = threshold
        self.alpha = alpha
        self.words = words
    }

    private enum CodingKeys: String, CodingKey {
        case name, rule, verdict, action, logE, maxLogE, progress, candidate, stable, candidateRequests
        case stableRequests, candidateEvents, stableEvents, threshold, alpha, runbookURL, dryRun
        case unanswered
        case words = "reason"
    }
}

extension GuardrailReading {
    /// A version beyond the rule's own limit passes nothing, though it may not be proven to be, or not for
    /// long enough yet. For rules on requests and health; values have limits of several kinds.
    mutating func withholdPass(_ spec: GuardrailSpec) {
        guard verdict == .pass, let candidate else { return }
        let isBeyond: Bool
        switch (spec.rule, spec.measure) {
        case (_, .health): isBeyond = threshold.map { candidate < $0 } ?? false
        // The threshold is a time there, and the measure the share of requests that took longer.
        case (.sequentialWorseThanStable, .latency), (.sequentialAbove, .latency):
            isBeyond = candidate > spec.rateLimit
        default: isBeyond = threshold.map { candidate > $0 } ?? false
        }
        if isBeyond { verdict = .notEnoughData }
    }
}

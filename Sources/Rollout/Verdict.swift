// The three values of a guardrail. Rules with two values read silence as health or as failure; both have cost
// others their releases.
// Invariant: without traffic the verdict is `notEnoughData`, and so it is where a version is beyond a rule's
// limit and the rule has not tripped.

/// What a guardrail says now. No traffic is never a pass and never a fail.
public enum Verdict: String, Sendable, Hashable, Codable, CaseIterable {
    case pass
    case fail
    case notEnoughData = "not_enough_data"
}

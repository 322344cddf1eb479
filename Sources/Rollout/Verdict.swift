// The three values of a guardrail.

/// What a guardrail says now. No traffic is never a pass and never a fail.
public enum Verdict: String, Sendable, Hashable, Codable {
    case pass
    case fail
    case notEnoughData = "not_enough_data"
}

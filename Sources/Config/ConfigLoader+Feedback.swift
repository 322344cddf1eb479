// The section `feedback`: how long feedback is waited for and how much of it is remembered.
// Place: one line in the document's reader. Source: guardrails/statistics.md, section 3.4.
// Invariant: no window is longer than what the registry of values keeps slots for.

import Platform

extension Kind where Value == FeedbackConfig {
    /// The longest attribution window; a guardrail's own is bounded alike.
    static var attributionWindow: ClosedRange<Interval> { .seconds(1)...Interval.seconds(7 * 86_400) }

    static var feedback: Kind {
        .section("a mapping with window, grace, remembered_max") { section in
            var feedback = FeedbackConfig()
            feedback.window = section.value("window", .duration(attributionWindow), or: feedback.window)
            feedback.grace = section.value(
                "grace", .duration(.zero...Interval.seconds(3_600)), or: feedback.grace)
            feedback.rememberedMax = section.value(
                "remembered_max", .count(1_000...100_000_000), or: feedback.rememberedMax)
            return feedback
        }
    }
}

// The section `outcomes`: how long posted outcomes are waited for and how many are remembered.
// Place: one line in the document's reader. Source: guardrails/statistics.md, section 3.4.
// Invariant: no window is longer than what a book of signals keeps slots for.

import Platform

extension Kind where Value == OutcomesConfig {
    /// The longest attribution window; a guardrail's own is bounded alike.
    static var attributionWindow: ClosedRange<Interval> { .seconds(1)...Interval.seconds(7 * 86_400) }

    static var outcomes: Kind {
        .section("a mapping with window, grace, remembered_max") { section in
            var outcomes = OutcomesConfig()
            outcomes.window = section.value("window", .duration(attributionWindow), or: outcomes.window)
            outcomes.grace = section.value(
                "grace", .duration(.zero...Interval.seconds(3_600)), or: outcomes.grace)
            outcomes.rememberedMax = section.value(
                "remembered_max", .count(1_000...100_000_000), or: outcomes.rememberedMax)
            return outcomes
        }
    }
}

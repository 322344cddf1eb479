// What a config says about feedback posted later, for the process as a whole. A guardrail or gate on a metric
// has an attribution window of its own; these values stand for metrics that no rule watches, and for all.
// Invariant: bounds as the loader checks them; changed by a restart only.

import Platform

/// Bounds of POST /feedback.
package struct FeedbackConfig: Sendable, Hashable, CustomStringConvertible {
    /// Attribution window of metrics that no guardrail and no gate names.
    package var window = Interval.seconds(86_400)
    /// After a window is over, feedback on what happened inside it is still accepted for this long.
    package var grace = Interval.seconds(60)
    /// Items that are remembered until their window and grace are over, over all models; one
    /// more is refused with 503. Each costs at most twenty bytes of memory and thirty of disk.
    package var rememberedMax = 4_194_304

    package init() {}

    package var description: String {
        "window \(Notation.text(window)), grace \(Notation.text(grace)), remembered_max \(rememberedMax)"
    }
}

// Feedback on the metrics page: what became of it, and the means per request by version.
// Place: a section of the page, left out where nothing was posted.
// Invariant: label values are bounded: metrics that rules name and sixteen more per model.

import Metrics

extension MetricsPage {
    /// A metric's requests that have had their time.
    struct FeedbackMean: Sendable {
        var model: String
        var version: String
        var metric: String
        var requests: UInt64
        var sum: Double
    }

    func writeFeedback(to writer: inout ExpositionWriter) {
        guard !feedback.isEmpty else { return }
        writer.begin("weir_feedback", .counter, help: "Posted feedback, by what became of it.")
        for feedback in feedback {
            writer.sample(
                feedback.count,
                [
                    "model": feedback.key.model, "metric": feedback.key.metric,
                    "result": feedback.key.result.rawValue,
                ])
        }
        guard !feedbackMeans.isEmpty else { return }
        writer.begin(
            "weir_feedback_requests", .counter, help: "Requests whose attribution window is over.")
        for mean in feedbackMeans {
            writer.sample(
                mean.requests, ["model": mean.model, "version": mean.version, "metric": mean.metric])
        }
        writer.begin(
            "weir_feedback_value_sum", .gauge, help: "Sum of those requests' feedback; without one, 0.")
        for mean in feedbackMeans {
            writer.sample(
                mean.sum, ["model": mean.model, "version": mean.version, "metric": mean.metric])
        }
    }
}

// Posted outcomes on the metrics page: what became of them, and the means per request by version.
// Place: a section of the page, left out where nothing was posted.
// Invariant: label values are bounded: metrics that rules name and sixteen more per model.

import Metrics

extension MetricsPage {
    /// A metric's requests that have had their time.
    struct OutcomeMean: Sendable {
        var model: String
        var version: String
        var metric: String
        var requests: UInt64
        var sum: Double
    }

    func writeOutcomes(to writer: inout ExpositionWriter) {
        guard !outcomes.isEmpty else { return }
        writer.begin("weir_outcomes", .counter, help: "Posted outcomes, by what became of them.")
        for outcome in outcomes {
            writer.sample(
                outcome.count,
                [
                    "model": outcome.key.model, "metric": outcome.key.metric,
                    "result": outcome.key.result.rawValue,
                ])
        }
        guard !outcomeMeans.isEmpty else { return }
        writer.begin(
            "weir_outcome_requests", .counter, help: "Requests whose attribution window is over.")
        for mean in outcomeMeans {
            writer.sample(
                mean.requests, ["model": mean.model, "version": mean.version, "metric": mean.metric])
        }
        writer.begin(
            "weir_outcome_value_sum", .gauge, help: "Sum of those requests' outcomes; without one, 0.")
        for mean in outcomeMeans {
            writer.sample(
                mean.sum, ["model": mean.model, "version": mean.version, "metric": mean.metric])
        }
    }
}

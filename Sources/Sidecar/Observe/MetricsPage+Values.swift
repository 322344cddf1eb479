// The page's part on values that are read out of traffic: what became of the samples, what of the values.
// Invariant: a model with `values` has every series, also while it is zero; models without have none. Names
// of values come from the config, so the label's set is bounded.

import Control
import Metrics

extension MetricsPage {
    /// What reading a model's values has come to.
    struct Samples: Sendable {
        var model: String
        var counts: SampleCounts
    }

    func writeSamples(to writer: inout ExpositionWriter) {
        guard !samples.isEmpty else { return }
        writer.begin(
            "weir_value_samples", .counter, help: "Sampled exchanges read for values, by what came of it.")
        for model in samples {
            for result in SampleResult.allCases {
                writer.sample(
                    model.counts.samples[result] ?? 0, ["model": model.model, "result": result.rawValue])
            }
        }
        writer.begin("weir_values", .counter, help: "Values read out of samples, by what was found.")
        for model in samples {
            for (name, found) in model.counts.values.sorted(by: { $0.key < $1.key }) {
                let labels: Labels = ["model": model.model, "value": name]
                writer.sample(found.numbers, labels.with("result", "number"))
                writer.sample(found.missing, labels.with("result", "missing"))
                writer.sample(found.unknown, labels.with("result", "unknown"))
            }
        }
        writer.begin(
            "weir_values_dropped", .counter, help: "Values that were found and not used, by reason.")
        for model in samples {
            writer.sample(model.counts.dropped, ["model": model.model, "reason": "busy"])
            writer.sample(model.counts.late, ["model": model.model, "reason": "late"])
        }
    }
}

// The page's part on values that are read out of traffic: what became of the samples, what of the values.
// Invariant: a model with `values` has every series, also while it is zero; models without have none. Names
// of values come from the config, so the label's set is bounded.

import Metrics

extension MetricsPage {
    /// What reading a model's values has come to.
    struct Signals: Sendable {
        var model: String
        var counts: SignalCounts
    }

    func writeSignals(to writer: inout ExpositionWriter) {
        guard !signals.isEmpty else { return }
        writer.begin(
            "weir_signal_samples", .counter, help: "Sampled exchanges read for values, by what came of it.")
        for signal in signals {
            for result in SignalSample.allCases {
                writer.sample(
                    signal.counts.samples[result] ?? 0, ["model": signal.model, "result": result.rawValue])
            }
        }
        writer.begin("weir_signal_values", .counter, help: "Values read out of samples, by what was found.")
        for signal in signals {
            for (name, found) in signal.counts.values.sorted(by: { $0.key < $1.key }) {
                let labels: Labels = ["model": signal.model, "value": name]
                writer.sample(found.numbers, labels.with("result", "number"))
                writer.sample(found.missing, labels.with("result", "missing"))
                writer.sample(found.unknown, labels.with("result", "unknown"))
            }
        }
        writer.begin(
            "weir_signal_values_dropped", .counter, help: "Values that were found and not used, by reason.")
        for signal in signals {
            writer.sample(signal.counts.dropped, ["model": signal.model, "reason": "busy"])
            writer.sample(signal.counts.late, ["model": signal.model, "reason": "late"])
        }
    }
}

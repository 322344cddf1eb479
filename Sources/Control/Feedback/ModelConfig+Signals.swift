// Which signals the rules of a model are fed with: what its book has to keep from the start on, so that what
// an earlier process logged finds its place.
// Invariant: signals that are missing here are kept from the first question on, without what was before.

import Rollout

extension ModelConfig {
    /// Signal names, each once.
    var signals: [String] {
        Set(allGuardrails.compactMap(\.measure.signal) + allGates.compactMap(\.metric.signal)).sorted()
    }
}

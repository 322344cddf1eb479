// Which values the rules of a model are fed with. Its registry keeps them from the start on, so that what an
// earlier process logged is counted in its own tick.
// Invariant: a value that is missing here is kept from the first question on, without what came before.

import Config
import Rollout

extension ModelConfig {
    /// Names of values, each once.
    package var valueNames: [String] {
        Set(allGuardrails.compactMap(\.measure.valueName) + allGates.compactMap(\.metric.valueName)).sorted()
    }
}

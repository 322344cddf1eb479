// Values out of sampled traffic on their way into the value registries. A batch names models and versions by
// name, because the config may have changed while it waited: what is gone takes nothing.
// Invariant: every model is told how far the samples have been read after its values of the batch were added.

import Metrics
import Rollout

extension ControlLoop {
    /// Adds the values that the reader of the taps has found.
    package func add(_ batch: ValueBatch) {
        for group in batch.groups {
            guard let i = indexByName[group.model], let version = models[i].config.index(of: group.version)
            else { continue }
            let before = models[i].values.lostValues
            for (name, arm) in group.arms {
                for value in arm.values {
                    models[i].values.add(value, of: name, version: version, tick: group.tick)
                }
                for _ in 0..<arm.missing {
                    models[i].values.add(nil, of: name, version: version, tick: group.tick)
                }
            }
            let late = models[i].values.lostValues - before
            if late > 0 { sampleCounters.change(group.model) { $0.late += late } }
        }
        for i in models.indices where !models[i].config.values.all.isEmpty {
            models[i].values.drained(at: batch.drainedAt)
        }
    }
}

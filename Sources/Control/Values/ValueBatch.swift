// What the reader of sampled traffic hands to the controller, at most once per tick: the values it found, by
// model, version assigned and start tick, and how far it has read. Values that could not be looked at are not
// in it: only what was observed is evidence.

import Metrics
import Rollout

/// Values found since the last batch.
package struct ValueBatch: Sendable, Equatable {
    /// Exchanges that had ended before this tick began have all been read.
    var drainedAt: Tick
    /// In no order; a (model, version, tick) may come again in a later batch.
    var groups: [ValueGroup]
}

/// The values of the requests that started in one tick and were assigned to one version.
struct ValueGroup: Sendable, Equatable {
    var model: String
    var version: String
    var tick: Tick
    /// By the value's name.
    var arms: [String: ValueArm]
}

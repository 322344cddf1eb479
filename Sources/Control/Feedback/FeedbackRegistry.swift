// What the control loop keeps of feedback beside the models' values: which version an id's hash means,
// how wall time maps to ticks, what came to what, and the log. Owner: the control loop.
// Invariant: a version hash that two versions of the config share means neither of them.

import Config
import Metrics
import Proxy
import Rollout

/// The joint of POST /feedback and the models' values.
struct FeedbackRegistry {
    /// A version of the config.
    struct Place: Sendable, Equatable {
        var model: Int
        var version: Int
    }

    /// Metrics per model that no rule names; more are refused.
    static let freeMetricsMax = 16
    /// Clocks may differ by so much before a time lies in the future.
    static let skewMicros: UInt64 = 60_000_000

    let config: FeedbackConfig
    var clock = ClockMap()
    /// nil: nothing outlives the process.
    let store: (any FeedbackStore)?
    /// Read by the start, replayed once the models stand.
    var restored: [FeedbackRecord]
    /// Items by what became of them; "" for those whose model is not known.
    private(set) var counts: [FeedbackCount.Key: UInt64] = [:]
    private var places: [UInt32: Place?] = [:]

    init(_ config: FeedbackConfig, store: (any FeedbackStore)? = nil, restored: [FeedbackRecord] = []) {
        self.config = config
        self.store = store
        self.restored = restored
    }

    var graceTicks: UInt64 { config.grace.micros / Tick.micros }

    /// Learns the versions of the models, in their order.
    mutating func adopt(_ models: [ModelConfig]) {
        places = [:]
        for (i, model) in models.enumerated() {
            for (v, version) in model.versions.enumerated() {
                let hash = ExchangeID.versionHash(model: model.name, version: version.name)
                let isShared = places[hash] != nil
                places[hash] = .some(isShared ? nil : Place(model: i, version: v))
            }
        }
    }

    /// How many items had which result so far.
    var figures: [FeedbackCount] {
        counts.map { FeedbackCount(key: $0.key, count: $0.value) }.sorted {
            ($0.key.model, $0.key.metric, $0.key.result.rawValue)
                < ($1.key.model, $1.key.metric, $1.key.result.rawValue)
        }
    }

    func place(of version: UInt32) -> Place? { places[version] ?? nil }

    mutating func count(_ result: FeedbackResult, model: String = "", metric: String = "") {
        counts[.init(model: model, metric: metric, result: result), default: 0] += 1
    }
}

/// How many items had which result, for the metrics page.
package struct FeedbackCount: Sendable, Hashable {
    /// What is counted apart.
    package struct Key: Sendable, Hashable {
        /// Empty where the id does not tell or was not believed.
        package var model: String
        /// Empty where the model's metrics are not known.
        package var metric: String
        package var result: FeedbackResult
    }

    package var key: Key
    package var count: UInt64
}

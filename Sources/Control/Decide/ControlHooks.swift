// What a control loop starts from, and whom it tells of what it does: values and functions that are given to
// it once, when it is made.
// Place: put together by `Sidecar`, or by a test; read by `ControlLoop`.
// Invariant: no function here waits; all are called on the thread of the control loop.

import Config
import Proxy

/// Who is told by a control loop.
package struct ControlHooks: Sendable {
    /// Told of a config and its plan before the plan is published: who writes names or asks endpoints.
    var onConfig: @Sendable (Config, Plan) -> Void = { _, _ in }
    /// Told of every trip, so that the exchanges around it are kept.
    var onTrip: @Sendable (CaptureTrip) -> Void = { _ in }
    /// Told whom the checks before a rollout have to ask.
    var onPreflight: @Sendable ([PreflightTarget]) -> Void = { _ in }
    /// Told of decisions; nil: nobody is.
    var notices: (any NoticeSink)?

    package init(
        onConfig: @escaping @Sendable (Config, Plan) -> Void = { _, _ in },
        onTrip: @escaping @Sendable (CaptureTrip) -> Void = { _ in },
        onPreflight: @escaping @Sendable ([PreflightTarget]) -> Void = { _ in },
        notices: (any NoticeSink)? = nil
    ) {
        self.onConfig = onConfig
        self.onTrip = onTrip
        self.onPreflight = onPreflight
        self.notices = notices
    }
}

/// What a control loop starts from.
package struct ControlStart: Sendable {
    var config: Config
    /// The plan that the data plane was started with, made from `config` and `saved`.
    var plan: Plan
    var slots: SlotTable
    var saved: SavedState
    /// What the start found of state and journal; nil: nothing was looked at.
    package var recovery: StateRecovery?
    /// What registries have said, by model.
    package var sources: [String: SourceAnswer] = [:]
    /// Counts what became of values that are read out of traffic.
    package var sampleCounters = SampleCounters()
    /// Keeps accepted feedback; nil: nothing outlives the process.
    package var store: (any FeedbackStore)?
    /// Feedback that earlier processes have logged, oldest first.
    package var restored: [FeedbackRecord] = []

    package init(
        config: Config, plan: Plan, slots: SlotTable, saved: SavedState, recovery: StateRecovery? = nil,
        sources: [String: SourceAnswer] = [:], sampleCounters: SampleCounters = SampleCounters(),
        store: (any FeedbackStore)? = nil, restored: [FeedbackRecord] = []
    ) {
        self.config = config
        self.plan = plan
        self.slots = slots
        self.saved = saved
        self.recovery = recovery
        self.sources = sources
        self.sampleCounters = sampleCounters
        self.store = store
        self.restored = restored
    }
}

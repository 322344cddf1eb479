// The data plane as decisions see it: the few calls that change traffic and the meters that say what it did.
// A protocol, so that the decision loop runs against meters in memory and in virtual time.
// Place: between `ControlLoop` and Proxy's `DataPlane`.

import Metrics
import Platform
import Proxy

/// What the control loop needs of the data plane.
package protocol Plane: Sendable {
    /// Gives every core the plan. At most one plan may be under way: see `obeyedEpoch`.
    func publish(_ plan: Plan)
    /// Bars versions (bit i: index i in the model's plan) and sends every split to stable; each core's next
    /// assignment obeys. Replaces what was barred before.
    func cut(_ model: ModelSlot, versions: UInt32)
    func clearCut(_ model: ModelSlot)
    /// Every sticky key of the model may fail for the first time again.
    func beginRollout(_ model: ModelSlot)
    /// The smallest plan epoch over the cores.
    var obeyedEpoch: UInt64 { get }
    /// Requests that all cores have assigned since the start.
    var requests: UInt64 { get }
    /// One meter per core.
    func meters(_ version: VersionSlot) -> [VersionMeter]
    func setHealthy(_ endpoint: EndpointSlot, _ isHealthy: Bool)
    /// Checks that the endpoint has passed, and around: to be compared for equality.
    func passedChecks(_ endpoint: EndpointSlot) -> UInt64
    /// What checks have said of the endpoint; nil: nothing yet.
    func health(_ endpoint: EndpointSlot) -> Bool?
    /// Checks have nothing to say of the endpoint (any more, or yet).
    func forgetHealth(_ endpoint: EndpointSlot)
}

extension DataPlane: Plane {
    package var requests: UInt64 { CoreMeterSnapshot.sum(coreMeters())[.requests] }
}

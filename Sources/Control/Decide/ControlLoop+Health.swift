// What active checks say of endpoints: kept for the decisions, logged and journaled.
// Place: handed over by the controller's thread, read by `ControlLoop.step` and the pre-flight conditions.
// Invariant: only transitions come here; an endpoint without a word counts as healthy.

import Logging
import Platform
import Proxy

/// An endpoint that changed between healthy and unhealthy.
package struct HealthTransition: Sendable, Equatable {
    var slot: EndpointSlot
    var address: SocketAddress
    var model: String
    var version: String
    var isHealthy: Bool
    /// What the deciding probe saw.
    var reason: String

    package init(
        slot: EndpointSlot, address: SocketAddress, model: String, version: String, isHealthy: Bool,
        reason: String
    ) {
        self.slot = slot
        self.address = address
        self.model = model
        self.version = version
        self.isHealthy = isHealthy
        self.reason = reason
    }
}

extension ControlLoop {
    /// An endpoint changed sides.
    package func take(_ transition: HealthTransition) {
        health[transition.slot] = transition.isHealthy
        let word = transition.isHealthy ? "healthy" : "unhealthy"
        log.log(
            level: transition.isHealthy ? .notice : .warning,
            "endpoint \(transition.address) is \(word): \(transition.reason)",
            metadata: ["model": "\(transition.model)", "version": "\(transition.version)"])
        note([
            JournalEvent(
                at: wallMicros, .health, model: transition.model,
                reason: "\(transition.version) at \(transition.address) is \(word): \(transition.reason)",
                details: [
                    .init("version", .string(transition.version)),
                    .init("endpoint", .string(transition.address.description)),
                    .init("healthy", .bool(transition.isHealthy)),
                ])
        ])
    }
}

// What active health checks ask whom, derived from a config and its plan, and what a row of answers makes of
// an endpoint.
// Invariant: values only; sockets and timers are the loop's.

import Config
import Control
import Platform
import Proxy

/// One endpoint to be asked.
struct HealthTarget: Sendable, Equatable {
    var slot: EndpointSlot
    var address: SocketAddress
    var model: String
    var version: String
    var check: HealthCheckConfig
    /// What `Host` says.
    var host: String

    /// The endpoints of a config that have a health check, with their slots in `plan`.
    static func all(of config: Config, plan: Plan) -> [HealthTarget] {
        var targets: [HealthTarget] = []
        for (model, planned) in zip(config.models, plan.models) {
            for (version, plannedVersion) in zip(model.versions, planned.versions) {
                guard let check = version.healthCheck else { continue }
                for endpoint in plannedVersion.endpoints {
                    targets.append(
                        HealthTarget(
                            slot: endpoint.slot, address: endpoint.address, model: model.name,
                            version: version.name, check: check,
                            host: version.rewrite.host ?? endpoint.address.hostText))
                }
            }
        }
        return targets
    }

    /// The bytes of the probe.
    var request: [UInt8] {
        Array(
            ("GET \(check.path) HTTP/1.1\r\nhost: \(host)\r\nuser-agent: weir-health-check\r\n"
                + "accept: */*\r\nconnection: close\r\n\r\n").utf8)
    }
}

extension SocketAddress {
    /// What a client writes into Host; a Unix socket has no name of its own.
    var hostText: String {
        switch self {
        case .ip: description
        case .unix: "localhost"
        }
    }
}

/// One endpoint's streak: how many probes in a row said the same, and what that makes it.
struct HealthStreak: Equatable {
    /// What an endpoint is by its probes.
    enum State: Equatable { case unchecked, healthy, unhealthy }

    /// What a probe's result changes.
    enum Change: Equatable {
        case none
        /// The first good probe of an endpoint.
        case admitted
        case recovered
        case failed
    }

    private(set) var state = State.unchecked
    private var contrary = 0

    /// Takes a probe's result.
    mutating func take(isGood: Bool, _ check: HealthCheckConfig) -> Change {
        switch (state, isGood) {
        case (.healthy, true), (.unhealthy, false):
            contrary = 0
            return .none
        case (.unchecked, true):
            state = .healthy
            contrary = 0
            return .admitted
        case (.unchecked, false), (.healthy, false):
            contrary += 1
            guard contrary >= check.unhealthyThreshold else { return .none }
            state = .unhealthy
            contrary = 0
            return .failed
        case (.unhealthy, true):
            contrary += 1
            guard contrary >= check.healthyThreshold else { return .none }
            state = .healthy
            contrary = 0
            return .recovered
        }
    }
}

// What is checked of a model before its candidate's first percent: who its versions say they are, what they
// take and give, and whether the candidate is warm. Values; the calls are `PreflightCheck`'s.
// Invariant: an equal target has been checked for the same servers and the same attempt.

import Config
import Platform
import Rollout

/// One candidate beside its stable version.
package struct PreflightTarget: Sendable, Equatable {
    package var model: String
    package var config: PreflightConfig
    package var stable: PreflightVersion
    package var candidate: PreflightVersion
    /// Another number warms the candidate up anew.
    var attempt: Int

    /// Every candidate of a config that has something to check.
    /// - Parameter attempts: by model, from the rollout's state.
    static func all(of config: Config, attempts: [String: Int]) -> [PreflightTarget] {
        config.models.flatMap { model -> [PreflightTarget] in
            guard let preflight = model.preflight, let stable = model.version(model.stable) else { return [] }
            return model.candidates.compactMap(model.version).map { candidate in
                PreflightTarget(
                    model: model.name, config: preflight, stable: PreflightVersion(stable),
                    candidate: PreflightVersion(candidate), attempt: attempts[model.name] ?? 1)
            }
        }
    }
}

/// One version as its servers are asked.
package struct PreflightVersion: Sendable, Equatable {
    package var name: String
    /// What it has to say when it is asked who it is.
    package var identity: String
    package var endpoints: [SocketAddress]
    /// Replaces the address in Host.
    package var host: String?

    init(_ version: VersionConfig) {
        name = version.name
        identity = version.identity
        endpoints = version.endpoints
        host = version.rewrite.host
    }
}

/// What a round of checks found.
package struct PreflightReport: Sendable, Equatable {
    var model: String
    var candidate: String
    package var reading: PreflightReading
    /// The finding as a sentence, also where the reading carries none.
    var reason: String

    package init(model: String, candidate: String, reading: PreflightReading, reason: String) {
        self.model = model
        self.candidate = candidate
        self.reading = reading
        self.reason = reason
    }
}

// What `rollout:`, `preflight:` and `groups:` say: the program of a candidate's way, the windows in which
// nothing is promoted, what a version has to prove before its first percent, and which models move together.
// Values only, made by `ConfigLoader`; the program itself is Rollout's.

import Payload
import Platform
import Rollout

/// A model's staged rollout.
package struct RolloutConfig: Sendable, Equatable {
    /// Has no `problem`.
    package var program: RolloutProgram
    package var blackouts: [BlackoutWindow]
    /// What the candidate is compared with; nil: all of stable.
    package var control: ControlArm?

    /// The first window in force.
    package func blackout(wallMicros: UInt64) -> BlackoutWindow? {
        blackouts.first { $0.isInForce(wallMicros: wallMicros) }
    }
}

/// What is checked before a candidate's first percent, and again while it has traffic.
package struct PreflightConfig: Sendable, Equatable {
    package var identity: IdentityConfig?
    /// Name of the model at V2 servers whose inputs and outputs are compared; nil: they are not.
    package var signatureModel: String?
    /// Whether a candidate may have other inputs and outputs than stable.
    package var allowsSignatureChange: Bool
    package var warmUp: WarmUpConfig?
    /// How often identity and signatures are checked again.
    package var every: Interval
    /// For one request of a check.
    package var timeout: Interval
}

/// How a version is asked who it is.
package struct IdentityConfig: Sendable, Equatable {
    /// Where in the answer the identity stands.
    package enum Source: Sendable, Equatable {
        /// Every value at the path counts; one of them must be the expected one.
        case json(JSONPath)
        case header(String)
        /// The target is a path that the server has for the version alone: its success says it. A 404 there
        /// says the opposite where the model's own path answers with success.
        case path(model: String)
    }

    /// Origin-form target of a GET; `{version}` stands for what is expected.
    package var target: String
    package var source: Source
}

/// Requests that a candidate answers before anybody waits for it.
package struct WarmUpConfig: Sendable, Equatable {
    /// To each endpoint.
    package var requests: Int
    /// JSON Lines, each `{"method": …, "path": …, "headers": {…}, "body": …}`, used over and over.
    package var file: String
    /// Share of the requests that must succeed, parts per million.
    package var successPPM: UInt32
}

/// Models that take every step of their rollouts together, and are cut together.
package struct GroupConfig: Sendable, Equatable {
    package var name: String
    /// At least two, in the order in which they move.
    package var models: [String]
}

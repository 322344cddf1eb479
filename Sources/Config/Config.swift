// What a config file says, after it has been validated whole: plain values that the rest of Control reads
// without asking again whether they make sense. Made by `ConfigLoader` only; `PlanBuilder` turns it into the
// plan that cores obey, `ConfigDiff` says what a reload would change. Every name that a value refers to
// exists, every address is resolved, every bound of `Limits` holds. The reference page is Configuration.md.

import Platform
import Proxy
import Rollout

/// One validated config file.
package struct Config: Sendable, Equatable {
    /// Where the admin API listens: loopback or a Unix socket.
    package var admin: SocketAddress
    /// Folder of the durable state; as every path here, from the folder of the config file on.
    package var stateDir: String
    /// At least one, all different.
    package var listeners: [SocketAddress]
    /// Event loops; nil: one per CPU that the process may use.
    package var cores: Int?
    /// Bounds of the data plane.
    package var limits: Limits
    /// Which of them the file writes: these are kept, or the start is refused (`ResourceLimits`).
    package var limitsWritten: LimitsWritten = []
    /// Peers whose forced versions and x-forwarded-for are believed.
    package var trusted: [AddressRange]
    package var accessLog: AccessLogConfig
    /// When journal files are closed, and how many are kept.
    package var journal: JournalConfig
    /// Sinks that are told of decisions, names unique, in file order.
    package var actions: [ActionConfig]
    package var feedback = FeedbackConfig()
    package var drain = DrainConfig()
    /// 1...`Limits.modelsMax`, in file order, names unique.
    package var models: [ModelConfig]
    /// No model is in two of them.
    package var groups: [GroupConfig] = []
    /// SHA-256 of the file's bytes, 64 lower-case hex digits.
    package var digest: String
    /// Files that the config names and that this machine does not have, where somebody looked: an error of
    /// `weir check`, a warning of a start and of a reload.
    package var absentFiles: [ConfigProblem] = []

    /// The model of that name.
    package func model(_ name: String) -> ModelConfig? { models.first { $0.name == name } }
}

/// The bounds of `limits` that a file writes itself, as far as that matters.
package struct LimitsWritten: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let downstreams = LimitsWritten(rawValue: 1)
    package static let upstreams = LimitsWritten(rawValue: 2)
    package static let exchanges = LimitsWritten(rawValue: 4)
    package static let shadows = LimitsWritten(rawValue: 8)
    package static let blocks = LimitsWritten(rawValue: 16)
}

/// Where access records go and how many of them.
package struct AccessLogConfig: Sendable, Hashable {
    /// Where records go.
    package enum Destination: Sendable, Hashable {
        /// No access log; the default.
        case none
        case standardOutput
        /// Appended to, created when missing, reopened on SIGUSR1.
        case file(path: String)
    }

    package var destination = Destination.none
    /// Share of ordinary exchanges that are logged, parts per million; failures always are.
    package var samplePPM: UInt32 = 1_000_000
}

/// One routed service.
package struct ModelConfig: Sendable, Equatable {
    package var name: String
    /// At least one; a request that meets any of them is this model's.
    package var matches: [RouteMatch]
    /// 1...`Limits.versionsPerModelMax`, in file order, names unique; a control arm's entry comes last.
    package var versions: [VersionConfig]
    /// Names one of `versions`.
    package var stable: String
    /// Versions under trial, all different, none of them stable; in file order. With a `source`, the one that
    /// it names.
    package var candidates: [String]
    /// The registry that names the candidate; nil: the file does.
    package var source: CandidateSource?
    /// The split as written, candidates only, parts per million, sum at most 1,000,000; stable has the rest.
    /// nil: the file names no weights and every candidate starts at 0.
    package var weights: [String: UInt32]?
    /// The first present key decides; empty: a random split.
    package var stickyKeys: [StickyKey]
    /// Seed of the rendezvous hash.
    package var salt: UInt64
    /// First match wins; names unique.
    package var cohorts: [CohortConfig]
    package var shadow: ShadowConfig?
    package var timeouts: Timeouts
    package var retries: RetryPlan
    /// Whether a candidate's failure before the first response byte is retried on stable.
    package var shield: Bool
    /// What it means that a client closes its side while its answer is due.
    package var clientHalfClose: ClientHalfClose
    /// Whether answers with 4xx are failures of their version.
    package var clientErrors: ClientErrors
    /// Whether responses carry `x-weir-version`, and `x-weir-id`.
    package var sendsVersion: Bool
    package var sendsID: Bool
    /// Whether responses carry `x-weir-epoch`.
    package var sendsEpoch: Bool
    /// Watched for every candidate; names unique. Defaults stand in where the file names none.
    package var guardrails: [GuardrailSpec]
    /// Chance of a false cut that the sequential guardrails of one rollout share.
    package var alpha: Double
    /// After a cut, the time during which no automation raises a weight.
    package var coolDown: Interval
    /// Numbers that are read out of sampled exchanges.
    package var values = ValuesConfig()
    /// Which exchanges are kept; nil: none.
    package var captures: CapturesConfig?
    /// In place of `weights`; names one of `candidates`. nil also while a `source` names no candidate.
    package var rollout: RolloutConfig?
    package var preflight: PreflightConfig?
    /// Where people find out what to do; part of notifications and reports.
    package var runbookURL: String?

    /// The version of that name.
    package func version(_ name: String) -> VersionConfig? { versions.first { $0.name == name } }
    /// Where that version stands in `versions`.
    package func index(of name: String) -> Int? { versions.firstIndex { $0.name == name } }

    /// The model's guardrails and those of its stages.
    package var allGuardrails: [GuardrailSpec] {
        guardrails + (rollout?.program.stages.flatMap(\.guardrails) ?? [])
    }

    /// The gates of all stages.
    package var allGates: [GateSpec] { rollout?.program.stages.flatMap(\.gates) ?? [] }

    /// What a version is to this model by the file: stable, its control arm, candidate, shadow, or nothing
    /// yet.
    package func role(of name: String) -> VersionRole? {
        if name == stable { return .stable }
        if candidates.contains(name) { return .candidate }
        if control?.version == name { return .control }
        return shadow?.version == name ? .shadow : nil
    }
}

/// What a version is to a model.
package enum VersionRole: String, Sendable, Hashable, Codable {
    case stable, candidate, shadow, control
}

/// One immutable release of a model.
package struct VersionConfig: Sendable, Equatable {
    package var name: String
    /// 1...`Limits.endpointsPerVersionMax`, resolved, all different.
    package var endpoints: [SocketAddress]
    package var rewrite: RewritePlan
    /// nil: endpoints are judged by real requests only.
    package var healthCheck: HealthCheckConfig?
    /// Requests in flight, over all cores.
    package var inFlightMax: Int
    /// Requests that may wait for a place, over all cores, and for how long.
    package var queueMax: Int
    package var queueTimeout: Interval
    package var ejection: EjectionPlan
    /// How long a returning endpoint's share ramps up.
    package var slowStart: Interval
    /// What the version says when it is asked who it is.
    package var identity: String
}

/// How an endpoint is asked whether it is well.
package struct HealthCheckConfig: Sendable, Hashable {
    /// Origin-form target of a GET.
    package var path: String
    /// Any of these statuses is healthy; ascending, not empty.
    package var statuses: [UInt16]
    package var interval: Interval
    /// At most `interval`.
    package var timeout: Interval
    /// Checks in a row that make an unhealthy endpoint healthy again, and a healthy one unhealthy.
    package var healthyThreshold: Int
    package var unhealthyThreshold: Int
}

/// Requests that a rule pins to a version before weights are looked at.
package struct CohortConfig: Sendable, Equatable {
    package var name: String
    /// All must hold; not empty.
    package var conditions: [Condition]
    /// Names one of the model's versions.
    package var version: String
}

/// A copy of requests to another version whose responses nobody gets.
package struct ShadowConfig: Sendable, Equatable {
    /// Names one of the model's versions, not stable.
    package var version: String
    /// Share of eligible requests, parts per million.
    package var ppm: UInt32
    /// All must hold; empty: every request is eligible.
    package var conditions: [Condition]
    /// Largest body copied.
    package var bodyBytesMax: Int
    /// Copies in flight, over all cores.
    package var inFlightMax: Int
    /// A copy older than this is given up.
    package var ageMax: Interval

    init(
        version: String, ppm: UInt32, conditions: [Condition] = [], bodyBytesMax: Int = 1 << 20,
        inFlightMax: Int = 256, ageMax: Interval = .seconds(10)
    ) {
        self.version = version
        self.ppm = ppm
        self.conditions = conditions
        self.bodyBytesMax = bodyBytesMax
        self.inFlightMax = inFlightMax
        self.ageMax = ageMax
    }
}

extension ModelConfig {
    /// Candidates whose fixed weight waits for `preflight`; a rollout waits by itself.
    package var candidatesToProve: [String] { preflight != nil && rollout == nil ? candidates : [] }
}

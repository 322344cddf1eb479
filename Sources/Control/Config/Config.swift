// What a config file says, after it has been validated whole: plain values that the rest of Control reads
// without asking again whether they make sense. Made by `ConfigLoader` only; `PlanBuilder` turns it into the
// plan that cores obey, `ConfigDiff` says what a reload would change. Every name that a value refers to
// exists, every address is resolved, every bound of `Limits` holds. The reference page is Configuration.md.

import Platform
import Proxy
import Rollout

/// One validated config file.
public struct Config: Sendable, Equatable {
    /// Where the admin API listens: loopback or a Unix socket.
    public var admin: SocketAddress
    /// Folder of the durable state; as every path here, from the folder of the config file on.
    public var stateDir: String
    /// At least one, all different.
    public var listeners: [SocketAddress]
    /// Event loops; nil: one per CPU that the process may use.
    public var cores: Int?
    /// Bounds of the data plane.
    public var limits: Limits
    /// Which of them the file writes: these are kept, or the start is refused (`ResourceLimits`).
    public var limitsWritten: LimitsWritten = []
    /// Peers whose forced versions and x-forwarded-for are believed.
    public var trusted: [AddressRange]
    public var accessLog: AccessLogConfig
    /// When journal files are closed, and how many are kept.
    public var journal: JournalConfig
    /// Sinks that are told of decisions, names unique, in file order.
    public var actions: [ActionConfig]
    public var feedback = FeedbackConfig()
    public var drain = DrainConfig()
    /// 1...`Limits.modelsMax`, in file order, names unique.
    public var models: [ModelConfig]
    /// No model is in two of them.
    public var groups: [GroupConfig] = []
    /// SHA-256 of the file's bytes, 64 lower-case hex digits.
    public var digest: String
    /// Files that the config names and that this machine does not have, where somebody looked: an error of
    /// `weir check`, a warning of a start and of a reload.
    public var absentFiles: [ConfigProblem] = []

    /// The model of that name.
    public func model(_ name: String) -> ModelConfig? { models.first { $0.name == name } }
}

/// The bounds of `limits` that a file writes itself, as far as that matters.
public struct LimitsWritten: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let downstreams = LimitsWritten(rawValue: 1)
    public static let upstreams = LimitsWritten(rawValue: 2)
    public static let exchanges = LimitsWritten(rawValue: 4)
    public static let shadows = LimitsWritten(rawValue: 8)
    public static let blocks = LimitsWritten(rawValue: 16)
}

/// Where access records go and how many of them.
public struct AccessLogConfig: Sendable, Hashable {
    /// Where records go.
    public enum Destination: Sendable, Hashable {
        /// No access log; the default.
        case none
        case standardOutput
        /// Appended to, created when missing, reopened on SIGUSR1.
        case file(path: String)
    }

    public var destination = Destination.none
    /// Share of ordinary exchanges that are logged, parts per million; failures always are.
    public var samplePPM: UInt32 = 1_000_000
}

/// One routed service.
public struct ModelConfig: Sendable, Equatable {
    public var name: String
    /// At least one; a request that meets any of them is this model's.
    public var matches: [RouteMatch]
    /// 1...`Limits.versionsPerModelMax`, in file order, names unique; a control arm's entry comes last.
    public var versions: [VersionConfig]
    /// Names one of `versions`.
    public var stable: String
    /// Versions under trial, all different, none of them stable; in file order. With a `source`, the one that
    /// it names.
    public var candidates: [String]
    /// The registry that names the candidate; nil: the file does.
    public var source: CandidateSource?
    /// The split as written, candidates only, parts per million, sum at most 1,000,000; stable has the rest.
    /// nil: the file names no weights and every candidate starts at 0.
    public var weights: [String: UInt32]?
    /// The first present key decides; empty: a random split.
    public var stickyKeys: [StickyKey]
    /// Seed of the rendezvous hash.
    public var salt: UInt64
    /// First match wins; names unique.
    public var cohorts: [CohortConfig]
    public var shadow: ShadowConfig?
    public var timeouts: Timeouts
    public var retries: RetryPlan
    /// Whether a candidate's failure before the first response byte is retried on stable.
    public var shield: Bool
    /// What it means that a client closes its side while its answer is due.
    public var clientHalfClose: ClientHalfClose
    /// Whether answers with 4xx are failures of their version.
    public var clientErrors: ClientErrors
    /// Whether responses carry `x-weir-version`, and `x-weir-id`.
    public var sendsVersion: Bool
    public var sendsID: Bool
    /// Whether responses carry `x-weir-epoch`.
    public var sendsEpoch: Bool
    /// Watched for every candidate; names unique. Defaults stand in where the file names none.
    public var guardrails: [GuardrailSpec]
    /// Chance of a false cut that the sequential guardrails of one rollout share.
    public var alpha: Double
    /// After a cut, the time during which no automation raises a weight.
    public var coolDown: Interval
    /// Numbers that are read out of sampled exchanges.
    public var values = ValuesConfig()
    /// Which exchanges are kept; nil: none.
    public var captures: CapturesConfig?
    /// In place of `weights`; names one of `candidates`. nil also while a `source` names no candidate.
    public var rollout: RolloutConfig?
    public var preflight: PreflightConfig?
    /// Where people find out what to do; part of notifications and reports.
    public var runbookURL: String?

    /// The version of that name.
    public func version(_ name: String) -> VersionConfig? { versions.first { $0.name == name } }
    /// Where that version stands in `versions`.
    public func index(of name: String) -> Int? { versions.firstIndex { $0.name == name } }

    /// The model's guardrails and those of its stages.
    package var allGuardrails: [GuardrailSpec] {
        guardrails + (rollout?.program.stages.flatMap(\.guardrails) ?? [])
    }

    /// The gates of all stages.
    var allGates: [GateSpec] { rollout?.program.stages.flatMap(\.gates) ?? [] }

    /// What a version is to this model by the file: stable, its control arm, candidate, shadow, or nothing
    /// yet.
    public func role(of name: String) -> VersionRole? {
        if name == stable { return .stable }
        if candidates.contains(name) { return .candidate }
        if control?.version == name { return .control }
        return shadow?.version == name ? .shadow : nil
    }
}

/// What a version is to a model.
public enum VersionRole: String, Sendable, Hashable, Codable {
    case stable, candidate, shadow, control
}

/// One immutable release of a model.
public struct VersionConfig: Sendable, Equatable {
    public var name: String
    /// 1...`Limits.endpointsPerVersionMax`, resolved, all different.
    public var endpoints: [SocketAddress]
    public var rewrite: RewritePlan
    /// nil: endpoints are judged by real requests only.
    public var healthCheck: HealthCheckConfig?
    /// Requests in flight, over all cores.
    public var inFlightMax: Int
    /// Requests that may wait for a place, over all cores, and for how long.
    public var queueMax: Int
    public var queueTimeout: Interval
    public var ejection: EjectionPlan
    /// How long a returning endpoint's share ramps up.
    public var slowStart: Interval
    /// What the version says when it is asked who it is.
    public var identity: String
}

/// How an endpoint is asked whether it is well.
public struct HealthCheckConfig: Sendable, Hashable {
    /// Origin-form target of a GET.
    public var path: String
    /// Any of these statuses is healthy; ascending, not empty.
    public var statuses: [UInt16]
    public var interval: Interval
    /// At most `interval`.
    public var timeout: Interval
    /// Checks in a row that make an unhealthy endpoint healthy again, and a healthy one unhealthy.
    public var healthyThreshold: Int
    public var unhealthyThreshold: Int
}

/// Requests that a rule pins to a version before weights are looked at.
public struct CohortConfig: Sendable, Equatable {
    public var name: String
    /// All must hold; not empty.
    public var conditions: [Condition]
    /// Names one of the model's versions.
    public var version: String
}

/// A copy of requests to another version whose responses nobody gets.
public struct ShadowConfig: Sendable, Equatable {
    /// Names one of the model's versions, not stable.
    public var version: String
    /// Share of eligible requests, parts per million.
    public var ppm: UInt32
    /// All must hold; empty: every request is eligible.
    public var conditions: [Condition]
    /// Largest body copied.
    public var bodyBytesMax: Int
    /// Copies in flight, over all cores.
    public var inFlightMax: Int
    /// A copy older than this is given up.
    public var ageMax: Interval

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

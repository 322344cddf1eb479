// A model's rollout as a value: everything that must survive a restart, and nothing else. Control saves it
// before it acts on it, and feeds it back to the machine after a crash.
// Invariant: weights name every version and sum to 1,000,000; a quarantined version has weight 0.

/// Where a model's rollout stands. Durable before visible: control writes it before it acts on it.
public struct RolloutState: Sendable, Hashable, Codable {
    /// Parts per million of the whole.
    public static let whole: UInt32 = 1_000_000

    public var phase: RolloutPhase
    /// As configured last.
    public var setup: RolloutSetup
    /// Parts per million in force, by version name.
    public var weights: [String: UInt32]
    /// Versions that no automation exposes again, by name.
    public var quarantined: [String: QuarantineRecord]
    /// Wall clock, microseconds since 1970: until then verbs that give weight need `force`.
    public var coolDownUntil: UInt64?
    public var recovery: RecoveryVerdict?
    /// Guardrails that have raised an alert and not fallen silent since, as "version/guardrail".
    public var alerts: [String]
    /// Cuts so far; the last one's number is part of its id.
    public var cutCount: Int
    /// Grows with every cut, promotion and change of weights.
    public var epoch: UInt64
}

/// What the configuration says about a model's rollout.
public struct RolloutSetup: Sendable, Hashable, Codable {
    public var stable: String
    /// In configured order; never holds `stable`.
    public var candidates: [String]
    /// Parts per million by version name, summing to 1,000,000; versions left out have 0.
    public var weights: [String: UInt32]
    /// After a cut, in microseconds.
    public var coolDownMicros: UInt64

    /// Weights are completed: what candidates do not have is stable's.
    /// Candidates' weights above 1,000,000 in total are a programming error.
    public init(stable: String, candidates: [String], weights: [String: UInt32], coolDownMicros: UInt64 = 0) {
        self.stable = stable
        self.candidates = candidates.filter { $0 != stable }
        self.coolDownMicros = coolDownMicros
        var left = RolloutState.whole
        var complete: [String: UInt32] = [:]
        for candidate in self.candidates {
            let weight = weights[candidate] ?? 0
            precondition(weight <= left, "candidates' weights exceed the whole")
            complete[candidate] = weight
            left -= weight
        }
        complete[stable] = left
        self.weights = complete
    }
}

/// The states of a rollout with fixed weights.
public enum RolloutPhase: Sendable, Hashable, Codable {
    /// Traffic is split by `weights`.
    case split
    /// As `split`, with no promotion by automation; guardrails run and cut all the same.
    case paused
    /// All weight is stable's, latched: only an operator's verb leaves it.
    case cut(CutRecord)
    /// The candidate has all weight, and is guarded; stable keeps warm at 0.
    case promoted(PromotionRecord)
}

/// Why and when traffic was taken back.
public struct CutRecord: Sendable, Hashable, Codable {
    /// "cut-1", "cut-2", …, unique within the model.
    public var id: String
    /// Wall clock, microseconds since 1970.
    public var wallMicros: UInt64
    /// The versions that were cut.
    public var versions: [String]
    /// The guardrail that tripped; nil for an operator's rollback.
    public var guardrail: String?
    /// "weir" or who called the verb.
    public var actor: String
    /// A sentence.
    public var reason: String
    /// The readings of the versions that were cut, at the tick of the trip.
    public var evidence: [GuardrailReading]
    /// Parts per million in force before, by version name.
    public var weightsBefore: [String: UInt32]

    public init(
        id: String, wallMicros: UInt64, versions: [String], guardrail: String?, actor: String, reason: String,
        evidence: [GuardrailReading], weightsBefore: [String: UInt32]
    ) {
        self.id = id
        self.wallMicros = wallMicros
        self.versions = versions
        self.guardrail = guardrail
        self.actor = actor
        self.reason = reason
        self.evidence = evidence
        self.weightsBefore = weightsBefore
    }
}

/// Which version was promoted, by whom and when.
public struct PromotionRecord: Sendable, Hashable, Codable {
    public var version: String
    public var wallMicros: UInt64
    public var actor: String
    public var reason: String

    public init(version: String, wallMicros: UInt64, actor: String, reason: String) {
        self.version = version
        self.wallMicros = wallMicros
        self.actor = actor
        self.reason = reason
    }
}

/// Why a version is barred.
public struct QuarantineRecord: Sendable, Hashable, Codable {
    /// The cut that barred it.
    public var cutID: String
    public var wallMicros: UInt64
    public var reason: String

    public init(cutID: String, wallMicros: UInt64, reason: String) {
        self.cutID = cutID
        self.wallMicros = wallMicros
        self.reason = reason
    }
}

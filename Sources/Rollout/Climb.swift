// How far a rollout has come, and what the journal is told about its steps. Part of `RolloutState`, so only
// what a restart must know: nothing here changes from tick to tick.
// Invariant: `visit` grows whenever evidence has to start anew, so that what was seen of one stage can never
// move a rollout out of another.

/// A candidate on its way through a program.
public struct Climb: Sendable, Hashable, Codable {
    /// Where it stands, or stood when it was paused, held or cut.
    public enum Place: Sendable, Hashable, Codable {
        /// Before the first stage.
        case before
        /// Index into the program's stages.
        case stage(Int)
        /// All weight but the hold-back share.
        case baking
    }

    /// "rollout-1", "rollout-2", …, unique within the model.
    public var id: String
    public var candidate: String
    /// 1, and one more with every `retry`. A new attempt has fresh evidence and a fresh assignment salt.
    public var attempt: Int
    public var place: Place
    /// Grows with every entry into a place; see `StageVisit`.
    public var visit: Int
    /// Whether `start` or `retry` was said, before the first stage.
    public var isStartOrdered: Bool
    /// When the first stage of this attempt began; wall clock, microseconds since 1970.
    public var startedMicros: UInt64?
    /// When its candidate was promoted, until another verb gives it a place again; nil before.
    public var promotedMicros: UInt64?
    /// When the place was entered.
    public var enteredMicros: UInt64
    /// From when the deadline counts, by the steady clock: the start, or a later `resume`.
    public var deadlineFromMicros: UInt64?
    /// Whether the stage in force was approved.
    public var isApproved: Bool
    /// Guardrails that held the rollout and that an operator has resumed over, sorted; until they pass.
    public var acknowledged: [String]
    /// Why this attempt's control arm was withdrawn; nil while it stands.
    public var controlWithdrawn: ControlRecord?

    init(id: String, candidate: String, enteredMicros: UInt64) {
        self.id = id
        self.candidate = candidate
        self.enteredMicros = enteredMicros
        attempt = 1
        place = .before
        visit = 1
        isStartOrdered = false
        isApproved = false
        acknowledged = []
    }

    /// What readings of the stage in force have to carry.
    public var stageVisit: StageVisit { StageVisit(rollout: id, number: visit) }
}

/// When and why a control arm gave its traffic back to the rest of stable.
public struct ControlRecord: Sendable, Hashable, Codable {
    /// The arm's name among the versions.
    public var version: String
    /// Wall clock, microseconds since 1970.
    public var wallMicros: UInt64
    /// The rule that it broke beside the rest of stable, by name.
    public var guardrail: String
    /// A sentence.
    public var reason: String
}

/// One entry into one place of one rollout: evidence belongs to it and to no other.
public struct StageVisit: Sendable, Hashable, Codable {
    public var rollout: String
    public var number: Int

    public init(rollout: String, number: Int) {
        self.rollout = rollout
        self.number = number
    }
}

/// Why a rollout stands still until an operator says `resume`.
public struct HoldRecord: Sendable, Hashable, Codable {
    /// What stopped it.
    public enum Cause: Sendable, Hashable, Codable {
        /// The verb `hold`, or weights set by hand.
        case operatorsVerb
        /// Guardrails whose action is `hold`, by name.
        case guardrails([String])
        case deadline
        /// The configured end of the experiment.
        case experimentEnded
        /// The stage is gone from the configuration.
        case configuration
        /// A program that only shows what it would do has nothing left to show.
        case dryRunEnded
    }

    public var cause: Cause
    /// Wall clock, microseconds since 1970.
    public var wallMicros: UInt64
    public var actor: String
    /// A sentence.
    public var reason: String

    public init(cause: Cause, wallMicros: UInt64, actor: String, reason: String) {
        self.cause = cause
        self.wallMicros = wallMicros
        self.actor = actor
        self.reason = reason
    }
}

/// A place entered, for the journal.
public struct StageRecord: Sendable, Hashable, Codable {
    public var climb: Climb
    /// Stages of the program.
    public var stages: Int
    /// The candidate's weight and shadow from now on, in parts per million.
    public var weightPPM: UInt32
    public var shadowPPM: UInt32
    public var actor: String
    /// A sentence.
    public var reason: String
    /// What was seen of the place that was left; nil where nothing had to be.
    public var evidence: StageReading?
}

/// How an experiment stood when its end came.
public struct ExperimentRecord: Sendable, Hashable, Codable {
    public var climb: Climb
    /// By version name.
    public var weights: [VersionWeight]
    /// What was seen of the last stage.
    public var stage: StageReading?
    /// The candidate's guardrails.
    public var readings: [GuardrailReading]
}

/// What would have happened without a dry run; journaled once per trip or step.
public struct WouldHaveRecord: Sendable, Hashable, Codable {
    /// The act that was left out.
    public enum What: String, Sendable, Hashable, Codable {
        case cut, hold, alert, stage, bake, promote
    }

    public var what: What
    public var version: String
    /// A sentence.
    public var reason: String
    /// The guardrail's, for a cut or a hold.
    public var reading: GuardrailReading?

    public init(what: What, version: String, reason: String, reading: GuardrailReading? = nil) {
        self.what = what
        self.version = version
        self.reason = reason
        self.reading = reading
    }
}

// What goes into the rollout machine and what comes out of it: verbs, evidence and configurations in,
// actions and events out. Values only; control turns actions into plans, bars and journal lines.
// Invariant: the actions of a step are to be carried out in their order.

import Metrics

/// What an operator can ask for.
public enum RolloutVerb: Sendable, Hashable, Codable {
    /// Cuts `version`, or every candidate when nil.
    case rollback(version: String?)
    /// Gives all weight to `version`, or to the only candidate when nil. The candidate of a program goes
    /// through its bake, except by force.
    case promote(version: String?)
    case pause
    /// Leaves `paused`, `held` or `cut`, with the configured weights of versions that are not quarantined.
    case resume
    /// Parts per million by candidate; the rest is stable's.
    case weights([String: UInt32])
    /// Lifts the bar on a version; its weight stays as it is.
    case unquarantine(version: String)
    /// Lets a program begin, as soon as its conditions allow; at once by force.
    case start
    /// Gives the approval that the stage in force asks for.
    case approve
    /// Goes on to the next stage now, without the conditions of this one.
    case skip
    /// After a cut: the program's candidate from its first stage again, with fresh evidence.
    case retry
    /// Keeps the weights as they are until `resume`.
    case hold

    /// The verb's word in the CLI, the admin API and the journal.
    public var word: String {
        switch self {
        case .rollback: "rollback"
        case .promote: "promote"
        case .pause: "pause"
        case .resume: "resume"
        case .weights: "weights"
        case .unquarantine: "unquarantine"
        case .start: "start"
        case .approve: "approve"
        case .skip: "skip"
        case .retry: "retry"
        case .hold: "hold"
        }
    }
}

/// A verb with who asked and why.
public struct VerbRequest: Sendable, Hashable, Codable {
    public var verb: RolloutVerb
    public var actor: String
    public var reason: String
    /// Overrides a quarantine, a cool-down, or the conditions of a step.
    public var force: Bool

    /// The actor of what Weir does by itself; those of operators say where their connection is from.
    public static let weir = "weir"

    public init(verb: RolloutVerb, actor: String, reason: String, force: Bool = false) {
        self.verb = verb
        self.actor = actor
        self.reason = reason
        self.force = force
    }
}

/// The readings of one version at a tick.
public struct VersionReadings: Sendable, Hashable {
    public var version: String
    public var readings: [GuardrailReading]

    public init(version: String, readings: [GuardrailReading]) {
        self.version = version
        self.readings = readings
    }
}

/// What the machine reacts to.
public enum RolloutInput: Sendable, Hashable {
    /// A tick's evidence: the readings of every watched version, and of the recovery check if one runs.
    /// With a program also what was seen of the stage in force, and the conditions of the moment.
    case tick(
        [VersionReadings], recovery: RecoveryReading?, stage: StageReading? = nil,
        conditions: RolloutConditions = RolloutConditions())
    case verb(VerbRequest)
    /// The control arm `version` is worse than the rest of stable.
    case controlFailed(version: String, reading: GuardrailReading)
    /// A configuration was loaded, at start-up too.
    case configured(RolloutSetup)
}

/// What control has to do, in this order.
public enum RolloutAction: Sendable, Hashable {
    /// Bar these versions on every core before the next assignment.
    case cut([String])
    /// Lift the bar, after a plan with the new weights is obeyed.
    case clearCut([String])
    /// Publish a plan with these weights, sorted by version name, and the state's quarantine.
    case setWeights([VersionWeight])
    /// Copy that share of stable's requests to that version; nil: the program wants no copies any more.
    case setShadow(VersionWeight?)
    /// Start a `RecoveryWatch`; a running one is dropped.
    case startRecovery
    /// Drop a running `RecoveryWatch`.
    case endRecovery
    case journal(RolloutEvent)
    /// The answer to the verb.
    case answer(VerbAnswer)
}

/// One version's share of traffic.
public struct VersionWeight: Sendable, Hashable, Codable {
    public var version: String
    public var ppm: UInt32

    public init(version: String, ppm: UInt32) {
        self.version = version
        self.ppm = ppm
    }
}

/// What the machine says to a verb.
public enum VerbAnswer: Sendable, Hashable, Codable {
    /// Done, or already so; with a sentence.
    case accepted(String)
    /// Nothing was changed; the sentence says why, and what to do.
    case refused(String)
}

/// What happened, for the journal.
public enum RolloutEvent: Sendable, Hashable, Codable {
    case configured(RolloutSetup)
    /// A verb with its answer.
    case verb(VerbRequest, VerbAnswer)
    case cut(CutRecord)
    case promoted(PromotionRecord)
    /// Weights were set by the verb.
    case weights([VersionWeight], actor: String, reason: String)
    /// A guardrail whose action is `alert` tripped.
    case alert(version: String, reading: GuardrailReading)
    /// A guardrail that would cut or hold tripped where automation only alerts; the sentence says why.
    case alertInstead(version: String, reading: GuardrailReading, because: String)
    /// A stage of a program was entered.
    case stage(StageRecord)
    /// The bake was entered.
    case baking(StageRecord)
    /// The rollout stands still until an operator's verb.
    case held(HoldRecord, Climb)
    /// An experiment came to its configured end: its report.
    case experimentEnded(ExperimentRecord)
    /// What a dry run would have done.
    case wouldHave(WouldHaveRecord)
    /// The control arm was withdrawn; the reading compares it with the rest of stable.
    case controlWithdrawn(ControlRecord, GuardrailReading)
    /// The recovery check of a cut has ended.
    case recovery(cutID: String, RecoveryReading)
    /// The configuration asks for what the state forbids; the sentence says what was done instead.
    case overruled(String)

    /// The event's word in the journal.
    public var kind: String {
        switch self {
        case .configured: "configured"
        case .verb: "verb"
        case .cut: "cut"
        case .promoted: "promoted"
        case .weights: "weights"
        case .alert, .alertInstead: "alert"
        case .stage: "stage"
        case .baking: "baking"
        case .held: "held"
        case .experimentEnded: "experiment_ended"
        case .wouldHave: "would_have"
        case .controlWithdrawn: "control"
        case .recovery: "recovery"
        case .overruled: "overruled"
        }
    }
}

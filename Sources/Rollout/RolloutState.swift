// A model's rollout as a value: everything that must survive a restart, and nothing else. Control saves it
// before it acts on it, and feeds it back to the machine after a crash. States saved before a member existed
// still load.
// Invariant: weights name every version and sum to 1,000,000; a quarantined version has neither weight nor
// shadow; `climb` is nil exactly when the setup has no program.

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
    /// Steady clock, microseconds: until then verbs that give weight need `force`.
    public var coolDownUntil: UInt64?
    public var recovery: RecoveryVerdict?
    /// Guardrails that have raised an alert and not fallen silent since, as "version/guardrail".
    public var alerts: [String]
    /// Cuts so far; the last one's number is part of its id.
    public var cutCount: Int
    /// Grows with every cut, promotion and change of weights.
    public var epoch: UInt64
    /// How far the rollout of the setup's program has come, in every phase; nil without a program.
    public var climb: Climb?
    /// Rollouts so far; the last one's number is part of its id.
    public var rolloutCount: Int = 0
    /// The version that gets copies of requests, and their share; nil: none by a program.
    public var shadow: VersionWeight?
    /// How often each version was cut.
    public var cutsByVersion: [String: Int] = [:]
}

extension RolloutState {
    /// Members that came later have defaults; a quarantined version has been cut at least once.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        phase = try values.decode(RolloutPhase.self, forKey: .phase)
        setup = try values.decode(RolloutSetup.self, forKey: .setup)
        weights = try values.decode([String: UInt32].self, forKey: .weights)
        quarantined = try values.decode([String: QuarantineRecord].self, forKey: .quarantined)
        coolDownUntil = try values.decodeIfPresent(UInt64.self, forKey: .coolDownUntil)
        recovery = try values.decodeIfPresent(RecoveryVerdict.self, forKey: .recovery)
        alerts = try values.decode([String].self, forKey: .alerts)
        cutCount = try values.decode(Int.self, forKey: .cutCount)
        epoch = try values.decode(UInt64.self, forKey: .epoch)
        climb = try values.decodeIfPresent(Climb.self, forKey: .climb)
        rolloutCount = try values.decodeIfPresent(Int.self, forKey: .rolloutCount) ?? 0
        shadow = try values.decodeIfPresent(VersionWeight.self, forKey: .shadow)
        let counted = try values.decodeIfPresent([String: Int].self, forKey: .cutsByVersion)
        cutsByVersion = counted ?? quarantined.mapValues { _ in 1 }
    }

    /// Whether verbs that give weight still need `force`.
    public func isCoolingDown(steadyMicros: UInt64) -> Bool {
        coolDownUntil.map { steadyMicros < $0 } ?? false
    }

    /// Carries the durations under way over to another steady clock, as that of another process: each goes on
    /// with what was left of it. No cool-down is longer than the configured one.
    /// - Parameters:
    ///   - old: the clock that the state was kept by, at this moment.
    ///   - new: the clock that it is kept by from now on, at this moment.
    public mutating func move(fromSteadyMicros old: UInt64, to new: UInt64) {
        func moved(_ instant: UInt64) -> UInt64 {
            if instant >= old { return new.saturatingAdd(instant - old) }
            return new > old - instant ? new - (old - instant) : 0
        }
        coolDownUntil = coolDownUntil.map { min(moved($0), new.saturatingAdd(setup.coolDownMicros)) }
        if let from = climb?.deadlineFromMicros { climb?.deadlineFromMicros = moved(from) }
        if case .promoted(var record) = phase {
            record.steadyMicros = moved(record.steadyMicros ?? record.wallMicros)
            phase = .promoted(record)
        }
    }

    /// The program and the stage that the rollout stands in, also while it is paused or held; nil before the
    /// first stage, while baking, and after a cut or a promotion.
    public var stageInForce: RolloutStage? {
        switch phase {
        case .split, .waiting, .baking, .cut, .promoted: return nil
        case .stage, .paused, .held:
            guard let program = setup.program, case .stage(let i)? = climb?.place,
                program.stages.indices.contains(i)
            else { return nil }
            return program.stages[i]
        }
    }
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
    /// nil: the weights are fixed.
    public var program: RolloutProgram?

    /// Weights are completed: what candidates do not have is stable's.
    /// Candidates' weights above 1,000,000 in total, and a program that has a `problem` or whose candidate is
    /// none of `candidates`, are programming errors. With a program that is no dry run the weights are not
    /// looked at.
    public init(
        stable: String, candidates: [String], weights: [String: UInt32], coolDownMicros: UInt64 = 0,
        program: RolloutProgram? = nil
    ) {
        self.stable = stable
        self.candidates = candidates.filter { $0 != stable }
        self.coolDownMicros = coolDownMicros
        self.program = program
        if let program {
            precondition(self.candidates.contains(program.candidate), "the program's candidate is unknown")
            precondition(program.problem == nil, program.problem ?? "")
        }
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

/// The states of a rollout. `split` belongs to fixed weights; `waiting`, `stage`, `baking` and `held` to a
/// program, whose place stands in `RolloutState.climb`.
public enum RolloutPhase: Sendable, Hashable, Codable {
    /// Traffic is split by `weights`.
    case split
    /// Nothing is promoted by automation; guardrails run and cut all the same.
    case paused
    /// A program has not begun: no start was ordered, or something forbids it.
    case waiting
    /// In the stage that the climb names.
    case stage
    /// The candidate has all weight but the hold-back share, and is watched.
    case baking
    /// The weights stay until an operator's verb; guardrails run and cut all the same.
    case held(HoldRecord)
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
    /// What withheld weight interrupted; nil for cuts.
    public internal(set) var interrupted: Interrupted?

    /// What stood before weight was withheld, as far as a resume brings it back.
    public struct Interrupted: Sendable, Hashable, Codable {
        /// The promotion in force.
        public var promotion: PromotionRecord?
        /// The weights that were configured then.
        public var configured: [String: UInt32]
    }

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
    /// The same moment by the steady clock; nil in states saved before it was kept.
    public var steadyMicros: UInt64?
    public var actor: String
    public var reason: String

    public init(
        version: String, wallMicros: UInt64, steadyMicros: UInt64? = nil, actor: String, reason: String
    ) {
        self.version = version
        self.wallMicros = wallMicros
        self.steadyMicros = steadyMicros
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

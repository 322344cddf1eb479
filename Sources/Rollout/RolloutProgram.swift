// What `rollout:` in a configuration says, in numbers: the stages a candidate has to walk through, and what
// has to be true before each step. Values only; `RolloutMachine` walks, this says where to.
// Invariant: a program without a `problem` has at least one stage, its weights never fall, and only its last
// stage may have all weight.
// Source: the design's words stage, hold, bake, promote and approve.

/// The way of one candidate to all traffic, or to a fixed share of it.
public struct RolloutProgram: Sendable, Hashable, Codable {
    public var candidate: String
    /// Whether the first stage begins as soon as it may; false: only after the verb `start`.
    public var startsByItself: Bool
    /// Not empty.
    public var stages: [RolloutStage]
    /// How long the candidate is watched at (nearly) all weight before it is promoted; 0: not at all.
    public var bakeMicros: UInt64
    /// Stable's share while baking, in parts per million, so that there is something to compare with.
    public var holdBackPPM: UInt32
    /// Since the start of the rollout, by the wall clock: then it is held, never promoted unproven.
    public var deadlineMicros: UInt64?
    /// Wall clock, microseconds since 1970: the end of an experiment, with a report. The split stays.
    public var endsAtMicros: UInt64?
    /// How long after the promotion automation may still cut; later trips only alert. nil: always.
    public var rollbackWindowMicros: UInt64?
    /// Weights never move; what would have been done is journaled.
    public var isDryRun: Bool

    public init(
        candidate: String, startsByItself: Bool = true, stages: [RolloutStage], bakeMicros: UInt64 = 0,
        holdBackPPM: UInt32 = 0, deadlineMicros: UInt64? = nil, endsAtMicros: UInt64? = nil,
        rollbackWindowMicros: UInt64? = nil, isDryRun: Bool = false
    ) {
        self.candidate = candidate
        self.startsByItself = startsByItself
        self.stages = stages
        self.bakeMicros = bakeMicros
        self.holdBackPPM = holdBackPPM
        self.deadlineMicros = deadlineMicros
        self.endsAtMicros = endsAtMicros
        self.rollbackWindowMicros = rollbackWindowMicros
        self.isDryRun = isDryRun
    }

    /// What is impossible about this program, as a sentence; nil when it can be walked.
    public var problem: String? { impossibility?.what }

    /// The same, with what was expected instead.
    public var impossibility: (what: String, expected: String)? {
        let rising = "weights that rise, 100% at most once and last"
        guard let last = stages.last else { return ("a rollout needs at least one stage", "a stage") }
        for (i, stage) in stages.enumerated() {
            let name = "stage \(i + 1)"
            if stage.weightPPM > RolloutState.whole || stage.shadowPPM > RolloutState.whole {
                return ("\(name) asks for more than 100 %", "100% at most")
            }
            if stage.weightPPM == 0, stage.shadowPPM == 0 {
                return (
                    "\(name) has neither weight nor shadow: nothing could be learnt in it",
                    "a weight, or a shadow for a stage without users"
                )
            }
            if i > 0, stage.weightPPM < stages[i - 1].weightPPM {
                return ("\(name) has less weight than the stage before it", rising)
            }
            if i < stages.count - 1, stage.weightPPM == RolloutState.whole {
                return ("\(name) has 100 % and is not the last one", rising)
            }
            if stage.minRequests < 0 || stage.minKeys < 0 {
                return ("\(name) has a negative minimum", "0 or more")
            }
            let problems = stage.gates.compactMap(\.problem) + stage.guardrails.compactMap(\.problem)
            if let problem = problems.first { return ("\(name): \(problem)", "another rule") }
            if Set(stage.gates.map(\.name)).count < stage.gates.count {
                return ("\(name) has two gates of one name", "a `name` of its own for each gate")
            }
        }
        if holdBackPPM >= RolloutState.whole {
            return ("hold_back leaves the candidate nothing", "a share below 100%")
        }
        if last.weightPPM < RolloutState.whole, bakeMicros > 0 || holdBackPPM > 0 {
            return (
                "bake and hold_back need a last stage of 100 %",
                "a last stage with a weight of 100%, or neither of the two"
            )
        }
        if bakeMicros == 0, holdBackPPM > 0 {
            return (
                "hold_back is stable's share in a bake, and there is none",
                "`bake` with a duration, or no hold_back"
            )
        }
        return nil
    }

    /// Whether the stages end with all weight; else the last one is an experiment that stays.
    public var endsWhole: Bool { stages.last?.weightPPM == RolloutState.whole }

    /// The least time from the start of the rollout to the end of its last hold and of its bake.
    public var leastMicros: UInt64 {
        stages.reduce(bakeMicros) { $0.saturatingAdd($1.holdMicros) }
    }

    /// Whether the configured end of the experiment has come.
    public func isOver(at wallMicros: UInt64) -> Bool { endsAtMicros.map { wallMicros >= $0 } ?? false }
}

/// One step of the way.
public struct RolloutStage: Sendable, Hashable, Codable {
    /// The candidate's share, in parts per million; 0 only for a shadow stage.
    public var weightPPM: UInt32
    /// The least time in the stage.
    public var holdMicros: UInt64
    /// Settled requests of the candidate, in this stage.
    public var minRequests: Int
    /// Different sticky keys of the candidate, in this stage.
    public var minKeys: Int
    /// Whether an operator has to `approve` the stage before it is left.
    public var needsApproval: Bool
    /// Share of stable's requests that are copied to the candidate, in parts per million; 0: none.
    public var shadowPPM: UInt32
    /// All of them must pass before the stage is left.
    public var gates: [GateSpec]
    /// In force beside the model's own while in this stage.
    public var guardrails: [GuardrailSpec]

    public init(
        weightPPM: UInt32, holdMicros: UInt64 = 0, minRequests: Int = 0, minKeys: Int = 0,
        needsApproval: Bool = false, shadowPPM: UInt32 = 0, gates: [GateSpec] = [],
        guardrails: [GuardrailSpec] = []
    ) {
        self.weightPPM = weightPPM
        self.holdMicros = holdMicros
        self.minRequests = minRequests
        self.minKeys = minKeys
        self.needsApproval = needsApproval
        self.shadowPPM = shadowPPM
        self.gates = gates
        self.guardrails = guardrails
    }
}

// What a step of the rollout machine is told about the stage in force and about the world. Time and counts
// come in here and not through the state, which is written to the disk whenever it changes.
// Invariant: a reading belongs to one `StageVisit`; the machine takes no other for evidence.

/// What has been seen of the stage in force.
public struct StageReading: Sendable, Hashable, Codable {
    public var visit: StageVisit
    /// Monotonic time in the stage while it was watched: a stopped process does not count.
    public var watchedMicros: UInt64
    /// Settled requests of the candidate: randomised ones, or copies in a shadow stage.
    public var requests: Int
    /// Different sticky keys of the candidate; an estimate.
    public var keys: Int
    /// One for each gate of the stage, in its order.
    public var gates: [GateReading]

    public init(
        visit: StageVisit, watchedMicros: UInt64, requests: Int, keys: Int, gates: [GateReading] = []
    ) {
        self.visit = visit
        self.watchedMicros = watchedMicros
        self.requests = requests
        self.keys = keys
        self.gates = gates
    }
}

/// Facts from outside that a step may need.
public struct RolloutConditions: Sendable, Hashable {
    /// The name of the blackout window in force; nil: none. Nothing is promoted in one.
    public var blackout: String?
    /// Whether automation only alerts in that window, and cuts nothing.
    public var blackoutAlertsOnly: Bool
    public var preflight: PreflightReading
    /// What is known of a reading that is unknown; empty: nothing.
    public var preflightReason: String
    /// Whether stable can take the users of a version that is cut.
    public var stable: StableUse
    /// Candidates that users reach without any weight: by a cohort, or because a caller asks for them.
    public var reached: Set<String>
    /// What stands in the way of models that must move with this one; see `RolloutGroup`.
    public var others: [RolloutBlocker]

    public init(
        blackout: String? = nil, blackoutAlertsOnly: Bool = false, preflight: PreflightReading = .unknown,
        preflightReason: String = "", others: [RolloutBlocker] = [], stable: StableUse = .usable,
        reached: Set<String> = []
    ) {
        self.others = others
        self.stable = stable
        self.reached = reached
        self.blackout = blackout
        self.blackoutAlertsOnly = blackoutAlertsOnly
        self.preflight = preflight
        self.preflightReason = preflightReason
    }
}

/// Whether stable can take users, as far as its health checks and requests that were sent again to it say.
public enum StableUse: Sendable, Hashable {
    /// An endpoint passes its checks, or nobody checks them.
    case usable
    /// It is checked, but its checks have not decided yet since the start or the reload.
    case undecided
    /// Every endpoint fails its checks: traffic that is moved to stable is lost.
    case down
    /// Shielded requests do not reach it, and it has answered nothing since they began not to.
    case unreached

    /// Whether it is known that it cannot take users.
    public var isGone: Bool { self == .down || self == .unreached }
}

/// What the checks before the first percent say, and say again while the candidate has traffic.
public enum PreflightReading: Sendable, Hashable {
    /// Not answered: holds a start, and is no reason to cut.
    case unknown
    case passed
    /// Proof that the candidate is not what it claims; with a sentence. Holds a start, and cuts later.
    case failed(String)
}

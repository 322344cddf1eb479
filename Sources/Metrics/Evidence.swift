// What the evidence ring gives to its readers: plain counts of one tick, which add up over cores and over
// processes. The contract they fulfil is that of sequential tests fed in order of start: a request belongs
// to the tick in which it was assigned, and stays there however late its outcome comes.

/// Counts of one arm over requests that started in one tick.
///
/// `completed - failed - excluded` ended well; `fast0...fast2` of those were within the three thresholds.
/// `started - completed` are pending.
public struct ArmCounts: Sendable, Hashable {
    /// Requests assigned.
    public var started: UInt32
    /// Requests with an outcome, failed and excluded ones included.
    public var completed: UInt32
    /// Outcomes that are the version's fault (`Outcome.isFailure`); never fast.
    public var failed: UInt32
    /// Outcomes that say nothing (`Outcome.isExcluded`); they leave numerator and denominator.
    public var excluded: UInt32
    /// Requests that ended well within threshold 0, 1, 2.
    public var fast0: UInt32
    public var fast1: UInt32
    public var fast2: UInt32

    public init(
        started: UInt32 = 0, completed: UInt32 = 0, failed: UInt32 = 0, excluded: UInt32 = 0,
        fast0: UInt32 = 0, fast1: UInt32 = 0, fast2: UInt32 = 0
    ) {
        self.started = started
        self.completed = completed
        self.failed = failed
        self.excluded = excluded
        self.fast0 = fast0
        self.fast1 = fast1
        self.fast2 = fast2
    }

    /// Requests without an outcome yet.
    public var pending: UInt32 { started &- completed }
    /// Requests that count, with an outcome or without one: the denominator.
    public var counted: UInt32 { started &- excluded }

    /// Requests within threshold `index`, 0...2.
    public func fast(_ index: Int) -> UInt32 {
        switch index {
        case 0: fast0
        case 1: fast1
        default: fast2
        }
    }

    /// Adds another core's counts of the same tick.
    public static func += (a: inout ArmCounts, b: ArmCounts) {
        a.started &+= b.started
        a.completed &+= b.completed
        a.failed &+= b.failed
        a.excluded &+= b.excluded
        a.fast0 &+= b.fast0
        a.fast1 &+= b.fast1
        a.fast2 &+= b.fast2
    }
}

/// One version's evidence of one tick.
public struct EvidenceBucket: Sendable, Hashable {
    public var tick: Tick
    /// The version's own weight while the tick's requests were assigned, in parts per million;
    /// `EvidenceBucket.mixed` when it changed inside the tick.
    public var weightPPM: UInt32
    /// The latency thresholds in force when the tick's bucket opened, in microseconds; 0: none set.
    public var thresholds: SIMD3<UInt32>
    /// Requests whose version was a random or hashed choice: the ones that tests may compare.
    public var randomised: ArmCounts
    /// Requests pinned to the version by a cohort or a forced version.
    public var pinned: ArmCounts

    /// `weightPPM` of a tick with more than one weight.
    public static let mixed = UInt32.max

    public init(
        tick: Tick, weightPPM: UInt32, thresholds: SIMD3<UInt32> = .zero, randomised: ArmCounts = ArmCounts(),
        pinned: ArmCounts = ArmCounts()
    ) {
        self.tick = tick
        self.weightPPM = weightPPM
        self.thresholds = thresholds
        self.randomised = randomised
        self.pinned = pinned
    }

    /// Adds another core's bucket of the same tick: counts add up; weights or thresholds that differ are
    /// mixed, respectively unset.
    public mutating func add(_ other: EvidenceBucket) {
        precondition(tick == other.tick, "buckets of one tick add up")
        if weightPPM != other.weightPPM { weightPPM = Self.mixed }
        thresholds.replace(with: 0, where: thresholds .!= other.thresholds)
        randomised += other.randomised
        pinned += other.pinned
    }
}

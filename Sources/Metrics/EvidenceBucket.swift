// What the evidence ring gives to its readers: plain counts of one tick, which add up over cores and over
// processes. The contract they fulfil is that of sequential tests fed in order of start: a request belongs
// to the tick in which it was assigned, and stays there however late its outcome comes.
// Source: guardrails/statistics.md, section 2.

/// One version's evidence of one tick.
public struct EvidenceBucket: Sendable, Hashable {
    public var tick: Tick
    /// The version's own weight while the tick's requests were assigned, in parts per million;
    /// `EvidenceBucket.mixed` when it changed inside the tick.
    public var weightPPM: UInt32
    /// The latency thresholds in force when the tick's bucket opened, in microseconds, by fast slot
    /// (`ArmCounts.fastSlots`; the two lanes beyond are 0); 0: none set.
    public var thresholds: SIMD8<UInt32>
    /// Requests whose version was a random or hashed choice: the ones that tests may compare.
    public var randomised: ArmCounts
    /// Requests pinned to the version by a cohort or a forced version.
    public var pinned: ArmCounts
    /// Of stable the requests that were copied to a version without weight, of that version the copies: one
    /// of either per pair, in the same tick.
    public var copied: ArmCounts

    /// `weightPPM` of a tick with more than one weight.
    public static let mixed = UInt32.max

    public init(
        tick: Tick, weightPPM: UInt32, thresholds: SIMD8<UInt32> = .zero, randomised: ArmCounts = ArmCounts(),
        pinned: ArmCounts = ArmCounts(), copied: ArmCounts = ArmCounts()
    ) {
        self.tick = tick
        self.weightPPM = weightPPM
        self.thresholds = thresholds
        self.randomised = randomised
        self.pinned = pinned
        self.copied = copied
    }

    /// Adds another core's bucket of the same tick: counts add up; weights or thresholds that differ are
    /// mixed, respectively unset.
    public mutating func add(_ other: EvidenceBucket) {
        precondition(tick == other.tick, "buckets of one tick add up")
        if weightPPM != other.weightPPM { weightPPM = Self.mixed }
        thresholds.replace(with: 0, where: thresholds .!= other.thresholds)
        randomised += other.randomised
        pinned += other.pinned
        copied += other.copied
    }
}

// What a watch is fed with: the counts of a candidate and of stable, by the tick in which their requests
// started. Control sums the cores' evidence rings into these values; nothing here knows a ring or a core.
// Invariant: counts belong to the version assigned, whoever answered in the end.
// Source: guardrails/statistics.md, section 2.

import Metrics

/// One version's requests of one tick.
public struct ArmTick: Sendable, Hashable {
    /// Requests that the random split assigned: evidence for candidate against stable.
    public var randomised: ArmCounts
    /// Requests that a cohort or a caller pinned to the version: evidence for absolute rules only, because
    /// who is in a cohort is no coin.
    public var pinned: ArmCounts
    /// Of stable the requests that were copied to a candidate without weight, of the candidate the copies:
    /// pairs, each side of which was settled by itself.
    public var copied: ArmCounts
    /// The latency thresholds that the fast slots were counted by, in microseconds; 0 where cores differed
    /// or none was set.
    public var thresholds: SIMD8<UInt32>

    public init(
        randomised: ArmCounts = ArmCounts(), pinned: ArmCounts = ArmCounts(),
        copied: ArmCounts = ArmCounts(), thresholds: SIMD8<UInt32> = .zero
    ) {
        self.randomised = randomised
        self.pinned = pinned
        self.copied = copied
        self.thresholds = thresholds
    }

    /// The evidence of a tick, summed over cores; nil when no request started in it.
    public init(_ bucket: EvidenceBucket?) {
        self.init()
        guard let bucket else { return }
        (randomised, pinned, copied) = (bucket.randomised, bucket.pinned, bucket.copied)
        thresholds = bucket.thresholds
    }

    /// All requests of the version's users.
    public var all: ArmCounts {
        var sum = randomised
        sum += pinned
        return sum
    }
}

/// The weights of a candidate and of stable that were in force for a whole tick, on every core.
public struct PairSplit: Sendable, Hashable, Codable {
    /// Parts per million of the model's traffic.
    public var candidatePPM: UInt32
    public var stablePPM: UInt32
    /// Whether "stable" is its control arm. Not saved.
    public private(set) var isAgainstControl = false

    private enum CodingKeys: String, CodingKey {
        case candidatePPM, stablePPM
    }

    public init(candidatePPM: UInt32, stablePPM: UInt32, isAgainstControl: Bool = false) {
        self.candidatePPM = candidatePPM
        self.stablePPM = stablePPM
        self.isAgainstControl = isAgainstControl
    }

    /// The candidate's share of the pair's randomised requests, in 1e-6...1-1e-6; nil when one of the two
    /// has no weight, so that there is nothing to compare.
    public var share: Double? {
        guard candidatePPM > 0, stablePPM > 0 else { return nil }
        let share = Double(candidatePPM) / (Double(candidatePPM) + Double(stablePPM))
        return min(max(share, 1e-6), 1 - 1e-6)
    }
}

/// One tick of a candidate beside the same tick of stable, summed over cores.
public struct PairTick: Sendable, Hashable {
    public var tick: Tick
    /// Nil when weights changed inside the tick or differed between cores: such a tick is dropped in both
    /// arms. To be known from what was published and obeyed, never from which buckets exist: a version has
    /// no bucket in a tick in which it got no request, and leaving such ticks out would count stable's
    /// failures only where the candidate was present, which makes a rare candidate look worse than it is.
    public var split: PairSplit?
    public var candidate: ArmTick
    public var stable: ArmTick
    /// Answers of stable, in this tick, to requests that the candidate had failed: they say how stable did at
    /// the candidate's bad moments, also where it has no traffic of its own.
    public var rescued = 0
    public var unrescued = 0
    /// Those that did not reach stable: nobody took the connection, or there was nobody to ask. They are no
    /// word of a cause that both share.
    public var unreached = 0

    public init(tick: Tick, split: PairSplit?, candidate: ArmTick, stable: ArmTick) {
        self.tick = tick
        self.split = split
        self.candidate = candidate
        self.stable = stable
    }
}

/// One version's requests that ended inside a rolling window.
public struct WindowArm: Sendable, Hashable {
    /// Completed requests, the excluded ones left out.
    public var requests: Int
    public var failures: Int
    /// The quantile that was asked for, in microseconds; nil without one or without requests.
    public var latencyMicros: UInt64?

    public init(requests: Int, failures: Int, latencyMicros: UInt64? = nil) {
        self.requests = requests
        self.failures = failures
        self.latencyMicros = latencyMicros
    }
}

/// What a window rule wants to know.
public struct WindowQuery: Sendable, Hashable {
    /// Length of the window.
    public var ticks: Int
    /// The latency quantile asked for, if any, and of which time.
    public var quantile: Double?
    public var time: TimeKind

    public init(ticks: Int, quantile: Double? = nil, time: TimeKind = .total) {
        self.ticks = ticks
        self.quantile = quantile
        self.time = time
    }
}

/// A candidate and stable over the same rolling window.
public struct WindowPair: Sendable, Hashable {
    public var candidate: WindowArm
    public var stable: WindowArm

    public init(candidate: WindowArm, stable: WindowArm) {
        self.candidate = candidate
        self.stable = stable
    }
}

// A version's counts at one moment, summed over cores: the readers' side of VersionMeter. Plain values,
// which add up over cores and processes and subtract over time; windows and the metrics page live on them.
// Invariant: a count is whole, but two counts may be an exchange apart, since they are read one by one.

/// Plain values that add up over cores (and processes) and subtract over time.
public struct VersionCounts: Sendable, Hashable {
    /// Exchanges assigned.
    public var started: UInt64 = 0
    /// Exchanges ended, by `Outcome.rawValue`.
    public var outcomes = [UInt64](repeating: 0, count: Outcome.allCases.count)
    /// Final responses by class: 2xx, 3xx, 4xx, 5xx, other.
    public var statuses = [UInt64](repeating: 0, count: 5)
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    /// Further attempts on the same version.
    public var retries: UInt64 = 0
    /// Failures for which stable was asked instead; those that it answered without failing, those that it
    /// failed, and those that did not reach it.
    public var shielded: UInt64 = 0
    /// Exchanges that ended well although their first attempt failed: a further attempt on the same version
    /// served the user.
    public var mended: UInt64 = 0
    public var rescued: UInt64 = 0
    public var unrescued: UInt64 = 0
    public var unreached: UInt64 = 0
    /// 2xx answers without a body where there may be one.
    public var empty: UInt64 = 0
    /// Requests sent to stable from the start, by `FallbackReason.rawValue`.
    public var fallbacks = [UInt64](repeating: 0, count: FallbackReason.allCases.count)
    /// Shadow copies sent to this version.
    public var shadowSent: UInt64 = 0
    /// Shadow copies ended, by `Outcome.rawValue`.
    public var shadowOutcomes = [UInt64](repeating: 0, count: Outcome.allCases.count)
    /// Shadow copies not sent or given up, by `ShadowDrop.rawValue`.
    public var shadowDrops = [UInt64](repeating: 0, count: ShadowDrop.allCases.count)

    public init() {}

    /// Exchanges ended with `outcome`.
    public subscript(_ outcome: Outcome) -> UInt64 {
        get { outcomes[Int(outcome.rawValue)] }
        set { outcomes[Int(outcome.rawValue)] = newValue }
    }

    /// Exchanges ended.
    public var completed: UInt64 { outcomes.reduce(0, &+) }
    /// Exchanges in progress. The counters are read one after the other, so never below zero.
    public var inFlight: UInt64 { started > completed ? started &- completed : 0 }
    /// Exchanges whose outcome is the version's fault: the numerator of its error rate.
    public var failed: UInt64 { sum { $0.isFailure } }
    /// The same, client errors among them where they count.
    public func failed(countingClientErrors: Bool) -> UInt64 {
        countingClientErrors ? failed &+ self[.clientError] : failed
    }
    /// Exchanges whose first attempt failed: what guardrails compare, whatever a retry did for the user.
    public var failedFirst: UInt64 { failed &+ mended }
    /// The same, client errors among them where they count.
    public func failedFirst(countingClientErrors: Bool) -> UInt64 {
        failed(countingClientErrors: countingClientErrors) &+ mended
    }
    /// Exchanges whose outcome says nothing about the version.
    public var excluded: UInt64 { sum { $0.isExcluded } }
    /// Exchanges ended that count: the denominator of the error rate.
    public var counted: UInt64 { sum { !$0.isExcluded } }

    private func sum(_ include: (Outcome) -> Bool) -> UInt64 {
        Outcome.allCases.reduce(0) { include($1) ? $0 &+ self[$1] : $0 }
    }

    /// Adds another core's or version's counts.
    public mutating func add(_ other: VersionCounts) { combine(other, &+) }

    /// Takes away an earlier reading of the same meters; a count that was larger earlier leaves zero.
    public mutating func subtract(_ earlier: VersionCounts) {
        combine(earlier) { $0 > $1 ? $0 &- $1 : 0 }
    }

    private mutating func combine(_ other: VersionCounts, _ operation: (UInt64, UInt64) -> UInt64) {
        started = operation(started, other.started)
        bytesIn = operation(bytesIn, other.bytesIn)
        bytesOut = operation(bytesOut, other.bytesOut)
        retries = operation(retries, other.retries)
        shielded = operation(shielded, other.shielded)
        mended = operation(mended, other.mended)
        rescued = operation(rescued, other.rescued)
        unrescued = operation(unrescued, other.unrescued)
        unreached = operation(unreached, other.unreached)
        empty = operation(empty, other.empty)
        shadowSent = operation(shadowSent, other.shadowSent)
        for index in outcomes.indices {
            outcomes[index] = operation(outcomes[index], other.outcomes[index])
            shadowOutcomes[index] = operation(shadowOutcomes[index], other.shadowOutcomes[index])
        }
        for index in statuses.indices { statuses[index] = operation(statuses[index], other.statuses[index]) }
        for index in fallbacks.indices {
            fallbacks[index] = operation(fallbacks[index], other.fallbacks[index])
        }
        for index in shadowDrops.indices {
            shadowDrops[index] = operation(shadowDrops[index], other.shadowDrops[index])
        }
    }
}

/// A version's counts and its histograms.
public struct VersionMeterSnapshot: Sendable, Hashable {
    public var counts = VersionCounts()
    /// One per `TimeKind.rawValue`.
    public var times = [HistogramSnapshot](repeating: HistogramSnapshot(), count: TimeKind.allCases.count)
    /// Time from a shadow copy's first byte sent to its last byte read.
    public var shadowTime = HistogramSnapshot()

    public init() {}

    public subscript(_ kind: TimeKind) -> HistogramSnapshot {
        get { times[Int(kind.rawValue)] }
        set { times[Int(kind.rawValue)] = newValue }
    }

    /// Adds another core's or version's counts and times.
    public mutating func add(_ other: VersionMeterSnapshot) {
        counts.add(other.counts)
        for index in times.indices { times[index].add(other.times[index]) }
        shadowTime.add(other.shadowTime)
    }

    /// Takes away an earlier snapshot of the same meters.
    public mutating func subtract(_ earlier: VersionMeterSnapshot) {
        counts.subtract(earlier.counts)
        for index in times.indices { times[index].subtract(earlier.times[index]) }
        shadowTime.subtract(earlier.shadowTime)
    }
}

extension VersionMeter {
    /// Exchanges assigned on this core. Any thread; one load.
    public var started: UInt64 { words.load(Self.startedWord) }

    /// What shielded requests of this core came to at stable. Any thread; three loads.
    public var rescues: (rescued: UInt64, unrescued: UInt64, unreached: UInt64) {
        (words.load(Self.rescuedWord), words.load(Self.unrescuedWord), words.load(Self.unreachedWord))
    }

    /// Adds this core's counts to `counts`. Any thread; about a hundred loads.
    public func read(into counts: inout VersionCounts) {
        // Ended before started, so that a request that comes between is in flight and not negative.
        counts.outcomes[0] &+= words.load(Self.successWord)
        for raw in 1..<counts.outcomes.count {
            counts.outcomes[raw] &+= words.load(Self.outcomeWord + raw - 1)
        }
        counts.started &+= words.load(Self.startedWord)
        for index in 0..<4 { counts.statuses[index] &+= words.load(Self.statusWord + index) }
        counts.statuses[4] &+= words.load(Self.otherStatusWord)
        counts.bytesIn &+= words.load(Self.bytesInWord)
        counts.bytesOut &+= words.load(Self.bytesOutWord)
        counts.retries &+= words.load(Self.retriesWord)
        counts.shielded &+= words.load(Self.shieldedWord)
        counts.mended &+= words.load(Self.mendedWord)
        counts.rescued &+= words.load(Self.rescuedWord)
        counts.unrescued &+= words.load(Self.unrescuedWord)
        counts.unreached &+= words.load(Self.unreachedWord)
        counts.empty &+= words.load(Self.emptyWord)
        for index in counts.fallbacks.indices {
            counts.fallbacks[index] &+= words.load(Self.fallbackWord + index)
        }
        counts.shadowSent &+= words.load(Self.shadowSentWord)
        for index in counts.shadowOutcomes.indices {
            counts.shadowOutcomes[index] &+= words.load(Self.shadowOutcomeWord + index)
        }
        for index in counts.shadowDrops.indices {
            counts.shadowDrops[index] &+= words.load(Self.shadowDropWord + index)
        }
    }

    /// Adds this core's counts and times to `snapshot`. Any thread; reads all bins, some ten microseconds.
    public func read(into snapshot: inout VersionMeterSnapshot) {
        read(into: &snapshot.counts)
        for kind in TimeKind.allCases {
            histogram(kind).snapshot(into: &snapshot.times[Int(kind.rawValue)])
        }
        if snapshot.counts.shadowSent != 0 { shadowHistogram.snapshot(into: &snapshot.shadowTime) }
    }

    /// The sum of several cores' meters of one version.
    public static func sum(_ meters: [VersionMeter]) -> VersionMeterSnapshot {
        var snapshot = VersionMeterSnapshot()
        for meter in meters { meter.read(into: &snapshot) }
        return snapshot
    }

    /// The sum of several cores' buckets of one tick; nil when none of them has one.
    public static func evidence(_ meters: [VersionMeter], at tick: Tick) -> EvidenceBucket? {
        var sum: EvidenceBucket?
        for meter in meters {
            guard let bucket = meter.evidence.read(tick) else { continue }
            if sum == nil { sum = bucket } else { sum?.add(bucket) }
        }
        return sum
    }
}

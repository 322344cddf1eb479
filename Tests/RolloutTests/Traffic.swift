// Simulated traffic of a candidate and stable, request by request, read the way control reads the evidence
// rings: by start tick, as it looks at a given moment.

import Metrics
import Rollout

/// A seeded generator (SplitMix64).
struct Seeded {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In 0..<1.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    mutating func chance(_ p: Double) -> Bool { uniform() < p }
    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
}

/// One request: how long it takes and how it ends.
struct Ending {
    var micros: UInt64 = 20_000
    var isFailure = false
    var isExcluded = false
    /// What else is bad about it; a cancelled request is excluded.
    var event: BadEvent?
    /// When its response begins, if that is long before its end.
    var firstByteMicros: UInt64?
}

/// How one version behaves: an ending for a request that starts in a tick.
typealias Behaviour = (_ tick: UInt64, _ random: inout Seeded) -> Ending

/// Behaviours that tests share.
enum Behaviours {
    /// Fails with a probability, after 20 ms.
    static func failing(_ p: Double) -> Behaviour {
        { _, random in Ending(isFailure: random.chance(p)) }
    }

    /// Takes about 20 to 40 ms, times a factor.
    static func slow(_ factor: Double) -> Behaviour {
        { _, random in Ending(micros: UInt64((20_000 + 20_000 * random.uniform()) * factor)) }
    }
}

/// Requests of two versions over time.
struct Traffic {
    var split: PairSplit? = PairSplit(candidatePPM: 50_000, stablePPM: 950_000)
    var requestsPerTick = 20
    var random: Seeded
    /// Slot thresholds in force, candidate and stable.
    var thresholds: (candidate: [UInt32], stable: [UInt32]) = ([], [])
    /// Every nth request is pinned to the candidate; 0: none.
    var pinsEvery = 0
    /// Ticks after which stable's answer to a request that the candidate failed is counted; nil: no shield.
    /// Stable fails it where it fails a request of its own in that tick.
    var rescuesAfter: UInt64?
    /// The share of these that stable fails, where that is not as its own requests.
    var retriesFail: Double?
    private var rescues: [UInt64: (good: Int, bad: Int)] = [:]

    /// What started, by tick.
    private(set) var started: [UInt64: [Request]] = [:]
    private var splits: [UInt64: PairSplit] = [:]
    private var marks: [UInt64: ([UInt32], [UInt32])] = [:]

    struct Request {
        var isCandidate: Bool
        var isPinned: Bool
        /// In microseconds since tick 0.
        var start: UInt64
        var ending: Ending
    }

    init(seed: UInt64) { random = Seeded(seed) }

    /// Starts a tick's requests.
    mutating func run(_ tick: UInt64, candidate: Behaviour, stable: Behaviour) {
        var requests: [Request] = []
        for i in 0..<requestsPerTick {
            let isPinned = pinsEvery > 0 && i % pinsEvery == 0
            let share = split.map { $0.share ?? ($0.candidatePPM > 0 ? 1 : 0) } ?? 0
            let isCandidate = isPinned || random.chance(share)
            let start = tick * Tick.micros + UInt64(random.below(Int(Tick.micros)))
            let ending = isCandidate ? candidate(tick, &random) : stable(tick, &random)
            if isCandidate, ending.isFailure, let after = rescuesAfter {
                let isGood = retriesFail.map { !random.chance($0) } ?? !stable(tick, &random).isFailure
                rescues[tick + after, default: (0, 0)].good += isGood ? 1 : 0
                rescues[tick + after, default: (0, 0)].bad += isGood ? 0 : 1
            }
            requests.append(
                Request(isCandidate: isCandidate, isPinned: isPinned, start: start, ending: ending))
        }
        started[tick] = requests
        splits[tick] = split
        marks[tick] = thresholds
    }

    /// The counts of a tick as they look at the start of tick `now`; at the end of time when nil.
    func read(_ tick: Tick, at now: UInt64?) -> PairTick {
        let moment = now.map { $0 * Tick.micros } ?? .max
        var pair = PairTick(
            tick: tick, split: splits[tick.number], candidate: ArmTick(), stable: ArmTick())
        if let found = rescues[tick.number], now ?? .max > tick.number {
            (pair.rescued, pair.unrescued) = (found.good, found.bad)
        }
        let (ours, theirs) = marks[tick.number] ?? ([], [])
        for (slot, micros) in ours.enumerated() { pair.candidate.thresholds[slot] = micros }
        for (slot, micros) in theirs.enumerated() { pair.stable.thresholds[slot] = micros }
        for request in started[tick.number] ?? [] where request.start < moment {
            let limits = request.isCandidate ? ours : theirs
            let counts = request.counts(limits, at: moment)
            if request.isCandidate {
                if request.isPinned {
                    pair.candidate.pinned += counts
                } else {
                    pair.candidate.randomised += counts
                }
            } else {
                pair.stable.randomised += counts
            }
        }
        return pair
    }

    /// Candidate requests that started up to and including `tick`, and those of them that fail.
    func candidates(through tick: UInt64) -> (requests: Int, failures: Int) {
        var (requests, failures) = (0, 0)
        for (number, all) in started where number <= tick {
            for request in all where request.isCandidate {
                requests += 1
                if request.ending.isFailure { failures += 1 }
            }
        }
        return (requests, failures)
    }
}

extension Traffic.Request {
    fileprivate func counts(_ limits: [UInt32], at moment: UInt64) -> ArmCounts {
        var counts = ArmCounts()
        counts.started = 1
        let (end, overflow) = start.addingReportingOverflow(ending.micros)
        guard !overflow, end <= moment else {
            if let first = ending.firstByteMicros, start + first <= moment { counts.begun = 1 }
            return counts
        }
        counts.completed = 1
        counts.take(ending.isFailure ? .failure : ending.event)
        if ending.event == .cancelled, !ending.isFailure {
            counts.excluded = 1
            for (slot, limit) in limits.enumerated() where ending.micros > UInt64(limit) {
                counts.late[slot] = 1
            }
        } else if ending.isFailure {
            counts.failed = 1
        } else if ending.isExcluded {
            counts.excluded = 1
        } else {
            counts.setFast(limits.map { ending.micros <= UInt64($0) })
        }
        return counts
    }
}

extension ArmCounts {
    /// Counts an event beside what it says of failures; a failure is one of every kind.
    mutating func take(_ event: BadEvent?) {
        let isFailure = event == .failure
        if isFailure || event == .rejected { rejections.first += 1 }
        if isFailure || event == .cancelled { cancels.first += 1 }
        if isFailure || event == .empty { empties.first += 1 }
        if event == .rejected { rejected += 1 }
        if event == .cancelled { cancelled += 1 }
        if event == .empty { empty += 1 }
    }

    mutating func setFast(_ flags: [Bool]) { setFast(flags.map { $0 ? 1 : 0 }) }

    mutating func setFast(_ counts: [UInt32]) {
        let padded = counts + Array(repeating: 0, count: ArmCounts.fastSlots - counts.count)
        (fast0, fast1, fast2, fast3, fast4, fast5) = (
            padded[0], padded[1], padded[2], padded[3], padded[4], padded[5]
        )
    }
}

/// A watch over simulated traffic, stepped as control would.
struct Bench {
    var traffic: Traffic
    var reference: LatencyReference
    var watch: CandidateWatch
    var now: UInt64
    var readings: [GuardrailReading] = []
    /// What windows show; nil: nothing counted.
    var windows: WindowPair?
    /// What active checks say; of a candidate without requests they say nothing.
    var health = HealthShares()

    /// Stable's latency is known from before: 20 to 40 ms, uniformly.
    init(seed: UInt64, specs: [GuardrailSpec] = .defaults, start: UInt64 = 1000, knowsLatency: Bool = true) {
        traffic = Traffic(seed: seed)
        reference = LatencyReference(specs: specs)
        if knowsLatency {
            _ = reference.refresh(now: Tick(number: start), requests: 10_000) { q in
                UInt64(20_000 + 20_000 * q)
            }
        }
        traffic.thresholds = (reference.candidateThresholds, reference.stableThresholds)
        watch = CandidateWatch(specs: specs, from: Tick(number: start))
        now = start
    }

    /// Runs one tick of traffic, then steps the watch at the start of the next.
    mutating func tick(candidate: Behaviour, stable: Behaviour) {
        traffic.run(now, candidate: candidate, stable: stable)
        now += 1
        let (traffic, now, windows, health) = (traffic, now, windows, health)
        readings = watch.step(
            now: Tick(number: now), reference: reference, windows: { _ in windows }, health: { health },
            read: { traffic.read($0, at: now) })
    }

    /// Runs ticks until something trips; nil when nothing does.
    /// - Parameter every: ticks between two steps.
    mutating func runUntilTrip(
        ticks: Int, candidate: Behaviour, stable: Behaviour, every: UInt64 = 1
    ) -> (tick: UInt64, trip: GuardrailReading)? {
        for _ in 0..<ticks {
            while (now + 1) % every != 0 {
                traffic.run(now, candidate: candidate, stable: stable)
                now += 1
            }
            tick(candidate: candidate, stable: stable)
            if let trip = readings.first(where: { $0.verdict == .fail }) { return (now, trip) }
        }
        return nil
    }

    func reading(_ name: String) -> GuardrailReading? { readings.first { $0.name == name } }
}

extension [GuardrailSpec] {
    /// The default guardrails for a candidate that is warm already.
    static var defaults: [GuardrailSpec] {
        GuardrailSpec.defaults(alpha: 0.01).map {
            var spec = $0
            spec.warmUpRequests = 0
            return spec
        }
    }
}

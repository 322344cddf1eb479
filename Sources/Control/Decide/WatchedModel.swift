// One model under watch: its decided and its published state, its meters, its candidates' guardrails.
// Reads evidence; decides nothing (RolloutMachine does) and touches no traffic (ControlLoop does).
//
// Invariant: `decided` is what the machine says; `durable` is the newest decided state that the ledger has
// reported, and the only one that plans are built from. Between the two lies at most a cut, whose bar the
// cores obey already.

import Config
import Metrics
import Proxy
import Rollout

/// A model's share of the control loop.
struct WatchedModel {
    /// Ticks without traffic after which a model rests; longer than any request may stay unresolved.
    static let restAfterTicks: UInt64 = 600
    /// A resting model is stepped this often where time alone decides something: a recovery check that runs,
    /// feedback that is waited for. Other watches need no steps: what nobody asked for left no evidence, and
    /// they skip what the rings forgot.
    static let restingStepTicks: UInt64 = 100
    /// A rollout that is on its way takes its steps without traffic too: half a second is at once.
    static let climbingStepTicks: UInt64 = 5
    /// The time nearest to the latency that evidence is judged by: from assignment to the last byte.
    static let judged = TimeKind.total

    let config: ModelConfig
    let slot: ModelSlot
    let versionSlots: [VersionSlot]
    let endpointSlots: [[EndpointSlot]]
    let stable: Int
    /// The part of stable that `controlled`, the climbing candidate, is compared with while it has weight.
    let control: Int?
    let controlled: Int?
    /// By version, then by core.
    let meters: [[VersionMeter]]

    var decided: RolloutState
    var durable: RolloutState
    var watches: [Int: CandidateWatch] = [:]
    var readings: [Int: [GuardrailReading]] = [:]
    var reference: LatencyReference
    var recovery: RecoveryWatch?
    var recoveryReading: RecoveryReading?
    /// The stage in force of a rollout, while it is on its way.
    var stage: StageFigures?
    /// What holds the control arm against the rest of stable, and what it has found wrong.
    var controlWatch: ControlWatch?
    var controlTrip: GuardrailReading?
    var history: SplitHistory
    var splitCheck: SplitCheck
    /// Whether users are served, whoever answers them.
    var service = ServiceWatch()
    /// Whether stable can take users; see `lookAtStable`.
    var stableUse: StableUse
    /// The tick from which on checks that have not decided count as passed; nil: stable is not checked.
    let stableAwaitedUntil: Tick?
    /// What stable's answers to shielded requests came to.
    private(set) var rescues = RescueRecord()
    /// The tick in which it was last asked whether stable can take users.
    var lastLooked = Tick(number: 0)
    /// When it was told last that it cannot be reached.
    var toldUnreached: Tick?
    var figures: ModelFigures
    /// Values sampled from traffic and feedback posted later, for the rules over values.
    var values: ValueRegistry
    /// Metrics that rules name.
    let ruledMetrics: Int
    /// The clocks that this model's ticks are of.
    let clock: ClockAnchor
    private var closedSlots: [(slotTicks: UInt64, slot: StartSlot)] = []
    /// The round of counting sticky keys that every core has begun; see `PlanClimb`.
    var obeyedKeyRound: UInt64 = 0
    /// Versions barred on the board until a plan that says the same is obeyed.
    var barred: UInt32 = 0

    private var lastChecked: Tick
    /// Whether it rested until this tick, and was looked at often enough to know.
    private var isQuiet = false
    /// nil: none yet.
    private var lastTraffic: Tick?
    private var lastStepped: Tick

    init(
        config: ModelConfig, plan: ModelPlan, meters: [[VersionMeter]], state: RolloutState,
        saved: SavedState.Model?, now: Tick, clock: ClockAnchor, graceTicks: UInt64,
        values kept: ValueRegistry?
    ) {
        self.config = config
        slot = plan.slot
        versionSlots = plan.versions.map(\.slot)
        endpointSlots = plan.versions.map { $0.endpoints.map(\.slot) }
        stable = plan.stable
        control = config.control.flatMap { config.index(of: $0.version) }
        controlled = (config.rollout?.program.candidate).flatMap(config.index(of:))
        self.meters = meters
        decided = state
        durable = state
        stableAwaitedUntil = Self.stableAwaitedUntil(config.versions[plan.stable], from: now)
        stableUse = stableAwaitedUntil == nil ? .usable : .undecided
        reference =
            (saved?.reference).map {
                LatencyReference(
                    specs: config.allGuardrails, gates: config.allGates, keeping: $0, at: now)
            } ?? LatencyReference(specs: config.allGuardrails, gates: config.allGates)
        history = SplitHistory(SplitInForce(plan), at: now)
        figures = ModelFigures(
            specs: config.allGuardrails, versions: plan.versions.count, stable: plan.stable,
            control: control, countsClientErrors: config.clientErrors == .count)
        // The tick under way may have been counted by an earlier process or under an earlier config.
        values =
            kept
            ?? ValueRegistry(
                versions: plan.versions.count, graceTicks: graceTicks, from: Tick(number: now.number + 1))
        for name in config.valueNames { values.want(name) }
        ruledMetrics = Set(config.valueNames.compactMap(ValueName.init).compactMap(\.metric)).count
        self.clock = clock
        splitCheck = SplitCheck(
            from: Tick(number: now.number + 1), versions: config.versions.indices
        ) { version in
            saved?.splits?[config.versions[version].name]
        }
        lastChecked = now
        lastTraffic = nil
        lastStepped = now
        if state.recovery == .watching { startRecovery(at: now) }
        alignWatches(saved: saved, now: now)
        alignStage(saved: saved, now: now)
        writeThresholds()
    }

    func name(_ version: Int) -> String { config.versions[version].name }

    /// The bits of versions in a switch word.
    func mask(_ names: some Sequence<String>) -> UInt32 {
        names.reduce(0) { mask, name in config.index(of: name).map { mask | 1 << UInt32($0) } ?? mask }
    }

    /// Versions that guardrails watch: every candidate that is not quarantined.
    private var watchable: Set<Int> {
        Set(config.candidates.filter { decided.quarantined[$0] == nil }.compactMap(config.index(of:)))
    }

    /// Starts watches of versions that came under trial, drops those of versions that left it.
    mutating func alignWatches(saved: SavedState.Model? = nil, now: Tick) {
        let wanted = watchable
        // The bucket of the tick under way may have been opened with thresholds of an earlier config.
        let from = Tick(number: now.number + 1)
        for version in watches.keys where !wanted.contains(version) {
            watches[version] = nil
            readings[version] = nil
        }
        for version in wanted where watches[version] == nil {
            if let kept = saved?.watches[name(version)] {
                watches[version] = CandidateWatch(
                    restoring: kept, specs: config.guardrails, from: from,
                    valuesFrom: { [clock] in saved?.clock?.tick($0, at: clock) })
            } else {
                watches[version] = CandidateWatch(specs: config.guardrails, from: from)
            }
        }
    }

    /// Begins to watch the place that the rollout has entered, drops what it has left.
    mutating func alignStage(saved: SavedState.Model? = nil, now: Tick) {
        alignControl(now)
        guard let climb = decided.climb, climb.place != .before, isOnItsWay,
            let candidate = config.index(of: climb.candidate)
        else {
            stage = nil
            return
        }
        guard stage?.visit != climb.stageVisit else { return }
        let before = stage?.candidate == candidate ? stage : nil
        stage = StageFigures(
            climb.stageVisit, stage: decided.stageInForce, candidate: candidate,
            saved: saved?.stage, stableErrorRate: stableErrorRate, from: Tick(number: now.number + 1),
            valuesFrom: { [clock] in saved?.clock?.tick($0, at: clock) })
        stage?.learnStable(from: watches[candidate], before)
    }

    /// Whether a rollout stands in a place that is watched.
    var isOnItsWay: Bool {
        switch decided.phase {
        case .stage, .baking, .held, .paused: true
        case .split, .waiting, .cut, .promoted: false
        }
    }

    /// Stable's share of failures in its last minutes; nil without requests.
    private var stableErrorRate: Double? {
        let arms = [figures.recent, figures.recentControl].compactMap { $0 }
        let requests = arms.reduce(0) { $0 + $1.requests }
        return requests > 0 ? Double(arms.reduce(0) { $0 + $1.failures }) / Double(requests) : nil
    }

    mutating func startRecovery(at now: Tick) {
        recovery = RecoveryWatch(
            from: Tick(number: now.number + 1), stableRateBefore: stableErrorRate ?? 0,
            measure: recoveryMeasure)
        recoveryReading = nil
    }

    /// What must survive a restart.
    func saved(at clocks: ClockAnchor) -> SavedState.Model {
        var kept: [String: CandidateWatch.Saved] = [:]
        for (version, watch) in watches { kept[name(version)] = watch.saved }
        return SavedState.Model(
            rollout: decided, watches: kept, reference: reference, clock: clocks, stage: stage?.saved,
            splits: splitCheck.saved { name($0) })
    }
}

extension WatchedModel {
    /// Whether this tick needs the model. Looks back far enough for models that are asked by turns.
    mutating func isDue(_ now: Tick) -> Bool {
        isQuiet = isResting && now.number - lastChecked.number <= 16
        var tick = max(lastChecked.number, now.number > 16 ? now.number - 16 : 0)
        lastChecked = now
        while tick < now.number {
            if hasTraffic(Tick(number: tick)) {
                lastTraffic = now
                break
            }
            tick += 1
        }
        guard isResting else { return true }
        let elapsed = now.number - lastStepped.number
        if isClimbing { return elapsed >= Self.climbingStepTicks }
        return (recovery != nil || values.isUsed) && elapsed >= Self.restingStepTicks
    }

    /// Whether it must be asked every tick whether it is due.
    var isAtWork: Bool { !isResting || recovery != nil || values.isUsed || isClimbing }

    /// What its guardrails said when they were read last, of every version that is watched.
    var versionReadings: [VersionReadings] {
        readings.sorted { $0.key < $1.key }.map { VersionReadings(version: name($0.key), readings: $0.value) }
    }

    /// Whether time alone can move the rollout on.
    var isClimbing: Bool {
        switch decided.phase {
        case .waiting, .stage, .baking: true
        case .split, .paused, .held, .cut, .promoted: false
        }
    }

    /// Whether every request has long been settled.
    var isResting: Bool { ticksWithoutTraffic > Self.restAfterTicks }

    private var ticksWithoutTraffic: UInt64 {
        lastTraffic.map { lastChecked.number - $0.number } ?? .max
    }

    private func hasTraffic(_ tick: Tick) -> Bool {
        meters.contains { $0.contains { $0.evidence.read(tick) != nil } }
    }

    /// Reads the unsettled ticks and says where every guardrail and the recovery check stand.
    /// - Parameters:
    ///   - health: what health checks say, by endpoint; one that nobody checks is not in it.
    ///   - failedChecks: when the last failed check of an unhealthy endpoint began.
    ///   - passes: how many checks an endpoint has passed.
    mutating func step(
        _ now: Tick, health: [EndpointSlot: Bool] = [:], failedChecks: [EndpointSlot: Tick] = [:],
        passes: (EndpointSlot) -> UInt64 = { _ in 0 }
    ) -> [VersionReadings] {
        lastStepped = now
        let checks = Checks(
            health: health, failed: failedChecks,
            stablePasses: endpointSlots[stable].reduce(0) { $0 &+ passes($1) },
            present: Set(watches.keys.filter { endpointSlots[$0].contains { passes($0) > 0 } }))
        observeStarts(now)
        if ticksWithoutTraffic <= UInt64(ModelFigures.recentTicks) {
            figures.observe(meters, at: now)
        } else {
            figures.forget()
        }
        refreshReference(now)
        rescues.observe(meters, stable: stable, at: now)
        var all: [VersionReadings] = []
        for version in watches.keys.sorted() {
            guard var watch = watches.removeValue(forKey: version) else { continue }
            let other = opponent(of: version, now: now)
            var found = watch.step(
                now: now, reference: reference,
                windows: { figures.pair(candidate: version, stable: other, $0) },
                values: { values.ticks($0, candidate: version, stable: other, from: $1, now: now) },
                health: { healthShares(version, now, checks) },
                read: { pair(version, at: $0, now: now) })
            watches[version] = watch
            tellOpponent(other, &found)
            readings[version] = found
            all.append(VersionReadings(version: name(version), readings: found))
        }
        stepControl(now, control.map { healthShares($0, now, checks) } ?? HealthShares())
        let shares = stage.map { healthShares($0.candidate, now, checks) }
        stepStage(now, shares ?? HealthShares(), &all)
        tellSleep(&all)
        if var running = recovery {
            recoveryReading = running.step(
                now: now, read: { arm(stable, at: $0, now: now) },
                counts: { endedOnStable($0, overMicros: $1) },
                values: { values.ticks($0, candidate: stable, stable: stable, from: $1, now: now) })
            recovery = running
        }
        return all
    }

    /// What active checks have said so far.
    private struct Checks {
        var health: [EndpointSlot: Bool]
        /// When the last failed check of an unhealthy endpoint began.
        var failed: [EndpointSlot: Tick]
        /// Checks that stable's endpoints have passed.
        var stablePasses: UInt64
        /// Versions of which an endpoint has passed a check.
        var present: Set<Int>
    }

    /// What checks say of a version and of stable. A version without weight and copies may still be on its
    /// way to its servers: nothing is held against it, unless it has been there and users reach it.
    private func healthShares(_ version: Int, _ now: Tick, _ checks: Checks) -> HealthShares {
        let inForce = history.split(at: Tick(number: now.number - 1))
        let isGiven = inForce.map { $0.weights[version] > 0 || $0.shadow == version } ?? false
        let isExposed = isGiven || checks.present.contains(version) && wasReached(name(version), now)
        return HealthShares(
            candidate: isExposed ? healthyShare(version, checks.health) : nil,
            stable: healthyShare(stable, checks.health),
            stablePasses: checks.stablePasses,
            candidateFailedAt: endpointSlots[version].filter { checks.health[$0] == false }
                .map { checks.failed[$0]?.number ?? 0 }.min())
    }

    /// The share of a version's endpoints that are healthy; nil where nobody checks them.
    private func healthyShare(_ version: Int, _ health: [EndpointSlot: Bool]) -> Double? {
        let slots = endpointSlots[version]
        guard config.versions[version].healthCheck != nil, !slots.isEmpty else { return nil }
        // An endpoint counts as healthy until its checks say otherwise.
        return Double(slots.count { health[$0] ?? true }) / Double(slots.count)
    }

    /// Steps the stage in force; its own guardrails' readings join those of the version.
    private mutating func stepStage(
        _ now: Tick, _ health: HealthShares, _ all: inout [VersionReadings]
    ) {
        guard var running = stage else { return }
        let version = running.candidate
        let isCounted = obeyedKeyRound != 0 && obeyedKeyRound == PlanClimb(decided).keyRound
        let facts = StageFigures.Facts(
            reference: reference, keys: isCounted ? KeySketch.count(meters[version].map(\.keys)) : 0,
            isSticky: !config.stickyKeys.isEmpty, readings: readings[version] ?? [],
            specs: config.guardrails)
        let other = opponent(of: version, now: now)
        var found = running.step(
            now: now, facts, windows: { figures.pair(candidate: version, stable: other, $0) },
            values: { values.ticks($0, candidate: version, stable: other, from: $1, now: now) },
            health: { health }, read: { pair(version, at: $0, now: now) })
        stage = running
        tellOpponent(other, &found)
        if !found.isEmpty { add(found, of: version, to: &all) }
    }

    /// Adds a stage's own readings to those of the version.
    private mutating func add(
        _ found: [GuardrailReading], of version: Int, to all: inout [VersionReadings]
    ) {
        readings[version, default: []] += found
        if let i = all.firstIndex(where: { $0.version == name(version) }) {
            all[i].readings += found
        } else {
            all.append(VersionReadings(version: name(version), readings: found))
        }
    }

    private mutating func refreshReference(_ now: Tick) {
        // What stable is held to after a cut must not follow what stable does after it.
        if recovery?.judgesSlots == true || isStablePinned(now) { return }
        guard reference.isDue(at: now), let latency = latencyOfControl(now) ?? latencyOfStable else { return }
        let changed = reference.refresh(now: now, requests: latency.count) { latency.quantile($0) }
        if changed { writeThresholds() }
    }

    /// What stable's thresholds are taken from: its last seconds where they hold enough requests, else its
    /// last minutes, else all that it has served.
    private var latencyOfStable: HistogramSnapshot? {
        if let live = figures.liveWindow(stable)?.content?.latency, live.count >= 5000 { return live }
        guard let recent = figures.recent?.latency else { return nil }
        if recent.count >= 1_000 { return recent }
        return WindowReading(VersionMeter.sum(meters[stable]), latency: WatchedModel.judged).latency
    }

    /// Writes the frozen thresholds to every meter of the model.
    private func writeThresholds() {
        for version in meters.indices {
            let isStable = version == stable || version == control
            let thresholds = isStable ? reference.stableThresholds : reference.candidateThresholds
            for meter in meters[version] {
                for (i, micros) in thresholds.enumerated() { meter.setThreshold(i, micros: micros) }
                meter.countKeysOnce(reference.countsKeysOnce)
            }
        }
    }

    /// Whether the rings still hold a tick. The margin is for a reader that is slow.
    private func isRemembered(_ tick: Tick, _ now: Tick) -> Bool {
        tick <= now && now.number - tick.number < UInt64(EvidenceRing.buckets) - 16
    }

    func pair(_ version: Int, at tick: Tick, now: Tick) -> PairTick? {
        guard isRemembered(tick, now) else { return nil }
        let inForce = history.split(at: tick)
        let other = opponent(of: version, inForce)
        let candidate = VersionMeter.evidence(meters[version], at: tick)
        let stable = VersionMeter.evidence(meters[other], at: tick)
        var split: PairSplit?
        if let weights = inForce?.weights {
            split = PairSplit(
                candidatePPM: weights[version], stablePPM: weights[other],
                isAgainstControl: other == control)
        }
        // A core that assigned by another weight, however that came about, spoils the tick.
        if let candidate, candidate.weightPPM != split?.candidatePPM { split = nil }
        if let stable, stable.weightPPM != split?.stablePPM { split = nil }
        var pair = PairTick(
            tick: tick, split: split, candidate: ArmTick(candidate), stable: ArmTick(stable))
        (pair.rescued, pair.unrescued, pair.unreached) = rescues.counts(version, at: tick)
        // Stable's side of pairs with another version.
        if inForce?.shadow != version { pair.stable.copied = ArmCounts() }
        return pair
    }

    /// Slots whose starts have all been counted since the last call.
    mutating func takeClosedSlots() -> [(slotTicks: UInt64, slot: StartSlot)] {
        defer { closedSlots = [] }
        return closedSlots
    }

    /// Counts what has started.
    private mutating func observeStarts(_ now: Tick) {
        let (meters, history) = (meters, history)
        closedSlots += values.observe(now: now, wasQuiet: isQuiet) {
            ValueRegistry.Reading(meters, history, at: $0)
        }
    }

    private func arm(_ version: Int, at tick: Tick, now: Tick) -> ArmTick? {
        guard isRemembered(tick, now) else { return nil }
        return ArmTick(VersionMeter.evidence(meters[version], at: tick))
    }
}

extension ValueRegistry.Reading {
    /// Sums a tick over cores; nil: nothing started in it, or the rings forgot it.
    init?(_ meters: [[VersionMeter]], _ history: SplitHistory, at tick: Tick) {
        self.init(started: Array(repeating: 0, count: meters.count), weights: nil, isPending: false)
        weights = history.weights(at: tick)
        var isKnown = false
        for version in meters.indices {
            guard let bucket = VersionMeter.evidence(meters[version], at: tick) else { continue }
            isKnown = true
            started[version] = bucket.randomised.started
            if bucket.randomised.pending > 0 { isPending = true }
            // A core that assigned by another weight, however that came about, spoils the tick.
            if bucket.weightPPM != weights?[version] { weights = nil }
        }
        guard isKnown else { return nil }
    }
}

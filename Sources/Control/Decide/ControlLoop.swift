// The control loop without its thread and its clock: evidence in, cuts and plans out. Every 100 ms, for every
// model with traffic: meters → watches → RolloutMachine → what it orders, in this order:
//
//   1. cut: the switch on the board, which every core's next assignment obeys
//   2. journal and state, on the ledger's thread
//   3. once durable (or once the disk has refused): the plan
//   4. once every core obeys the plan: the switch is lifted, the verb is answered
//
// Invariants: a cut waits for nothing; a plan shows durable states only; one plan is under way at a time; a
// bar outlives the plan that makes it needless. Owner: the controller's thread.

import Config
import Logging
import Metrics
import Platform
import Proxy
import Rollout

/// The joint between what is measured, what is decided and what cores obey.
package final class ControlLoop {
    let plane: any Plane
    let ledger: any Ledger
    let log: Logger
    /// Who is told of configs, trips, checks to be made, and decisions.
    let hooks: ControlHooks
    /// What became of values that are read out of traffic.
    let sampleCounters: SampleCounters
    var config: Config
    var slots: SlotTable
    var models: [WatchedModel] = []
    var indexByName: [String: Int] = [:]
    /// What the state file holds or will hold; models that left the config stay in it.
    var saved: SavedState
    var isLedgerDegraded: String?
    var ledgerFailures: UInt64 = 0
    /// Why the state file cannot be written although the journal can.
    var stateOwed: String?
    /// What is left for decisions on a full disk.
    var journalReserve = JournalReserve.filled
    /// What the start found of state and journal.
    let recovery: StateRecovery?
    /// Why the journal's file could not be closed, and how often it was and was not.
    var rotationTrouble: String?
    var journalRotations: UInt64 = 0
    var journalRotationFailures: UInt64 = 0
    var cuts: [CutKey: UInt64] = [:]
    var lastCuts: [String: CutRecord] = [:]
    /// Reports of cuts, and the ledger over rollouts.
    var desk = ReportDesk()
    /// Times cuts, which take microseconds, while everything else goes by the instant of the turn.
    let clock: @Sendable () -> Instant
    var reloadsApplied: UInt64 = 0
    var reloadsRefused: UInt64 = 0

    /// The newest plan given to the plane, and whether a newer one is wanted.
    var plan: Plan
    var isPlanWanted = false
    /// The newest plan that every core was seen to obey.
    var obeyedPlan: UInt64 = 0
    /// The weights that the plan under way changes, by model index; settled when it is obeyed.
    var changingModels: Set<Int> = []
    /// Models with a bar on the board.
    var barredModels: Set<Int> = []
    var nextEntryID: UInt64 = 1
    /// By entry of the ledger: one step, or those that a group takes together.
    var pending: [UInt64: [PendingStep]] = [:]
    /// Entries that the ledger had no room for, oldest first; posted again every tick.
    var unposted: [LedgerEntry] = []
    /// Steps that are to share an entry; nil: each has its own.
    var openEntry: OpenEntry?
    var waiting: [WaitingVerb] = []
    var health: [EndpointSlot: Bool] = [:]
    /// In which tick the last failed check began, of endpoints that have been unhealthy.
    package var failedChecks: [EndpointSlot: Tick] = [:]
    /// By member.
    var groups: [String: GroupConfig]
    /// Names of groups with a cut that is not over, and of those of which that was said.
    var partialCuts: [String] = []
    var toldPartial: Set<String> = []
    /// Whether the cuts that are made now are those of a group.
    var isSpreading = false
    /// Why there is no plan of what was decided; tried again every turn.
    var planTrouble: String?
    var planFailures: UInt64 = 0
    var feedback: FeedbackRegistry
    var preflightTargets: [PreflightTarget] = []
    var preflights: [PreflightKey: PreflightReport] = [:]
    /// Those that have passed once, as they are configured now.
    var proven: Set<PreflightKey> = []
    /// Candidates of fixed splits that are to be cut for their checks as soon as stable can take their users.
    var owedCuts: [PreflightKey] = []
    /// Of these, and of groups' cuts, those of which it was said that they wait for stable.
    var toldWithheld: Set<WithheldKey> = []
    /// The answer of this second, by model.
    var blackouts: [String: (second: UInt64, window: BlackoutWindow?)] = [:]
    /// Configs that arrived while a bar was up or a plan under way.
    var deferred: [Reconfiguration] = []
    /// What registries have said, by model; and aliases that have moved since, one per model at most.
    var sources: [String: SourceAnswer]
    var moves: [SourceMove] = []
    var lastSaved = Instant(nanos: 0)
    var lastTick = Tick(number: 0)
    private var lastRequests: UInt64 = 0
    /// Every resting model gets its turn before this tick.
    private var lookUntil = Tick(number: 0)
    package var now = Instant(nanos: 0)
    package var wallMicros: UInt64 = 0
    /// The wall clock of the start less the monotonic one, microseconds.
    private let steadyOrigin: UInt64
    /// The boot that the monotonic clock is of.
    private let boot: String?
    /// The clock of durations: as the wall clock at the start, but it passes evenly, whatever is done to
    /// that.
    var steadyMicros: UInt64 { steadyOrigin &+ now.micros }
    /// The clocks of this turn.
    var clocks: ClockAnchor {
        ClockAnchor(tick: lastTick.number, wallMicros: wallMicros, steadyMicros: steadyMicros, boot: boot)
    }

    /// A resting model is looked at every so many ticks.
    private static let restingTurns: UInt64 = 4
    /// Evidence is saved this often; a crash loses at most that much of it.
    static let saveEvery = Interval.seconds(10)

    package init(
        _ start: ControlStart, plane: any Plane, ledger: any Ledger, log: Logger, now: Instant,
        wallMicros: UInt64, boot: String? = nil, hooks: ControlHooks = ControlHooks(),
        clock: @escaping @Sendable () -> Instant = { Clock.now() }
    ) {
        self.hooks = hooks
        self.clock = clock
        config = start.config
        plan = start.plan
        slots = start.slots
        saved = start.saved
        recovery = start.recovery
        sources = start.sources
        sampleCounters = start.sampleCounters
        feedback = FeedbackRegistry(start.config.feedback, store: start.store, restored: start.restored)
        groups = Self.groups(of: config)
        desk.saved = saved.reports ?? ReportDesk.Saved()
        self.plane = plane
        self.ledger = ledger
        self.log = log
        self.now = now
        self.wallMicros = wallMicros
        self.boot = boot
        steadyOrigin = wallMicros &- now.micros
        lastSaved = now
        lastTick = Tick(monotonicNanos: now.nanos)
    }

    /// One round: what has arrived, then the tick if it is due. Cheap when nothing is.
    package func turn(now: Instant, wallMicros: UInt64) {
        self.now = now
        self.wallMicros = wallMicros
        takeReports()
        let tick = Tick(monotonicNanos: now.nanos)
        if tick > lastTick {
            lastTick = tick
            postAgain()
            feedback.clock.record(monotonicNanos: now.nanos, wallMicros: wallMicros)
            stepModels(tick)
            stepGroups()
            settleGroups()
            settleOwedCuts()
            tellOrderedCuts()
            closeReports()
            saveEvidence()
        }
        settlePlan()
        settleTimings()
    }

    /// Models at work every tick. Resting ones are looked at only when some core has taken a request since
    /// the last tick, and then by turns: each every `restingTurns` ticks, which its ring outlasts a hundred
    /// times.
    private func stepModels(_ tick: Tick) {
        let requests = plane.requests
        if requests != lastRequests { lookUntil = Tick(number: tick.number + Self.restingTurns) }
        lastRequests = requests
        for i in models.indices {
            let before = models[i].stableUse
            models[i].lookAtStable(tick) { [plane] in plane.health($0) }
            tellReach(i, before: before)
            let isTurn = tick < lookUntil && (tick.number + UInt64(i)) % Self.restingTurns == 0
            if isTurn || models[i].isAtWork { step(i, tick) }
        }
    }

    private func step(_ i: Int, _ tick: Tick) {
        guard models[i].isDue(tick) else { return }
        exposeForced(i)
        let readings = models[i].step(
            tick, health: health, failedChecks: failedChecks, passes: { [plane] in plane.passedChecks($0) })
        logStarts(i)
        checkSplit(i)
        watchService(i)
        guard !readings.isEmpty || models[i].recovery != nil || models[i].isClimbing else { return }
        let input = RolloutInput.tick(
            readings, recovery: models[i].recoveryReading, stage: models[i].stage?.reading,
            conditions: ownConditions(i))
        apply(i, input, verb: nil)
        // The arm's users go to the rest of stable.
        if let trip = models[i].controlTrip, let arm = models[i].config.control,
            models[i].stableUse == .usable
        {
            apply(i, .controlFailed(version: arm.version, reading: trip), verb: nil)
        }
    }

    /// Runs the machine and does what it orders.
    /// - Returns: the machine's answer, for a verb.
    @discardableResult
    func apply(_ i: Int, _ input: RolloutInput, verb: WaitingVerb?) -> VerbAnswer? {
        let before = models[i].decided
        let (state, actions) = RolloutMachine.step(
            before, input, wallMicros: wallMicros, steadyMicros: steadyMicros)
        guard verb != nil || state != before || !actions.isEmpty else { return nil }
        models[i].decided = state
        var events: [JournalEvent] = []
        var answer: VerbAnswer?
        for action in actions {
            switch action {
            case .cut(let versions): cut(i, versions)
            case .clearCut, .setWeights, .setShadow: isPlanWanted = true
            case .startRecovery: models[i].startRecovery(at: lastTick)
            case .endRecovery: models[i].recovery = nil
            case .journal(let event): events.append(tell(i, event, before))
            case .answer(let said): answer = said
            }
        }
        events += report(i, before: before, actions)
        var passed: GroupTrip?
        if let verb, case .accepted? = answer, let (line, trip) = leaveOut(i, verb, from: before) {
            events.append(line)
            passed = trip
        }
        models[i].alignWatches(now: lastTick)
        models[i].alignStage(now: lastTick)
        if state.climb?.id != before.climb?.id || state.climb?.attempt != before.climb?.attempt {
            plane.beginRollout(models[i].slot)
            alignPreflights()
        }
        post(i, events, before: before, answer: answer, verb: verb, passed: passed)
        return answer
    }

    /// Step 1 of a cut: nothing may come before it.
    private func cut(_ i: Int, _ versions: [String]) {
        models[i].barred |= models[i].mask(versions)
        barredModels.insert(i)
        timeCut(i, versions) { plane.cut(models[i].slot, versions: models[i].barred) }
        isPlanWanted = true
    }

    func tell(_ i: Int, _ event: RolloutEvent, _ before: RolloutState) -> JournalEvent {
        if case .cut(let record) = event {
            let name = models[i].config.name
            lastCuts[name] = record
            spread(record, of: name)
            cuts[CutKey(model: name, guardrail: record.cause), default: 0] += 1
        }
        if let trip = CaptureTrip(event, model: models[i].config.name, at: wallMicros) { hooks.onTrip(trip) }
        let told = addressed(
            JournalEvent(event, model: models[i].config.name, at: wallMicros), i, before)
        let level: Logger.Level =
            switch event {
            case .cut, .alert, .alertInstead, .held, .overruled, .controlWithdrawn: .warning
            case .recovery(_, let reading): reading.verdict == .recovered ? .notice : .warning
            case .verb, .promoted, .weights, .stage, .baking, .experimentEnded, .wouldHave: .notice
            case .configured: .info
            }
        log.log(
            level: level, "\(event.headline(told.reason))",
            metadata: ["model": "\(models[i].config.name)", "actor": "\(told.actor)"])
        return told
    }
}

/// A step that the ledger has been given and has not reported.
struct PendingStep {
    var model: String
    var before: RolloutState
    var after: RolloutState
    var verb: WaitingVerb?
    /// A group's pending cut as it was before the verb took the model out of it.
    var passed: GroupTrip?
    /// What others are told once the step is durable.
    var notices: [Notice] = []

    /// Whether it may give a version more traffic, by a verb or by a rollout's own step. What a config says
    /// is an operator's doing and stays.
    var isRaising: Bool {
        if let verb { return verb.verb.word.raisesExposure }
        guard after.setup == before.setup else { return false }
        return after.weights.contains {
            $0.key != after.setup.stable && $0.value > before.weights[$0.key] ?? 0
        }
    }
}

/// Steps that are to be made durable as one.
struct OpenEntry {
    var steps: [PendingStep] = []
    var events: [JournalEvent] = []
}

/// A verb on its way: posted, then durable, then obeyed, then answered.
struct WaitingVerb: Sendable {
    var verb: AdminVerb
    var actor: String
    /// Every caller of this request id gets the answer.
    var replies: [@Sendable (AdminResponse) -> Void]
    var response = AdminResponse.text(500, "")
    /// The plan that must be obeyed before the answer is true; nil while it is not yet published.
    var epoch: UInt64?
    var isDurable = false
    var deadline = Instant.never
}

/// A config to take over, with who asked.
package struct Reconfiguration: Sendable {
    var config: Config
    var actor: String
    var reason: String
    var reply: (@Sendable (AdminResponse) -> Void)?

    package init(
        config: Config, actor: String, reason: String, reply: (@Sendable (AdminResponse) -> Void)? = nil
    ) {
        self.config = config
        self.actor = actor
        self.reason = reason
        self.reply = reply
    }
}

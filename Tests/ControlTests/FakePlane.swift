// A data plane without cores: meters in memory that a test writes, calls that it can read back, and obedience
// that it can withhold. Beside it a ledger that is durable, held or refused, as the test says.

import Logging
import Metrics
import Payload
import Platform
import Proxy
import Synchronization

@testable import Config
@testable import Control
@testable import Sidecar

/// What happened, in order, over plane and ledger.
final class Trace: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
    func clear() { lines.withLock { $0 = [] } }
}

final class FakePlane: Plane {
    static let cores = 2

    private struct State {
        var meters: [VersionSlot: [VersionMeter]] = [:]
        var published: [Plan] = []
        var switches: [ModelSlot: UInt32] = [:]
        var health: [EndpointSlot: Bool] = [:]
        var passes: [EndpointSlot: Int] = [:]
        var requests: UInt64 = 0
        var obeyed: UInt64 = 1
        var obeysAtOnce = true
    }

    private let state = Mutex(State())
    let trace: Trace

    init(_ trace: Trace) { self.trace = trace }

    func publish(_ plan: Plan) {
        trace.add("publish \(plan.epoch)")
        state.withLock {
            $0.published.append(plan)
            if $0.obeysAtOnce { $0.obeyed = plan.epoch }
        }
    }

    func cut(_ model: ModelSlot, versions: UInt32) {
        trace.add("cut \(model) \(versions)")
        state.withLock { $0.switches[model] = versions }
    }

    func clearCut(_ model: ModelSlot) {
        trace.add("clear \(model)")
        state.withLock { $0.switches[model] = nil }
    }

    func beginRollout(_ model: ModelSlot) { trace.add("begin \(model)") }

    var requests: UInt64 { state.withLock { $0.requests } }
    func count(_ requests: Int) { state.withLock { $0.requests += UInt64(requests) } }

    var obeyedEpoch: UInt64 { state.withLock { $0.obeyed } }

    func meters(_ version: VersionSlot) -> [VersionMeter] {
        state.withLock { state in
            if let known = state.meters[version] { return known }
            let made = (0..<Self.cores).map { _ in
                VersionMeter(at: Pages.allocate(bytes: VersionMeter.byteCount))
            }
            state.meters[version] = made
            return made
        }
    }

    func setHealthy(_ endpoint: EndpointSlot, _ isHealthy: Bool) {
        state.withLock {
            $0.health[endpoint] = isHealthy
            if isHealthy { $0.passes[endpoint, default: 0] += 1 }
        }
    }

    func passedChecks(_ endpoint: EndpointSlot) -> UInt64 {
        state.withLock { UInt64($0.passes[endpoint] ?? 0) }
    }

    func forgetHealth(_ endpoint: EndpointSlot) {
        state.withLock { $0.health[endpoint] = nil }
    }

    var last: Plan? { state.withLock { $0.published.last } }
    var barred: [ModelSlot: UInt32] { state.withLock { $0.switches } }
    func health(_ endpoint: EndpointSlot) -> Bool? { state.withLock { $0.health[endpoint] } }
    func passes(_ endpoint: EndpointSlot) -> Int { state.withLock { $0.passes[endpoint] ?? 0 } }
    func setObeysAtOnce(_ value: Bool) {
        state.withLock {
            $0.obeysAtOnce = value
            if value, let last = $0.published.last { $0.obeyed = last.epoch }
        }
    }
}

final class FakeLedger: Ledger {
    enum Mode { case durable, held, refused, full }

    private struct State {
        var mode = Mode.durable
        var entries: [LedgerEntry] = []
        var held: [UInt64] = []
        var reports: [LedgerReport] = []
    }

    private let state = Mutex(State())
    private let trace: Trace

    init(_ trace: Trace) { self.trace = trace }

    func post(_ entry: LedgerEntry) -> Bool {
        let isFull = state.withLock { $0.mode == .full }
        if isFull { return false }
        trace.add("post " + entry.events.map(\.kind.rawValue).joined(separator: ","))
        state.withLock {
            $0.entries.append(entry)
            switch $0.mode {
            case .durable: $0.reports.append(.durable(id: entry.id))
            case .held, .full: $0.held.append(entry.id)
            case .refused: $0.reports.append(.failed(id: entry.id, reason: "ENOSPC"))
            }
        }
        return true
    }

    func take() -> LedgerReport? { state.withLock { $0.reports.isEmpty ? nil : $0.reports.removeFirst() } }

    func set(_ mode: Mode) { state.withLock { $0.mode = mode } }

    func release() {
        state.withLock { state in
            state.reports += state.held.map { .durable(id: $0) }
            state.held = []
        }
    }

    func report(_ report: LedgerReport) { state.withLock { $0.reports.append(report) } }
    var events: [JournalEvent] { state.withLock { $0.entries.flatMap(\.events) } }
    var lastState: SavedState? { state.withLock { $0.entries.last { $0.state != nil }?.state } }
    var count: Int { state.withLock { $0.entries.count } }
    var lastEntry: LedgerEntry? { state.withLock { $0.entries.last } }
}

/// A control loop in virtual time over a fake plane.
final class World {
    let trace = Trace()
    let plane: FakePlane
    let ledger: FakeLedger
    let loop: ControlLoop
    /// Nanoseconds of the virtual clock.
    var now = Instant(nanos: 1_000_000_000_000)
    var wall: UInt64 = 1_700_000_000_000_000

    static let yaml = """
        admin: { listen: 127.0.0.1:9902 }
        state_dir: /tmp/never-used
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            match: { path_prefix: / }
            versions:
              v1: { endpoints: ["127.0.0.1:9001"] }
              v2: { endpoints: ["127.0.0.1:9002"] }
              v3: { endpoints: ["127.0.0.1:9003"] }
            stable: v1
            candidates: [v2, v3]
            weights: { v2: 20%, v3: 10% }
        """

    static func config(_ text: String = yaml) throws -> Config {
        try ConfigLoader.parse(text, file: "test.yaml").get()
    }

    /// - Parameters:
    ///   - now: the monotonic clock, as a later process of the same boot finds it.
    ///   - boot: of the machine that it is of.
    ///   - ahead: microseconds by which the wall clock has been set forward, or back.
    init(
        _ text: String = World.yaml, saved: SavedState = SavedState(), now: Instant? = nil,
        boot: String? = nil, wall ahead: Int64 = 0, hooks: ControlHooks = ControlHooks(),
        store: (any FeedbackStore)? = nil
    ) throws {
        wall = UInt64(Int64(wall) + ahead)
        if let now { self.now = now }
        let config = try World.config(text)
        plane = FakePlane(trace)
        ledger = FakeLedger(trace)
        var slots = SlotTable()
        let plan = try ControlLoop.firstPlan(config, saved: saved, slots: &slots)
        plane.publish(plan)
        var start = ControlStart(config: config, plan: plan, slots: slots, saved: saved)
        start.store = store
        loop = ControlLoop(
            start, plane: plane, ledger: ledger, log: WeirLog.silent(), now: self.now,
            wallMicros: wall + self.now.nanos / 1_000, boot: boot, hooks: hooks)
        loop.begin(JournalEvent(at: wall, .started, reason: "test"))
        trace.clear()
    }

    var tick: Tick { Tick(monotonicNanos: now.nanos) }
    var model: WatchedModel { loop.models[0] }

    /// Requests that start now on core 0 and end at once.
    func requests(
        _ version: Int, _ count: Int, failing: Int = 0, micros: UInt64 = 5_000, of index: Int = 0
    ) {
        let model = loop.models[index]
        let meter = model.meters[version][count % FakePlane.cores]
        plane.count(count)
        let weight = plane.last?.models[index].versions[version].weightPPM ?? 0
        for i in 0..<count {
            meter.start(tick: tick, weightPPM: weight, isPinned: false)
            meter.settle(
                start: tick, isPinned: false, outcome: i < failing ? .upstreamError : .success,
                nanos: micros * 1_000)
            meter.countStatus(i < failing ? 500 : 200)
            meter.record(.total, nanos: micros * 1_000)
        }
    }

    /// One tenth of a second.
    func step(_ ticks: Int = 1, _ traffic: () -> Void = {}) {
        for _ in 0..<ticks {
            traffic()
            now = now + .millis(100)
            loop.turn(now: now, wallMicros: wall + now.nanos / 1_000)
        }
    }

    /// Lets reports and plans through without letting time pass.
    func settle() {
        for _ in 0..<4 { loop.turn(now: now, wallMicros: wall + now.nanos / 1_000) }
    }
}

extension StatusPage {
    /// What the status page of a world says.
    static func page(of world: World) -> JSON {
        StatusPage(
            snapshot: world.loop.snapshot,
            process: StatusPage.Process(
                state: "running", startedAtMicros: 0, now: world.loop.wallMicros, pid: 1, stateDir: "/s",
                listeners: [], cores: 1)
        ) { _ in VersionCounts() }.json
    }
}

/// Answers to verbs, as they come.
final class Replies: Sendable {
    private let list = Mutex<[AdminResponse]>([])

    var take: @Sendable (AdminResponse) -> Void {
        { [self] response in list.withLock { $0.append(response) } }
    }
    var all: [AdminResponse] { list.withLock { $0 } }
    var last: AdminResponse? { all.last }
    func json() throws -> JSON { try JSON(parsing: all.last?.body ?? []) }
}

// A whole Weir inside a process: data plane, controller, ledger, health checks, admin API and access log,
// started in the order in which they need each other and stopped in the reverse one. `weir run` wraps it into
// signals; `weir demo` embeds it with port 0.
//
// Invariant: nothing listens before the state directory is locked and read; nothing decided is lost when
// `stop` returns.

import Config
import Control
import Glibc
import Logging
import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Synchronization

/// A running proxy and everything around it.
package final class Sidecar: Sendable {
    let config: Config
    let directory: StateDirectory
    let plane: DataPlane
    let plan: Plan
    let controller: Controller
    let cores: Int
    /// The bounds in force.
    let resources: ResourceLimits
    let startedAtMicros = Clock.wallMicros()
    let isDraining = Atomic<Bool>(false)
    /// Of the config in force.
    private let drainConfig: DrainInForce
    let sampleCounters = SampleCounters()
    private let slots: SlotTable
    private let recovery: StateRecovery
    private let ledger: LedgerThread
    private let health: HealthChecker
    private let preflight: PreflightRunner
    private let admin: AdminServer
    private let reloader: Reloader?
    let accessLog: AccessLogSeat
    let taps: TapReader
    let actions: ActionQueue
    let sources: SourceDesk
    let idKey: (UInt64, UInt64)
    let feedback: FeedbackLog
    private let isStopped = Atomic<Bool>(false)
    let log: Logger

    /// Locks and reads the state directory and binds every address; nothing is served before `start`.
    /// - Parameters:
    ///   - configPath: the file that a reload reads; nil: reloads are refused.
    ///   - log: the process's own log.
    ///   - allowance: what the system allows this process.
    package init(
        config: Config, configPath: String? = nil, log: Logger, allowance: Allowance = .current
    ) throws(SidecarProblem) {
        self.log = log
        cores = config.cores ?? CPU.usable
        do throws(LimitsProblem) {
            resources = try ResourceLimits(config, cores: cores, allowance)
        } catch {
            throw .limits(error)
        }
        for sentence in resources.lowered { log.warning("\(sentence)") }
        var recovery: StateRecovery
        (directory, recovery) = try Self.recover(config.stateDir, log)
        let controller: Controller
        do throws(SystemFailure) {
            controller = try Controller()
        } catch {
            throw .system(error)
        }
        sources = SourceDesk(directory: directory.path, log: log) { controller.post(.source($0)) }
        let config = config.resolved(by: sources.saved)
        self.config = config
        recovery.withhold(config.models, at: Clock.wallMicros())
        self.recovery = recovery
        if let sentence = StateRecovery.withheld(recovery.withheld.keys) { log.critical("\(sentence)") }
        drainConfig = DrainInForce(config.drain)
        var slots = SlotTable()
        do throws(PlanProblem) {
            plan = try ControlLoop.firstPlan(config, saved: recovery.state, slots: &slots)
        } catch {
            throw .plan(error)
        }
        self.slots = slots
        do throws(SystemFailure) {
            ledger = try LedgerThread()
            self.controller = controller
            admin = try AdminServer(config.admin)
            idKey = IDKey.load(directory.path)
            feedback = try FeedbackLog()
            try Self.checkFree(config.listeners)
            plane = try DataPlane(
                DataPlaneSettings(
                    listeners: config.listeners, cores: cores, limits: resources.limits,
                    idKey: idKey))
            accessLog = AccessLogSeat(plane, log: log)
            taps = try TapReader()
            // A full mailbox means a controller that is far behind; the endpoint's word is set all the same.
            health = try HealthChecker(
                plane: plane, heads: resources.limits.responseHeads,
                failed: { _ = controller.post(.failedCheck($0, $1)) },
                report: { _ = controller.post(.health($0)) })
            actions = ActionQueue(log: log) { events in
                if !controller.post(.note(events)) {
                    log.error("the controller is busy: \(events.count) lines of actions are not journaled")
                }
            }
            preflight = try PreflightRunner { _ = controller.post(.preflight($0)) }
            var reloader: Reloader?
            if let configPath { reloader = try Reloader(configPath, controller, resources) }
            self.reloader = reloader
        } catch {
            throw .system(error)
        }
    }

    /// Opens the state directory and says what was found in it.
    private static func recover(
        _ path: String, _ log: Logger
    ) throws(SidecarProblem) -> (StateDirectory, StateRecovery) {
        do throws(StateProblem) {
            let directory = try StateDirectory(path: path)
            for warning in directory.warnings { log.warning("\(warning)") }
            let recovery = try directory.recover()
            if let loss = recovery.loss { log.critical("\(loss)") }
            if let gain = recovery.gain { log.warning("\(gain)") }
            return (directory, recovery)
        } catch {
            throw .state(error)
        }
    }

    /// The cores share their ports (SO_REUSEPORT), and so would a second Weir, unseen: each gets half of the
    /// traffic. One bind without sharing finds out.
    private static func checkFree(_ listeners: [SocketAddress]) throws(SystemFailure) {
        for address in listeners {
            guard case .ip(_, let port) = address, port != 0 else { continue }
            _ = try Socket.listen(address, backlog: 1, reusePort: false)
        }
    }

    /// Where clients connect, ports resolved, in the order of the config.
    package var addresses: [SocketAddress] { plane.addresses }
    /// Where the admin API listens, port resolved.
    package var adminAddress: SocketAddress { admin.address }
    /// The journal's file.
    package var journalPath: String { FileStorage.journalPath(in: directory.path) }

    /// Starts everything; when it returns, requests are served.
    package func start() throws(SidecarProblem) {
        do throws(SystemFailure) {
            try ledger.start(directory, config.journal, state: recovery.state)
            try accessLog.start(config.accessLog, plan)
            try startTaps()
            try health.start()
            try preflight.start()
            try plane.start(plan)
            actions.adopt(config.actions)
            actions.recover(OwedNotices.find(in: directory.path))
            try startController()
            try reloader?.start()
            try admin.start(handlers)
        } catch {
            stop()
            throw .system(error)
        }
    }

    private var started: JournalEvent {
        JournalEvent(
            at: Clock.wallMicros(), .started, reason: "weir \(Release.version) started",
            details: [
                .init("pid", .integer(Int64(getpid()))), .init("config_digest", .string(config.digest)),
                .init("models", .integer(Int64(config.models.count))),
                .init("listeners", .array(addresses.map { .string($0.description) })),
                .init("admin", .string(adminAddress.description)),
                .init("sources", .array(sourceSentences.map(JSON.string))),
            ])
    }

    /// Where candidates come from that the file does not name.
    private var sourceSentences: [String] {
        config.models.compactMap { model in
            model.source.map {
                "\(model.name): \($0.sentence(sources.saved[model.name], stable: model.stable))"
            }
        }
    }

    private func startController() throws(SystemFailure) {
        var start = ControlStart(config: config, plan: plan, slots: slots, saved: recovery.state)
        start.recovery = recovery
        start.sources = sources.saved
        start.sampleCounters = sampleCounters
        start.store = feedback
        start.restored = try startFeedback()
        let (plane, ledger, accessLog, log, hooks) = (plane, ledger, accessLog, log, hooks)
        try controller.start(ledger, started, eachTurn: { accessLog.discard() }) { [start] in
            ControlLoop(
                start, plane: plane, ledger: ledger, log: log, now: Clock.now(),
                wallMicros: Clock.wallMicros(), boot: Boot.id, hooks: hooks)
        }
    }

    /// Who is told by the control loop.
    private var hooks: ControlHooks {
        let (health, preflight, sources, log) = (health, preflight, sources, log)
        let (accessLog, taps, actions, drainConfig) = (accessLog, taps, actions, drainConfig)
        return ControlHooks(
            onConfig: { config, plan in
                drainConfig.times.withLock { $0 = config.drain }
                accessLog.adopt(config.accessLog, plan)
                taps.adopt(config, plan)
                actions.adopt(config.actions)
                sources.adopt(config.models)
                if !health.check(HealthTarget.all(of: config, plan: plan)) {
                    log.error(
                        "the health checks do not keep up with reloads: the last one waits for the next")
                }
            },
            onTrip: { taps.keep($0) },
            onPreflight: { targets in
                if !preflight.check(targets) {
                    log.error("the pre-flight checks do not keep up with reloads: the last one waits")
                }
            },
            notices: actions)
    }

    // MARK: While it runs

    /// Reads the config file again and takes it over when it is right as a whole; says so in log and journal.
    func reload(actor: String, reason: String) {
        guard let reloader else { return log.error("reload: this process has no config file") }
        reloader.reload(ReloadRequest(actor: actor, reason: reason, reply: nil))
    }

    /// Begins new files under the old names, after the old ones have been moved away.
    func reopenLogs() {
        accessLog.reopen()
        log.notice("logs reopened")
    }

    /// How this process takes leave of its clients, by the config in force.
    package var drainTimes: DrainConfig { drainConfig.times.withLock { $0 } }

    /// Has readiness say that this process is about to end; requests are served as before.
    func announceDrain() { isDraining.store(true, ordering: .releasing) }

    /// Stops accepting; exchanges go on to their end. Readiness says so at once.
    func drain() {
        announceDrain()
        plane.drain()
    }

    /// Whether no client connection is left.
    var isDrained: Bool { plane.isDrained }

    /// Cuts what is still open, streams with a reset.
    func cutOff() { plane.cutOff() }

    /// Whether `cutOff` has reached every core.
    var isCutOff: Bool { plane.isCutOff }

    /// How many exchanges `cutOff` has cut, and the access log's lines for some of them.
    var cuts: (count: Int, lines: [String]) {
        let cuts = plane.cuts
        var writer = AccessLine(names: AccessNames(plan))
        let lines = cuts.records.prefix(Limits.cutRecordsMax).map { record in
            var line: [UInt8] = []
            writer.append(record, to: &line)
            return String(decoding: line.dropLast(), as: UTF8.self)
        }
        return (cuts.count, lines)
    }

    /// Ends everything. What was decided is durable when this returns, unless the disk refuses it.
    package func stop() {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        isDraining.store(true, ordering: .releasing)
        reloader?.stop()
        sources.stop()
        plane.stop()
        health.stop()
        actions.stop()
        preflight.stop()
        _ = controller.post(
            .note([
                JournalEvent(
                    at: Clock.wallMicros(), .stopped, reason: "weir \(Release.version) stopped",
                    details: [.init("pid", .integer(Int64(getpid())))])
            ]))
        controller.stop()
        ledger.stop()
        feedback.stop()
        accessLog.stop()
        taps.stop()
        admin.stop()
    }

    /// The status page.
    /// - Returns: nil when the controller did not answer in time.
    package func status(within time: Interval = .seconds(5)) -> JSON? {
        guard let box = try? Mailbox<StatusSnapshot>(capacity: 1), let poller = try? Poller(eventsMax: 1)
        else {
            return nil
        }
        let wait = MailboxWait(poller)
        guard (try? wait.watch(box.wakeup)) != nil, controller.post(.snapshot { _ = box.post($0) }) else {
            return nil
        }
        let deadline = Clock.now() + time
        while true {
            if let snapshot = box.take() { return statusPage(snapshot).json }
            let now = Clock.now()
            guard now < deadline else { return nil }
            wait.wait(timeoutMillis: Int32(clamping: (deadline - now).millis + 1))
        }
    }

    /// Asks for a reload on behalf of an admin request.
    func reload(_ request: ReloadRequest) {
        guard let reloader else {
            request.reply?(.refusal(409, "this process was not started from a config file"))
            return
        }
        reloader.reload(request)
    }
}

// The controller's thread: wakes every 100 ms, or earlier for a command or a report of the ledger, and lets
// the control loop take a turn. Commands come by mailbox from the admin server, the health checks and the
// process.

import Control
import Logging
import Metrics
import Platform
import Proxy
import Synchronization

/// What others ask of the controller.
enum ControlCommand: Sendable {
    case verb(AdminVerb, actor: String, reply: @Sendable (AdminResponse) -> Void)
    case snapshot(@Sendable (StatusSnapshot) -> Void)
    case health(HealthTransition)
    /// An unhealthy endpoint failed a check that began then.
    case failedCheck(EndpointSlot, Instant)
    case feedback(FeedbackBatch, reply: @Sendable (AdminResponse) -> Void)
    case preflight(PreflightReport)
    case configure(Reconfiguration)
    /// A config that did not come to a plan.
    case configRefused([String], actor: String, reply: (@Sendable (AdminResponse) -> Void)?)
    /// A registry's alias names another version.
    case source(SourceMove)
    /// Journal lines of the process.
    case note([JournalEvent])
    /// Values out of sampled traffic.
    case values(ValueBatch)
}

/// The thread around the control loop.
final class Controller: Sendable {
    /// Commands that may wait.
    static let commandsMax = 1_024
    /// The tick; evidence buckets have the same length.
    static let tickMillis: UInt64 = 100

    let commands: Mailbox<ControlCommand>
    /// What is wrong with journal and state, as sentences; for the readiness page. nil until the first turn
    /// is over: nobody knows yet.
    let troubles = Mutex<[String]?>(nil)
    fileprivate let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    init() throws(SystemFailure) {
        commands = try Mailbox(capacity: Self.commandsMax)
    }

    /// False when too many commands wait: the caller is told that the controller is busy.
    func post(_ command: ControlCommand) -> Bool { commands.post(command) }

    /// - Parameters:
    ///   - event: the journal line of the start.
    ///   - make: builds the loop on the controller's thread.
    ///   - eachTurn: called after every turn, there.
    func start(
        _ ledger: LedgerThread, _ event: JournalEvent, eachTurn: @escaping @Sendable () -> Void = {},
        _ make: @escaping @Sendable () -> ControlLoop
    ) throws(SystemFailure) {
        let run = ControllerRun(self, ledger, try Poller(eventsMax: 8))
        try run.watch()
        let started = try Thread.spawn(name: "weir-control") { run.run(make(), event, eachTurn) }
        thread.withLock { $0 = started }
    }

    /// Takes what has been posted, saves the evidence, then ends the thread.
    func stop() {
        stopping.store(true, ordering: .releasing)
        commands.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }
}

/// What runs on the controller's thread.
private final class ControllerRun {
    private let controller: Controller
    private let ledger: LedgerThread
    private var poller: Poller

    init(_ controller: Controller, _ ledger: LedgerThread, _ poller: consuming Poller) {
        self.controller = controller
        self.ledger = ledger
        self.poller = poller
    }

    func watch() throws(SystemFailure) {
        let failed =
            poller.add(
                controller.commands.wakeup.descriptor, token: Token(bits: 0), interest: .readable)
            ?? poller.add(ledger.reports.wakeup.descriptor, token: Token(bits: 1), interest: .readable)
        if let errno = failed {
            throw SystemFailure(operation: "watch the controller's mailboxes", errno: errno)
        }
    }

    func run(_ loop: ControlLoop, _ event: JournalEvent, _ eachTurn: () -> Void) {
        loop.begin(event)
        while !controller.stopping.load(ordering: .acquiring) {
            _ = poller.wait(timeoutMillis: timeoutMillis(loop))
            controller.commands.wakeup.drain()
            ledger.reports.wakeup.drain()
            while let command = controller.commands.take() { obey(command, loop) }
            loop.turn(now: Clock.now(), wallMicros: Clock.wallMicros())
            controller.troubles.withLock { $0 = loop.troubles }
            eachTurn()
        }
        while let command = controller.commands.take() { obey(command, loop) }
        loop.end(now: Clock.now(), wallMicros: Clock.wallMicros())
    }

    /// To the next tick; a plan or a verb under way is looked after every millisecond.
    private func timeoutMillis(_ loop: ControlLoop) -> Int32 {
        if loop.isPlanUnderWay { return 1 }
        let intoTick = Clock.now().nanos % (Controller.tickMillis * 1_000_000)
        return Int32(Controller.tickMillis - intoTick / 1_000_000)
    }

    private func obey(_ command: ControlCommand, _ loop: ControlLoop) {
        loop.now = Clock.now()
        loop.wallMicros = Clock.wallMicros()
        switch command {
        case .verb(let verb, let actor, let reply): loop.obey(verb, actor: actor, reply: reply)
        case .snapshot(let reply): reply(loop.snapshot)
        case .health(let transition): loop.take(transition)
        case .failedCheck(let slot, let began): loop.failedChecks[slot] = Tick(monotonicNanos: began.nanos)
        case .feedback(let batch, let reply): loop.accept(batch, reply: reply)
        case .preflight(let report): loop.take(report)
        case .configure(let change): loop.reconfigure(change)
        case .configRefused(let problems, let actor, let reply):
            loop.refuseConfig(problems, actor: actor, reply: reply)
        case .source(let move): loop.take(move)
        case .note(let events): loop.note(events)
        case .values(let batch): loop.add(batch)
        }
    }
}

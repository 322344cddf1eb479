// One action: its own queue and thread, so that a sink that hangs delays no other and nobody who decides.
//
// Theory: the first notice that waits is tried until the sink has it, until it will never do, or until the
// decision is too old; then the next. So a sink hears of decisions in their order. Between attempts the pause
// doubles up to a bound, with jitter, because sinks that come back should not meet everybody at once. What is
// owed when the process ends is looked up in the journal by the next one (`OwedNotices`).
//
// Invariant: `post` never waits for the sink; the queue is bounded, and what it has no room for is refused,
// counted and journaled. Each attempt that fails, and how each notice ends, is a line of the journal.

import Config
import Control
import Logging
import Payload
import Platform
import Synchronization

/// What an action has done and has to do.
struct ActionStatus: Sendable, Hashable {
    var name: String
    /// webhook, exec, mlflow, argo or kubernetes.
    var sink: String
    /// Notices that the sink does not have yet.
    var pending = 0
    var done: UInt64 = 0
    /// Attempts that failed and are followed by another.
    var retried: UInt64 = 0
    /// Notices given up.
    var failed: UInt64 = 0
    /// Notices that found the queue full.
    var refused: UInt64 = 0
    /// Of the first notice in the queue, or of the last one given up.
    var lastFailure: String?
    /// Microseconds since 1970.
    var lastDoneMicros: UInt64?
}

/// One action's queue and thread.
final class ActionLane: Sendable {
    /// Notices that may wait.
    static let pendingMax = 256

    private struct Delivery {
        var notice: Notice
        var attempts = 0
        var notBefore = Instant(nanos: 0)
        /// Owed by an earlier process: not tried at all when too old.
        var isOwed = false
        /// When the lane took it, and how old it was then; from there on the wall clock has no say.
        var taken: Instant
        var ageWhenTaken = Interval.zero

        func age(at now: Instant) -> Interval { ageWhenTaken + (now - taken) }
    }

    private struct State {
        var config: ActionConfig
        var waiting: [Delivery] = []
        var status: ActionStatus
        var random: Random64
        /// Set when the lane is to end; attempts under way end then.
        var endsBy: Instant?
        var isDropped = false
    }

    private let state: Mutex<State>
    private let wakeup: Wakeup
    private let hasEnded = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)
    private let journal: @Sendable ([JournalEvent]) -> Void

    /// - Parameters:
    ///   - seed: of the jitter.
    ///   - journal: takes lines for the journal, from any thread, without waiting.
    init(
        _ config: ActionConfig, seed: UInt64, journal: @escaping @Sendable ([JournalEvent]) -> Void
    ) throws(SystemFailure) {
        state = Mutex(
            State(
                config: config, status: ActionStatus(name: config.name, sink: config.sink.word),
                random: Random64(seed: seed)))
        wakeup = try Wakeup()
        self.journal = journal
    }

    func start() throws(SystemFailure) {
        let pace = try LanePace(wakeup, of: "an action")
        let started = try Thread.spawn(name: "weir-action") { [self] in
            pace.run(wakeup, step)
            hasEnded.store(true, ordering: .releasing)
        }
        thread.withLock { $0 = started }
    }

    var config: ActionConfig { state.withLock { $0.config } }

    var status: ActionStatus {
        state.withLock { state in
            var status = state.status
            status.pending = state.waiting.count
            return status
        }
    }

    /// Another sink or other bounds under the same name; what waits goes there.
    func change(to config: ActionConfig) {
        state.withLock { state in
            state.config = config
            state.status.sink = config.sink.word
            if !state.waiting.isEmpty { state.waiting[0].notBefore = Instant(nanos: 0) }
        }
        wakeup.signal()
    }

    /// Takes a notice; never waits.
    func post(_ notice: Notice, isOwed: Bool = false) {
        let isAccepted = state.withLock { state in
            guard state.waiting.count < Self.pendingMax else {
                state.status.refused += 1
                return false
            }
            var delivery = Delivery(notice: notice, isOwed: isOwed, taken: Clock.now())
            // Only the wall clock knows the age of what an earlier process decided. Set back, it makes
            // decisions of the future: those are young.
            let wall = Clock.wallMicros()
            if wall > notice.wallMicros { delivery.ageWhenTaken = .micros(wall - notice.wallMicros) }
            state.waiting.append(delivery)
            return true
        }
        if isAccepted { return wakeup.signal() }
        let full = "\(Self.pendingMax) notices wait for it already; this one is not sent"
        tell(.actionFailed, notice, full, [.init("final", true)])
    }

    /// Ends the thread: notices that were never tried get one attempt before `deadline`, pauses end at once.
    /// - Parameter isDropped: what is still owed then will not be sent by the next process either.
    func end(by deadline: Instant, isDropped: Bool) {
        state.withLock { state in
            state.endsBy = deadline
            state.isDropped = isDropped
        }
        wakeup.signal()
    }

    /// Whether the thread has done everything.
    var isOver: Bool { hasEnded.load(ordering: .acquiring) }

    // MARK: The lane's thread

    private func step(now: Instant) -> LaneStep {
        switch next(now: now) {
        case .attempt(let notice, let config, let number):
            let context = AttemptContext(
                attempt: number, wallMicros: Clock.wallMicros(),
                isCancelled: { [self] in isCancelled() })
            let outcome = config.sink.attempt(notice, context)
            if case .cancelled = outcome {
                leave()
                return .end
            }
            settle(notice, outcome, attempt: number, now: Clock.now(), wallMicros: Clock.wallMicros())
        case .tooOld(let notice):
            giveUp(notice, "the decision was too old when Weir started again", [])
        case .wait(let until):
            return .wait(until)
        case .end:
            leave()
            return .end
        }
        return .again
    }

    private enum Step {
        case attempt(Notice, ActionConfig, number: Int)
        case tooOld(Notice)
        case wait(Instant)
        case end
    }

    /// What to do next.
    private func next(now: Instant) -> Step {
        state.withLock { state in
            guard let first = state.waiting.first else { return state.endsBy == nil ? .wait(.never) : .end }
            if let end = state.endsBy, first.attempts > 0 || now >= end { return .end }
            if first.isOwed, first.attempts == 0, isTooOld(first, state.config, now) {
                return .tooOld(first.notice)
            }
            if first.notBefore > now { return .wait(first.notBefore) }
            return .attempt(first.notice, state.config, number: first.attempts + 1)
        }
    }

    private func isTooOld(_ delivery: Delivery, _ config: ActionConfig, _ now: Instant) -> Bool {
        delivery.age(at: now) > config.retry.ageMax
    }

    /// Whether an attempt under way is to end.
    private func isCancelled() -> Bool {
        state.withLock { $0.endsBy.map { Clock.now() >= $0 } ?? false }
    }

    /// Takes the outcome of the attempt on the first notice down.
    private func settle(
        _ notice: Notice, _ outcome: AttemptOutcome, attempt: Int, now: Instant, wallMicros: UInt64
    ) {
        let number = JSON.Member("attempt", .integer(Int64(attempt)))
        switch outcome {
        case .done(let sentence, let details):
            state.withLock { state in
                state.waiting.removeFirst()
                state.status.done += 1
                state.status.lastDoneMicros = wallMicros
                state.status.lastFailure = nil
            }
            tell(.actionDone, notice, sentence, [number] + details)
        case .refused(let reason, let details):
            giveUp(notice, reason, [number] + details)
        case .failed(let reason, let wish, let details):
            guard let pause = pause(attempt, wish, reason, now) else {
                return giveUp(
                    notice, "\(reason); the decision is too old for another attempt", [number] + details)
            }
            let millis = JSON.Member("next_in_ms", .count(pause.millis))
            tell(.actionFailed, notice, reason, [number, .init("final", false), millis] + details)
        case .cancelled: break
        }
    }

    /// The pause before the next attempt; nil when there is to be none.
    private func pause(
        _ attempt: Int, _ wish: Interval?, _ reason: String, _ now: Instant
    ) -> Interval? {
        state.withLock { state in
            guard let first = state.waiting.first, !isTooOld(first, state.config, now) else {
                return nil
            }
            let retry = state.config.retry
            // Bound: 2^20 pauses are longer than any `pauseMax`.
            let doubled = retry.pause.nanos.multipliedReportingOverflow(by: 1 << UInt64(min(attempt - 1, 20)))
            let bound = min(doubled.overflow ? .max : doubled.partialValue, retry.pauseMax.nanos)
            let jittered = Double(bound) * (0.5 + 0.5 * state.random.unit())
            let pause = max(Interval(nanos: UInt64(jittered)), wish ?? .zero)
            state.waiting[0].attempts = attempt
            state.waiting[0].notBefore = now + pause
            state.status.retried += 1
            state.status.lastFailure = reason
            return pause
        }
    }

    private func giveUp(_ notice: Notice, _ reason: String, _ details: [JSON.Member]) {
        state.withLock { state in
            state.waiting.removeFirst()
            state.status.failed += 1
            state.status.lastFailure = reason
        }
        tell(.actionFailed, notice, reason, [.init("final", true)] + details)
    }

    /// What is left when the lane ends: kept for the next process, or given up with its action.
    private func leave() {
        let left = state.withLock { state in
            defer { state.waiting = [] }
            return state.isDropped ? state.waiting.map(\.notice) : []
        }
        for notice in left {
            tell(.actionFailed, notice, "the action left the config", [.init("final", true)])
        }
    }

    private func tell(
        _ kind: JournalEvent.Kind, _ notice: Notice, _ reason: String, _ details: [JSON.Member]
    ) {
        let (name, sink) = state.withLock { ($0.config.name, $0.config.sink.word) }
        let own: [JSON.Member] = [
            .init("action", .string(name)), .init("sink", .string(sink)),
            .init("event", .string(notice.kind.rawValue)), .init("delivery", .string(notice.deliveryID)),
        ]
        journal([
            JournalEvent(
                at: Clock.wallMicros(), kind, model: notice.model, reason: reason, details: own + details)
        ])
    }
}

// The thread of the checks before, and during, a rollout: every target at its interval, one after the other.
// A server that hangs delays other models' checks by its timeout; nothing is promoted meanwhile, nothing else
// waits for them.
// Invariant: a candidate is warmed up once per process and attempt, and never reported as passed before.

import Platform
import Rollout
import Synchronization

/// The checks' thread.
final class PreflightRunner: Sendable {
    private let targets: Mailbox<[PreflightTarget]>
    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)
    private let report: @Sendable (PreflightReport) -> Void

    /// - Parameter report: told of every round, on the runner's thread.
    init(report: @escaping @Sendable (PreflightReport) -> Void) throws(SystemFailure) {
        targets = try Mailbox(capacity: 64)
        self.report = report
    }

    func start() throws(SystemFailure) {
        let wait = MailboxWait(try Poller(eventsMax: 1))
        try wait.watch(targets.wakeup)
        let started = try Thread.spawn(name: "weir-preflight") { [self] in run(wait) }
        thread.withLock { $0 = started }
    }

    /// Replaces what is checked; what stays as it is keeps its place in time and its warmth.
    /// False when the thread does not keep up: the caller tries again.
    func check(_ all: [PreflightTarget]) -> Bool { targets.post(all) }

    func stop() {
        stopping.store(true, ordering: .releasing)
        targets.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    private struct Watched {
        var target: PreflightTarget
        var due: Instant
        var isCold = true
    }

    private func run(_ wait: MailboxWait) {
        var watched: [Watched] = []
        while !stopping.load(ordering: .acquiring) {
            let next = watched.map(\.due).min() ?? .never
            wait.wait(timeoutMillis: timeoutMillis(until: next))
            targets.wakeup.drain()
            while let fresh = targets.take() {
                watched = fresh.map { target in
                    watched.first { $0.target == target } ?? Watched(target: target, due: Clock.now())
                }
            }
            for i in watched.indices where watched[i].due <= Clock.now() {
                let check = PreflightCheck(watched[i].target) { [self] in stopping.load(ordering: .acquiring)
                }
                let found = check.run(isCold: watched[i].isCold)
                if found.reading == .passed { watched[i].isCold = false }
                report(found)
                watched[i].due = Clock.now() + nextRound(watched[i].target, after: found)
                if stopping.load(ordering: .acquiring) { break }
            }
        }
    }

    /// A round that said nothing is repeated sooner: somebody waits for it.
    private func nextRound(_ target: PreflightTarget, after found: PreflightReport) -> Interval {
        found.reading == .unknown ? min(target.config.every, .seconds(1)) : target.config.every
    }

    private func timeoutMillis(until next: Instant) -> Int32 {
        if next == .never { return -1 }
        let now = Clock.now()
        return next <= now ? 0 : Int32(clamping: (next - now).millis + 1)
    }
}

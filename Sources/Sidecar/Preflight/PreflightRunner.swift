// The thread of the checks before, and during, a rollout: every target at its interval, one after the other.
// A server that hangs delays other models' checks by its timeout; nothing is promoted meanwhile, nothing else
// waits for them.
// Invariant: a candidate is warmed up once per process and attempt, and never reported as passed before.

import Control
import Platform
import Rollout

/// The checks' thread.
final class PreflightRunner: Sendable {
    private let worker: Worker<[PreflightTarget]>
    private let report: @Sendable (PreflightReport) -> Void

    /// - Parameter report: told of every round, on the runner's thread.
    init(report: @escaping @Sendable (PreflightReport) -> Void) throws(SystemFailure) {
        worker = try Worker(name: "weir-preflight", capacity: 64)
        self.report = report
    }

    func start() throws(SystemFailure) {
        try worker.start { [self] in
            var watched: [Watched] = []
            return { [self] isLast in isLast ? .never : turn(&watched) }
        }
    }

    /// Replaces what is checked; what stays as it is keeps its place in time and its warmth.
    /// False when the thread does not keep up: the caller tries again.
    func check(_ all: [PreflightTarget]) -> Bool { worker.enqueue(all) }

    func stop() { worker.stop() }

    private struct Watched {
        var target: PreflightTarget
        var due: Instant
        var isCold = true
    }

    /// Runs the checks that are due.
    /// - Returns: when the next one is.
    private func turn(_ watched: inout [Watched]) -> Instant {
        while let fresh = worker.dequeue() {
            watched = fresh.map { target in
                watched.first { $0.target == target } ?? Watched(target: target, due: Clock.now())
            }
        }
        for i in watched.indices where watched[i].due <= Clock.now() {
            let check = PreflightCheck(watched[i].target) { [self] in worker.isStopping }
            let found = check.run(isCold: watched[i].isCold)
            if found.reading == .passed { watched[i].isCold = false }
            report(found)
            watched[i].due = Clock.now() + nextRound(watched[i].target, after: found)
            if worker.isStopping { break }
        }
        return watched.map(\.due).min() ?? .never
    }

    /// A round that said nothing is repeated sooner: somebody waits for it.
    private func nextRound(_ target: PreflightTarget, after found: PreflightReport) -> Interval {
        found.reading == .unknown ? min(target.config.every, .seconds(1)) : target.config.every
    }
}

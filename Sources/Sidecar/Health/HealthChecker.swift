// Active health checks: one thread asks every endpoint that has a check, at its interval with jitter, and
// tells the data plane and the controller when one changes sides.
//
// Theory: an endpoint starts unchecked, is asked at once, and serves from its first good probe on. It turns
// unhealthy after `unhealthyThreshold` bad probes in a row and back after `healthyThreshold` good ones. A
// restart of Weir does not empty a fleet all the same: stable's last resort takes what is unchecked or fails.
// Every good probe of a healthy endpoint is passed on, because it ends an ejection.

import Control
import Platform
import Proxy
import Synchronization
import Wire

/// The health checks' thread.
final class HealthChecker: Sendable {
    /// Probes in flight; others wait for the next free place.
    static let probesMax = 128

    let targets: Mailbox<[HealthTarget]>
    let stopping = Atomic<Bool>(false)
    let plane: any Plane
    /// The bounds of an answer's head: those of the data plane, so that both say the same of a server.
    let heads: HeadLimits
    let report: @Sendable (HealthTransition) -> Void
    let failed: @Sendable (EndpointSlot, Instant) -> Void
    private let thread = Mutex<Thread?>(nil)

    /// - Parameters:
    ///   - failed: told of every failed check of an unhealthy endpoint and when that check began, before
    ///     `report` is. Both are called on the checker's thread.
    ///   - report: told of every transition.
    init(
        plane: any Plane, heads: HeadLimits = Limits().responseHeads,
        failed: @escaping @Sendable (EndpointSlot, Instant) -> Void = { _, _ in },
        report: @escaping @Sendable (HealthTransition) -> Void
    ) throws(SystemFailure) {
        targets = try Mailbox(capacity: 64)
        self.plane = plane
        self.heads = heads
        self.failed = failed
        self.report = report
    }

    func start() throws(SystemFailure) {
        let loop = HealthLoop(self, try Poller(eventsMax: 256))
        try loop.watch()
        let started = try Thread.spawn(name: "weir-health") { loop.run() }
        thread.withLock { $0 = started }
    }

    /// Replaces what is checked. Endpoints that stay keep their streak; those that leave are forgotten.
    /// False when the thread does not keep up: the caller tries again.
    func check(_ all: [HealthTarget]) -> Bool { targets.post(all) }

    func stop() {
        stopping.store(true, ordering: .releasing)
        targets.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
    }
}

/// A probe under way.
final class Probe {
    enum Stage { case connecting, sending, reading, closing }

    let target: Int
    let generation: UInt32
    let descriptor: Descriptor
    var stage: Stage
    var sent = 0
    var scanned = 0
    /// What has yet to come of the answer's body, once its head has decided.
    var rest = BodyRest.none
    /// Where the answer's bytes end in the probe's buffer.
    var count = 0

    init(target: Int, generation: UInt32, _ descriptor: consuming Descriptor, _ stage: Stage) {
        self.target = target
        self.generation = generation
        self.descriptor = descriptor
        self.stage = stage
    }
}

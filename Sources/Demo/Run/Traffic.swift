// The load of a demo on a thread of its own: it asks, counts what users saw, and stops when told. What users
// saw is counted here, at their end, and not taken from Weir.
// Invariant: counters have one writer, the load's thread; the main thread only reads them.

import Load
import Platform
import Synchronization

/// A running load.
final class Traffic: Sendable {
    private final class Counters: Sendable {
        let requests = Atomic<UInt64>(0)
        let errors = Atomic<UInt64>(0)
        let isStopping = Atomic<Bool>(false)
    }

    private let counters = Counters()
    private let thread: Thread

    /// - Parameter audience: sees every answer that has an id; the plan has to read them.
    init(_ plan: LoadPlan, _ audience: Audience?) throws(SystemFailure) {
        let counters = counters
        let candidate = plan.versions.firstIndex(of: DemoConfig.candidate)
        thread = try Thread.spawn(name: "load") {
            do throws(SystemFailure) {
                var generator = try LoadGenerator(plan)
                generator.run(
                    each: { result in
                        counters.requests.add(1)
                        if !result.isGood { counters.errors.add(1) }
                        if let audience, let id = result.id, result.isGood {
                            audience.see(id, isCandidate: result.version == candidate)
                        }
                    }, while: { _ in !counters.isStopping.load(ordering: .relaxed) })
            } catch {
                preconditionFailure("\(error)")
            }
        }
    }

    /// Requests that have ended, for better or worse.
    var requests: UInt64 { counters.requests.load(ordering: .relaxed) }

    /// Requests that a user would call failed.
    var errors: UInt64 { counters.errors.load(ordering: .relaxed) }

    /// Sends nothing more, and waits until every request has ended.
    func stop() {
        counters.isStopping.store(true, ordering: .relaxed)
        thread.join()
    }
}

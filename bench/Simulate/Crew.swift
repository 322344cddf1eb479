// Spreads the runs of a row over threads. Runs are independent and each has its own seed, so the result is
// the same for any number of threads.
// Invariant: a result stands at its run's number, whoever came to it.

import Glibc
import Platform
import Synchronization

/// Threads that share a row's runs.
enum Crew {
    /// CPUs that may be used.
    static var cpus: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// What a row's threads have in common.
    private final class Work<Result: Sendable>: Sendable {
        private let next = Atomic<Int>(0)
        private let results: Mutex<[Result?]>
        private let one: @Sendable (Int) -> Result?
        private let count: Int

        init(_ runs: Int, _ one: @escaping @Sendable (Int) -> Result?) {
            self.one = one
            count = runs
            results = Mutex(Array(repeating: nil, count: runs))
        }

        func run() {
            while true {
                // Few enough at a time that the threads end together.
                let first = next.add(4, ordering: .relaxed).oldValue
                guard first < count else { return }
                for run in first..<min(first + 4, count) {
                    let result = one(run)
                    results.withLock { $0[run] = result }
                }
            }
        }

        var all: [Result?] { results.withLock { $0 } }
    }

    /// Every run of a row: candidate requests until its trip, nil without one.
    static func run(_ row: Row, runs: Int, requests: Int, threads: Int) -> [Int?] {
        run(runs, threads: threads) { row.requestsToTrip(run: $0, requests) }
    }

    /// The results of runs 0, 1, 2, ...
    static func run<Result: Sendable>(
        _ runs: Int, threads: Int, _ one: @escaping @Sendable (Int) -> Result?
    ) -> [Result?] {
        let work = Work(runs, one)
        let helpers = (1..<max(1, threads)).compactMap { i in
            try? Thread.spawn(name: "simulate \(i)") { work.run() }
        }
        work.run()
        for helper in helpers { helper.join() }
        return work.all
    }
}

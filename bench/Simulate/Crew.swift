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
    private final class Work: Sendable {
        private let next = Atomic<Int>(0)
        private let results: Mutex<[Int?]>
        private let row: Row
        private let requests: Int
        private let count: Int
        /// Runs taken at a time.
        private static let share = 8

        init(_ row: Row, runs: Int, requests: Int) {
            self.row = row
            self.requests = requests
            count = runs
            results = Mutex(Array(repeating: nil, count: runs))
        }

        func run() {
            while true {
                let first = next.add(Work.share, ordering: .relaxed).oldValue
                guard first < count else { return }
                for run in first..<min(first + Work.share, count) {
                    let delay = row.requestsToTrip(run: run, requests)
                    results.withLock { $0[run] = delay }
                }
            }
        }

        var all: [Int?] { results.withLock { $0 } }
    }

    /// Every run of a row: candidate requests until its trip, nil without one.
    static func run(_ row: Row, runs: Int, requests: Int, threads: Int) -> [Int?] {
        let work = Work(row, runs: runs, requests: requests)
        let helpers = (1..<max(1, threads)).compactMap { i in
            try? Thread.spawn(name: "simulate \(i)") { work.run() }
        }
        work.run()
        for helper in helpers { helper.join() }
        return work.all
    }
}

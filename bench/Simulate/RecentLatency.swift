// A version's latency of late, as control keeps it for the reference of latency rules: a histogram per minute
// and the sum of ten of them.
// Place: of a simulated world; `World` says when a minute ends.

import Metrics

/// Stable's latency over its last ten minutes, as control keeps it for the reference.
struct RecentLatency {
    private static let slices = 10
    private static let sliceTicks: UInt64 = 600
    private var all = HistogramSnapshot()
    private var recent = Array(repeating: HistogramSnapshot(), count: slices)
    private var at = 0

    var count: UInt64 { all.count }

    mutating func record(_ micros: UInt64) {
        all.record(nanos: micros * 1000)
        recent[at].record(nanos: micros * 1000)
    }

    mutating func turn(_ now: UInt64) {
        guard now % RecentLatency.sliceTicks == 0 else { return }
        at = (at + 1) % RecentLatency.slices
        all.subtract(recent[at])
        recent[at] = HistogramSnapshot()
    }

    func quantile(_ q: Double) -> UInt64? { all.quantile(q) }
}

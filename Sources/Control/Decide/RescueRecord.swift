// What stable made of the requests that candidates failed, by tick: the counters of the cores, read once a
// step. At a weight of 100 % these are nearly all that is known of stable at the moments at which the
// candidate is bad.
// Place: kept by `WatchedModel`, handed to guardrails with each `PairTick`.
// Invariant: holds the ticks that a guard may look back to, and only those in which there was something.

import Metrics

/// Stable's answers to shielded requests.
struct RescueRecord: Sendable {
    private struct Count {
        var rescued: UInt64 = 0
        var unrescued: UInt64 = 0
    }

    /// The totals of the last look, by version; nothing before the first.
    private var totals: [Count] = []
    /// By tick, then by version.
    private var ticks: [UInt64: [Count]] = [:]

    /// Reads the counters: what came since the last look belongs to the tick that has just ended.
    mutating func observe(_ meters: [[VersionMeter]], at now: Tick) {
        let fresh = meters.map { cores in
            cores.reduce(into: Count()) { sum, core in
                let found = core.rescues
                sum.rescued &+= found.rescued
                sum.unrescued &+= found.unrescued
            }
        }
        defer { totals = fresh }
        if !ticks.isEmpty {
            let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets))
            ticks = ticks.filter { $0.key >= oldest }
        }
        guard totals.count == fresh.count, now.number > 0 else { return }
        let new = zip(fresh, totals).map {
            Count(rescued: $0.rescued &- $1.rescued, unrescued: $0.unrescued &- $1.unrescued)
        }
        if new.contains(where: { $0.rescued > 0 || $0.unrescued > 0 }) { ticks[now.number - 1] = new }
    }

    func counts(_ version: Int, at tick: Tick) -> (rescued: Int, unrescued: Int) {
        guard !ticks.isEmpty, let found = ticks[tick.number], version < found.count else { return (0, 0) }
        return (Int(clamping: found[version].rescued), Int(clamping: found[version].unrescued))
    }
}

// The readings of one value that is read from sampled traffic, by the tick in which their requests started.
// Invariant: a tick is handed out when no request of it is pending any more and what ended has come through
// the sampling; what comes later is counted as lost and never added to a tick that was handed out.
// Bound: `ticksMax` ticks of `valuesMax` values per version; a tick with more is dropped in both arms,
// because the values that came first would be those of the fastest requests.

import Metrics
import Rollout

/// A tick in which requests started, shared by the values of a model.
struct SampledTick: Sendable, Equatable {
    var tick: UInt64
    /// By version, in force in the whole tick; nil: dropped.
    var weights: [UInt32]?
    /// The tick in which it was first seen that nothing of it is pending.
    var settledAt: UInt64?

    init(tick: UInt64) { self.tick = tick }

    /// - Parameter drainedAt: samples that were there in this tick have come.
    func isComplete(_ drainedAt: UInt64) -> Bool { settledAt.map { drainedAt > $0 } ?? false }
}

/// One sampled value.
struct ValueSeries: Sendable {
    static let ticksMax = 1_024
    static let valuesMax = 8_192

    private struct Slot: Sendable {
        var tick: UInt64
        var arms: [ValueArm]
        var isOverfull = false
    }

    private var versions: Int
    private var slots: [Slot] = []

    init(versions: Int) { self.versions = versions }

    /// - Parameter value: nil: the request was looked at and has no value.
    mutating func add(_ value: Double?, version: Int, tick: UInt64) {
        var at = slots.partitionPoint(after: { $0.tick < tick })
        if at == slots.count || slots[at].tick != tick {
            slots.insert(Slot(tick: tick, arms: Array(repeating: ValueArm(), count: versions)), at: at)
            if slots.count > Self.ticksMax {
                slots.removeFirst()
                at -= 1
            }
        }
        guard at >= 0 else { return }
        guard slots[at].arms[version].observed < Self.valuesMax else { return slots[at].isOverfull = true }
        if let value {
            slots[at].arms[version].values.append(value)
        } else {
            slots[at].arms[version].missing += 1
        }
    }

    /// The ticks among `complete` (ascending) from `from` on.
    func ticks(_ complete: [SampledTick], candidate: Int, stable: Int, from: UInt64) -> [ValueTick] {
        var ticks: [ValueTick] = []
        var at = slots.partitionPoint(after: { $0.tick < from })
        for sampled in complete where sampled.tick >= from {
            while at < slots.count, slots[at].tick < sampled.tick { at += 1 }
            guard at < slots.count, slots[at].tick == sampled.tick else { continue }
            var tick = ValueTick(tick: Tick(number: sampled.tick), split: nil)
            if let weights = sampled.weights, !slots[at].isOverfull {
                tick.split = PairSplit(candidatePPM: weights[candidate], stablePPM: weights[stable])
                tick.candidate = slots[at].arms[candidate]
                tick.stable = slots[at].arms[stable]
            }
            ticks.append(tick)
        }
        return ticks
    }

    mutating func move(_ places: Places) {
        versions = places.count
        for i in slots.indices { slots[i].arms = places.moved(slots[i].arms, missing: ValueArm()) }
    }

    mutating func forget(before tick: UInt64) {
        let count = slots.partitionPoint(after: { $0.tick < tick })
        if count > 0 { slots.removeFirst(count) }
    }
}

// Which weights were in force in which tick. Cores take a plan over one after the other, so the ticks from
// its publication to the last core's obedience belong to no split, and no test may compare versions in them.
// Invariant: entries ascend; what is older than the evidence rings is forgotten.

import Metrics

/// A model's weights by tick, in parts per million, in the order of its versions.
struct SplitHistory {
    private var entries: [(from: Tick, weights: [UInt32]?)]

    /// Nothing is known before `tick`; the weights hold from the tick after it.
    init(weights: [UInt32], at tick: Tick) {
        entries = [(Tick(number: tick.number + 1), weights)]
    }

    /// A plan with other weights is on its way to the cores.
    mutating func change(at tick: Tick) {
        append(tick, nil)
    }

    /// Every core obeys these weights now.
    mutating func settle(at tick: Tick, weights: [UInt32]) {
        append(Tick(number: tick.number + 1), weights)
        let oldest =
            tick.number > UInt64(EvidenceRing.buckets) ? tick.number - UInt64(EvidenceRing.buckets) : 0
        while entries.count > 1, entries[1].from.number <= oldest { entries.removeFirst() }
    }

    private mutating func append(_ from: Tick, _ weights: [UInt32]?) {
        while let last = entries.last, last.from >= from, entries.count > 1 { entries.removeLast() }
        entries.append((from, weights))
    }

    /// The weights in force during the whole of a tick; nil when they changed in it or are not known.
    func weights(at tick: Tick) -> [UInt32]? {
        entries.last { $0.from <= tick }?.weights
    }
}

// Which weights were in force in which tick, and which version got copies. Cores take a plan over one after
// the other, so the ticks from its publication to the last core's obedience belong to no split, and no test
// may compare versions in them.
// Invariant: entries ascend; what is older than the evidence rings is forgotten.

import Metrics
import Proxy

/// What a model's plan says about who gets requests.
struct SplitInForce: Equatable {
    /// In parts per million, in the order of the versions.
    var weights: [UInt32]
    /// Index of the version that gets copies.
    var shadow: Int?
}

extension SplitInForce {
    init(_ plan: ModelPlan) {
        self.init(weights: plan.versions.map(\.weightPPM), shadow: plan.shadow?.version)
    }
}

/// A model's splits by tick.
struct SplitHistory {
    private var entries: [(from: Tick, split: SplitInForce?)]

    /// Nothing is known before `tick`; the split holds from the tick after it.
    init(_ split: SplitInForce, at tick: Tick) {
        entries = [(Tick(number: tick.number + 1), split)]
    }

    /// A plan with another split is on its way to the cores.
    mutating func change(at tick: Tick) {
        append(tick, nil)
    }

    /// Every core obeys this split now.
    mutating func settle(at tick: Tick, _ split: SplitInForce) {
        append(Tick(number: tick.number + 1), split)
        let oldest =
            tick.number > UInt64(EvidenceRing.buckets) ? tick.number - UInt64(EvidenceRing.buckets) : 0
        while entries.count > 1, entries[1].from.number <= oldest { entries.removeFirst() }
    }

    private mutating func append(_ from: Tick, _ split: SplitInForce?) {
        while let last = entries.last, last.from >= from, entries.count > 1 { entries.removeLast() }
        entries.append((from, split))
    }

    /// The split in force during the whole of a tick; nil when it changed in it or is not known.
    func split(at tick: Tick) -> SplitInForce? {
        entries.last { $0.from <= tick }?.split
    }

    /// Its weights.
    func weights(at tick: Tick) -> [UInt32]? { split(at: tick)?.weights }
}

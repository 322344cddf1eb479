// Which slot a model, version or endpoint has. Slots are what cores index by, so a name keeps its slot for
// as long as it is in the config, over any number of reloads: counters, pools and switches stay with it.
//
// A name that leaves gives its slot back only after every core obeys a plan without it; until then the slot
// is retiring and the name, should it return, gets the same one. Freed slots are given out again, oldest
// first, before new ones, because memory behind a slot that was never used is never touched.

import Platform
import Proxy

/// Slots by name, for models, versions and endpoints.
package struct SlotTable: Sendable {
    /// A version is known by its model and its name.
    struct VersionKey: Hashable {
        var model: String
        var version: String
    }

    /// An endpoint belongs to one version; two versions at one address have two endpoints.
    struct EndpointKey: Hashable {
        var version: VersionKey
        var address: SocketAddress
    }

    private var models = SlotLane<String>(capacity: Limits.modelsMax)
    private var versions = SlotLane<VersionKey>(capacity: Limits.versionsMax)
    private var endpoints = SlotLane<EndpointKey>(capacity: Limits.endpointsMax)

    package init() {}

    /// The slot of a model that the newest plan has.
    package func slot(model: String) -> ModelSlot? { models.slot(of: model) }

    /// The slot of a version that the newest plan has. A slot may have been another version's before: its
    /// counters go on from there, so who counts takes a baseline when a version appears.
    package func slot(model: String, version: String) -> VersionSlot? {
        versions.slot(of: VersionKey(model: model, version: version))
    }

    /// The slot of an endpoint that the newest plan has.
    package func slot(model: String, version: String, endpoint: SocketAddress) -> EndpointSlot? {
        endpoints.slot(
            of: EndpointKey(version: VersionKey(model: model, version: version), address: endpoint))
    }

    /// To be called with `DataPlane.obeyedEpoch`: slots that the plan of that epoch no longer has are free.
    package mutating func obeyed(epoch: UInt64) {
        models.free(upTo: epoch)
        versions.free(upTo: epoch)
        endpoints.free(upTo: epoch)
    }

    /// Gives every name of `config` a slot in the plan `epoch`, and retires the slots of names that are
    /// gone. Unchanged when it throws.
    mutating func assign(_ config: Config, epoch: UInt64) throws(PlanProblem) {
        var next = self
        let versionKeys = config.models.flatMap { model in
            model.versions.map { (VersionKey(model: model.name, version: $0.name), $0.endpoints) }
        }
        let endpointKeys = versionKeys.flatMap { key, addresses in
            addresses.map { EndpointKey(version: key, address: $0) }
        }
        guard next.models.assign(config.models.map(\.name), epoch: epoch) else { throw .slotsInUse("models") }
        guard next.versions.assign(versionKeys.map(\.0), epoch: epoch) else { throw .slotsInUse("versions") }
        guard next.endpoints.assign(endpointKeys, epoch: epoch) else { throw .slotsInUse("endpoints") }
        self = next
    }
}

/// One kind of slot.
struct SlotLane<Key: Hashable & Sendable>: Sendable {
    let capacity: Int
    private var live: [Key: Int] = [:]
    /// Slots of names that are gone, with the epoch of the first plan without them.
    private var retiring: [Key: (slot: Int, epoch: UInt64)] = [:]
    /// Oldest first.
    private var free: [Int] = []
    /// The lowest slot that was never given out.
    private var fresh = 0

    init(capacity: Int) { self.capacity = capacity }

    func slot(of key: Key) -> Int? { live[key] }

    /// Makes `keys` the live ones; false when there are not enough slots, and then nothing may be used.
    mutating func assign(_ keys: [Key], epoch: UInt64) -> Bool {
        let wanted = Set(keys)
        for (key, slot) in live where !wanted.contains(key) {
            retiring[key] = (slot, epoch)
            live[key] = nil
        }
        var reused = 0
        for key in keys where live[key] == nil {
            if let returning = retiring.removeValue(forKey: key) {
                live[key] = returning.slot
            } else if reused < free.count {
                live[key] = free[reused]
                reused += 1
            } else if fresh < capacity {
                live[key] = fresh
                fresh += 1
            } else {
                return false
            }
        }
        free.removeFirst(reused)
        return true
    }

    /// Frees what plans up to `epoch` have retired.
    mutating func free(upTo epoch: UInt64) {
        let done = retiring.filter { $0.value.epoch <= epoch }
        for key in done.keys { retiring[key] = nil }
        free += done.values.map(\.slot).sorted()
    }
}

// What sticky keys have done in the current rollout, over all cores: had a bad event of a kind, or been slow
// by one of the latency thresholds. One heavy client whose every request is bad is one event for a comparison
// by weight, not thousands: the coin was thrown once, for its key. Only bad requests come here, and a line is
// written for a key's first event of a kind, and its first of a kind in a minute, alone: so that the cores
// share the table costs the request path one load. Bound: `Limits.keysMax`; when a key finds no place, its
// events count, as if each were its first.
// Source: the data contract of sequential comparison under sticky routing; open addressing, one word per key.

import Metrics
import Platform
import Synchronization

/// A map from hashes to events that only grows, until its model's next rollout. Any thread.
struct KeyTable: ~Copyable, Sendable {
    private static let probesMax = 32
    // A word: 42 bits of the key's hash, the minute of its last bad event, the kinds of events that it has
    // had in that minute, what it has done.
    private static let minuteShift: UInt64 = 14
    private static let minuteMask: UInt64 = 0xFF << 14
    private static let latelyMask = KeyEvents.kinds.lately.rawValue
    private static let tagMask: UInt64 = ~(1 << 22 - 1)

    /// The minute of a tick, one of 256 in turn.
    static func minute(_ tick: Tick) -> UInt8 { UInt8(truncatingIfNeeded: tick.number / 600) }
    private let places: Int
    private let pages: SharedPages
    private let rollouts = SharedPages(byteCount: Limits.modelsMax * 4)

    /// - Parameter places: a power of two.
    init(places: Int = Limits.keysMax) {
        precondition(places > 0 && places & (places - 1) == 0)
        self.places = places
        pages = SharedPages(byteCount: places * 8)
    }

    /// Notes what a key did.
    ///
    /// - Parameters:
    ///   - events: not empty.
    ///   - minute: now.
    /// - Returns: those of them that are not the key's first in the model's current rollout, and for each
    ///   kind of bad event among these whether it is not the first in the minute either.
    func note(_ keyHash: UInt64, _ events: KeyEvents, model: ModelSlot, minute: UInt8) -> KeyEvents {
        precondition(model < Limits.modelsMax && !events.isEmpty)
        let words = pages.base.assumingMemoryBound(to: Atomic<UInt64>.self)
        let rollout = UInt64(rolloutWord(model).pointee.load(ordering: .relaxed))
        let hash = Self.mix(keyHash ^ Self.mix(UInt64(model) << 32 | rollout))
        let tag = hash & Self.tagMask
        let stamp = UInt64(minute) << Self.minuteShift
        let isTimed = !events.isDisjoint(with: .kinds)
        let done = events.rawValue | events.lately.rawValue
        // The bits below the tag.
        var place = Int(truncatingIfNeeded: hash) & (places - 1)
        for _ in 0..<Self.probesMax {
            var word = words[place].load(ordering: .relaxed)
            if word == 0 {
                let outcome = words[place].compareExchange(
                    expected: 0, desired: tag | stamp | done, ordering: .relaxed)
                if outcome.exchanged { return [] }
                word = outcome.original
            }
            while word & Self.tagMask == tag {
                let known = events.intersection(KeyEvents(rawValue: word & KeyEvents.all.rawValue))
                let isNow = word & Self.minuteMask == stamp
                let lately = isNow ? KeyEvents(rawValue: word & known.lately.rawValue) : []
                let kept = isNow || !isTimed ? word : word & ~(Self.minuteMask | Self.latelyMask) | stamp
                // Another core may have written meanwhile; then what it wrote is looked at.
                guard kept | done != word else { return known.union(lately) }
                let outcome = words[place].compareExchange(
                    expected: word, desired: kept | done, ordering: .relaxed)
                if outcome.exchanged { return known.union(lately) }
                word = outcome.original
            }
            place = (place + 1) & (places - 1)
        }
        return []
    }

    /// Begins a new rollout of the model: every event may be its key's first again. What earlier rollouts
    /// left keeps its places; a table that fills up over many errs towards counting.
    func beginRollout(_ model: ModelSlot) {
        precondition(model < Limits.modelsMax)
        _ = rolloutWord(model).pointee.wrappingAdd(1, ordering: .relaxed)
    }

    private func rolloutWord(_ model: ModelSlot) -> UnsafeMutablePointer<Atomic<UInt32>> {
        rollouts.base.assumingMemoryBound(to: Atomic<UInt32>.self) + model
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value
        return Random64.splitmix(&value)
    }
}

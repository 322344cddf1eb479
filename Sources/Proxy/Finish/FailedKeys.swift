// Sticky keys that have failed in the current rollout, over all cores. One heavy client whose every request
// fails is one event for a comparison by weight, not thousands: the coin was thrown once, for its key.
// Only failures come here, so that the cores share the table costs the request path nothing.
// Bound: `places`; when a key finds no place within `probesMax`, its failure counts, as if it were its first.
// Source: the data contract of sequential comparison under sticky routing; open addressing, one CAS per key.

import Platform
import Synchronization

/// A set of hashes that only grows, until its model's next rollout. Any thread.
struct FailedKeys: ~Copyable, Sendable {
    private static let places = 1 << 16
    private static let probesMax = 32
    private let pages = SharedPages(byteCount: places * 8)
    private let rollouts = SharedPages(byteCount: Limits.modelsMax * 4)

    /// Notes a failure of the key.
    ///
    /// - Returns: whether it is the key's first in the model's current rollout.
    func insert(_ keyHash: UInt64, model: ModelSlot) -> Bool {
        precondition(model < Limits.modelsMax)
        let words = pages.base.assumingMemoryBound(to: Atomic<UInt64>.self)
        let rollout = UInt64(rolloutWord(model).pointee.load(ordering: .relaxed))
        let word = Self.mix(keyHash ^ Self.mix(UInt64(model) << 32 | rollout)) | 1
        var place = Int(word >> 48)
        for _ in 0..<Self.probesMax {
            let outcome = words[place].compareExchange(expected: 0, desired: word, ordering: .relaxed)
            if outcome.exchanged { return true }
            if outcome.original == word { return false }
            place = (place + 1) & (Self.places - 1)
        }
        return true
    }

    /// Begins a new rollout of the model: every key may fail for the first time again. What earlier rollouts
    /// left keeps its places; a table that fills up over many errs towards counting.
    func beginRollout(_ model: ModelSlot) {
        precondition(model < Limits.modelsMax)
        _ = rolloutWord(model).pointee.wrappingAdd(1, ordering: .relaxed)
    }

    private func rolloutWord(_ model: ModelSlot) -> UnsafeMutablePointer<Atomic<UInt32>> {
        rollouts.base.assumingMemoryBound(to: Atomic<UInt32>.self) + model
    }

    /// The finaliser of SplitMix64.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

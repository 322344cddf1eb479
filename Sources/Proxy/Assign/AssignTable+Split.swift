// The split: a sticky key's version by weighted rendezvous, or a random draw. Rendezvous gives every
// version an exponential variate made of the key's and the version's hash, divided by the weight; the
// smallest wins, which is argmax of −w/ln(u). No table of keys, the same answer on every core and machine,
// and when a version's weight grows, keys only move to it.
// Source: Thaler, Ravishankar, 1998 (rendezvous hashing); the weighted form with −w/ln(u): Schindelhauer
// and Schomaker, 2005 ("Weighted distributed hash tables", the logarithmic method).

import Platform

extension AssignTable {
    /// xxHash64 of the first present key under the model's salt; nil when the request has none. An empty
    /// value is no key: it would tie all anonymous users together.
    @inline(never)
    func keyHash(
        _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer, client: IPAddress
    ) -> UInt64? {
        let slots = stickySlots + Int(model.pointee.stickySlots.start)
        for index in 0..<Int(model.pointee.stickySlots.count) {
            if slots[index] == FactSlot.none {
                // A peer on a Unix socket has no address.
                if client != .none { return Self.keyHash(client, salt: model.pointee.salt) }
            } else if let key = scratch.value(of: slots[index], base: base), key.count > 0 {
                return XXHash64.hash(key, seed: model.pointee.salt)
            }
        }
        return nil
    }

    /// The hash of an address's 16 bytes in network order.
    private static func keyHash(_ client: IPAddress, salt: UInt64) -> UInt64 {
        withUnsafeBytes(of: (client.high.bigEndian, client.low.bigEndian)) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return XXHash64.hash(ByteView(base, bytes.count), seed: salt)
        }
    }

    /// The version that a key's hash falls to.
    @inline(never)
    func rendezvous(_ model: UnsafePointer<ModelEntry>, keyHash: UInt64) -> UInt8 {
        let list = shares + Int(model.pointee.shares.start)
        var best = list[0].version
        let count = Int(model.pointee.shares.count)
        if count == 1 { return best }
        var least = Self.score(list[0], keyHash: keyHash)
        for index in 1..<count {
            let score = Self.score(list[index], keyHash: keyHash)
            if score < least {
                least = score
                best = list[index].version
            }
        }
        return best
    }

    /// −ln(u)/w; least wins.
    @inline(__always)
    static func score(_ share: ShareEntry, keyHash: UInt64) -> Double {
        Exponential.variate(XXHash64.hash(keyHash, seed: share.nameHash)) * share.inverseWeight
    }

    /// A version at random, by weight: one random word against the cumulative weights.
    @inline(__always)
    func draw(_ model: UnsafePointer<ModelEntry>, random: inout Random64) -> UInt8 {
        let list = shares + Int(model.pointee.shares.start)
        var low = 0
        var high = Int(model.pointee.shares.count) &- 1
        if high == 0 { return list[0].version }
        let word = random.next()
        while low < high {
            let middle = (low &+ high) &>> 1
            if word < list[middle].below { high = middle } else { low = middle &+ 1 }
        }
        return list[low].version
    }
}

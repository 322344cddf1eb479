// The split: a sticky key's version by weighted rendezvous, or a random draw. Rendezvous gives every
// version an exponential variate made of the key's and the version's hash, divided by the weight; the
// smallest wins, which is argmax of −w/ln(u). No table of keys, the same answer on every core and machine,
// and when a version's weight grows, keys only move to it. A part of stable has no place of its own in it:
// which of stable's keys it gets is a second hash's, so that nobody changes version where it comes or goes.
// Source: Thaler, Ravishankar, 1998 (rendezvous hashing); the weighted form with −w/ln(u): Schindelhauer
// and Schomaker, 2005 ("Weighted distributed hash tables", the logarithmic method).

import Platform
import Wire

extension AssignTable {
    /// xxHash64 of the first present key under the model's salt; nil when the request has none. An empty
    /// value is no key: it would tie all anonymous users together.
    @inline(never)
    func keyHash(
        _ model: UnsafePointer<ModelEntry>, query: Slice, fields: borrowing HeadParser,
        base: UnsafeRawPointer, client: IPAddress
    ) -> UInt64? {
        let first = stickyKeys[Int(model.pointee.stickyKeys.start)]
        if first.kind == .header, let value = scratch.value(of: first.slot, base: base), value.count > 0 {
            return XXHash64.hash(value, seed: model.pointee.salt)
        }
        return anyKeyHash(model, query: query, fields: fields, base: base, client: client)
    }

    /// Tries all keys; cookies and parameters are read only when no earlier key decides.
    @inline(never)
    private func anyKeyHash(
        _ model: UnsafePointer<ModelEntry>, query: Slice, fields: borrowing HeadParser,
        base: UnsafeRawPointer, client: IPAddress
    ) -> UInt64? {
        var key = stickyKeys + Int(model.pointee.stickyKeys.start)
        let end = key + Int(model.pointee.stickyKeys.count)
        var unread = ModelNeeds.pairs.subtracting(model.pointee.needs)
        while key < end {
            switch key.pointee.kind {
            case .header: break
            case .cookie:
                if unread.remove(.cookies) != nil { noteCookies(fields, model, base: base) }
            case .query:
                if unread.remove(.queries) != nil { noteParameters(query, model, base: base) }
            case .clientAddress:
                // The 16 bytes in network order. A peer on a Unix socket has no address.
                if client != .none {
                    return XXHash64.hash(
                        client.high.byteSwapped, client.low.byteSwapped, seed: model.pointee.salt)
                }
                key += 1
                continue
            }
            if let value = scratch.value(of: key.pointee.slot, base: base), value.count > 0 {
                return XXHash64.hash(value, seed: model.pointee.salt)
            }
            key += 1
        }
        return nil
    }

    /// The version that a key's hash falls to.
    @inline(never)
    func rendezvous(_ model: UnsafePointer<ModelEntry>, keyHash: UInt64) -> UInt8 {
        var share = shares + Int(model.pointee.shares.start)
        let end = share + Int(model.pointee.shares.count)
        var best = share.pointee.version
        if share + 1 == end { return best }
        var least = Double.infinity
        while share < end {
            let score = Self.score(share.pointee, keyHash: keyHash)
            if score < least {
                least = score
                best = share.pointee.version
            }
            share += 1
        }
        if model.pointee.part != Assignment.noVersion, best == model.pointee.stable,
            XXHash64.hash(keyHash, seed: model.pointee.partHash) < model.pointee.partBelow
        {
            return model.pointee.part
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

// Which ids have had feedback of a metric: a set of 32-bit fingerprints in open addressing, one set per
// slot of start times, dropped as a whole when the slot is done. Ids without feedback are not stored.
// Bound: at most 12 bytes per accepted item. Two ids of one slot share a fingerprint with a chance of one
// in four thousand million; then the second is taken for a repetition, whichever version it belongs to.

/// A growing set of fingerprints.
struct Fingerprints: Sendable, Equatable {
    /// 0 marks a free place.
    private var places: [UInt32] = []
    private(set) var count = 0

    /// - Returns: false when it was there.
    mutating func insert(_ hash: UInt64) -> Bool {
        if (count + 1) * 3 > places.count * 2 { grow() }
        let print = max(1, UInt32(truncatingIfNeeded: hash))
        let at = place(of: print)
        guard places[at] == 0 else { return false }
        places[at] = print
        count += 1
        return true
    }

    /// Where it stands, or the free place where it belongs.
    private func place(of print: UInt32) -> Int {
        let mask = places.count - 1
        var at = Int(print &* 0x9E37_79B1 >> 7) & mask
        while places[at] != 0, places[at] != print { at = (at + 1) & mask }
        return at
    }

    private mutating func grow() {
        let old = places
        places = Array(repeating: 0, count: max(8, old.count * 2))
        for print in old where print != 0 { places[place(of: print)] = print }
    }
}

// Posted values of one slot by version, as counts of rounded values. Rounding to eight significant bits (the
// upper half of a Float) keeps 0, 1 and whole numbers up to 256 exact and others within 0.4 %, and bounds
// what a slot can hold. It is the same function for every version, fixed before any value is seen, so a test
// of the rounded metric is as valid as one of the metric itself.
// Invariant: entries ascend by version and code; eight bytes each, at most one per accepted item.

/// How often each rounded value was posted, by version.
struct ValueCounts: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        /// Version in the upper half, rounded value in the lower.
        var key: UInt32
        var count: UInt32
    }

    private var entries: [Entry] = []

    /// Distinct pairs of version and value.
    var distinct: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    /// - Parameters:
    ///   - version: an index below 32,768.
    ///   - code: what `code(of:)` gave.
    mutating func add(version: Int, code: UInt16) {
        let key = UInt32(version) << 16 | UInt32(code)
        let at = entries.partitionPoint(after: { $0.key < key })
        if at < entries.count, entries[at].key == key {
            entries[at].count &+= 1
        } else {
            entries.insert(Entry(key: key, count: 1), at: at)
        }
    }

    /// The values of a version's `requests`, each as often as it was posted, zeros for requests of which
    /// nothing was posted. Posts beyond the number of requests are left out.
    func values(version: Int, requests: Int) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(requests)
        let first = UInt32(version) << 16
        var at = entries.partitionPoint(after: { $0.key < first })
        while at < entries.count, entries[at].key >> 16 == first >> 16, values.count < requests {
            let count = min(Int(entries[at].count), requests - values.count)
            let value = Self.value(of: UInt16(truncatingIfNeeded: entries[at].key))
            values.append(contentsOf: repeatElement(value, count: count))
            at += 1
        }
        values.append(contentsOf: repeatElement(0, count: requests - values.count))
        return values
    }

    /// How many values of a version there are.
    func count(version: Int) -> Int {
        let first = UInt32(version) << 16
        let from = entries.partitionPoint(after: { $0.key < first })
        return entries[from...].prefix { $0.key >> 16 == UInt32(version) }.reduce(0) { $0 + Int($1.count) }
    }

    /// What a version's values add up to.
    func sum(version: Int) -> Double {
        let first = UInt32(version) << 16
        let from = entries.partitionPoint(after: { $0.key < first })
        return entries[from...].prefix { $0.key >> 16 == UInt32(version) }.reduce(0) {
            $0 + Double($1.count) * Self.value(of: UInt16(truncatingIfNeeded: $1.key))
        }
    }

    /// The values under new version indices; nil: the version is gone.
    func mapped(_ index: (Int) -> Int?) -> ValueCounts {
        var mapped = ValueCounts()
        for entry in entries {
            guard let version = index(Int(entry.key >> 16)) else { continue }
            mapped.entries.append(
                Entry(key: UInt32(version) << 16 | entry.key & 0xFFFF, count: entry.count))
        }
        mapped.entries.sort { $0.key < $1.key }
        return mapped
    }

    /// The upper half of the nearest Float, ties to even.
    static func code(of value: Double) -> UInt16 {
        let bits = Float(value).bitPattern
        let rounded = bits &+ 0x7FFF &+ (bits >> 16 & 1)
        // A value beyond Float stays the largest finite one of its sign.
        return rounded & 0x7F80_0000 == 0x7F80_0000
            ? UInt16(bits >> 16 & 0x8000 | 0x7F7F) : UInt16(rounded >> 16)
    }

    static func value(of code: UInt16) -> Double { Double(Float(bitPattern: UInt32(code) << 16)) }
}

extension RandomAccessCollection where Index == Int {
    /// The first index whose element is not before what is looked for; elements ascend.
    func partitionPoint(after isBefore: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

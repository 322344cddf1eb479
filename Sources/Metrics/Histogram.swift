// A histogram of times: the writer's side. One core records, any thread takes a snapshot. Recording is one
// count of leading zeros and three relaxed load-store pairs on two cache lines: the bin, and the totals
// (sum and maximum), which `VersionMeter` packs for all its times into one line.
// Invariant: a snapshot taken while the writer records holds each record wholly in its bin or not at all;
// its sum may be one record ahead or behind.

import Synchronization

/// A view onto `byteCount` zeroed bytes of the caller; one writer, readers on any thread.
@frozen public struct Histogram: Sendable {
    /// Word 0: sum of nanoseconds; word 1: largest time in nanoseconds.
    @usableFromInline let totals: Words
    @usableFromInline let bins: Words

    /// Bytes of a histogram of its own: a line of totals and the bins, a multiple of 64.
    public static let byteCount = 64 + binBytes
    /// Bytes of the bins alone, a multiple of 64.
    static let binBytes = (LogLinear.binCount * 8 + 63) / 64 * 64

    /// - Parameter memory: `byteCount` zeroed bytes, 64-byte aligned, alive as long as this view.
    @inlinable public init(at memory: UnsafeMutableRawPointer) {
        totals = Words(at: memory)
        bins = Words(at: memory).advanced(by: 8)
    }

    @inlinable init(totals: Words, bins: Words) {
        self.totals = totals
        self.bins = bins
    }

    /// Counts one time. Longer than `LogLinear.overflowNanos`: counted in the overflow bin.
    @inlinable public func record(nanos: UInt64) {
        bins.add(LogLinear.index(nanos: nanos))
        totals.add(0, nanos)
        totals.store(1, max(totals.load(1), nanos))
    }

    /// Adds what has been recorded so far to `snapshot`, so that the cores' histograms add up.
    public func snapshot(into snapshot: inout HistogramSnapshot) {
        snapshot.sumNanos &+= totals.load(0)
        snapshot.maxNanos = max(snapshot.maxNanos, totals.load(1))
        var count: UInt64 = 0
        snapshot.counts.withUnsafeMutableBufferPointer { counts in
            for index in 0..<LogLinear.binCount {
                let seen = bins.load(index)
                counts[index] &+= seen
                count &+= seen
            }
        }
        snapshot.count &+= count
    }
}

/// What a histogram held at one moment: plain values that add up over cores and subtract over time.
public struct HistogramSnapshot: Sendable, Hashable {
    /// Count per bin; always `LogLinear.binCount` long, the overflow bin last.
    public internal(set) var counts: [UInt64]
    /// Times counted: the sum of `counts`.
    public internal(set) var count: UInt64
    /// Sum of the times, in nanoseconds. Wraps after 584 years of summed time.
    public internal(set) var sumNanos: UInt64
    /// The longest time since the histogram began. A difference of snapshots keeps the later one's value.
    public internal(set) var maxNanos: UInt64

    /// Nothing recorded.
    public init() {
        counts = [UInt64](repeating: 0, count: LogLinear.binCount)
        count = 0
        sumNanos = 0
        maxNanos = 0
    }

    /// Sum of the times, in microseconds.
    public var sumMicros: UInt64 { sumNanos / 1_000 }
    /// The longest time, in microseconds.
    public var maxMicros: UInt64 { maxNanos / 1_000 }
    /// Times beyond the range.
    public var overflow: UInt64 { counts[LogLinear.overflowBin] }

    /// Counts one time: for tests, simulations and histograms without a concurrent reader.
    public mutating func record(nanos: UInt64, times: UInt64 = 1) {
        counts[LogLinear.index(nanos: nanos)] &+= times
        count &+= times
        sumNanos &+= nanos &* times
        maxNanos = max(maxNanos, nanos)
    }

    /// Adds another core's or another version's times.
    public mutating func add(_ other: HistogramSnapshot) {
        for index in 0..<LogLinear.binCount { counts[index] &+= other.counts[index] }
        count &+= other.count
        sumNanos &+= other.sumNanos
        maxNanos = max(maxNanos, other.maxNanos)
    }

    /// Takes away an earlier snapshot of the same histograms; what is left was recorded in between.
    ///
    /// A bin that was larger earlier (the histograms are not the same) counts as empty.
    public mutating func subtract(_ earlier: HistogramSnapshot) {
        count = 0
        for index in 0..<LogLinear.binCount {
            let left = counts[index] > earlier.counts[index] ? counts[index] &- earlier.counts[index] : 0
            counts[index] = left
            count &+= left
        }
        sumNanos &-= earlier.sumNanos
    }

    /// The upper edge of the bin that holds rank `ceil(q * count)`, in nanoseconds; nil when empty.
    ///
    /// At most 0.8 % above the true quantile, never below it. Beyond the range: the longest time seen.
    public func quantileNanos(_ q: Double) -> UInt64? {
        guard let bin = LogLinearLayout.bin(ofRank: LogLinearLayout.rank(q, of: count), counts: counts) else {
            return nil
        }
        return bin == LogLinear.overflowBin ? maxNanos : LogLinear.upperNanos(bin)
    }

    /// `quantileNanos` in whole microseconds, rounded up; nil when empty.
    public func quantile(_ q: Double) -> UInt64? {
        quantileNanos(q).map { $0 / 1_000 + ($0 % 1_000 == 0 ? 0 : 1) }
    }

    /// How many times are certainly at most `nanos`: those of bins that end there or before.
    public func countAtMost(nanos: UInt64) -> UInt64 {
        let bin = LogLinear.index(nanos: nanos)
        let whole = bin != LogLinear.overflowBin && LogLinear.upperNanos(bin) == nanos ? bin + 1 : bin
        return counts[..<whole].reduce(0, &+)
    }

    /// The mean time in nanoseconds; nil when empty.
    public var meanNanos: Double? { count == 0 ? nil : Double(sumNanos) / Double(count) }
}

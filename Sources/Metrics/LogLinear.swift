// The bins of a log-linear histogram: each power of two is cut into 2^subBits equal bins, values below
// 2^(subBits+1) have a bin of their own. So the relative width of a bin is at most 2^-subBits, and the
// index of a value is a count of leading zeros, two shifts and two additions: no table, no branch.
// Source: HdrHistogram's layout; reference numbers in the tests (`LogLinearTests`).

/// The layout for any number of sub-buckets, over unsigned integers of any unit.
@frozen public struct LogLinearLayout: Sendable, Hashable {
    /// Bits of a value that are kept below its leading one. 1...16.
    public let subBits: Int

    /// - Parameter subBits: 1...16; a bin is at most 2^-subBits of its lower edge wide.
    @inlinable public init(subBits: Int) {
        precondition((1...16).contains(subBits), "1...16 sub-bucket bits")
        self.subBits = subBits
    }

    /// The bin of `value`.
    @inlinable public func index(_ value: UInt64) -> Int {
        let sub = UInt64(1) << UInt64(subBits)
        // value | sub has its leading one at bit subBits or above, so the exponent is 0...63 - subBits.
        let exponent = 63 &- (value | sub).leadingZeroBitCount &- subBits
        return (exponent &<< subBits) &+ Int(truncatingIfNeeded: value &>> UInt64(exponent))
    }

    /// The smallest value of bin `index`.
    ///
    /// - Parameter index: a bin of some 64-bit value.
    @inlinable public func lower(_ index: Int) -> UInt64 {
        let sub = 1 << subBits
        if index < 2 * sub { return UInt64(index) }
        let exponent = (index >> subBits) - 1
        return UInt64(sub + (index & (sub - 1))) << UInt64(exponent)
    }

    /// The largest value of bin `index`, inclusive.
    @inlinable public func upper(_ index: Int) -> UInt64 {
        if index < 2 << subBits { return UInt64(index) }
        let exponent = (index >> subBits) - 1
        return lower(index) + ((UInt64(1) << UInt64(exponent)) - 1)
    }

    /// The bin that holds rank `ceil(q * n)` of `n` counted values, or nil when there are none.
    ///
    /// - Parameters:
    ///   - q: 0...1; 0 means the first rank.
    ///   - counts: count per bin.
    public func bin(ofQuantile q: Double, counts: [UInt64]) -> Int? {
        Self.bin(ofRank: Self.rank(q, of: counts.reduce(0, &+)), counts: counts)
    }

    /// Rank `ceil(q * n)`, 1...n; 0 when n is 0.
    ///
    /// The product is taken back by one part in 10^12 before rounding up, so that 0.95 of 100 is rank 95
    /// although 0.95 * 100 may be a hair above 95 in binary.
    public static func rank(_ q: Double, of n: UInt64) -> UInt64 {
        precondition(q >= 0 && q <= 1, "a quantile is between 0 and 1")
        let exact = q * Double(n)
        let rank = (exact - exact * 1e-12).rounded(.up)
        return min(n, max(1, UInt64(rank)))
    }

    /// The bin that holds `rank`, counted from 1; nil for rank 0 or beyond the last.
    static func bin(ofRank rank: UInt64, counts: [UInt64]) -> Int? {
        guard rank > 0 else { return nil }
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() where count != 0 {
            seen &+= count
            if seen >= rank { return index }
        }
        return nil
    }
}

/// Weir's own layout: nanoseconds, 128 bins per power of two (0.8 %), 1 ns to 73 minutes, and one bin for
/// what is longer. Nanoseconds, so that also a time of few microseconds keeps its one per cent.
public enum LogLinear {
    /// Bits kept below the leading one.
    public static let subBits = 7
    /// The layout as a value.
    public static let layout = LogLinearLayout(subBits: 7)
    /// Times from here on share the overflow bin: 2^42 ns, 73 minutes.
    public static let overflowNanos: UInt64 = 1 << 42
    /// Index of the overflow bin.
    public static let overflowBin = 4_608
    /// Bins, the overflow bin included.
    public static let binCount = 4_609

    /// The bin of a time, below `binCount`.
    @inlinable public static func index(nanos: UInt64) -> Int {
        // The numbers stand here as literals so that the caller's copy folds to five instructions.
        let value = min(nanos, 1 << 42)
        let exponent = 56 &- (value | 128).leadingZeroBitCount
        return (exponent &<< 7) &+ Int(truncatingIfNeeded: value &>> UInt64(truncatingIfNeeded: exponent))
    }

    /// The bin of a time in microseconds, below `binCount`.
    @inlinable public static func index(micros: UInt64) -> Int {
        index(nanos: min(micros, 1 << 42) &* 1_000)
    }

    /// The shortest time of a bin, in nanoseconds.
    @inlinable public static func lowerNanos(_ index: Int) -> UInt64 { layout.lower(index) }

    /// The longest time of a bin, in nanoseconds, inclusive.
    @inlinable public static func upperNanos(_ index: Int) -> UInt64 { layout.upper(index) }

    /// The longest time of a bin in whole microseconds, rounded up.
    @inlinable public static func upperMicros(_ index: Int) -> UInt64 { (upperNanos(index) + 999) / 1_000 }
}

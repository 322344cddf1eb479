// What the tests of this target share: zeroed memory for meters, and random numbers that can be replayed.
// A random test prints its seed; `WEIR_SEED=<n>` runs it again with that one.
// Invariant: nothing here outlives the test that made it.

import Foundation

/// Zeroed, line-aligned bytes, as a core gets them from its pages.
final class TestMemory {
    let bytes: UnsafeMutableRawPointer

    init(_ count: Int) {
        bytes = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    deinit { bytes.deallocate() }
}

/// SplitMix64. Its seed comes from `WEIR_SEED` where that is set, from the clock otherwise, and is printed
/// so that a failure can be replayed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ test: String = #function) {
        let given = ProcessInfo.processInfo.environment["WEIR_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64(Date().timeIntervalSince1970 * 1e6)
        print("\(test): WEIR_SEED=\(seed)")
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Log-uniform over `range`: as many values per decade at its lower end as at its upper one.
    mutating func logUniform(_ range: ClosedRange<Double>) -> UInt64 {
        let low = log(range.lowerBound)
        let high = log(range.upperBound)
        return UInt64(exp(Double.random(in: low...high, using: &self)))
    }
}

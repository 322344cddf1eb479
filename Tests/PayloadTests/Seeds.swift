// Seeds of the random tests: fresh in every run, printed with a failure.
// WEIR_TEST_SEED=<seed> runs every random test with that seed alone.
// Law: the same seed makes the same test on every machine.

import Glibc

/// A small generator (SplitMix64), so that a seed means the same sequence everywhere.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    /// A number below `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// `count` seeds for one random test: WEIR_TEST_SEED alone if it is set. A test that fails names its seed.
func seeds(_ count: Int) -> [UInt64] {
    if let text = getenv("WEIR_TEST_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
    return (0..<count).map { _ in UInt64.random(in: .min ... .max) }
}

// Seeds of the random tests: the first is fixed, the rest are fresh in every run. A seed is the test's
// argument, so the runner prints it with each case, and WEIR_SEED=<n> replays that one alone.
// Invariant: a test that takes a seed draws everything random from it.

import Glibc
import Platform

/// `count` seeds, the first fixed and the rest drawn from the kernel; or the one that WEIR_SEED names.
func seeds(_ count: Int) -> [UInt64] {
    if let text = getenv("WEIR_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
    return [1] + (1..<count).map { _ in Entropy.word() }
}

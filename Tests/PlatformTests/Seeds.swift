// Seeds of the random tests. Each seed is printed with its test, and WEIR_SEED=<n> replays one alone.

import Glibc
import Platform

/// `count` seeds, the first fixed and the rest drawn from the kernel; or the one that WEIR_SEED names.
func seeds(_ count: Int) -> [UInt64] {
    if let text = getenv("WEIR_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
    return [1] + (1..<count).map { _ in Entropy.word() }
}

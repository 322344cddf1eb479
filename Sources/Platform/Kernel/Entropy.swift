// Randomness from the kernel, for seeds and keys. The only source of true entropy in Weir.
// Everything that looks random later comes from one word drawn here, so a run can be replayed by naming it.
// Source: getrandom(2).

import CLinux

/// The kernel's entropy pool (getrandom(2)).
public enum Entropy {
    /// 64 unpredictable bits. Blocks only in the first moments after boot.
    public static func word() -> UInt64 {
        var word: UInt64 = 0
        withUnsafeMutableBytes(of: &word) { fill($0) }
        return word
    }

    /// Fills a buffer with unpredictable bytes.
    public static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var done = 0
        while let base = bytes.baseAddress, done < bytes.count {
            let count = weir_random(base + done, bytes.count - done)
            precondition(count > 0, "the kernel has no entropy")
            done += count
        }
    }
}

// The key behind `x-weir-id`: made once, kept in the state directory, so that feedback posted days and
// restarts later still finds its version. It hides version numbers from clients; it is no credential.
// Invariant: a key that was used once is never replaced while its file can be read.

import Platform

/// The 128-bit key of exchange ids.
enum IDKey {
    /// The kept key; a fresh one when there is none or it cannot be read.
    static func load(_ directory: String) -> (UInt64, UInt64) {
        let files = try? Directory(directory, links: .followed)
        if let bytes = try? files?.readAll("id.key", bytesMax: 64), bytes.count == 16 {
            return (word(bytes[..<8]), word(bytes[8...]))
        }
        let key = (Entropy.word(), Entropy.word())
        // A disk that does not take it costs only that ids do not outlive this process.
        try? files?.replace("id.key", with: bytes(key.0) + bytes(key.1))
        return key
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bytes(_ word: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }
}

// The link of the journal's chain: SHA-256 (FIPS 180-4) of a whole line without its newline.
// Place: `Journal` writes it into the next line, `AuditVerify` checks it.
// Invariant: 64 lower-case hex digits, as `sha256sum` prints them.

import Config

/// The hash of one journal line, as 64 lower-case hex digits.
struct ChainHash: Hashable, Sendable {
    let hex: String

    init(of line: some Collection<UInt8>) { hex = Digest.sha256(Array(line)) }

    init(hex: String) { self.hex = hex }

    /// Whether a text is of the form of a hash.
    static func isHash(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// What the first line carries: it has no predecessor.
    static let origin = ChainHash(hex: String(repeating: "0", count: 64))
}

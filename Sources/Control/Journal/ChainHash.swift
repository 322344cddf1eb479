// The link of the journal's chain: SHA-256 (FIPS 180-4) of a whole line without its newline.
// Place: `Journal` writes it into the next line, `AuditVerify` checks it.
// Invariant: 64 lower-case hex digits, as `sha256sum` prints them.

/// The hash of one journal line, as 64 lower-case hex digits.
struct ChainHash: Hashable, Sendable {
    let hex: String

    init(of line: some Collection<UInt8>) { hex = Digest.sha256(Array(line)) }

    init(hex: String) { self.hex = hex }

    /// What the first line carries: it has no predecessor.
    static let origin = ChainHash(hex: String(repeating: "0", count: 64))
}

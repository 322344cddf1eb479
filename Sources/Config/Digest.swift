// SHA-256 (FIPS 180-4) through libcrypto, one shot over bytes in memory: the digest that names a config in
// the journal and in `/status`, and the link of the journal's chain. Nothing secret passes here: no key is
// involved and nothing has to be wiped.

import COpenSSL

/// Digests of what Weir loads and writes.
package enum Digest {
    /// SHA-256 of the UTF-8 bytes of a text, 64 lower-case hex digits.
    package static func sha256(_ text: String) -> String { sha256(Array(text.utf8)) }

    /// SHA-256 of bytes, 64 lower-case hex digits.
    package static func sha256(_ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        _ = SHA256(bytes, bytes.count, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

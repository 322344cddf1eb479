// The opaque exchange id: version, weight in force and start time, with a keyed tag, so that an outcome
// posted hours later joins its assignment without any stored state, and a forged id is refused. Form: 48
// lower-case hexadecimal digits, 16 bytes of content and 8 of SipHash-2-4. Source: Aumasson and
// Bernstein, SipHash: a fast short-input PRF (2012).

import Wire

/// What an id says about its exchange.
public struct ExchangeID: Sendable, Hashable {
    /// Hash of the version's name and model.
    public var version: UInt32
    /// The assigned version's weight when the request came.
    public var weightPPM: UInt32
    /// When the version was assigned: milliseconds since 1970, 48 bits.
    public var startMillis: UInt64
    /// The lower 15 bits tell exchanges of one millisecond apart; the top one is `isPinned`.
    public var salt: UInt16

    /// Whether a cohort or a caller chose the version: such an exchange is no evidence for a comparison.
    public var isPinned: Bool { salt & 0x8000 != 0 }

    /// 64 bits that differ between the ids of one key. No protection: the tag has done that.
    public var hash: UInt64 {
        let mixed = (first ^ first >> 29) &* 0x9E37_79B9_7F4A_7C15 ^ second
        let spread = (mixed ^ mixed >> 32) &* 0xD6E8_FEB8_6659_FD93
        return spread ^ spread >> 32
    }

    var first: UInt64 { UInt64(version) << 32 | UInt64(weightPPM) }
    var second: UInt64 { startMillis << 16 | UInt64(salt) }

    func write(to out: inout HeadWriter, key: (UInt64, UInt64)) {
        out.appendHex(first, digits: 16)
        out.appendHex(second, digits: 16)
        out.appendHex(SipHash.hash(first, second, key: key), digits: 16)
    }

    /// - Parameter salt: random; its top bit is not used.
    init(version: UInt32, weightPPM: UInt32, startMillis: UInt64, isPinned: Bool, salt: UInt16) {
        self.version = version
        self.weightPPM = weightPPM
        self.startMillis = startMillis & 0xFFFF_FFFF_FFFF
        self.salt = salt & 0x7FFF | (isPinned ? 0x8000 : 0)
    }
}

/// SipHash-2-4 of two 64-bit words.
enum SipHash {
    static func hash(_ a: UInt64, _ b: UInt64, key: (UInt64, UInt64)) -> UInt64 {
        var state = SIMD4<UInt64>(
            key.0 ^ 0x736f_6d65_7073_6575, key.1 ^ 0x646f_7261_6e64_6f6d,
            key.0 ^ 0x6c79_6765_6e65_7261, key.1 ^ 0x7465_6462_7974_6573)
        absorb(a, &state)
        absorb(b, &state)
        // The last word holds the length, 16 bytes.
        absorb(16 << 56, &state)
        state[2] ^= 0xFF
        for _ in 0..<4 { turn(&state) }
        return state[0] ^ state[1] ^ state[2] ^ state[3]
    }

    private static func absorb(_ word: UInt64, _ state: inout SIMD4<UInt64>) {
        state[3] ^= word
        turn(&state)
        turn(&state)
        state[0] ^= word
    }

    private static func turn(_ v: inout SIMD4<UInt64>) {
        v[0] = v[0] &+ v[1]
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = v[2] &+ v[3]
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = v[0] &+ v[3]
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = v[2] &+ v[1]
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)
    }

    private static func rotate(_ word: UInt64, _ by: UInt64) -> UInt64 { word << by | word >> (64 - by) }
}

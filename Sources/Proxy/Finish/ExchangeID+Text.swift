// Exchange ids off the request path: read back from text, and the hash by which an id names its version. Used
// when a plan is compiled and when an outcome is posted.
// Invariant: an id that was not written with the key in force reads as nil.

extension ExchangeID {
    /// Reads an id back.
    ///
    /// - Returns: nil for anything that was not written with this key.
    public init?(text: String, key: (UInt64, UInt64)) {
        let digits = Array(text.utf8)
        guard digits.count == 48,
            let first = Self.word(digits[0..<16]), let second = Self.word(digits[16..<32]),
            let tag = Self.word(digits[32..<48]), tag == SipHash.hash(first, second, key: key)
        else { return nil }
        version = UInt32(truncatingIfNeeded: first >> 32)
        weightPPM = UInt32(truncatingIfNeeded: first)
        startMillis = second >> 16
        salt = UInt16(truncatingIfNeeded: second)
    }

    /// The id as a response carries it, for tests of those who read ids.
    public static func text(
        version: UInt32, weightPPM: UInt32, startMillis: UInt64, isPinned: Bool = false, salt: UInt16,
        key: (UInt64, UInt64)
    ) -> String {
        let id = ExchangeID(
            version: version, weightPPM: weightPPM, startMillis: startMillis, isPinned: isPinned, salt: salt)
        let tag = SipHash.hash(id.first, id.second, key: key)
        return [id.first, id.second, tag].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// How an id names a version: a hash that does not change with the config.
    public static func versionHash(model: String, version: String) -> UInt32 {
        var name = Array("\(model)/\(version)".utf8)
        return name.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return UInt32(truncatingIfNeeded: XXHash64.hash(ByteView(base, bytes.count), seed: 0))
        }
    }

    private static func word(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var word: UInt64 = 0
        for digit in digits {
            switch digit {
            case 0x30...0x39: word = word << 4 | UInt64(digit - 0x30)
            case 0x61...0x66: word = word << 4 | UInt64(digit - 0x61 + 10)
            default: return nil
            }
        }
        return word
    }
}

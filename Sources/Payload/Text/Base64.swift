// Base64 of bytes that are no text. Source: RFC 4648 section 4.
// Place: bodies of captures, which lines of JSON cannot hold as they are.
// Invariant: four characters for every three bytes begun, padded.

/// Base64 in the standard alphabet, with padding.
public enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    public static func text(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var word: UInt32 = 0
        var held = 0
        func put(_ characters: Int) {
            for i in 0..<4 {
                out.append(i < characters ? alphabet[Int(word >> UInt32(18 - 6 * i) & 63)] : 0x3D)
            }
        }
        for byte in bytes {
            word |= UInt32(byte) << UInt32(16 - 8 * held)
            held += 1
            if held == 3 {
                put(4)
                (word, held) = (0, 0)
            }
        }
        if held > 0 { put(held + 1) }
        return String(decoding: out, as: UTF8.self)
    }
}

// xxHash64 against the reference implementation's vectors, and the exponential variate against libm. Both
// decide which version a user gets, so both must never change: a change deals every key anew.
// Source of the vectors: python-xxhash 3 over the sanity buffer of xxhsum, and the specification's texts.

import Glibc
import Platform
import Testing

@testable import Proxy

@Suite("Hash and variate of assignment")
struct AssignHashTests {
    /// The buffer of xxhsum's self-check.
    private static let sanity: [UInt8] = {
        var word: UInt64 = 2_654_435_761
        return (0..<256).map { _ in
            defer { word = word &* 11_400_714_785_074_694_797 }
            return UInt8(word >> 56)
        }
    }()

    private static func hash(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
        (bytes + [0]).withUnsafeBytes { raw in
            raw.baseAddress.map { XXHash64.hash(ByteView($0, bytes.count), seed: seed) } ?? 0
        }
    }

    @Test(
        "xxHash64 equals the reference at every length class and seed",
        arguments: [
            (0, 0, 0xEF46_DB37_51D8_E999), (1, 0, 0xE934_A84A_DB05_2768), (3, 0, 0xFF7E_1959_CB50_794A),
            (4, 0, 0x9136_A0DC_A574_57EE), (7, 0, 0x6C83_909A_9F01_ED25), (8, 0, 0xCDBC_F538_E71D_1348),
            (9, 0, 0x554B_1AE9_91ED_A6B6), (14, 0, 0x8282_DCC4_994E_35C8), (16, 0, 0x98C9_0B57_FDFC_B55C),
            (31, 0, 0x299B_39A2_90E6_D783), (32, 0, 0x18B2_1649_2BB4_4B70), (33, 0, 0x55C8_DC3E_578F_5B59),
            (63, 0, 0xA9EF_BE0F_A0F3_F4E7), (64, 0, 0xEF55_8F8A_CAC2_B5CD), (100, 0, 0x4BFE_019C_D91D_9EA4),
            (222, 0, 0xB641_AE8C_B691_C174), (0, 2_654_435_761, 0xAC75_FDA2_929B_17EF),
            (1, 2_654_435_761, 0x5014_6076_43A9_B4C3), (4, 2_654_435_761, 0xCAAB_286B_D8E9_FDB5),
            (8, 2_654_435_761, 0xFE0C_047A_5353_CDAC), (14, 2_654_435_761, 0xC3BD_6BF6_3DEB_6DF0),
            (31, 2_654_435_761, 0xDA67_3D5F_EB5C_1D79), (32, 2_654_435_761, 0xB3F3_3BDF_93AD_E409),
            (64, 2_654_435_761, 0xB5EE_BA99_264C_C44F), (222, 2_654_435_761, 0x20CB_8AB7_AE10_C14A),
        ] as [(Int, UInt64, UInt64)])
    func vectors(count: Int, seed: UInt64, expected: UInt64) {
        #expect(Self.hash(Array(Self.sanity[..<count]), seed: seed) == expected)
    }

    @Test(
        "xxHash64 equals the reference on texts",
        arguments: [
            ("a", 0xD24E_C4F1_A98C_6E5B), ("asd", 0x631C_37CE_72A9_7393), ("asdf", 0x4158_72F5_99CE_A71E),
            (
                "Call me Ishmael. Some years ago--never mind how long precisely-",
                0x02A2_E854_70D6_FD96
            ),
        ] as [(String, UInt64)])
    func texts(text: String, expected: UInt64) {
        #expect(Self.hash(Array(text.utf8), seed: 0) == expected)
    }

    @Test("The hash of a word is the hash of its eight little-endian bytes")
    func words() {
        var random = Random64(seed: testSeed(3))
        for _ in 0..<1_000 {
            let word = random.next()
            let seed = random.next()
            let bytes = (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
            #expect(XXHash64.hash(word, seed: seed) == Self.hash(bytes, seed: seed))
        }
    }

    @Test("The variate is minus the binary logarithm, to the last digits, at both ends and between")
    func logarithm() {
        var random = Random64(seed: testSeed(4))
        var words: [UInt64] = [0, .max, 1 << 63, (1 << 63) - 1, 0x5A82_7999_FCEF_3400]
        for _ in 0..<20_000 { words.append(random.next() >> random.below(40)) }
        for _ in 0..<20_000 { words.append(~(random.next() >> random.below(40))) }
        for word in words {
            let uniform = (Double(word >> 12) + 0.5) * 0x1p-52
            let expected = -log2(uniform)
            let variate = Exponential.variate(word)
            #expect(variate > 0 && variate < 54)
            #expect(abs(variate - expected) <= 3 * expected.ulp, "word \(word)")
        }
    }

    @Test("The folded hash ignores the case of letters and nothing else that a table relies on")
    func folded() {
        #expect(
            AssignCompiler.foldedHash(Array("X-User-Id".utf8))
                == AssignCompiler.foldedHash(Array("x-user-id".utf8)))
        let names = (0..<1_000).map { "tenant-\($0).models.example.internal" }
        #expect(Set(names.map { AssignCompiler.foldedHash(Array($0.utf8)) }).count == names.count)
    }
}

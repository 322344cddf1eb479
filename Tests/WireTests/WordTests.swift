// Eight bytes at a time, against one byte at a time.
// Law: each operation on a word gives what a loop over its bytes gives.
// Source: Words.swift and Text.swift, whose arithmetic everything else stands on.

import Testing

@testable import Wire

private func word(_ bytes: [UInt8], at offset: Int = 0) -> UInt64 {
    bytes.span.bytes.withText { $0.word(at: offset) }
}

@Suite struct WordTests {
    @Test("Marks, folding and numbers agree with bytes", arguments: seeds(20))
    func words(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let mask: UInt8 = random.below(2) == 0 ? 0x7F : 0xFF
            let bytes = (0..<8).map { _ in UInt8(truncatingIfNeeded: random.next()) & mask }
            let word = word(bytes)
            func first(_ test: (UInt8) -> Bool) -> Int { bytes.firstIndex(where: test) ?? 8 }
            let probe = bytes[random.below(8)]
            #expect(
                Words.firstMarked(Words.bytes(word, equalTo: probe)) == first { $0 == probe }, "seed \(seed)")
            let bound = UInt8(random.below(0x81))
            #expect(
                Words.firstMarked(Words.bytes(word, below: bound)) == first { $0 < bound }, "seed \(seed)")
            let control = first { $0 < 0x20 || $0 == 0x7F }
            #expect(Words.firstMarked(Words.controls(word)) == control, "seed \(seed)")
            for (index, byte) in bytes.enumerated() {
                let isPlain = ByteClass.isHost(byte) && byte != 0x5F && byte != 0x7E
                let isMarked = Words.notPlain(word) >> UInt64(index * 8) & 0x80 != 0
                #expect(isMarked == !isPlain, "seed \(seed): \(byte)")
                let isPlainName = isPlain && byte != 0x2E
                let isNameMarked = Words.notPlainName(word) >> UInt64(index * 8) & 0x80 != 0
                #expect(isNameMarked == !isPlainName, "seed \(seed): \(byte)")
                let folded = UInt8(truncatingIfNeeded: Words.folded(word) >> UInt64(index * 8))
                #expect(folded == (isPlainName ? byte | 0x20 : 0x2D), "seed \(seed): \(byte)")
            }
            let lower = bytes.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }
            #expect(Words.lowercased(word) == WireTests.word(lower), "seed \(seed)")
        }
    }

    @Test("One to eight digits are a number, anything else is none", arguments: seeds(20))
    func decimal(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let bytes = (0..<8).map { _ in
                let byte = UInt8(truncatingIfNeeded: random.next())
                return random.below(20) == 0 ? byte : 0x30 + byte % 10
            }
            let count = 1 + random.below(8)
            let isNumber = bytes[..<count].allSatisfy(ByteClass.isDigit)
            let expected = isNumber ? UInt64(text(Array(bytes[..<count]))) : nil
            #expect(Words.decimal(word(bytes), count) == expected, "seed \(seed): \(bytes[..<count])")
        }
    }

    @Test("A word near the end has zeros behind it, and every offset is safe")
    func lastWords() {
        for count in 0...20 {
            let bytes = (0..<count).map { UInt8($0 + 1) }
            for offset in 0...count + 9 {
                var expected: UInt64 = 0
                for index in (0..<8).reversed() {
                    let at = offset + index
                    expected = expected << 8 | (at < count ? UInt64(at + 1) : 0)
                }
                #expect(word(bytes, at: offset) == expected, "\(offset) of \(count)")
            }
        }
    }
}

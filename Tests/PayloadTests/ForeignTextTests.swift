// The laws of a stranger's text: what does not show itself is escaped, visibly and once; a line stays a line
// and keeps its bound; in JSON nothing is lost. The table of what is hidden is written out here, from
// Unicode's code charts, so that the check does not ask the code that it checks.

import Foundation
import Testing

@testable import Payload

/// Ranges in which no scalar shows itself.
private let hidden: [ClosedRange<UInt32>] = [
    0x00...0x1F, 0x7F...0x9F, 0xAD...0xAD, 0x34F...0x34F, 0x61C...0x61C, 0x115F...0x1160, 0x17B4...0x17B5,
    0x180B...0x180F, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0x3164...0x3164, 0xE000...0xF8FF,
    0xFDD0...0xFDEF, 0xFE00...0xFE0F, 0xFEFF...0xFEFF, 0xFFA0...0xFFA0, 0xFFF0...0xFFFB, 0xFFFE...0xFFFF,
    0x1BCA0...0x1BCA3, 0x1D173...0x1D17A, 0xE0000...0xE0FFF, 0xF0000...0x10FFFF,
]

private func isHidden(_ scalar: Unicode.Scalar) -> Bool { hidden.contains { $0.contains(scalar.value) } }

@Suite struct ForeignTextTests {
    @Test("Nothing hidden is plain: controls, overrides, isolates, joiners, tags, separators, private use")
    func hiddenScalars() {
        for value in hidden.joined() {
            guard let scalar = Unicode.Scalar(value), ForeignText.isPlain(scalar) else { continue }
            Issue.record("U+\(String(value, radix: 16)) is plain")
        }
    }

    @Test(
        "What people write is left as it is",
        arguments: [
            "", "a b", "v1.12-rc+3", "C:\\x \"y\"", "naïve Übergrößen", "日本語のモデル", "модель",
            "نموذج", "דגם", "e\u{301}", "🚀 👍🏽", "± × → …", "\u{A0}\u{3000}", "ภาษาไทย",
            "हिन्दी",
        ])
    func plain(_ text: String) {
        #expect(ForeignText.line(text) == text)
        #expect(ForeignText.page(text + "\n" + text) == text + "\n" + text)
    }

    @Test(
        "A hidden character becomes JSON's escape",
        arguments: [
            ("\u{1B}[2J", #"\u001b[2J"#), ("a\nb\r\tc", #"a\nb\r\tc"#), ("\r\n", #"\r\n"#),
            ("\0", #"\u0000"#),
            ("\u{7F}\u{9B}31m\u{85}", #"\u007f\u009b31m\u0085"#), ("\u{202E}x\u{2066}", #"\u202ex\u2066"#),
            ("a\u{200B}b\u{FEFF}", #"a\u200bb\ufeff"#), ("\u{2028}\u{2029}", #"\u2028\u2029"#),
            ("\u{E0041}", #"\udb40\udc41"#), ("\u{E000}\u{10FFFD}", #"\ue000\udbff\udffd"#),
        ])
    func escaped(_ text: String, _ expected: String) {
        #expect(ForeignText.line(text) == expected)
        #expect(ForeignText.line(bytes: text.utf8) == expected)
    }

    @Test("A page keeps its line feeds and nothing else that a terminal obeys")
    func page() {
        #expect(ForeignText.page("a\n\u{1B}b\r\n\tc\n") == "a\n\\u001bb\\r\n\\tc\n")
    }

    @Test("A byte that is not UTF-8 is written as %XX")
    func invalid() {
        #expect(ForeignText.line(bytes: [0x61, 0xFF, 0xED, 0xA0, 0x80, 0xC3]) == "a%FF%ED%A0%80%C3")
    }

    @Test("Once escaped, a text stays as it is", arguments: seeds(20))
    func idempotent(_ seed: UInt64) {
        let text = Self.text(seed, count: 200)
        let line = ForeignText.line(text)
        #expect(ForeignText.line(line) == line && ForeignText.page(line) == line, "seed \(seed)")
        #expect(!line.unicodeScalars.contains(where: isHidden), "seed \(seed)")
    }

    @Test("A JSON string gives every character back, and no hidden one stands in it", arguments: seeds(20))
    func json(_ seed: UInt64) throws {
        let text = Self.text(seed, count: 300)
        var quoted = ""
        ForeignText.quote(text, to: &quoted)
        #expect(!quoted.unicodeScalars.contains(where: isHidden), "seed \(seed)")
        let read = try JSONSerialization.jsonObject(with: Data(quoted.utf8), options: .fragmentsAllowed)
        #expect(Array((read as? String ?? "").unicodeScalars) == Array(text.unicodeScalars), "seed \(seed)")
        var bytes: [UInt8] = []
        ForeignText.quote(Array(text.utf8).span, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == quoted, "seed \(seed)")
    }

    @Test("Any bytes give a line of UTF-8 within its bound", arguments: seeds(40))
    func bound(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let bytes = (0..<random.below(400)).map { _ in UInt8(random.below(256)) }
        let bytesMax = 8 + random.below(200)
        let line = ForeignText.line(bytes: bytes, bytesMax: bytesMax)
        #expect(line.utf8.count <= bytesMax, "seed \(seed)")
        #expect(!line.unicodeScalars.contains(where: isHidden), "seed \(seed)")
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(ForeignText.line(text, bytesMax: bytesMax).utf8.count <= bytesMax, "seed \(seed)")
        let short = ForeignText.shortened(text, bytesMax: bytesMax)
        #expect(short == text || short.hasSuffix("…") && short.utf8.count <= bytesMax + 3, "seed \(seed)")
    }

    @Test("A text that is cut ends between two characters and says that it was cut")
    func cut() {
        #expect(ForeignText.line("0123456789", bytesMax: 10) == "0123456789")
        #expect(ForeignText.line("0123456789x", bytesMax: 10) == "0123456…")
        #expect(ForeignText.line("üüüüüüüü", bytesMax: 10) == "üüü…")
        #expect(ForeignText.line("\u{1B}\u{1B}", bytesMax: 10) == "\\u001b…")
        #expect(
            ForeignText.line(String(repeating: "a", count: 1 << 20)).utf8.count == ForeignText.lineBytesMax)
    }

    /// Half of it hidden.
    private static func text(_ seed: UInt64, count: Int) -> String {
        var random = SplitMix64(seed: seed)
        var text = String.UnicodeScalarView()
        for _ in 0..<count {
            let range = hidden[random.below(hidden.count)]
            let value =
                random.below(2) == 0
                ? UInt32(random.below(0x11_0000)) : range.lowerBound + UInt32(random.below(range.count))
            if let scalar = Unicode.Scalar(value) { text.append(scalar) }
        }
        return String(text)
    }
}

// Two sinks of one scanner: the builder of a tree, and the reader of values by path. They must not disagree
// about what is JSON, nor about what stands in it.
// A failure names its seed.

import Testing

@testable import Payload

/// A random document with names that differ, so that the builder takes it, and its paths to scalars.
private struct Grown {
    var text = ""
    var paths: [(path: String, value: JSON)] = []
    private var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        grow("$", depth: 0)
    }

    private mutating func grow(_ path: String, depth: Int) {
        switch random.below(depth > 5 ? 6 : 9) {
        case 0: scalar("null", path)
        case 1: scalar(random.below(2) == 0 ? "true" : "false", path)
        case 2: scalar("\(Int64(truncatingIfNeeded: random.next()))", path)
        case 3: scalar("\(Double(Int64(truncatingIfNeeded: random.next())) / 1_048_576)", path)
        case 4: scalar("-0.\(random.below(1_000_000))e\(random.below(40))", path)
        case 5: scalar(#""é\u00e9\ud83d\ude00\n\"\\/ \#(random.below(1_000))""#, path)
        case 6, 7: array(path, depth)
        default: object(path, depth)
        }
    }

    private mutating func scalar(_ text: String, _ path: String) {
        self.text += text
        if let value = try? JSON(parsing: text), paths.count < ValueReader.pathsMax {
            paths.append((path, value))
        }
    }

    private mutating func array(_ path: String, _ depth: Int) {
        text += "[ "
        for i in 0..<random.below(5) {
            if i > 0 { text += "," }
            grow("\(path)[\(i)]", depth: depth + 1)
        }
        text += "]"
    }

    private mutating func object(_ path: String, _ depth: Int) {
        text += "{"
        for i in 0..<random.below(5) {
            if i > 0 { text += ",\n" }
            text += "\"k \(i)\" : "
            grow("\(path)['k \(i)']", depth: depth + 1)
        }
        text += "}"
    }
}

@Test("The scanner finds at every path what the tree holds there", arguments: 0..<200 as Range<UInt64>)
private func sameValues(_ seed: UInt64) throws {
    let grown = Grown(seed: seed)
    _ = try JSON(parsing: grown.text)
    var reader = ValueReader(try grown.paths.map { try JSONPath($0.path) })
    reader.take(Array(grown.text.utf8).span.bytes)
    #expect(reader.finish() == .whole, "seed \(seed): \(grown.text)")
    for (i, known) in grown.paths.enumerated() {
        let place = "seed \(seed), \(known.path)"
        switch known.value {
        case .null: #expect(reader.finding(i) == .null, "\(place)")
        case .bool(let value): #expect(reader.finding(i) == .bool(value), "\(place)")
        case .integer, .number:
            #expect(reader.finding(i) == known.value.number.map { .number($0) }, "\(place)")
        case .string(let value): #expect(reader.text(i) == value, "\(place)")
        case .array, .object: Issue.record("\(place): no scalar")
        }
    }
}

@Test("A tree is refused where a scan is, and beyond that only for names twice and numbers too large")
private func sameGrammar() throws {
    let alphabet = Array(#"{}[]":,\u0019-+.eEtrufalsn \#t"#.utf8) + [0xC3, 0xA9, 0x00]
    var random = SplitMix64(seed: 7)
    for round in 0..<20_000 {
        let grown = Array(Grown(seed: UInt64(round % 500)).text.utf8)
        var bytes = Array(grown.prefix(40))
        for _ in 0..<random.below(3) where !bytes.isEmpty {
            bytes[random.below(bytes.count)] =
                alphabet[random.below(alphabet.count)]
        }
        let tree = Result { () throws(ScanProblem) in try JSON(parsing: bytes) }
        var reader = ValueReader([])
        reader.take(bytes.span.bytes)
        let isScanned = reader.finish() == .whole
        let text = String(decoding: bytes, as: UTF8.self)
        switch tree {
        case .success: #expect(isScanned, "round \(round): \(text)")
        case .failure(let problem) where isScanned:
            let isKnown = problem.expected.hasSuffix("only once") || problem.expected.contains("double")
            #expect(isKnown, "round \(round): \(text): \(problem)")
        case .failure: break
        }
    }
}

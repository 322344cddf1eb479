// The scanner's laws: the grammar, the bounds, and that cuts do not matter.

import Testing

@testable import Payload

@Suite struct ScanTests {
    @Test("What RFC 8259 allows is accepted", arguments: goodDocuments)
    func good(_ text: String) throws {
        #expect(try read(text, ["$"]).ending == .whole)
    }

    @Test("What RFC 8259 does not allow is refused", arguments: badDocuments)
    func bad(_ text: String) throws {
        let reading = try read(text, ["$", "$.a", "$[0]"])
        guard case .malformed(let problem) = reading.ending else {
            Issue.record("accepted: \(text.prefix(80))")
            return
        }
        #expect(problem.offset <= text.utf8.count)
        #expect(reading.findings == [.unknown, .unknown, .unknown])
        #expect(reading.texts == [nil, nil, nil])
    }

    @Test("A string that is not UTF-8 is refused, as a value and as a name", arguments: badUTF8)
    func utf8(_ bytes: [UInt8]) {
        #expect(!isJSON([0x22] + bytes + [0x22]))
        #expect(!isJSON(Array("{\"".utf8) + bytes + Array("\":1}".utf8)))
    }

    @Test("A document means the same however it is cut", arguments: goodDocuments + badDocuments)
    func cuts(_ text: String) throws {
        let paths = ["$", "$.a", "$[0]", "$.outputs[1].data[0]", "$[*].k[1]", "$.*"]
        let whole = try read(text, paths)
        for pieces in [1, 2, 3, 7] where text.utf8.count < 1_000 {
            #expect(try read(text, paths, pieces: pieces) == whole)
        }
    }

    @Test("A beginning of a good document is truncated, never malformed, and tells only facts of the whole")
    func truncated() throws {
        let paths = ["$", "$.a", "$.b[0].c", "$[0]", "$.outputs[0].data[2]", "$.missing"]
        for text in goodDocuments {
            let whole = try read(text, paths)
            let bytes = Array(text.utf8)
            for count in 0..<bytes.count {
                var reader = ValueReader(try paths.map { try JSONPath($0) })
                let part = read(Array(bytes[..<count]), &reader, paths: paths.count, isTruncated: true)
                #expect(part.ending == .truncated || part.ending == .whole, "\(text) to \(count)")
                for (seen, known) in zip(part.findings, whole.findings) where seen != .unknown {
                    #expect(seen == known, "\(text) to \(count)")
                }
            }
        }
    }

    @Test("A truncated body that cannot be the beginning of a document is malformed")
    func truncatedGarbage() throws {
        let reading = try read("<html><body>", ["$.a"], isTruncated: true)
        #expect(reading.ending == .malformed(ScanProblem(offset: 0, expected: "a value")))
        #expect(reading.findings == [.unknown])
    }

    @Test("A problem says where it is and what was expected")
    func sentences() throws {
        guard case .malformed(let problem) = try read("{\"a\":1,}", []).ending else {
            Issue.record("accepted")
            return
        }
        #expect("\(problem)" == "not JSON at byte 7: expected a member name in double quotes")
        #expect(
            try read("[1", []).ending == .malformed(ScanProblem(offset: 2, expected: "more, not the end")))
    }

    @Test("Damaged documents never trap and mean the same by every cut", arguments: seeds(200))
    func mutation(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let paths = ["$", "$.a", "$[*]", "$.b[0].c", "$.outputs[*].data[1]", "$.*.*"]
        var reader = ValueReader(try paths.map { try JSONPath($0) })
        let mask = JSONMask(try ["$.a", "$[*].k", "$.outputs[*].data"].map { try JSONPath($0) })
        for _ in 0..<40 {
            var bytes = Array(goodDocuments[random.below(goodDocuments.count)].utf8)
            mutate(&bytes, &random)
            let whole = read(bytes, &reader, paths: paths.count)
            let pieces = 1 + random.below(9)
            #expect(
                read(bytes, &reader, paths: paths.count, pieces: pieces) == whole,
                "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
            switch mask.masked(bytes.span.bytes) {
            case .body(let body):
                #expect(whole.ending == .whole && isJSON(body), "seed \(seed)")
            case .withheld: #expect(whole.ending != .whole, "seed \(seed)")
            }
        }
    }

    @Test("Random bytes never trap", arguments: seeds(50))
    func noise(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let alphabet = Array("{}[]\":,\\u0123456789abcdefnrtl+-.eE \n$".utf8) + [0, 0x80, 0xC3, 0xFF]
        var reader = ValueReader([try JSONPath("$.a"), try JSONPath("$[0][0]")])
        for _ in 0..<200 {
            let bytes = (0..<random.below(120)).map { _ in alphabet[random.below(alphabet.count)] }
            _ = read(
                bytes, &reader, paths: 2, pieces: 1 + random.below(20), isTruncated: random.below(2) == 0)
        }
    }
}

/// One to four random edits: bytes replaced, inserted, removed or doubled.
func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    let pieces = [
        "\"", "\\", "\\u", "{", "}", "[", "]", ",", ":", "0", "-", "e", "null", "\u{E9}", "\\ud800",
    ]
    for _ in 0...random.below(4) {
        let at = bytes.isEmpty ? 0 : random.below(bytes.count)
        switch random.below(5) {
        case 0 where !bytes.isEmpty: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1 where !bytes.isEmpty: bytes[at] ^= 1 << UInt8(random.below(8))
        case 2 where !bytes.isEmpty: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(8)))
        case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(30))], at: at)
        default: bytes.insert(contentsOf: Array(pieces[random.below(pieces.count)].utf8), at: at)
        }
    }
}

// Paths: what their text means, what is refused and how, and what they find.

import Testing

@testable import Payload

@Suite struct PathTests {
    @Test(
        "A path's text means its steps",
        arguments: [
            ("$", []), ("$.a", [.member(Array("a".utf8))]), ("$['a b']", [.member(Array("a b".utf8))]),
            ("$[\"a'b\"]", [.member(Array("a'b".utf8))]), ("$['a\\'b']", [.member(Array("a'b".utf8))]),
            ("$['']", [.member([])]), ("$.\u{E9}t\u{E9}", [.member(Array("\u{E9}t\u{E9}".utf8))]),
            ("$['\\u0061\\ud83d\\ude00']", [.member(Array("a\u{1F600}".utf8))]),
            ("$[0]", [.index(0)]), ("$[ 12 ]", [.index(12)]), ("$[*]", [.every]), ("$.*", [.every]),
            ("$._a1", [.member(Array("_a1".utf8))]),
            (
                "$.outputs[0].data[*]",
                [.member(Array("outputs".utf8)), .index(0), .member(Array("data".utf8)), .every]
            ),
        ] as [(String, [JSONPath.Step])])
    func means(_ text: String, _ steps: [JSONPath.Step]) throws {
        let path = try JSONPath(text)
        #expect(path.steps == steps)
        #expect(path.description == text)
        #expect(path.isPlural == steps.contains(.every))
    }

    @Test(
        "A text that is no path is refused with its place and a sentence",
        arguments: [
            ("", 1, "starts with $"), ("a.b", 1, "starts with $"), ("$a", 2, "expected .name"),
            ("$.", 3, "expected a name"), ("$..a", 3, "descendants"), ("$.a-b", 4, "['a-...']"),
            ("$.1a", 3, "expected a name"), ("$.a b", 4, "in a name"), ("$[", 3, "expected an index"),
            ("$[-1]", 3, "negative"), ("$[01]", 3, "leading zero"), ("$[1", 4, "expected ]"),
            ("$[0:2]", 4, "slices"), ("$[:2]", 3, "slices"), ("$[0,1]", 4, "one selector"),
            ("$['a','b']", 6, "one selector"), ("$[?@.a]", 3, "filters"), ("$['a", 3, "closing quote"),
            ("$['\\x']", 4, "unknown escape"), ("$['\\u12']", 4, "four hexadecimal"),
            ("$['\\ud800']", 4, "surrogate"), ("$['\\", 4, "closing quote"),
            ("$[9007199254740992]", 3, "2^53"),
            ("$[99999999999999999999999]", 3, "2^53"), ("$.a\n", 4, "control character"),
            ("$['a\u{1}']", 5, "control character"), ("$ .a", 2, "expected .name"),
        ])
    func refused(_ text: String, _ position: Int, _ words: String) {
        let problem = #expect(throws: PathProblem.self) { try JSONPath(text) }
        #expect(problem?.position == position)
        #expect(problem?.message.contains(words) == true, "\(problem.map(\.message) ?? "")")
        #expect(problem?.description.hasPrefix("\"\(text)\", character \(position): ") == true)
    }

    @Test("A path is bounded in steps and in characters")
    func bounds() throws {
        let longest = "$" + String(repeating: "[0]", count: 32)
        #expect(try JSONPath(longest).steps.count == 32)
        #expect(throws: PathProblem.self) { try JSONPath(longest + "[0]") }
        #expect(throws: PathProblem.self) { try JSONPath("$." + String(repeating: "a", count: 1_100)) }
    }

    @Test("Any text gives a path or a problem", arguments: seeds(50))
    func noise(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let alphabet = Array("$$..[[]]''\"*\\u0d8c:,-?ab1_ \u{E9}\u{0}".unicodeScalars)
        for _ in 0..<300 {
            var text = "$"
            for _ in 0..<random.below(14) {
                text.unicodeScalars.append(alphabet[random.below(alphabet.count)])
            }
            if let problem = problem(of: text) {
                #expect(problem.position >= 1 && problem.position <= text.unicodeScalars.count + 1)
            }
        }
    }

    private func problem(of text: String) -> PathProblem? {
        do throws(PathProblem) {
            _ = try JSONPath(text)
            return nil
        } catch { return error }
    }

    @Test(
        "A path finds what stands there",
        arguments: [
            ("$", "1", .number(1)), ("$", "{}", .container), ("$.a", "{\"a\":-0.5e1}", .number(-5)),
            ("$.a", "{\"a\":null}", .null), ("$.a", "{\"a\":true}", .bool(true)),
            ("$.a", "{\"a\":false}", .bool(false)), ("$.a", "{\"a\":[1]}", .container),
            ("$.a", "{\"b\":{\"a\":1}}", .absent), ("$.a", "[1]", .absent), ("$.a", "1", .absent),
            ("$.a.b", "{\"a\":1}", .absent), ("$.a[0]", "{\"a\":{\"0\":1}}", .absent),
            ("$[1]", "[1,2,3]", .number(2)), ("$[3]", "[1,2,3]", .absent),
            ("$[0][1]", "[[1,2],[3]]", .number(2)),
            ("$.a", "{\"a\":1,\"a\":2}", .number(1)), ("$.a.b", "{\"a\":{},\"a\":{\"b\":2}}", .absent),
            ("$[*]", "[[],2]", .container), ("$[*].a", "[{},{\"a\":2},{\"a\":3}]", .number(2)),
            ("$.*", "{\"x\":7}", .number(7)), ("$[*][*].a", "{\"x\":[0,{\"a\":9}]}", .number(9)),
            ("$['a\u{E9}']", "{\"a\\u00e9\":4}", .number(4)), ("$['']", "{\"\":4}", .number(4)),
            ("$.ab", "{\"abc\":1,\"a\":2}", .absent), ("$.a", "{\"a\":1e400}", .unreadableNumber),
            ("$.a", "{\"a\":\(String(repeating: "1", count: 129))}", .unreadableNumber),
            ("$.a", "{\"a\":\"x\"}", .text),
            ("$.a", "{\"a\":\"\(String(repeating: "x", count: 257))\"}", .longText),
        ] as [(String, String, Finding)])
    func finds(_ path: String, _ text: String, _ finding: Finding) throws {
        #expect(try find(path, in: text) == finding)
    }

    @Test("Strings are kept decoded, each path its own")
    func texts() throws {
        let reading = try read(
            #"{"a":"x\n\u00e9\ud83d\ude00","b":["y"],"c":""}"#, ["$.b[0]", "$.a", "$.c", "$.d", "$['a']"])
        #expect(reading.texts == ["y", "x\n\u{E9}\u{1F600}", "", nil, "x\n\u{E9}\u{1F600}"])
    }

    @Test("Sixty-four paths are followed in one scan")
    func many() throws {
        let paths = (0..<64).map { "$.v[\($0)]" }
        let text = "{\"v\":[" + (0..<64).map { "\($0)" }.joined(separator: ",") + "]}"
        #expect(try read(text, paths).findings == (0..<64).map { .number(Double($0)) })
    }

    @Test("A path as deep as paths can be is followed, and a deeper document does no harm")
    func deep() throws {
        let path = "$" + String(repeating: "[0]", count: 32)
        let text = String(repeating: "[", count: 32) + "5" + String(repeating: "]", count: 32)
        #expect(try find(path, in: text) == .number(5))
        let deeper = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try find(path, in: deeper) == .container)
    }

    @Test("What may lie beyond a cut is unknown; what was read before it is known")
    func truncation() throws {
        let paths = ["$.a", "$.b", "$.c"]
        #expect(
            try read("{\"a\":1,\"b\":2", paths, isTruncated: true).findings == [
                .number(1), .unknown, .unknown,
            ])
        #expect(
            try read("{\"a\":1,\"b\":2}", paths, isTruncated: true).findings == [
                .number(1), .number(2), .absent,
            ])
    }
}

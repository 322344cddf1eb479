// Masking: what must not be kept is not kept, the rest keeps its bytes, and doubt keeps nothing.

import Testing

@testable import Payload

@Suite struct MaskTests {
    @Test(
        "Values at masked paths become ***, everything else keeps its bytes",
        arguments: [
            ("{\"a\": 1, \"b\":2}", ["$.a"], "{\"a\": \"***\", \"b\":2}"),
            ("[ 1,2 ]", ["$[1]"], "[ 1,\"***\" ]"), ("{\"a\":[1,{\"b\":2}]}", ["$.a"], "{\"a\":\"***\"}"),
            ("{\"a\":{\"b\":1,\"c\":2}}", ["$.a.b", "$.a"], "{\"a\":\"***\"}"),
            ("[{\"k\":1},{\"k\":\"s\"},{}]", ["$[*].k"], "[{\"k\":\"***\"},{\"k\":\"***\"},{}]"),
            ("{\"a\":1,\"\\u0061\":2}", ["$.a"], "{\"a\":\"***\",\"\\u0061\":\"***\"}"),
            ("12", ["$"], "\"***\""), (" null ", ["$"], " \"***\" "), ("{\"a\":1}", ["$.b"], "{\"a\":1}"),
            ("{\"a\":-1.5e3}", ["$.*"], "{\"a\":\"***\"}"),
            ("{\"a\":{\"a\":{\"a\":1}}}", ["$.a.a.a"], "{\"a\":{\"a\":{\"a\":\"***\"}}}"),
        ])
    func masks(_ text: String, _ paths: [String], _ expected: String) throws {
        #expect(try masked(text, paths) == expected)
    }

    @Test("A body that is no JSON or is cut off is withheld", arguments: badDocuments)
    func withheld(_ text: String) throws {
        #expect(try masked(text, ["$.a"]) == nil)
    }

    @Test("A truncated body is withheld even where it looks whole")
    func truncated() throws {
        #expect(try masked("{\"a\":1}", ["$.a"], isTruncated: true) == nil)
    }

    @Test("Nothing but *** is found at a masked path afterwards", arguments: seeds(100))
    func holds(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let choices = ["$.a", "$.b", "$.a[0]", "$[*]", "$.*.a", "$[1].b", "$", "$.b[*].a", "$.a.*"]
        let paths = (0...random.below(3)).map { _ in choices[random.below(choices.count)] }
        for _ in 0..<20 {
            let text = document(&random, depth: 0)
            let out = try #require(try masked(text, paths), "seed \(seed): \(text)")
            let reading = try read(out, paths)
            #expect(reading.ending == .whole, "seed \(seed): \(text)")
            for (finding, content) in zip(reading.findings, reading.texts) where finding != .absent {
                #expect(content == "***", "seed \(seed): \(text) by \(paths) is \(out)")
            }
        }
    }
}

/// A random document of few names, so that paths meet something.
func document(_ random: inout SplitMix64, depth: Int) -> String {
    let scalars = ["1", "-2.5", "null", "true", "\"s\"", "\"\\u0061\"", "[]", "{}"]
    switch random.below(depth > 4 ? 1 : 3) {
    case 0: return scalars[random.below(scalars.count)]
    case 1:
        let elements = (0..<random.below(4)).map { _ in document(&random, depth: depth + 1) }
        return "[" + elements.joined(separator: ", ") + "]"
    default:
        let names = ["a", "b", "\\u0061", "c"]
        let members = (0..<random.below(4)).map { _ in
            "\"\(names[random.below(names.count)])\": " + document(&random, depth: depth + 1)
        }
        return "{" + members.joined(separator: ",") + "}"
    }
}

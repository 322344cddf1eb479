// The structural diff: what differs, what a tolerance lets pass, and that bounds end it with a word.

import Testing

@testable import Payload

private func compare(_ a: String, _ b: String, _ diff: JSONDiff = JSONDiff()) -> JSONDiff.Comparison {
    let (one, two) = (Array(a.utf8), Array(b.utf8))
    return diff.compare(one.span.bytes, two.span.bytes)
}

/// Differences as text, for tables.
private func lines(_ a: String, _ b: String, _ diff: JSONDiff = JSONDiff()) -> [String] {
    guard case .differences(let found, _) = compare(a, b, diff) else { return ["unreadable"] }
    return found.map { difference in
        switch difference.what {
        case .onlyIn(.reference): "\(difference.path) -"
        case .onlyIn(.other): "\(difference.path) +"
        case .kinds(let a, let b), .numbers(let a, let b), .values(let a, let b):
            "\(difference.path) \(a) | \(b)"
        }
    }
}

@Suite struct DiffTests {
    @Test(
        "Differences are named by path and kind",
        arguments: [
            ("1", "1", []), ("1", "2", ["$ 1 | 2"]), ("1", "\"1\"", ["$ number | string"]),
            ("true", "false", ["$ true | false"]), ("null", "false", ["$ null | boolean"]),
            ("{}", "[]", ["$ object | array"]), ("\"a\"", "\"\\u0061\"", []), ("\"a\"", "\"b\"", ["$ a | b"]),
            ("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", []), ("1.0", "1", []), ("1e2", "100", []),
            ("{\"a\":1}", "{\"b\":1}", ["$['a'] -", "$['b'] +"]),
            ("[1,2,3]", "[1,5]", ["$[1] 2 | 5", "$[2] -"]), ("[1]", "[1,[2]]", ["$[1] +"]),
            ("{\"o\":[{\"x y\":1}]}", "{\"o\":[{\"x y\":null}]}", ["$['o'][0]['x y'] number | null"]),
            ("{\"it's\\n\":1}", "{\"it's\\n\":2}", ["$['it\\'s\\u000a'] 1 | 2"]),
            ("{\"a\":1,\"a\":2}", "{\"a\":1}", []),
            ("9007199254740993", "9007199254740992", ["$ 9007199254740993 | 9007199254740992"]),
            ("1e999", "1e998", ["$ 1e999 | 1e998"]), ("1e999", "1e999", []),
        ])
    func table(_ a: String, _ b: String, _ expected: [String]) {
        #expect(lines(a, b) == expected)
    }

    @Test(
        "A tolerance lets numbers pass that are near enough, and no others",
        arguments: [
            (0.01, 0.0, "1.0", "1.009", true), (0.01, 0, "1.0", "1.02", false), (0, 0.01, "100", "101", true),
            (0, 0.01, "100", "102", false), (0, 0.01, "0", "0.000001", false), (0.1, 0.01, "0", "0.05", true),
            (0, 0.5, "-1", "1", false), (1e-9, 0, "0.1", "0.10000000001", true), (0, 0, "0", "-0", true),
        ])
    func tolerance(_ absolute: Double, _ relative: Double, _ a: String, _ b: String, _ passes: Bool) {
        let diff = JSONDiff(absolute: absolute, relative: relative)
        #expect(lines(a, b, diff).isEmpty == passes)
        #expect(lines("[{\"v\":\(a)}]", "[{\"v\":\(b)}]", diff).isEmpty == passes)
    }

    @Test(
        "As bags, arrays are compared without places",
        arguments: [
            ("[1,2,3]", "[3,1,2]", []), ("[1,1,2]", "[1,2,2]", ["$[1] -", "$[2] +"]),
            ("[{\"a\":[1,2]},\"x\"]", "[\"x\",{\"a\":[2,1]}]", []), ("[1,\"1\"]", "[\"1\",1]", []),
            ("[1.0,2.0]", "[2.05,1.05]", []), ("[1,1.08]", "[1.16,1.08]", []), ("[]", "[null]", ["$[0] +"]),
            ("[[1],[2]]", "[[2],[3]]", ["$[0] -", "$[1] +"]),
        ])
    func bags(_ a: String, _ b: String, _ expected: [String]) {
        #expect(lines(a, b, JSONDiff(absolute: 0.1, ignoresOrder: true)) == expected)
    }

    @Test("What stands at ignored paths is not compared, whether it is there or not")
    func ignored() throws {
        let paths = try ["$.id", "$.outputs[*].time", "$.tags[0]"].map { try JSONPath($0) }
        let diff = JSONDiff(ignored: paths)
        let a = #"{"id":1,"outputs":[{"v":1,"time":5},{"v":2}],"tags":["x","y"]}"#
        let b = #"{"outputs":[{"v":1,"time":9},{"v":3,"time":1}],"tags":["z","y"]}"#
        #expect(lines(a, b, diff) == ["$['outputs'][1]['v'] 2 | 3"])
        #expect(lines("1", "2", JSONDiff(ignored: [try JSONPath("$")])) == [])
    }

    @Test("A document that is no JSON is named with its side")
    func unreadable() {
        let problem = ScanProblem(offset: 0, expected: "a value")
        #expect(compare("x", "1") == .unreadable(.reference, problem))
        #expect(compare("1", "x") == .unreadable(.other, problem))
        let large = "[" + String(repeating: "1,", count: DiffTree.nodesMax) + "1]"
        guard case .unreadable(.reference, let why) = compare(large, "1") else {
            Issue.record("a document without bound was read")
            return
        }
        #expect(why.expected == "at most 262144 values")
    }

    @Test("More differences than are listed, or more work than is done, is said")
    func bounds() {
        let numbers = (0..<100).map { "\($0)" }.joined(separator: ",")
        let others = (0..<100).map { "\($0 + 1)" }.joined(separator: ",")
        let diff = JSONDiff(differencesMax: 5)
        guard case .differences(let found, let isWhole) = compare("[\(numbers)]", "[\(others)]", diff) else {
            Issue.record("unreadable")
            return
        }
        #expect(found.count == 5 && !isWhole)
        let one = "[" + (0..<600).map { "[\"a\($0)\"]" }.joined(separator: ",") + "]"
        let two = "[" + (0..<600).map { "[\"b\($0)\"]" }.joined(separator: ",") + "]"
        guard case .differences(_, let isDone) = compare(one, two, JSONDiff(ignoresOrder: true)) else {
            Issue.record("unreadable")
            return
        }
        #expect(!isDone)
    }

    @Test("Long strings are told cut at a character")
    func longValues() {
        let long = String(repeating: "\u{E9}", count: 60)
        let told = lines("\"a\(long)\"", "\"b\"")
        #expect(told == ["$ a" + String(repeating: "\u{E9}", count: 39) + "... | b"])
    }

    @Test("A document equals itself, and swapping the sides mirrors the differences", arguments: seeds(100))
    func laws(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for ignoresOrder in [false, true] {
            let diff = JSONDiff(ignoresOrder: ignoresOrder, differencesMax: 1_000)
            let a = document(&random, depth: 0)
            let b = document(&random, depth: 0)
            #expect(compare(a, a, diff) == .differences([], isWhole: true), "seed \(seed): \(a)")
            guard case .differences(let there, _) = compare(a, b, diff),
                case .differences(let back, _) = compare(b, a, diff)
            else {
                Issue.record("seed \(seed): unreadable")
                continue
            }
            #expect(there.count == back.count, "seed \(seed): \(a) and \(b)")
            let paths = (Set(there.map(\.path)), Set(back.map(\.path)))
            if !ignoresOrder { #expect(paths.0 == paths.1, "seed \(seed): \(a) and \(b)") }
        }
    }
}

// Patterns: what is accepted, what each expression matches, what is refused and where, and that the table
// agrees with a plain interpretation of the expression on random patterns and values.
// Place: the reference below works on sets of positions, straight from the definition, with no automaton.
// Invariant tested: compiled and interpreted meaning are the same; several patterns in one automaton as
// well.

import Platform
import Testing

@testable import Proxy

/// The meaning of a tree: from which positions to which it can take a value.
private enum Reference {
    static func ends(_ tree: PatternTree, of value: [UInt8], from starts: Set<Int>) -> Set<Int> {
        switch tree {
        case .empty: return starts
        case .bytes(let set):
            return Set(starts.filter { $0 < value.count && set.contains(value[$0]) }.map { $0 + 1 })
        case .start: return starts.filter { $0 == 0 }
        case .end: return starts.filter { $0 == value.count }
        case .sequence(let parts):
            return parts.reduce(starts) { ends($1, of: value, from: $0) }
        case .alternatives(let branches):
            return branches.reduce(into: []) { $0.formUnion(ends($1, of: value, from: starts)) }
        case .repetition(let part, let min, let max):
            var current = starts
            for _ in 0..<min { current = ends(part, of: value, from: current) }
            var all = current
            for _ in 0..<(max.map { $0 - min } ?? value.count + 1) {
                current = ends(part, of: value, from: current)
                all.formUnion(current)
            }
            return all
        }
    }

    static func matches(_ tree: PatternTree, _ value: [UInt8]) -> Bool {
        !ends(tree, of: value, from: Set(0...value.count)).isEmpty
    }
}

private func matches(_ pattern: Pattern, _ value: [UInt8]) -> Bool { pattern.matches(value.span.bytes) }

@Suite("Patterns of assignment")
struct AssignPatternTests {
    @Test(
        "An expression matches what it says",
        arguments: [
            ("abc", "xabcx", true), ("abc", "ab", false), ("", "", true), ("", "a", true),
            ("^abc$", "abc", true), ("^abc$", "abcd", false), ("^abc", "zabc", false),
            ("abc$", "abcd", false),
            ("^$", "", true), ("^$", "a", false), ("$^", "", true), ("$^", "a", false), ("a$b", "ab", false),
            ("a^b", "ab", false), ("a.c", "abc", true), ("a.c", "ac", false), ("a|b|", "z", true),
            ("^(a|b)$", "b", true), ("^(a|b)$", "ab", false), ("^a*$", "", true), ("^a*$", "aaa", true),
            ("^a+$", "", false), ("^a?$", "aa", false), ("^a{3}$", "aaa", true), ("^a{3}$", "aa", false),
            ("^a{2,}$", "a", false), ("^a{2,}$", "aaaa", true), ("^a{1,2}$", "aaa", false),
            ("^a{0}$", "", true),
            ("^(?:ab){2}$", "abab", true), ("^[a-c0-2_]+$", "b1_", true), ("^[a-c]+$", "d", false),
            ("^[^a-c]+$", "xyz", true), ("^[^a-c]+$", "xaz", false), ("^[]a]+$", "]a", true),
            ("^[^]]$", "]", false), ("^[a-]+$", "-a", true), ("^[\\d-]+$", "4-2", true),
            ("^\\d+\\w\\s$", "12_ ", true), ("^\\D\\W\\S$", "a-b", true), ("^\\D$", "4", false),
            ("^a\\.b$", "a.b", true), ("^a\\.b$", "axb", false), ("^\\x41\\x7a$", "Az", true),
            ("^\\{$", "{", true),
            ("^\\t$", "\t", true), ("^[\\t ]$", " ", true), ("^é+$", "éé", true), ("^é$", "e", false),
            ("^.{2}$", "é", true), ("^v1\\.(\\d+)\\.(0|[1-9]\\d*)$", "v1.13.7", true), ("a]b}", "a]b}", true),
            ("(^|,)beta(,|$)", "alpha,beta", true), ("(^|,)beta(,|$)", "alphabeta", false),
        ] as [(String, String, Bool)])
    func meaning(text: String, value: String, expected: Bool) throws {
        #expect(matches(try Pattern(text), Array(value.utf8)) == expected)
    }

    @Test(
        "A text that is no expression is refused with its place and what was expected",
        arguments: [
            ("a)", 1, "`)`", "an opening ("), ("(a", 2, "end of pattern", "`)` for the `(` at byte 0"),
            ("a(b(c)", 6, "end of pattern", "`(` at byte 1"), ("[a", 2, "end of pattern", "`]` for the `[`"),
            ("[]", 2, "end of pattern", "`]`"), ("*a", 0, "`*`", "something to repeat"),
            ("a|+", 2, "`+`", "\\+"),
            ("a**", 2, "`*`", "no second quantifier"), ("a+?", 2, "`?`", "no second quantifier"),
            ("^*", 0, "`^`", "other than an anchor"), ("a{", 2, "end of pattern", "a number"),
            ("a{x}", 2, "`x`", "\\{"), ("a{2", 3, "end of pattern", "`,` or `}`"),
            ("a{2,1}", 4, "`1`", "not below 2"), ("a{999}", 2, "`9`", "at most 256"),
            ("{2}", 0, "`{`", "\\{"),
            ("a\\", 2, "end of pattern", "after the backslash"), ("\\b", 1, "`b`", "one of d D"),
            ("\\1", 1, "`1`", "one of d D"), ("\\x4", 3, "end of pattern", "hexadecimal"),
            ("\\xg1", 2, "`g`", "hexadecimal"), ("[z-a]", 3, "`a`", "not below"),
            ("[\\d-z]", 1, "`\\`", "single byte"), ("[a-\\w]", 3, "`\\`", "single byte"),
            ("[é]", 1, "`é`", "ASCII inside"), ("(?=a)", 2, "`=`", "(?: )"),
            ("((a){256}){256}", 0, "a pattern of more than 2048 positions", "smaller"),
            ("(a|b)*a(a|b){12}", 0, "a pattern that needs more than 1024 states", "simpler"),
            (String(repeating: "(", count: 40), 33, "`(`", "at most 32 groups"),
            (String(repeating: "a", count: 1_025), 1_024, "`a`", "at most 1024 bytes"),
        ] as [(String, Int, String, String)])
    func refusals(text: String, position: Int, found: String, expected: String) {
        do {
            _ = try Pattern(text)
            Issue.record("\(text) was accepted")
        } catch {
            #expect(error.position == position && error.found == found, "\(error)")
            #expect(error.expected.contains(expected), "\(error)")
            #expect(error.description.contains("at byte \(position)"))
        }
    }

    @Test("A value of a million bytes costs one step per byte, also where backtracking would never end")
    func linear() throws {
        let pattern = try Pattern("^(a+)+(a|aa)+$|(a*)*b{2}$")
        var value = Array(repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(matches(pattern, value))
        value.append(UInt8(ascii: "!"))
        #expect(!matches(pattern, value))
    }

    @Test("An anchored pattern that can no longer match stops at once")
    func deadStates() throws {
        let automaton = try Pattern("^abc").automaton
        // Start, a, ab, abc; the dead state is row 0.
        #expect(automaton.found.count == 5)
        #expect(
            automaton.transitions[Int(automaton.start) << Int(automaton.shift) | Int(automaton.classes[0x7A])]
                == 0)
    }

    @Test("The table means what the expression means, on random expressions and values")
    func random() throws {
        let seed = testSeed(21)
        var random = Random64(seed: seed)
        for round in 0..<1_500 {
            let text = Self.expression(&random, depth: 3)
            guard let pattern = try? Pattern(text) else { continue }
            var parser = PatternParser(text)
            let tree = try parser.parse()
            for _ in 0..<12 {
                let value = Self.value(&random)
                #expect(
                    matches(pattern, value) == Reference.matches(tree, value),
                    "round \(round): \(text) on \(value), seed \(seed)")
            }
        }
    }

    @Test("Patterns that run together find what each finds alone")
    func together() throws {
        let seed = testSeed(22)
        var random = Random64(seed: seed)
        for _ in 0..<200 {
            var trees: [(tree: PatternTree, bit: Int)] = []
            for bit in [0, 5, 63, 64, 127] {
                var parser = PatternParser(Self.expression(&random, depth: 2))
                if let tree = try? parser.parse() { trees.append((tree, bit)) }
            }
            guard !trees.isEmpty, let automaton = try? AutomatonBuilder.automaton(for: trees) else {
                continue
            }
            for _ in 0..<12 {
                let value = Self.value(&random)
                let expected = trees.reduce(CohortMask(0)) { mask, pattern in
                    Reference.matches(pattern.tree, value) ? mask | 1 << CohortMask(pattern.bit) : mask
                }
                let found = value.withUnsafeBytes { raw in automaton.withTable { $0.run(over: raw) } }
                #expect(found == expected, "\(trees) on \(value), seed \(seed)")
            }
        }
    }

    private static func value(_ random: inout Random64) -> [UInt8] {
        (0..<Int(random.below(7))).map { _ in Array("aabc".utf8)[Int(random.below(4))] }
    }

    private static func expression(_ random: inout Random64, depth: Int) -> String {
        switch random.below(depth == 0 ? 5 : 9) {
        case 0, 1: return String(UnicodeScalar(UInt8(ascii: "a") + UInt8(random.below(3))))
        case 2: return ["[ab]", "[^a]", ".", "\\w"][Int(random.below(4))]
        case 3: return ["^", "$", "", "a"][Int(random.below(4))]
        case 4: return "b"
        case 5, 6:
            return (0..<(1 + random.below(3))).map { _ in expression(&random, depth: depth - 1) }.joined()
        case 7:
            let branches = (0..<2).map { _ in expression(&random, depth: depth - 1) }
            return "(\(branches.joined(separator: "|")))"
        default:
            let quantifier = ["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"][Int(random.below(7))]
            return "(\(expression(&random, depth: depth - 1)))\(quantifier)"
        }
    }
}

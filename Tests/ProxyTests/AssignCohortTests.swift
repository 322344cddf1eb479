// Cohorts: what each kind of condition means, that the first cohort that holds wins, and that the tables
// answer as a test of every condition in turn does, on random cohorts and requests.
// Place: below `assign`; the reference reads the request's lists of pairs, not its bytes.
// Invariant tested: the tables change the cost of cohorts, never their meaning.

import Platform
import Testing

@testable import Proxy

private func cohort(_ name: String, _ conditions: [Condition], version: Int = 1) -> CohortPlan {
    CohortPlan(name: name, conditions: conditions, version: version)
}

private func range(_ text: String, _ bits: Int) -> AddressRange {
    AddressRange(base: IPAddress(text) ?? .none, prefixBits: bits)
}

/// The meaning of conditions, straight from the request's parts.
private enum Reference {
    static func holds(_ condition: Condition, _ ask: Ask) -> Bool {
        let target = ask.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        switch condition {
        case .header(let name, let match):
            let host = [("host", ask.host)]
            return holds(match, (host + ask.headers).first { $0.0.lowercased() == name }?.1)
        case .cookie(let name, let match):
            let pairs = ask.headers.filter { $0.0.lowercased() == "cookie" }.flatMap { self.pairs($0.1, ";") }
            return holds(match, pairs.first { $0.0 == name }?.1)
        case .query(let name, let match):
            let pairs = target.count == 2 ? self.pairs(String(target[1]), "&") : []
            return holds(match, pairs.first { $0.0 == name }?.1)
        case .path(let match): return holds(match, String(target[0]))
        case .method(let name): return name == ask.method
        case .address(let ranges): return ranges.contains { contains($0, ask.client) }
        }
    }

    private static func pairs(_ text: String, _ separator: Character) -> [(String, String)] {
        text.split(separator: separator).map { pair in
            let trimmed = pair.drop { $0 == " " }
            let parts = trimmed.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
    }

    private static func holds(_ match: Condition.ValueMatch, _ value: String?) -> Bool {
        guard let value else { return false }
        switch match {
        case .present: return true
        case .exact(let text): return text == value
        case .prefix(let text): return value.hasPrefix(text)
        case .regex(let text): return (try? Pattern(text))?.matches(Array(value.utf8).span.bytes) ?? false
        }
    }

    private static func contains(_ range: AddressRange, _ address: IPAddress) -> Bool {
        let mask = range.prefixBits == 0 ? UInt128(0) : UInt128.max << UInt128(128 - range.prefixBits)
        func wide(_ address: IPAddress) -> UInt128 { UInt128(address.high) << 64 | UInt128(address.low) }
        return wide(range.base) & mask == wide(address) & mask
    }
}

@Suite("Cohorts of assignment")
struct AssignCohortTests {
    private static let ask = Ask(
        method: "POST", target: "/v1/m:predict?user=ann&beta&user=bob", host: "api.test",
        headers: [
            ("X-Tenant", "acme-7"), ("x-tenant", "second"), ("Accept", "text/html"), ("X-Empty", ""),
            ("Cookie", "sid=1; staff=yes; staff=no; flag"), ("cookie", "late=1; sid=2"),
        ])

    @Test(
        "A condition means what it says",
        arguments: [
            (.header(name: "x-tenant", .exact("acme-7")), true),
            (.header(name: "x-tenant", .exact("second")), false),
            (.header(name: "x-tenant", .exact("ACME-7")), false),
            (.header(name: "x-tenant", .prefix("acme-")), true),
            (.header(name: "x-tenant", .prefix("acme-77")), false),
            (.header(name: "x-tenant", .prefix("")), true),
            (.header(name: "x-tenant", .regex("^acme-\\d$")), true),
            (.header(name: "x-tenant", .present), true),
            (.header(name: "x-none", .present), false), (.header(name: "x-none", .regex("")), false),
            (.header(name: "x-empty", .present), true), (.header(name: "x-empty", .exact("")), true),
            (.header(name: "host", .exact("api.test")), true),
            (.header(name: "cookie", .prefix("sid=1")), true),
            (.cookie(name: "staff", .exact("yes")), true), (.cookie(name: "staff", .exact("no")), false),
            (.cookie(name: "STAFF", .present), false), (.cookie(name: "flag", .present), true),
            (.cookie(name: "late", .exact("1")), true), (.cookie(name: "sid", .exact("1")), true),
            (.query(name: "user", .exact("ann")), true), (.query(name: "beta", .exact("")), true),
            (.query(name: "bet", .present), false), (.path(.exact("/v1/m:predict")), true),
            (.path(.prefix("/v1/")), true), (.path(.regex("m:(predict|infer)$")), true),
            (.path(.prefix("/v2")), false),
            (.method("POST"), true), (.method("GET"), false), (.method("post"), false),
            (.address([range("192.0.2.0", 120)]), true), (.address([range("192.0.2.0", 128)]), false),
            (.address([range("10.0.0.0", 104), range("192.0.2.1", 128)]), true),
            (.address([range("::", 0)]), true),
            (.address([range("::", 96)]), false), (.address([]), false),
        ] as [(Condition, Bool)])
    func meaning(condition: Condition, expected: Bool) {
        let table = AssignTable(models: [model(cohorts: [cohort("c", [condition])])], trusted: [])
        let result = table.assign(Self.ask)
        #expect((result?.reason == .cohort) == expected)
        #expect(result?.isRandomised == !expected)
        // The same condition on its own, as a shadow has it.
        let shadowed = AssignTable(
            models: [model(shadow: ShadowPlan(version: 1, ppm: 1, conditions: [condition]))], trusted: [])
        #expect(shadowed.assign(Self.ask)?.matchesShadow == expected)
        #expect(Reference.holds(condition, Self.ask) == expected)
    }

    @Test("IPv6 ranges hold at every prefix length")
    func longRanges() {
        let base = IPAddress(high: 0x2001_0DB8_1234_5678, low: 0x9ABC_DEF0_1122_3344)
        for bits in 0...128 {
            let plan = AddressRange(base: base, prefixBits: bits)
            let table = AssignTable(
                models: [model(cohorts: [cohort("c", [.address([plan])])])], trusted: [plan])
            #expect(table.assign(Ask(client: base))?.reason == .cohort)
            #expect(table.trusts(base) == true)
            guard bits > 0 else { continue }
            var other = base
            if bits <= 64 {
                other.high ^= 1 << UInt64(64 - bits)
            } else {
                other.low ^= 1 << UInt64(128 - bits)
            }
            #expect(table.assign(Ask(client: other))?.reason == .random)
            #expect(table.trusts(other) == false)
        }
    }

    @Test("The first cohort whose conditions all hold wins, and a cohort without conditions takes the rest")
    func order() {
        let table = AssignTable(
            models: [
                model(
                    ["v1": 1_000_000, "v2": 0, "v3": 0],
                    cohorts: [
                        cohort(
                            "a", [.header(name: "x-a", .present), .header(name: "x-b", .exact("1"))],
                            version: 2),
                        cohort("b", [.header(name: "x-b", .exact("1"))], version: 1),
                        cohort("all", [], version: 0),
                    ])
            ], trusted: [])
        let both = table.assign(Ask(headers: [("x-b", "1"), ("x-a", "")]))
        #expect(both?.version == 2 && both?.cohort == 0)
        let one = table.assign(Ask(headers: [("x-b", "1")]))
        #expect(one?.version == 1 && one?.cohort == 1)
        let none = table.assign(Ask(headers: [("x-a", "1")]))
        #expect(none?.version == 0 && none?.cohort == 2 && none?.reason == .cohort)
    }

    @Test("Facts of one request do not leak into the next")
    func noLeak() {
        let table = AssignTable(
            models: [model(cohorts: [cohort("c", [.header(name: "x-a", .present)])], sticky: [.cookie("k")])],
            trusted: [])
        #expect(table.assign(Ask(headers: [("x-a", "1")]))?.reason == .cohort)
        #expect(table.assign(Ask(headers: [("cookie", "k=1")]))?.reason == .sticky)
        #expect(table.assign(Ask())?.reason == .random)
    }

    @Test("A hundred regular expressions over one header run together and keep their order")
    func manyPatterns() {
        let cohorts = (0..<100).map { number in
            cohort("c\(number)", [.header(name: "x-tenant", .regex("^t\(number)(-|$)"))], version: number % 2)
        }
        let image = AssignImage(models: [model(cohorts: cohorts)], trusted: [])
        #expect(image.sections.patterns.count <= 2)
        let table = AssignTable(image)
        for number in 0..<100 {
            #expect(table.assign(Ask(headers: [("x-tenant", "t\(number)-x")]))?.cohort == UInt8(number))
        }
        #expect(table.assign(Ask(headers: [("x-tenant", "t100")]))?.cohort == Assignment.noCohort)
    }

    @Test("Patterns too large for one automaton are spread over several")
    func splitPatterns() {
        let cohorts = (0..<40).map { number in
            cohort("c\(number)", [.path(.regex("a\(number).*b\(number).*c\(number)"))])
        }
        let image = AssignImage(models: [model(cohorts: cohorts)], trusted: [])
        #expect(image.sections.patterns.count > 1)
        let table = AssignTable(image)
        for number in 0..<40 {
            let result = table.assign(Ask(target: "/a\(number)-b\(number)-c\(number)"))
            // "a12-b12-c12" holds a1…b1…c1 as well.
            #expect(result?.cohort == UInt8(number >= 10 ? number / 10 : number))
        }
    }

    @Test("The tables answer as testing every condition does, on random cohorts and requests")
    func random() {
        let seed = testSeed(41)
        var random = Random64(seed: seed)
        for round in 0..<250 {
            let cohorts = (0..<random.below(12)).map { number in
                cohort("c\(number)", (0..<random.below(10)).map { _ in Self.condition(&random) })
            }
            let table = AssignTable(models: [model(cohorts: cohorts)], trusted: [])
            let explainer = Explainer(models: [model(cohorts: cohorts)], trusted: [])
            for _ in 0..<25 {
                let ask = Self.request(&random)
                let expected = cohorts.firstIndex { cohort in
                    cohort.conditions.allSatisfy { Reference.holds($0, ask) }
                }
                #expect(
                    table.assign(ask)?.cohort == expected.map(UInt8.init) ?? Assignment.noCohort,
                    "round \(round): \(ask) in \(cohorts), seed \(seed)")
                let told = explainer.explain(
                    method: ask.method, path: ask.target, host: ask.host, headers: ask.headers,
                    client: ask.client)
                #expect(told.cohorts.firstIndex(where: \.holds) == expected, "seed \(seed)")
            }
        }
    }

    private static let values = ["", "a", "ab", "abc", "b", "long-value-of-more-than-thirty-two-bytes-a"]
    private static let names = ["x-a", "x-b", "x-long-header-name-of-some-length", "q"]

    private static func pick(_ list: [String], _ random: inout Random64) -> String {
        list[Int(random.below(UInt64(list.count)))]
    }

    private static func condition(_ random: inout Random64) -> Condition {
        let match: Condition.ValueMatch
        switch random.below(6) {
        case 0: match = .present
        case 1, 2: match = .exact(pick(values, &random))
        case 3, 4: match = .prefix(pick(values, &random))
        default: match = .regex(pick(["^a", "b$", "^$", "ab?", "^long.*a$"], &random))
        }
        switch random.below(12) {
        case 0...4: return .header(name: pick(names, &random), match)
        case 5, 6: return .cookie(name: pick(names, &random), match)
        case 7, 8: return .query(name: pick(names, &random), match)
        case 9: return .path(random.below(2) == 0 ? .prefix("/a") : match)
        case 10: return .method(random.below(2) == 0 ? "GET" : "POST")
        default:
            return .address([range("10.0.0.0", 104 + Int(random.below(3)) * 8), range("192.0.2.1", 128)])
        }
    }

    private static func request(_ random: inout Random64) -> Ask {
        func pairs(_ separator: String) -> String {
            (0..<random.below(4)).map { _ in "\(pick(names, &random))=\(pick(values, &random))" }
                .joined(separator: separator)
        }
        var ask = Ask(
            method: random.below(3) == 0 ? "POST" : "GET", target: pick(["/", "/a", "/ab"], &random))
        if random.below(2) == 0 { ask.target += "?" + pairs("&") }
        for _ in 0..<random.below(5) {
            let name = pick(names, &random)
            ask.headers.append((random.below(2) == 0 ? name : name.uppercased(), pick(values, &random)))
        }
        if random.below(2) == 0 { ask.headers.append(("Cookie", pairs("; "))) }
        ask.client = IPAddress(ipv4: random.below(2) == 0 ? 0x0A00_0001 : 0xC000_0201)
        return ask
    }
}

// Routing: most specific wins, borders, bytes as they came, hosts; and the trie against a plain search
// through all matches, on random routes.
// Place: below `route`; the reference walks every match of every model.
// Invariant tested: exact before prefix, longer before shorter, named host before any host.

import Platform
import Testing

@testable import Proxy

@Suite("Routes of assignment")
struct AssignRouteTests {
    private static func table(_ matches: [[RouteMatch]]) -> AssignTable {
        AssignTable(
            models: matches.map { list in
                ModelPlan(slot: 0, name: "m", matches: list, versions: versions(["v1": 1_000_000]), stable: 0)
            }, trusted: [])
    }

    private static func prefix(_ path: String, host: String? = nil) -> RouteMatch {
        RouteMatch(host: host, path: .prefix(path))
    }
    private static func exact(_ path: String, host: String? = nil) -> RouteMatch {
        RouteMatch(host: host, path: .exact(path))
    }

    @Test(
        "A prefix matches itself and what follows at a border",
        arguments: [
            ("/v1/models/m", 0), ("/v1/models/m:predict", 0), ("/v1/models/m/infer", 0),
            ("/v1/models/mx", nil),
            ("/v1/models/", nil), ("/v1/models", nil), ("/v1/models/m%2finfer", nil), ("/V1/models/m", nil),
            ("/v1//models/m", nil), ("/v1/models/../models/m", nil), ("/dir/", 1), ("/dir/x", 1),
            ("/dir", nil),
            ("/verb:", 2), ("/verb:x", 2), ("/", nil), ("", nil), ("*", nil),
        ] as [(String, Int?)])
    func borders(path: String, expected: Int?) {
        let table = Self.table([
            [Self.prefix("/v1/models/m")], [Self.prefix("/dir/")], [Self.prefix("/verb:")],
        ])
        #expect(table.route(path) == expected)
    }

    @Test("The slash matches everything, the asterisk form too")
    func everything() {
        let table = Self.table([[Self.prefix("/")]])
        for path in ["/", "/a/b", "*", ""] { #expect(table.route(path) == 0) }
    }

    @Test("An exact path comes before any prefix, a longer prefix before a shorter one")
    func specificity() {
        let table = Self.table([
            [Self.prefix("/a")], [Self.prefix("/a/b")], [Self.exact("/a/b/c")],
            [Self.exact("/a"), Self.prefix("/z")],
        ])
        #expect(table.route("/a/x") == 0)
        #expect(table.route("/a/b/x") == 1)
        #expect(table.route("/a/b/c") == 2)
        #expect(table.route("/a/b/c/d") == 1)
        #expect(table.route("/a") == 3)
        #expect(table.route("/z/a") == 3)
    }

    @Test("For one path, a named host comes before any host; case and port do not matter")
    func hosts() {
        let table = Self.table([
            [Self.prefix("/")], [Self.prefix("/", host: "a.test")], [Self.prefix("/x", host: "b.test")],
            [Self.prefix("/", host: "[::1]")],
        ])
        #expect(table.route("/x", host: "a.test") == 1)
        #expect(table.route("/x", host: "A.TEST:8080") == 1)
        #expect(table.route("/x", host: "b.test") == 2)
        #expect(table.route("/y", host: "b.test") == 0)
        #expect(table.route("/", host: "[::1]:80") == 3)
        #expect(table.route("/", host: "[::1]") == 3)
        for host in ["", ":80", "c.test", "xa.test", "a.tes", "[::2]", "::1"] {
            #expect(table.route("/", host: host) == 0)
        }
    }

    @Test(
        "A name with the dot of the root is the name without it, whoever writes the dot",
        arguments: [
            ("a.test.", 1), ("A.TEST.:80", 1), ("a.test", 1), ("a.test.:", 1), ("b.test", 2), ("b.test.", 2),
            ("b.test.:443", 2), ("a.test..", 0), (".a.test", 0), (".", 0), ("..", 0), (".:80", 0),
        ])
    func rootDot(host: String, expected: Int) {
        let table = Self.table([
            [Self.prefix("/")], [Self.prefix("/", host: "a.test")], [Self.prefix("/", host: "B.test.")],
        ])
        #expect(table.route("/", host: host) == expected)
    }

    @Test("An exact path for another host does not hide the prefix")
    func hostOfExactPath() {
        let table = Self.table([
            [Self.exact("/a", host: "a.test")], [Self.prefix("/a", host: "b.test")], [Self.prefix("/")],
        ])
        #expect(table.route("/a", host: "a.test") == 0)
        #expect(table.route("/a", host: "b.test") == 1)
        #expect(table.route("/a", host: "c.test") == 2)
    }

    @Test("No models, no route")
    func nothing() {
        let table = AssignTable(models: [], trusted: [])
        #expect(table.route("/") == nil)
    }

    @Test("The trie answers as a search through all matches does, on random routes")
    func random() {
        let seed = testSeed(31)
        var random = Random64(seed: seed)
        for round in 0..<150 {
            let matches = (0..<(1 + random.below(40))).map { _ in [Self.match(&random)] }
            let table = Self.table(matches)
            for _ in 0..<60 {
                let path = Self.path(&random)
                let host = ["", "a.test", "b.test", "c.test"][Int(random.below(4))]
                #expect(
                    table.route(path, host: host) == Self.search(matches, path: path, host: host),
                    "round \(round): \(path) \(host) in \(matches), seed \(seed)")
            }
        }
    }

    private static func path(_ random: inout Random64) -> String {
        var path = "/"
        for _ in 0..<random.below(5) { path += ["a", "ab", "b", "/", "/", ":", "abc"][Int(random.below(7))] }
        return path
    }

    private static func match(_ random: inout Random64) -> RouteMatch {
        let host = [nil, nil, "a.test", "b.test"][Int(random.below(4))]
        return random.below(3) == 0 ? exact(path(&random), host: host) : prefix(path(&random), host: host)
    }

    /// Every match, by rank: exact, then length, then named host, then order.
    private static func search(_ models: [[RouteMatch]], path: String, host: String) -> Int? {
        var best: (rank: (Int, Int, Int), model: Int)?
        for (index, list) in models.enumerated() {
            for match in list where match.host == nil || match.host == host {
                let rank: (Int, Int, Int)
                switch match.path {
                case .exact(let text):
                    guard text == path else { continue }
                    rank = (1, 0, match.host == nil ? 0 : 1)
                case .prefix(let text):
                    guard covers(text, path) else { continue }
                    rank = (0, text == "/" ? 0 : text.utf8.count, match.host == nil ? 0 : 1)
                }
                if let other = best, other.rank >= rank { continue }
                best = (rank, index)
            }
        }
        return best?.model
    }

    private static func covers(_ prefix: String, _ path: String) -> Bool {
        if prefix == "/" { return true }
        guard path.hasPrefix(prefix) else { return false }
        guard let next = path.dropFirst(prefix.count).first, let last = prefix.last else { return true }
        return "/:".contains(next) || "/:".contains(last)
    }
}

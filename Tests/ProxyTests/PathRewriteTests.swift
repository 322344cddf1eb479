// What a rewrite makes of a path: by segments, one slash at the seam.
// Place: below `writeTarget`. Source: HTTPPathModifier in the Gateway API, whose examples are the first nine
// rows.

import Platform
import Testing
import Wire

@testable import Proxy

/// A path, the prefix and what stands in its place, and what the version gets.
struct Rewritten: CustomTestStringConvertible, Sendable {
    var path: String
    var from: String
    var to: String
    var result: String

    init(_ path: String, _ from: String, _ to: String, _ result: String) {
        self.path = path
        self.from = from
        self.to = to
        self.result = result
    }

    var testDescription: String { "\(path) \(from) \(to)" }
}

@Suite struct PathRewriteTests {
    static let table: [Rewritten] = [
        Rewritten("/foo/bar", "/foo", "/xyz", "/xyz/bar"), Rewritten("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        Rewritten("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        Rewritten("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        Rewritten("/foo", "/foo", "/xyz", "/xyz"), Rewritten("/foo/", "/foo", "/xyz", "/xyz/"),
        Rewritten("/foo/bar", "/foo", "/", "/bar"), Rewritten("/foo/", "/foo", "/", "/"),
        Rewritten("/foo", "/foo", "/", "/"),
        // Segments, not bytes.
        Rewritten("/foobar", "/foo", "/xyz", "/foobar"), Rewritten("/foo-", "/foo", "/", "/foo-"),
        Rewritten("/foo.json", "/foo", "/", "/foo.json"), Rewritten("/fo", "/foo", "/", "/fo"),
        Rewritten("/", "/foo", "/xyz", "/"), Rewritten("/Foo/a", "/foo", "/xyz", "/Foo/a"),
        Rewritten("/foo%2Fbar", "/foo", "/", "/foo%2Fbar"), Rewritten("/foo/%2Fbar", "/foo", "/", "/%2Fbar"),
        Rewritten("/fo%6F/bar", "/foo", "/", "/fo%6F/bar"),
        Rewritten("/foo;v=1/a", "/foo", "/x", "/foo;v=1/a"),
        Rewritten("/a/foo/bar", "/foo", "/xyz", "/a/foo/bar"),
        Rewritten("//foo/bar", "/foo", "/xyz", "//foo/bar"),
        // Verbs, as `match.path_prefix` takes them.
        Rewritten("/v1/m:predict", "/v1/m", "/v1/n", "/v1/n:predict"), Rewritten("/m:a", "/m", "/", "/:a"),
        Rewritten("/m:a", "/m/", "/n", "/m:a"), Rewritten("/v:a", "/v:", "/w:", "/w:a"),
        Rewritten("/v:", "/v:", "/w:", "/w:"), Rewritten("/v", "/v:", "/w:", "/v"),
        // A slash at the end of the prefix: only what is below.
        Rewritten("/foo", "/foo/", "/xyz", "/foo"), Rewritten("/foo/", "/foo/", "/xyz/", "/xyz/"),
        Rewritten("/foo", "/foo", "/xyz/", "/xyz/"),
        // One slash at the seam; later ones are the client's.
        Rewritten("/foo//bar", "/foo", "/", "/bar"),
        Rewritten("/foo///bar//a", "/foo", "/xyz/", "/xyz/bar//a"),
        Rewritten("/foo//", "/foo", "/", "/"), Rewritten("/foo//evil.test/", "/foo", "/", "/evil.test/"),
        Rewritten("/foo/../bar", "/foo", "/xyz", "/xyz/../bar"),
        // The root.
        Rewritten("/", "/", "/xyz", "/xyz/"), Rewritten("/bar", "/", "/xyz", "/xyz/bar"),
        Rewritten("/bar", "/", "/", "/bar"), Rewritten("//bar", "/", "/xyz", "/xyz/bar"),
        Rewritten("//bar", "/", "/", "/bar"), Rewritten("/", "/", "/", "/"),
    ]

    @Test("A prefix is replaced by segments, with one slash at the seam", arguments: table)
    func write(_ row: Rewritten) {
        #expect(Self.rewritten(row.path, row.from, row.to) == row.result)
    }

    @Test("No path that is changed begins with two slashes, or lacks its slash, on random paths")
    func random() {
        let seed = testSeed(41)
        var random = Random64(seed: seed)
        func path(_ pieces: [String]) -> String {
            "/" + (0..<random.below(5)).map { _ in pieces[Int(random.below(UInt64(pieces.count)))] }.joined()
        }
        for _ in 0..<2_000 {
            let from = path(["a", "b", "/a", "/b", ":"])
            let to = path(["a", "b", "/a", "/b", ":"])
            let asked =
                random.below(2) == 0 ? path(["a", "b", "/", ":", "%2F"]) : from + path(["a", "/", ":"])
            guard !from.contains("//"), !to.contains("//") else { continue }
            let result = Self.rewritten(asked, from, to)
            #expect(
                result == asked || result.hasPrefix("/") && !result.hasPrefix("//"),
                "\(asked) \(from) \(to): \(result), seed \(seed)")
        }
    }

    private static func rewritten(_ path: String, _ from: String, _ to: String) -> String {
        var arena = PlanArena()
        let rewrite = PathRewrite(from: arena.bytes(from), to: arena.bytes(to))
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 1)
        defer { room.deallocate() }
        var out = HeadWriter(room)
        rewrite.write(arena.bytes(path), to: &out)
        return String(decoding: room[..<out.count], as: UTF8.self)
    }
}

// What is refused before anything reaches an upstream: every message that two parsers could frame
// differently.
// Place: DataPlane over real sockets. Source: RFC 9112 sections 2.2, 3, 5, 6 and 11.2.

import Platform
import Testing

@testable import Proxy

@Suite struct RefusalTests {
    private static let post = "POST / HTTP/1.1\r\nHost: m\r\n"

    static let smuggling: [(text: String, status: Int)] = [
        (post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (post + "Content-Length: 5, 5\r\n\r\nhello", 400),
        (post + "Content-Length: +5\r\n\r\nhello", 400),
        (post + "Content-Length: -5\r\n\r\nhello", 400),
        (post + "Content-Length: 0x5\r\n\r\nhello", 400),
        (post + "Content-Length: 5 5\r\n\r\nhello", 400),
        (post + "Content-Length:\r\n\r\nhello", 400),
        (post + "Content-Length: 99999999999999999999999\r\n\r\n", 413),
        (post + "Transfer-Encoding: identity\r\n\r\n", 400),
        (post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Transfer-Encoding: \u{B}chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (post + "Connection: content-length\r\nContent-Length: 5\r\n\r\nhello", 400),
        (post + "X: 1\r\n folded\r\n\r\n", 400),
        (post + "X: 1\n\r\n\r\n", 400),
        (post + "X: a\rb\r\n\r\n", 400),
        (post + "X: a\u{0}b\r\n\r\n", 400),
        (post + ": empty\r\n\r\n", 400),
        (post + "X Y: 1\r\n\r\n", 400),
        (post + "Host: other\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: m\n\n", 400),
        ("GET  / HTTP/1.1\r\nHost: m\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: m\r\n\r\n", 400),
        ("GET /#part HTTP/1.1\r\nHost: m\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: m\r\n\r\n", 505),
        ("CONNECT m:80 HTTP/1.1\r\nHost: m:80\r\n\r\n", 501),
        ("GET /" + String(repeating: "a", count: 17_000) + " HTTP/1.1\r\nHost: m\r\n\r\n", 414),
        (post + "X: " + String(repeating: "a", count: 17_000) + "\r\n\r\n", 431),
        (post + String(repeating: "X: 1\r\n", count: 200) + "\r\n", 431),
        (
            post + String(repeating: "X: " + String(repeating: "a", count: 8_000) + "\r\n", count: 9)
                + "\r\n", 431
        ),
    ]

    @Test("A head that could be read in two ways is refused and its connection closed; nothing is forwarded")
    func heads() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        for (text, status) in Self.smuggling {
            let client = try plane.connect()
            // What follows must never be taken for a request.
            try client.send(text + get("/smuggled"))
            let response = try client.response()
            #expect(response.status == status, "\(text.prefix(120).debugDescription) \(response.text)")
            #expect(response["connection"] == "close")
            #expect(response.reason != nil)
            client.finish()
            #expect(try client.end() == .orderly)
        }
        #expect(origin.connections.count == 0)
        let core = plane.core
        #expect(core[.exchanges] == 0 && core[.requests] == 0)
        #expect(core.refusals.reduce(0, +) == UInt64(Self.smuggling.count))
    }

    static let brokenChunks: [(text: String, status: Int)] = [
        ("g\r\nabc\r\n0\r\n\r\n", 400), ("-1\r\n", 400), ("3\nabc\r\n0\r\n\r\n", 400),
        ("3\r\nabcd\r\n0\r\n\r\n", 400),
        ("3\r\nabc0\r\n\r\n", 400), ("\r\n\r\n", 400), (" 3\r\nabc\r\n", 400), ("0x3\r\nabc\r\n", 400),
        ("fffffffffffffffff\r\n", 413), ("3;a=\u{0}\r\nabc\r\n", 400),
        ("0\r\ncontent-length: 5\r\n\r\n", 400),
        ("0\r\nx : 1\r\n\r\n", 400), ("0\r\nhost: x\r\n\r\n", 400),
    ]

    @Test("A broken chunked body is refused, and the upstream never sees its end", arguments: brokenChunks)
    func chunks(_ body: String, _ status: Int) throws {
        let endings = try Notes<String>()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            let rest = try? peer.takeAll()
            endings.add(String(decoding: rest ?? [], as: UTF8.self))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["transfer-encoding: chunked"]) + "2\r\nok\r\n")
        try origin.connections.wait(for: 1)
        try client.send(body + get("/smuggled"))
        let response = try client.response()
        #expect(response.status == status, "\(response.text)")
        #expect(response["connection"] == "close")
        client.finish()
        #expect(try client.end() == .orderly)
        let seen = try endings.wait(for: 1)
        #expect(!seen[0].contains("0\r\n\r\n") && !seen[0].contains("smuggled"))
        #expect(origin.connections.count == 1)
        try plane.waitForRest()
        #expect(plane.counts(0).failed == 0)
    }

    @Test("A head that its client never finishes is refused when the client closes")
    func unfinished() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        for part in ["G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: m\r\n"] {
            let client = try plane.connect()
            try client.send(part)
            client.finish()
            #expect(try client.response().status == 400)
        }
        let silent = try plane.connect()
        silent.finish()
        #expect(try silent.takeAll().isEmpty)
        #expect(origin.connections.count == 0)
    }
}

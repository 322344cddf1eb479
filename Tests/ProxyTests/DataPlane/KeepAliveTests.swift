// Connections that live on: reuse on both sides, pipelining, and requests that arrive in pieces.
// Place: DataPlane over real sockets. Source: RFC 9112 sections 9.3 and 9.3.2.

import Platform
import Testing

@testable import Proxy

@Suite struct KeepAliveTests {
    @Test("Requests on one client connection share it, and share one upstream connection")
    func reuse() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<20 {
            try client.send(get())
            #expect(try client.response().text == "a")
        }
        #expect(origin.connections.count == 1)
        #expect(origin.seen.count == 20)
        #expect(plane.core[.accepted] == 1)
    }

    @Test("Ten requests in one segment are answered in their order")
    func pipelining() throws {
        let origin = try Origin.answering { ok($0.target + $0.text) }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        let ten = (0..<10).map { $0 % 2 == 0 ? get("/\($0)") : post("body \($0)") }
        try client.send(ten.joined())
        for i in 0..<10 { #expect(try client.response().text == (i % 2 == 0 ? "/\(i)" : "/body \(i)")) }
        #expect(origin.seen.all.map(\.text) == (0..<10).map { $0 % 2 == 0 ? "" : "body \($0)" })
    }

    static let cuttable = [
        "\r\nPOST /a?b=c HTTP/1.1\r\nHost: m\r\nX-Request-ID: 7\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: m\r\nX-Request-ID: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 9\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: m\r\nX-Request-ID: 7\r\nAccept: */*\r\n\r\n",
    ]

    @Test("A request cut at any byte reaches the upstream as the same message", arguments: cuttable)
    func cuts(_ text: String) throws {
        let origin = try Origin.answering { _ in ok() }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            try client.send(Array(bytes[..<cut]))
            // The head is dripped to a core that has seen the first part by then: it answers a probe.
            if cut > 0, cut < bytes.count { _ = try plane.ask(get("/probe")) }
            try client.send(Array(bytes[cut...]))
            #expect(try client.response(to: "POST").status == 200)
        }
        let seen = origin.seen.all.filter { $0.target != "/probe" }
        #expect(seen.count == bytes.count + 1)
        #expect(Set(seen.map { $0.head }).count == 1)
        #expect(Set(seen.map { $0.text }).count == 1)
        #expect(seen.allSatisfy { $0.trailers.map(\.value) == seen[0].trailers.map(\.value) })
    }
}

// Message bodies through the data plane: lengths, chunks with trailers, bodies that end with the
// connection, and responses that have none.
// Place: DataPlane over real sockets. Source: RFC 9112 sections 6 and 7, RFC 9110 sections 15.3.5 and 15.4.5.

import Platform
import Testing

@testable import Proxy

@Suite struct BodyFramingTests {
    @Test("A chunked request with trailers is encoded anew, without extensions")
    func chunkedRequest() throws {
        let origin = try Origin.answering { _ in ok() }
        let plane = try Plane(to: origin)
        let head = request("POST", "/", ["transfer-encoding: chunked", "te: trailers"])
        let client = try plane.connect()
        try client.send(head + "00003;a=\"b\"\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 1\r\nX-Sum: 2\r\n\r\n")
        #expect(try client.response().status == 200)
        let seen = try #require(origin.seen.all.first)
        #expect(seen.text == "abcdefg")
        #expect(seen.all("transfer-encoding") == ["chunked"])
        #expect(seen["te"] == "trailers")
        #expect(seen["content-length"] == nil)
        #expect(seen.trailers.map { "\($0.name)=\($0.value)" } == ["x-sum=1", "X-Sum=2"])
    }

    @Test("A chunked response with trailers reaches the client chunk by chunk, without extensions")
    func chunkedResponse() throws {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        let origin = try Origin.answering { _ in
            head + "3;q=1\r\nabc\r\n000A\r\n0123456789\r\n0\r\nx-sum: 5\r\n\r\n"
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(get())
            let response = try client.response()
            #expect(response.text == "abc0123456789")
            #expect(response.chunks == [3, 10])
            #expect(response.trailers.map { "\($0.name)=\($0.value)" } == ["x-sum=5"])
        }
        #expect(origin.connections.count == 1)
    }

    @Test("A body that ends with the upstream's connection is chunked for HTTP/1.1 and closes for HTTP/1.0")
    func untilClose() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsome bytes")
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(get())
            let response = try client.response()
            #expect(response.text == "some bytes")
            #expect(response["transfer-encoding"] == "chunked")
            #expect(response["connection"] == nil)
        }
        let old = try plane.connect()
        try old.send("GET / HTTP/1.0\r\nhost: m\r\nconnection: keep-alive\r\n\r\n")
        let response = try old.response()
        #expect(response.text == "some bytes")
        #expect(response["transfer-encoding"] == nil)
        #expect(response["connection"] == "close")
    }

    @Test("A chunked response is decoded for a client of HTTP/1.0")
    func chunkedToOld() throws {
        let origin = try Origin.answering { _ in
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send("GET / HTTP/1.0\r\nhost: m\r\nconnection: keep-alive\r\n\r\n")
        let response = try client.response()
        #expect(response.text == "abcde")
        #expect(response["transfer-encoding"] == nil)
    }

    static let bodiless: [(method: String, answer: String)] = [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ]

    @Test("A response without a body leaves both connections ready for the next", arguments: bodiless)
    func noBody(_ method: String, _ answer: String) throws {
        let origin = try Origin.answering { $0.target == "/" ? answer : ok("next") }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request(method, "/", []) + get("/next"))
        let first = try client.response(to: method)
        #expect(first.head.hasPrefix(String(answer.prefix(12))))
        #expect(try client.response().text == "next")
        #expect(origin.connections.count == 1)
        if answer.contains("500") { #expect(first["content-length"] == "500") }
    }

    @Test("A client of HTTP/1.0 keeps its connection only when it asks and the length is known")
    func oldKeepAlive() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        let keeping = try plane.connect()
        for _ in 0..<3 {
            try keeping.send("GET / HTTP/1.0\r\nhost: m\r\nconnection: keep-alive\r\n\r\n")
            let response = try keeping.response()
            #expect(response["connection"] == "keep-alive")
            #expect(response.text == "a")
        }
        let closing = try plane.connect()
        try closing.send("GET / HTTP/1.0\r\n\r\n")
        let response = try closing.response()
        #expect(response["connection"] == "close")
        #expect(try closing.end() == .orderly)
        #expect(origin.seen.all.allSatisfy { $0.start.hasSuffix("HTTP/1.1") })
    }

    @Test(
        "Connection: close from the client closes after the reply; from the upstream only its own connection")
    func closes() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send(ok("once", "connection: close"))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<3 {
            try client.send(get())
            #expect(try client.response()["connection"] == nil)
        }
        #expect(origin.connections.count == 3)
        try client.send(get("/", "connection: close"))
        #expect(try client.response()["connection"] == "close")
        #expect(try client.end() == .orderly)
    }

    @Test(
        "Bodies of many sizes come out as they went in", arguments: [0, 1, 16_383, 16_384, 32_769, 700_001])
    func sizes(_ count: Int) throws {
        let origin = try Origin.answering { ok($0.text) }
        let plane = try Plane(to: origin)
        let body = String((0..<count).map { Character(UnicodeScalar(UInt8(97 + $0 % 23))) })
        let client = try plane.connect()
        try client.send(post(body))
        #expect(try client.response().text == body)
        let chunked = "\(String(count, radix: 16))\r\n\(body)\r\n"
        let last = "0\r\n\r\n"
        try client.send(
            request("POST", "/", ["transfer-encoding: chunked"]) + (count > 0 ? chunked : "") + last)
        #expect(try client.response().text == body)
        try plane.waitForRest()
    }
}

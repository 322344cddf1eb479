// Interim responses and tunnels: what comes before the final response, and what comes after 101.
// Place: DataPlane over real sockets. Source: RFC 9110 sections 7.8, 10.1.1 and 15.2.

import Platform
import Testing

@testable import Proxy

@Suite struct UpgradeTests {
    @Test("Interim responses are passed on before the final one, and not to clients of HTTP/1.0")
    func interim() throws {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        let origin = try Origin.answering { _ in hints + hints + ok("done") }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(get())
            #expect(try client.responseHead().head == hints)
            #expect(try client.responseHead().head == hints)
            #expect(try client.response().text == "done")
        }
        let old = try plane.connect()
        try old.send("GET / HTTP/1.0\r\nhost: m\r\n\r\n")
        #expect(try old.responseHead().status == 200)
    }

    @Test("A client that expects 100-continue gets the upstream's, then sends its body")
    func expectContinue() throws {
        let origin = try Origin { peer, _ in
            guard let head = try peer.requestHead(), head["expect"] == "100-continue" else { return }
            guard peer.buffer.isEmpty else { return }
            try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
            _ = try peer.take(4)
            try peer.send(ok("took it"))
            peer.hold()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 4", "expect: 100-continue"]))
        #expect(try client.responseHead().status == 100)
        try client.send("body")
        #expect(try client.response().text == "took it")
    }

    @Test("A final answer instead of 100 reaches a client that still holds its body")
    func refusedExpectation() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.send(reply(403, "no"))
            peer.hold()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 4", "expect: 100-continue"]))
        let response = try client.response()
        #expect(response.status == 403)
        #expect(response["connection"] == "close")
        #expect(try client.end() == .orderly)
    }

    static let upgrade = request(
        "GET", "/ws", ["connection: Upgrade, x-hop", "upgrade: websocket", "x-hop: 1"])
    static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

    @Test("After the upstream's 101 bytes go both ways, early ones too; the client's end comes first")
    func tunnelClientEndsFirst() throws {
        let origin = try Origin { peer, _ in
            guard let head = try peer.requestHead(), head["upgrade"] == "websocket" else { return }
            try peer.send(Self.switching + "early")
            let all = try peer.takeAll()
            try peer.send("got \(String(decoding: all, as: UTF8.self))")
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(Self.upgrade + "first ")
        let head = try client.responseHead()
        #expect(head.status == 101)
        #expect(head["upgrade"] == "websocket")
        #expect(head["connection"] == "upgrade")
        #expect(try client.take(5) == Array("early".utf8))
        try client.send("second")
        client.finish()
        #expect(try String(decoding: client.takeAll(), as: UTF8.self) == "got first second")
        try plane.waitForRest()
        #expect(plane.core[.tunnels] == 1)
    }

    @Test("After the upstream's end of a tunnel the client's last bytes still arrive")
    func tunnelServerEndsFirst() throws {
        let last = try Notes<String>()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.send(Self.switching + "bye")
            peer.finish()
            last.add(String(decoding: try peer.takeAll(), as: UTF8.self))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(Self.upgrade)
        _ = try client.responseHead()
        #expect(try String(decoding: client.takeAll(), as: UTF8.self) == "bye")
        let long = String(repeating: "z", count: 300_000)
        try client.send(long)
        client.close()
        #expect(try last.wait(for: 1).first?.count == long.count)
        try plane.waitForRest()
    }

    @Test("A tunnel moves megabytes both ways at once")
    func tunnelVolume() throws {
        let size = 3 << 20
        let block = [UInt8](repeating: 7, count: 64 << 10)
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.send(Self.switching)
            for _ in 0..<size / block.count {
                try peer.send(block)
                try peer.discard(block.count)
            }
            peer.finish()
            _ = try peer.end()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(Self.upgrade)
        _ = try client.responseHead()
        for _ in 0..<size / block.count {
            try client.send(block)
            try client.discard(block.count)
        }
        client.finish()
        #expect(try client.end() == .orderly)
        try plane.waitForRest()
    }

    @Test("A refused upgrade is an ordinary response, and what follows is the next request")
    func refusedUpgrade() throws {
        let origin = try Origin.answering { $0.target == "/ws" ? reply(403, "no") : ok("next") }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(Self.upgrade + get("/next"))
        let first = try client.response()
        #expect(first.status == 403)
        #expect(first["upgrade"] == nil)
        #expect(try client.response().text == "next")
        #expect(plane.core[.tunnels] == 0)
    }

    @Test("A 101 that nobody asked for is a protocol error")
    func unaskedSwitch() throws {
        let origin = try Origin.answering { _ in Self.switching }
        let plane = try Plane(to: origin)
        let response = try plane.ask()
        #expect(response.status == 502)
        #expect(response.reason == "upstream_protocol_error")
    }

    @Test("A reset of either side of a tunnel ends the other")
    func tunnelResets() throws {
        let ended = try Notes<Peer.Ending>()
        let origin = try Origin { peer, index in
            _ = try peer.requestHead()
            try peer.send(Self.switching)
            if index == 0 { return peer.reset() }
            ended.add(try peer.end())
        }
        let plane = try Plane(to: origin)
        let cut = try plane.connect()
        try cut.send(Self.upgrade)
        _ = try? cut.responseHead()
        #expect(try cut.end() == .reset)
        let cutting = try plane.connect()
        try cutting.send(Self.upgrade)
        _ = try cutting.responseHead()
        cutting.reset()
        try ended.wait(for: 1)
        try plane.waitForRest()
    }
}

// Bytes in motion: streams forwarded at every read, early answers, and ends that must not look like good
// ones.
// Place: DataPlane over real sockets. Source: RFC 9112 sections 6.3, 8 and 9.6; real-servers.md.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct StreamTests {
    static let framings = ["transfer-encoding: chunked", "content-length: 60", "connection: close"]

    @Test("Each write of the upstream reaches the client before the next is written", arguments: framings)
    func forwardedAtEveryRead(_ framing: String) throws {
        let gates = try (0..<6).map { _ in try Gate() }
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            // No content type, as LitServe streams: nothing to decide flushing by.
            try peer.send("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n")
            for (i, gate) in gates.enumerated() {
                try gate.pass()
                let event = "data: {\"\(i)\"}"
                try peer.send(framing.contains("chunked") ? "b\r\n\(event)\r\n" : event.dropLast() + "")
            }
            if framing.contains("chunked") { try peer.send("0\r\n\r\n") }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        let head = try client.responseHead()
        for (i, gate) in gates.enumerated() {
            #expect(client.isQuiet)
            gate.open()
            let isChunked = head["transfer-encoding"] != nil
            let event = isChunked ? try client.chunk() ?? [] : try client.take(10)
            #expect(String(decoding: event, as: UTF8.self).hasPrefix("data: {\"\(i)\""))
        }
    }

    @Test("A request body streams as it comes, before it is whole")
    func uploadStreams() throws {
        let parts = try Notes<String>()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            while let chunk = try peer.chunk() { parts.add(String(decoding: chunk, as: UTF8.self)) }
            _ = try peer.trailers()
            try peer.send(ok("whole"))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["transfer-encoding: chunked"]))
        for i in 0..<5 {
            try client.send("5\r\npart\(i)\r\n")
            #expect(try parts.wait(for: i + 1).last == "part\(i)")
        }
        try client.send("0\r\n\r\n")
        #expect(try client.response().text == "whole")
    }

    static let endings: [(answer: String, isReset: Bool)] = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly a part", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly a part", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n5\r\npar", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\nzzz\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\nno length", true),
    ]

    @Test("A truncated body aborts the client's stream, of HTTP/1.1 and 1.0 alike", arguments: endings)
    func truncated(_ answer: String, _ isReset: Bool) throws {
        for version in ["1.1", "1.0"] {
            let gate = try Gate()
            let origin = try Origin { peer, _ in
                _ = try peer.request()
                try peer.send(answer)
                // The reset must not overtake the bytes.
                try gate.pass()
                if isReset { peer.reset() }
            }
            let plane = try Plane(to: origin)
            let client = try plane.connect()
            try client.send("GET / HTTP/\(version)\r\nHost: m\r\n\r\n")
            // Bytes that came with the broken ones may be lost with them.
            let hasHead = (try? client.responseHead()) != nil
            gate.open()
            #expect(try !hasHead || client.end() == .reset)
            try plane.waitForRest()
            #expect(plane.counts(0).failed == 1)
        }
    }

    @Test("An early answer reaches a client that is still sending, and its connection then closes")
    func earlyAnswer() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.send("HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large")
            // Closed with input unread: the kernel answers with a reset.
        }
        let plane = try Plane(to: origin)
        for _ in 0..<5 {
            let client = try plane.connect()
            try client.send(request("POST", "/", ["content-length: 50000000"]))
            let block = [UInt8](repeating: 1, count: 64 << 10)
            var sent = 0
            // The answer may already be here, and the end with it.
            while sent < 3_000_000, client.isQuiet {
                sent += (try? client.pour(block, upTo: block.count)) ?? 4_000_000
            }
            let response = try client.response()
            #expect(response.status == 413)
            #expect(response.text == "too large")
            #expect(response["connection"] == "close")
        }
        try plane.waitForRest()
        #expect(plane.counts(0)[.clientError] == 5)
    }

    @Test("Where a half-close is ignored the client still gets its reply, and no FIN is passed on")
    func halfClose() throws {
        let gate = try Gate()
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try gate.pass()
            // As uvicorn does: a FIN now would mean that the client is gone.
            guard peer.isQuiet else { return }
            try peer.send(ok("late reply"))
            peer.hold()
        }
        let plane = try Plane(to: origin) { $0.clientHalfClose = .ignore }
        let client = try plane.connect()
        try client.send(post("body"))
        client.finish()
        try origin.seen.wait(for: 1)
        gate.open()
        #expect(try client.response().text == "late reply")
        #expect(try client.takeAll().isEmpty)
        #expect(plane.counts(0)[.success] == 1)
    }

    @Test("A client that resets while it waits is a cancel, which blames nobody")
    func clientReset() throws {
        let ended = try Notes<Peer.Ending>()
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            ended.add(try peer.end())
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        try origin.seen.wait(for: 1)
        client.reset()
        try ended.wait(for: 1)
        try plane.waitForRest()
        let counts = plane.counts(0)
        #expect(counts[.clientCancel] == 1 && counts.failed == 0 && counts.excluded == 1)
    }

    @Test(
        "A client that leaves inside its body cancels, and the upstream sees no whole request",
        arguments: ClientHalfClose.allCases)
    func clientLeavesInBody(_ halfClose: ClientHalfClose) throws {
        // The client leaves when its half has arrived: who leaves before its turn has no upstream at all.
        let arrived = try Notes<Int>()
        let rests = try Notes<[UInt8]>()
        let origin = try Origin { peer, index in
            _ = try peer.take(through: "hello")
            arrived.add(index)
            rests.add((try? peer.takeAll()) ?? [])
        }
        let plane = try Plane(to: origin) { $0.clientHalfClose = halfClose }
        for (number, fields) in ["content-length: 100", "transfer-encoding: chunked"].enumerated() {
            let client = try plane.connect()
            try client.send(request("POST", "/", [fields]) + "5\r\nhello\r\n")
            try arrived.wait(for: number + 1)
            client.finish()
            _ = try client.end()
        }
        // At most the end of the chunk that was sent whole.
        for rest in try rests.wait(for: 2) { #expect(rest.count <= 2) }
        #expect(plane.counts(0)[.clientCancel] == 2)
    }

    @Test("Bytes behind a whole response close the upstream's connection and reach nobody")
    func excess() throws {
        let origin = try Origin.answering { _ in ok("a") + "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb" }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<4 {
            try client.send(get())
            #expect(try client.response().text == "a")
        }
        #expect(client.isQuiet)
        #expect(origin.connections.count == 4)
    }

    @Test("Bytes that an idle upstream connection sends unasked close it, and answer nobody")
    func unasked() throws {
        let gate = try Gate()
        let origin = try Origin { peer, index in
            _ = try peer.request()
            try peer.send(ok("\(index)"))
            guard index == 0 else { return peer.hold() }
            try gate.pass()
            try peer.send(ok("unasked"))
            peer.hold()
        }
        var limits = Limits()
        limits.poolIdle = .seconds(600)
        let plane = try Plane(to: origin, limits: limits)
        #expect(try plane.ask().text == "0")
        gate.open()
        try eventually("the close") { plane.core[.upstreams] == 0 }
        #expect(try plane.ask().text == "1")
    }

    @Test("A response that comes byte by byte is the same response")
    func drippedResponse() throws {
        let answer =
            "HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n"
            + "3\r\nabc\r\n2;e\r\nde\r\n0\r\nt: u\r\n\r\n"
        let origin = try Origin { peer, _ in
            while try peer.request() != nil { try peer.drip(answer) }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<3 {
            try client.send(get())
            let response = try client.response()
            #expect(response.text == "abcde" && response["x"] == "y" && response.trailers.count == 1)
        }
        #expect(origin.connections.count == 1)
    }
}

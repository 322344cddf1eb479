// Failures before the first response byte: what is sent again, where, how often, and what the client sees.
// Place: DataPlane over real sockets. Source: RFC 9110 section 9.2.2; Core+Retry.swift.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct RetryTests {
    /// An origin that answers the first request of each connection and resets at the second.
    private static func once() throws -> Origin {
        try Origin { peer, _ in
            guard let request = try peer.request() else { return }
            try peer.send(ok(request.method))
            _ = try peer.request()
            peer.reset()
        }
    }

    static let methods: [(method: String, fields: [String], isRepeated: Bool)] = [
        ("GET", [], true), ("PUT", ["content-length: 1"], true), ("DELETE", [], true),
        ("POST", ["content-length: 1"], false), ("PATCH", ["content-length: 1"], false),
        ("POST", ["content-length: 1", "idempotency-key: k"], true),
    ]

    @Test("A request on a stale pooled connection is repeated only where that is safe", arguments: methods)
    func staleConnection(_ method: String, _ fields: [String], _ isRepeated: Bool) throws {
        let origin = try Self.once()
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        #expect(try client.response().status == 200)
        try client.send(request(method, "/", fields) + (fields.isEmpty ? "" : "x"))
        let response = try client.response()
        #expect(response.status == (isRepeated ? 200 : 502))
        #expect(plane.counts(0).retries == (isRepeated ? 1 : 0))
        #expect(plane.counts(0)[.reset] == (isRepeated ? 0 : 1))
        #expect(origin.seen.count == (isRepeated ? 3 : 2))
    }

    @Test("A POST is repeated where the model's config allows it")
    func nonIdempotent() throws {
        let origin = try Self.once()
        let plane = try Plane(to: origin) { $0.retries.nonIdempotent = true }
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(post("x"))
            #expect(try client.response().status == 200)
        }
        #expect(origin.seen.all.map(\.text) == ["x", "x", "x"])
    }

    @Test("A connection that the upstream closed while it was idle is not used again")
    func closedIdle() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send(ok())
        }
        var limits = Limits()
        limits.poolIdle = .seconds(600)
        let plane = try Plane(to: origin, limits: limits)
        let client = try plane.connect()
        for i in 0..<5 {
            try client.send(post("x"))
            #expect(try client.response().status == 200)
            try eventually("the close of connection \(i)") { plane.core[.upstreams] == 0 }
        }
        #expect(plane.counts(0).retries == 0)
        #expect(origin.connections.count == 5)
    }

    @Test("A failed connect is repeated on another endpoint, also for POST")
    func connectElsewhere() throws {
        let origin = try Origin.named("alive")
        let refusing = try RefusingAddress()
        var version = VersionPlan.version(0, "stable", 1_000_000, [refusing.address, origin.address])
        version.ejection.consecutiveFailures = 0
        let plane = try Plane([.trial([version])])
        let client = try plane.connect()
        for _ in 0..<40 {
            try client.send(post("x"))
            #expect(try client.response().text == "alive")
        }
        let retries = plane.counts(0).retries
        #expect(retries > 5 && retries < 35)
        #expect(plane.counts(0)[.success] == 40)
    }

    @Test("Attempts end at their bound, and retries at their budget")
    func bounds() throws {
        let resetting = try Origin { peer, _ in
            _ = try peer.request()
            peer.reset()
        }
        let plane = try Plane(to: resetting) { $0.retries = RetryPlan(attemptsMax: 3, budgetPPM: 0) }
        let client = try plane.connect()
        let begin = Clock.now()
        var previous: UInt64 = 0
        var counts: [UInt64] = []
        for _ in 0..<60 {
            try client.send(get())
            #expect(try client.response().status == 502)
            let retries = plane.counts(0).retries
            counts.append(retries - previous)
            previous = retries
        }
        #expect(counts[0] == 3)
        // A hundred at once, and three for each second that this takes.
        let seconds = (Clock.now() - begin).millis / 1_000 + 1
        #expect(previous >= 100 && previous <= 100 + 3 * seconds)
    }

    @Test("Repeats of failed connects end at the bound on attempts, and need no budget")
    func connectBounds() throws {
        let refusing = try RefusingAddress()
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [refusing.address])])
        model.retries = RetryPlan(attemptsMax: 3, budgetPPM: 0)
        let plane = try Plane([model])
        let client = try plane.connect()
        for i in 0..<60 {
            try client.send(i % 2 == 0 ? get() : post("x"))
            #expect(try client.response().reason == "upstream_connect_failed")
        }
        #expect(plane.counts(0).retries == 180)
    }

    @Test("A body that had no room to be kept is not repeated, and the client is told")
    func tooLongToRepeat() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.discard(200_000)
            peer.reset()
        }
        var limits = Limits()
        limits.replayBytesMax = 100_000
        let plane = try Plane(to: origin, limits: limits) { $0.retries.nonIdempotent = true }
        let client = try plane.connect()
        try client.send(post(String(repeating: "x", count: 200_000)))
        #expect(try client.response().reason == "upstream_reset")
        #expect(plane.counts(0).retries == 0)
    }

    static let garbage = [
        "garbage\r\n\r\n", "HTTP/1.1 200\n\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
    ]

    @Test("An upstream that does not speak HTTP is answered for with 502", arguments: garbage)
    func protocolError(_ answer: String) throws {
        let origin = try Origin.answering { _ in answer }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(get())
            let response = try client.response()
            #expect(response.status == 502)
            #expect(response.reason == "upstream_protocol_error")
        }
        #expect(plane.counts(0)[.protocolError] == 2)
        try plane.waitForRest()
    }

    @Test("An upstream that closes without an answer is a reset")
    func closesWithoutAnswer() throws {
        let origin = try Origin { peer, _ in _ = try peer.request() }
        let plane = try Plane(to: origin)
        let response = try plane.ask(post("x"))
        #expect(response.status == 502)
        #expect(response.reason == "upstream_reset")
        #expect(plane.counts(0)[.reset] == 1)
    }
}

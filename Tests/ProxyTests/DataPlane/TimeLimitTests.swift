// Every time limit: which reply or end it brings, under which outcome it counts.
// Place: DataPlane over real sockets, with limits short enough to be waited for. No upper bounds on time
// but the client's patience.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct TimeLimitTests {
    @Test("A head that is not finished in time is answered 408")
    func slowHead() throws {
        let origin = try Origin.named("a")
        var limits = Limits()
        limits.headerDeadline = .millis(100)
        let plane = try Plane(to: origin, limits: limits)
        let client = try plane.connect()
        try client.send("GET / HT")
        let response = try client.response()
        #expect(response.status == 408)
        #expect(response.reason == "header_timeout")
        #expect(try client.end() == .orderly)
        // Who never says anything is closed without a word.
        #expect(try plane.connect().takeAll().isEmpty)
        #expect(plane.core[TimeLimit.header] >= 1)
        #expect(origin.connections.count == 0)
    }

    @Test("A keep-alive connection that stays idle is closed without a word")
    func idleKeepAlive() throws {
        let origin = try Origin.named("a")
        var limits = Limits()
        limits.keepAliveIdle = .millis(100)
        let plane = try Plane(to: origin, limits: limits)
        let client = try plane.connect()
        try client.send(get())
        #expect(try client.response().text == "a")
        #expect(try client.takeAll().isEmpty)
    }

    @Test("A body slower than the least rate is answered 408; one at that rate is not")
    func slowBody() throws { try calmly(from: .millis(150), Self.judgesRate) }

    /// False: the steady client was slow itself.
    private static func judgesRate(_ window: Interval) throws -> Bool {
        let origin = try Origin.named("a")
        var limits = Limits()
        limits.bodyRateWindow = window
        // 150 bytes in a window, however long that is.
        limits.bodyBytesPerSecondMin = 150_000 / window.millis
        let plane = try Plane(to: origin, limits: limits)
        let slow = try plane.connect()
        try slow.send(request("POST", "/", ["content-length: 1000"]) + "few bytes")
        let response = try slow.response()
        #expect(response.status == 408)
        #expect(response.reason == "body_too_slow")
        #expect(try slow.end() == .orderly)
        #expect(plane.counts(0)[.timeoutClient] == 1)
        #expect(plane.counts(0).failed == 0)
        let steady = try plane.connect()
        try steady.send(request("POST", "/", ["content-length: 100000"]))
        var last = Clock.now()
        let end = last + window + window + window
        var sent = 0
        while Clock.now() < end, sent < 90_000 {
            try steady.send([UInt8](repeating: 1, count: 500))
            sent += 500
            // The core has had a turn since.
            _ = try plane.ask()
            guard Clock.now() - last < .micros(window.micros / 2) else { return false }
            last = Clock.now()
        }
        try steady.send([UInt8](repeating: 1, count: 100_000 - sent))
        let answer = try steady.response()
        guard Clock.now() - last < .micros(window.micros / 2) else { return false }
        #expect(answer.text == "a")
        return true
    }

    @Test("An early answer is not cut because its client has stopped sending the body")
    func silentDuringEarlyAnswer() throws { try calmly(from: .millis(50), Self.leavesEarlyAnswers) }

    /// False: the answer did not begin within a window.
    private static func leavesEarlyAnswers(_ window: Interval) throws -> Bool {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Origin { peer, index in
            _ = try peer.requestHead()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nearly")
            try gates[index].pass()
            try peer.send("later")
            peer.hold()
        }
        var limits = Limits()
        limits.bodyRateWindow = window
        let plane = try Plane(to: origin, limits: limits)
        defer { gates.forEach { $0.open() } }
        let heads = ["content-length: 1000", "content-length: 1000\r\nexpect: 100-continue"]
        for (i, fields) in heads.enumerated() {
            let client = try plane.connect()
            let begin = Clock.now()
            try client.send(request("POST", "/", [fields]))
            let before = plane.core[TimeLimit.body]
            _ = try client.responseHead()
            guard Clock.now() - begin < window else { return false }
            try eventually("three rate windows") { plane.core[TimeLimit.body] >= before + 3 }
            gates[i].open()
            #expect(try client.take(10) == Array("earlylater".utf8))
        }
        try plane.waitForRest()
        #expect(plane.counts(0)[.success] == 2)
        return true
    }

    @Test("An upstream that says nothing in time is answered for with 504")
    func firstByte() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            peer.hold()
        }
        let plane = try Plane(to: origin) { $0.timeouts.firstByte = .millis(100) }
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(post("x"))
            let response = try client.response()
            #expect(response.status == 504)
            #expect(response.reason == "upstream_first_byte_timeout")
            #expect(response["connection"] == nil)
        }
        #expect(plane.counts(0)[.timeoutFirstByte] == 2)
        #expect(plane.core[TimeLimit.firstByte] == 2)
        // The connections that were waited on in vain are not used again.
        #expect(origin.connections.count == 2)
    }

    @Test("A connect that is not decided in time is answered for with 504")
    func connect() throws {
        let listener = try FullListener()
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [listener.address])])
        model.timeouts.connect = .millis(100)
        model.retries.attemptsMax = 1
        let plane = try Plane([model])
        let response = try plane.ask(post("x"))
        #expect(response.status == 504)
        #expect(response.reason == "upstream_connect_timeout")
        #expect(plane.counts(0)[.timeoutConnect] == 1)
        #expect(plane.counts(0).retries == 1)
        try plane.waitForRest()
    }

    @Test("An upstream that falls silent inside a response is cut, and the client with it")
    func idleInResponse() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
            peer.hold()
        }
        let plane = try Plane(to: origin) { $0.timeouts.idle = .millis(100) }
        let client = try plane.connect()
        try client.send(get())
        _ = try client.responseHead()
        #expect(try client.end() == .reset)
        #expect(plane.counts(0)[.timeoutIdle] == 1)
    }

    @Test("An upstream that takes no bytes of a request in time is answered for with 504")
    func idleInRequest() throws {
        let origin = try Origin { peer, _ in peer.hold() }
        let plane = try Plane(to: origin) { $0.timeouts.idle = .millis(200) }
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 100000000"]))
        _ = try? client.pour([UInt8](repeating: 1, count: 1 << 20), upTo: 100_000_000)
        let response = try client.response()
        #expect(response.status == 504)
        #expect(response.reason == "upstream_idle_timeout")
        #expect(plane.counts(0)[.timeoutIdle] == 1)
    }

    @Test("A tunnel in which nobody speaks is closed")
    func tunnelIdle() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try peer.send(UpgradeTests.switching)
            peer.hold()
        }
        var limits = Limits()
        limits.tunnelIdle = .millis(100)
        let plane = try Plane(to: origin, limits: limits)
        let client = try plane.connect()
        try client.send(UpgradeTests.upgrade)
        _ = try client.responseHead()
        _ = try client.end()
        try plane.waitForRest()
    }

    @Test("An idle upstream connection is closed before its server would; the next request opens another")
    func poolIdle() throws {
        let origin = try Origin.named("a")
        var limits = Limits()
        limits.poolIdle = .millis(100)
        let plane = try Plane(to: origin, limits: limits)
        #expect(try plane.ask().text == "a")
        try eventually("the close") { plane.core[.upstreams] == 0 }
        #expect(plane.core[TimeLimit.poolIdle] == 1)
        #expect(try plane.ask().text == "a")
        #expect(origin.connections.count == 2)
    }

    @Test("The pool keeps no more idle connections than its bound", arguments: [0, 1, 3])
    func poolBound(_ bound: Int) throws {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Origin.answering { request in
            try? gates[request.target == "/0" ? 0 : 1].pass()
            return ok()
        }
        var limits = Limits()
        limits.poolIdleMax = bound
        let plane = try Plane(to: origin, limits: limits)
        var clients: [Peer] = []
        for _ in 0..<6 {
            let client = try plane.connect()
            try client.send(get("/0"))
            clients.append(client)
        }
        try origin.seen.wait(for: 6)
        gates[0].open()
        for client in clients { #expect(try client.response().status == 200) }
        try eventually("the pool") { plane.core[.upstreams] == bound }
        gates[1].open()
        #expect(try plane.ask().status == 200)
    }
}

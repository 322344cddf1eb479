// Requests that Weir answers itself after their heads were sound: refused connections, no endpoint, no
// route, and what becomes of the connection and of the requests behind them.
// Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct RefusedExchangeTests {
    static let three = [
        get("/1") + get("/2") + get("/3"),
        post("body") + post("other body") + post(""),
        post("body") + get("/2") + get("/3"),
    ]

    @Test("A request that could not be sent is answered once, and the next one after it", arguments: three)
    func answeredOnce(_ requests: String) throws {
        let refusing = try RefusingAddress()
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [refusing.address])])
        model.retries = RetryPlan(attemptsMax: 0)
        let plane = try Plane([model])
        let client = try plane.connect()
        try client.send(requests)
        for _ in 0..<3 {
            let response = try client.response()
            #expect(response.status == 502)
            #expect(response.reason == "upstream_connect_failed")
            #expect(response["connection"] == nil)
        }
        client.finish()
        #expect(try client.takeAll().isEmpty)
        #expect(plane.counts(0)[.connectFailure] == 3)
        try plane.waitForRest()
    }

    @Test("A request without a known end that could not be sent closes its connection after the reply")
    func unknownEnd() throws {
        let refusing = try RefusingAddress()
        let plane = try Plane([.trial([.version(0, "stable", 1_000_000, [refusing.address])])])
        for fields in ["transfer-encoding: chunked", "content-length: 1000000"] {
            let client = try plane.connect()
            try client.send(request("POST", "/", [fields]) + "5\r\nhello\r\n")
            let response = try client.response()
            #expect(response.status == 502)
            #expect(response["connection"] == "close")
            client.finish()
            #expect(try client.end() == .orderly)
        }
        try plane.waitForRest()
    }

    @Test("A version without endpoints answers 503 and keeps the connection")
    func noEndpoint() throws {
        let plane = try Plane([.trial([.version(0, "stable", 1_000_000, [])])])
        let client = try plane.connect()
        try client.send(get() + get())
        for _ in 0..<2 { #expect(try client.response().reason == "no_endpoint") }
        #expect(plane.counts(0)[.noEndpoint] == 2)
    }

    @Test("A request that no model matches is answered 404 and closes")
    func unrouted() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin) { model in
            model.matches = [RouteMatch(host: nil, path: .prefix("/v1"))]
        }
        let client = try plane.connect()
        try client.send(get("/v2"))
        let response = try client.response()
        #expect(response.status == 404)
        #expect(response.reason == "no_model_matches")
        #expect(try client.end() == .orderly)
        #expect(try plane.ask(get("/v1/x")).text == "a")
        #expect(plane.core[.unrouted] == 1)
    }

    @Test("A request whose head is too long to be kept is not repeated, nor is the one behind it sent twice")
    func unkeptHead() throws {
        let origin = try Origin { peer, _ in
            // Both requests reach the kernel in one segment; the first is cut.
            if try peer.request()?.target == "/cut" { return peer.reset() }
            try peer.send(ok("second"))
            _ = try peer.request()
        }
        var limits = Limits()
        limits.replayBytesMax = 0
        let plane = try Plane(to: origin, limits: limits)
        let client = try plane.connect()
        try client.send(get("/cut") + get("/next"))
        #expect(try client.response().status == 502)
        #expect(try client.response().text == "second")
        #expect(origin.seen.all.map(\.target) == ["/cut", "/next"])
    }

    @Test("A retry goes on where the body was, also when a pipelined request waits behind it")
    func retryWithPipelinedInput() throws {
        let origin = try Origin { peer, index in
            while let request = try peer.request() {
                if index == 0 { return peer.reset() }
                try peer.send(ok(request.target + request.text))
            }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("PUT", "/a", ["content-length: 3"]) + "abc" + get("/b") + get("/c"))
        #expect(try client.response().text == "/aabc")
        #expect(try client.response().text == "/b")
        #expect(try client.response().text == "/c")
        #expect(plane.counts(0).retries == 1)
    }
}

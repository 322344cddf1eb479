// The end of a data plane: what is in progress finishes, what is idle closes, nothing new is taken.
// Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct DrainTests {
    @Test(
        "Idle connections close, the request in flight finishes, its connection says close",
        arguments: [1, 2])
    func drain(_ cores: Int) throws {
        let gate = try Gate()
        let origin = try Origin.answering { request in
            if request.target == "/slow" { try? gate.pass() }
            return ok("done")
        }
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        let plane = try Plane([model], cores: cores)
        let silent = try plane.connect()
        let idle = try plane.connect()
        try idle.send(get())
        #expect(try idle.response().text == "done")
        let busy = try plane.connect()
        try busy.send(get("/slow"))
        let streaming = try plane.connect()
        try streaming.send(request("POST", "/", ["content-length: 4"]) + "bo")
        try eventually("four connections") { plane.core[.accepted] == 4 }
        try eventually("three requests") { plane.counts(0).started == 3 }
        #expect(!plane.data.isDrained)
        plane.data.drain()
        #expect(try idle.takeAll().isEmpty)
        #expect(try silent.takeAll().isEmpty)
        try streaming.send("dy")
        let last = try streaming.response()
        #expect(last.text == "done" && last["connection"] == "close")
        #expect(!plane.data.isDrained)
        gate.open()
        let response = try busy.response()
        #expect(response.text == "done" && response["connection"] == "close")
        #expect(try busy.takeAll().isEmpty)
        for client in [silent, idle, busy, streaming] { client.close() }
        try eventually("the end") { plane.data.isDrained }
        #expect(plane.core[.draining] == cores)
        #expect(throws: PeerFailure.self) { try plane.ask() }
    }

    @Test("A reply that ends its connection for a drain survives the next request that is already on its way")
    func crossing() throws {
        let gate = try Gate()
        let origin = try Origin.answering { _ in
            try? gate.pass()
            return ok(String(repeating: "d", count: 200_000))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect(receiveBytes: 32 << 10)
        try client.send(get())
        try origin.seen.wait(for: 1)
        plane.data.drain()
        try client.send(String(repeating: get(), count: 50))
        gate.open()
        let response = try client.response()
        #expect(response.body.count == 200_000 && response["connection"] == "close")
        #expect(try client.takeAll().isEmpty)
        #expect(origin.seen.count == 1)
    }

    @Test("A plane without connections is drained at once")
    func empty() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        plane.data.drain()
        try eventually("the end") { plane.data.isDrained }
    }

    @Test("stop() ends the cores whatever they hold, and closes every descriptor")
    func stop() throws {
        let origin = try Origin { peer, _ in peer.hold() }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(post(String(repeating: "x", count: 100_000)))
        try origin.connections.wait(for: 1)
        plane.data.stop()
        _ = try client.end()
        #expect(throws: PeerFailure.self) { try plane.connect() }
    }
}

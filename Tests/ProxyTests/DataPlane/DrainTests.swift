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

    /// Answers by path: a stream of a kind that does not end, or nothing.
    private static func endless() throws -> Origin {
        try Origin { peer, _ in
            guard let request = try peer.request() else { return }
            switch request.target {
            case "/close": try peer.send("HTTP/1.1 200 OK\r\n\r\npart")
            case "/chunks":
                try peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n")
            case "/length": try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
            case "/tunnel":
                try peer.send(
                    "HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\npart")
            default: break
            }
            peer.hold()
        }
    }

    @Test("At the deadline streams of every kind end with a reset, and each is on record", arguments: [1, 2])
    func cutStreams(_ cores: Int) throws {
        let origin = try Self.endless()
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        let plane = try Plane([model], cores: cores)
        let paths = ["/close", "/chunks", "/length", "/tunnel"]
        let clients = try paths.map { path in
            let client = try plane.connect()
            try client.send(get(path, "connection: upgrade", "upgrade: websocket"))
            _ = try client.take(through: "part")
            return client
        }
        plane.data.drain()
        plane.data.cutOff()
        for (client, path) in zip(clients, paths) { #expect(try client.end() == .reset, "\(path)") }
        try eventually("the cut") { plane.data.isCutOff && plane.data.isDrained }
        let cuts = plane.data.cuts
        #expect(cuts.count == 4)
        let found = cuts.records.map { record in
            String(decoding: (0..<Int(record.pathCount)).map { record.path[$0] }, as: UTF8.self)
        }
        #expect(found.sorted() == paths.sorted())
        #expect(cuts.records.allSatisfy { $0.bytesOut == 4 })
        #expect(cuts.records.allSatisfy { $0.outcome == .drainCut })
        #expect(try plane.records(4).allSatisfy { $0.outcome == .drainCut })
        // Our own deadline is no failure of the version, nor a success; a tunnel began as one.
        let counts = plane.counts(0)
        #expect(counts[.drainCut] == 3 && counts[.success] == 1 && counts.failed == 0)
        #expect(counts.excluded == 3)
        try plane.waitForRest(blocks: cores * Limits().blocksMax)
    }

    @Test("At the deadline requests without an answer get 503, also queued and half sent; idle ones close")
    func cutRequests() throws {
        let origin = try Self.endless()
        var version = VersionPlan.version(0, "stable", 1_000_000, [origin.address])
        version.inFlightMax = 2
        let plane = try Plane([.trial([version])])
        let requests = [
            get("/none"), request("POST", "/half", ["content-length: 9"]) + "part", get("/queued"),
        ]
        var clients: [Peer] = []
        for (i, text) in requests.enumerated() {
            clients.append(try plane.connect())
            try clients[i].send(text)
            try eventually("request \(i)") { plane.counts(0).started == i + 1 }
        }
        let head = try plane.connect()
        try head.send("GET /unfinished HTTP/1.1\r\n")
        try eventually("all connections") { plane.core[.accepted] == 4 }
        plane.data.cutOff()
        for client in clients {
            let reply = try client.response()
            #expect(reply.status == 503 && reply.reason == "draining" && reply["connection"] == "close")
        }
        _ = try head.end()
        try eventually("the cut") { plane.data.isCutOff }
        let cuts = plane.data.cuts
        #expect(cuts.count == 3)
        #expect(cuts.records.allSatisfy { $0.outcome == .localRefusal && $0.status == 503 })
        #expect(try plane.records(3).allSatisfy { $0.outcome == .localRefusal && $0.status == 503 })
        #expect(plane.counts(0)[.localRefusal] == 3)
        for client in clients { client.close() }
        try eventually("the end") { plane.data.isDrained }
        #expect(throws: PeerFailure.self) { try plane.ask() }
    }

    @Test("A failed answer that the deadline cuts stays the version's failure")
    func cutFailure() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\npart")
            peer.hold()
        }
        let plane = try Plane(to: origin)
        let failed = try plane.connect()
        try failed.send(get())
        _ = try failed.take(through: "part")
        plane.data.cutOff()
        #expect(try failed.end() == .reset)
        #expect(try plane.records(1)[0].outcome == .upstreamError)
        #expect(plane.counts(0)[.upstreamError] == 1 && plane.counts(0).failed == 1)
    }

    @Test(
        "Connections close a part at a turn, and requests in progress go on between",
        arguments: [false, true])
    func slices(_ isCut: Bool) throws {
        let gate = try Gate()
        let origin = try Origin.answering { request in
            if request.target == "/slow" { try? gate.pass() }
            return ok("done")
        }
        let plane = try Plane(to: origin)
        let count = 6 * Limits.leavingPerTurnMax
        let clients = try (0..<count).map { _ in try plane.connect() }
        try eventually("all connections") { plane.core[.accepted] == count }
        let busy = try plane.connect()
        try busy.send(get("/slow"))
        try eventually("the request") { plane.counts(0).started == 1 }
        let before = plane.core[.turns]
        if isCut { plane.data.cutOff() } else { plane.data.drain() }
        for client in clients { #expect(try client.takeAll().isEmpty) }
        // The turn that closed the last one may not be over.
        #expect(plane.core[.turns] - before >= 5)
        if isCut { try eventually("the cut") { plane.data.isCutOff } }
        gate.open()
        let response = try busy.response()
        #expect(response.status == (isCut ? 503 : 200) && response["connection"] == "close")
        for client in clients + [busy] { client.close() }
        try eventually("the end") { plane.data.isDrained && plane.data.isCutOff == isCut }
        #expect(plane.data.cuts.count == (isCut ? 1 : 0))
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

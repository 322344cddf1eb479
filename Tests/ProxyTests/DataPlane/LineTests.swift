// The bound on a version's requests in flight: who waits, who goes next, who is turned away.
// Place: DataPlane over real sockets; one core, so the bound is exact.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct LineTests {
    /// An origin that answers one request each time it is told to.
    private static func gated(_ gates: [Gate]) throws -> Origin {
        let turn = try Notes<Int>()
        return try Origin { peer, _ in
            while let request = try peer.request() {
                let number = turn.count
                turn.add(number)
                try gates[number].pass()
                try peer.send(ok(request.target))
            }
        }
    }

    private func plane(
        _ origin: Origin, queueMax: Int, queueTimeout: Interval = .seconds(600)
    ) throws -> Plane {
        var version = VersionPlan.version(0, "stable", 1_000_000, [origin.address])
        version.inFlightMax = 1
        version.queueMax = queueMax
        version.queueTimeout = queueTimeout
        return try Plane([.trial([version])])
    }

    @Test("Requests beyond the bound wait in line and are served in the order in which they came")
    func order() throws {
        let gates = try (0..<6).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 4)
        var clients: [Peer] = []
        for i in 0..<5 {
            let client = try plane.connect()
            // The first one has another request behind it, which must not overtake the line.
            try client.send(get("/\(i)") + (i == 0 ? get("/5") : ""))
            try eventually("request \(i)") { plane.counts(0).started == i + 1 }
            clients.append(client)
        }
        #expect(origin.seen.count <= 1)
        let refused = try plane.ask(get("/full"))
        #expect(refused.status == 503)
        #expect(refused.reason == "overloaded")
        #expect(refused["retry-after"] == "1")
        for i in 0..<6 {
            try origin.seen.wait(for: i + 1)
            gates[i].open()
        }
        for i in 0..<5 { #expect(try clients[i].response().text == "/\(i)") }
        #expect(try clients[0].response().text == "/5")
        #expect(origin.seen.all.map(\.target) == (0..<6).map { "/\($0)" })
        #expect(plane.counts(0)[.overloaded] == 1)
    }

    @Test("Who has waited too long gets 503, and the next request on its connection is served")
    func timeout() throws {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 4, queueTimeout: .millis(100))
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        let waiting = try plane.connect()
        try waiting.send(post("with a body") + get("/1"))
        #expect(try waiting.response().reason == "queue_timeout")
        gates.forEach { $0.open() }
        #expect(try first.response().text == "/0")
        let last = try waiting.response()
        #expect(last.text == "/1" || last.reason == "queue_timeout")
        try plane.waitForRest()
    }

    @Test("Who leaves the line, or the front of it, lets the next one through")
    func leaving() throws {
        let gates = try (0..<3).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 8)
        var clients: [Peer] = []
        for i in 0..<5 {
            let client = try plane.connect()
            try client.send(get("/\(i)"))
            try eventually("request \(i)") { plane.counts(0).started == i + 1 }
            clients.append(client)
        }
        try origin.seen.wait(for: 1)
        clients[2].reset()
        clients[3].reset()
        try eventually("two to be gone") { plane.counts(0)[.clientCancel] == 2 }
        // The one in flight goes as well, while the next in line already knows its place.
        clients[0].reset()
        gates.forEach { $0.open() }
        #expect(try clients[1].response().text == "/1")
        #expect(try clients[4].response().text == "/4")
        #expect(origin.seen.all.map(\.target) == ["/0", "/1", "/4"])
        try plane.waitForRest()
    }

    @Test("A plan that removes the model lets the request in flight finish and refuses those in line")
    func removedModel() throws {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 8)
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        let second = try plane.connect()
        try second.send(post("waits") + get("/unknown"))
        try eventually("the second") { plane.counts(0).started == 2 }
        try plane.publish { $0.models = [] }
        gates.forEach { $0.open() }
        #expect(try first.response().text == "/0")
        #expect(try second.response().reason == "no_version")
        #expect(try second.response().reason == "no_model_matches")
        try plane.waitForRest()
        #expect(plane.core[.upstreams] == 0)
    }

    @Test("A plan that raises the bound lets those in line go")
    func raisedBound() throws {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 8)
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        let second = try plane.connect()
        try second.send(get("/1"))
        try eventually("the second") { plane.counts(0).started == 2 }
        try plane.publish { $0.models[0].versions[0].inFlightMax = 2 }
        try origin.seen.wait(for: 2)
        gates.forEach { $0.open() }
        #expect(try first.response().text == "/0")
        #expect(try second.response().text == "/1")
    }

    @Test("Without an exchange slot the answer is 503")
    func noExchange() throws {
        let gates = try [Gate()]
        let origin = try Self.gated(gates)
        var limits = Limits()
        limits.exchangesMax = 1
        let plane = try Plane(to: origin, limits: limits)
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        #expect(try plane.ask().reason == "exchanges_exhausted")
        gates[0].open()
        #expect(try first.response().text == "/0")
    }

    @Test("Where every client slot has a request, further connections wait to be accepted")
    func fullTable() throws {
        let gates = try (0..<3).map { _ in try Gate() }
        gates[2].open()
        let origin = try Self.gated(gates)
        var limits = Limits()
        limits.downstreamsMax = 2
        let plane = try Plane(to: origin, limits: limits)
        let busy = try (0..<2).map { _ in try plane.connect() }
        for (i, client) in busy.enumerated() {
            try client.send(get("/\(i)"))
            try origin.seen.wait(for: i + 1)
        }
        let third = try plane.connect()
        try third.send(get("/2"))
        try eventually("a pause") { plane.core[.acceptsPaused] > 0 }
        #expect(plane.core[.downstreamsEvicted] == 0)
        gates[0].open()
        #expect(try busy[0].response().text == "/0")
        #expect(try third.response().text == "/2")
        gates[1].open()
        #expect(try busy[1].response().text == "/1")
    }

    /// An origin that answers every request on every connection.
    private static func answering() throws -> Origin {
        try Origin { peer, _ in
            while let request = try peer.request() { try peer.send(ok(request.target)) }
        }
    }

    @Test("A crowd of idle connections and stalled heads in every slot makes room for clients that ask")
    func crowd() throws {
        let origin = try Self.answering()
        var limits = Limits()
        limits.downstreamsMax = 8
        limits.headerDeadline = .seconds(600)
        let plane = try Plane(to: origin, limits: limits)
        let crowd = try (0..<40).map { _ in try plane.connect() }
        for i in stride(from: 0, to: 40, by: 2) { try crowd[i].send("GET /") }
        for _ in 0..<20 { #expect(try plane.ask().status == 200) }
        #expect(plane.core[.downstreamsEvicted] > 30)
        #expect(plane.core[.downstreams] <= 8)
    }

    @Test("A pool of idle connections to one endpoint makes room for a connection to another")
    func evictsPooled() throws {
        let origins = try (0..<2).map { _ in try Self.answering() }
        var limits = Limits()
        limits.upstreamsMax = 1
        limits.poolIdle = .seconds(600)
        let models = origins.enumerated().map { i, origin in
            ModelPlan(
                slot: i, name: "m\(i)", matches: [RouteMatch(host: nil, path: .prefix("/\(i)"))],
                versions: [.version(i, "stable", 1_000_000, [origin.address])], stable: 0)
        }
        let plane = try Plane(models, limits: limits)
        for round in 0..<10 {
            let answer = try plane.ask(get("/\(round % 2)"))
            #expect(answer.status == 200)
        }
        #expect(plane.core[.upstreamsEvicted] == 9)
    }

    @Test("Without a connection slot the answer is 503, and no endpoint is blamed")
    func noSlot() throws {
        let gates = try [Gate()]
        let origin = try Self.gated(gates)
        var limits = Limits()
        limits.upstreamsMax = 1
        let plane = try Plane(to: origin, limits: limits)
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        for _ in 0..<20 {
            let refused = try plane.ask()
            #expect(refused.status == 503)
            #expect(refused.reason == "upstream_connections_exhausted")
        }
        gates[0].open()
        #expect(try first.response().text == "/0")
        #expect(plane.core[.ejections] == 0)
        #expect(plane.counts(0).failed == 0)
        #expect(plane.counts(0)[.localRefusal] == 20)
    }

    @Test("What comes of a body while its request waits in line is read when the request is sent")
    func bodyWhileWaiting() throws {
        let gates = try (0..<2).map { _ in try Gate() }
        let origin = try Self.gated(gates)
        let plane = try plane(origin, queueMax: 4)
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        let waiting = try plane.connect()
        try waiting.send(request("POST", "/1", ["content-length: 8"]) + "half")
        try eventually("the second request") { plane.counts(0).started == 2 }
        try waiting.send("rest")
        // Its edge has come and gone before the first request's connection is free.
        try plane.settle()
        gates.forEach { $0.open() }
        #expect(try first.response().text == "/0")
        #expect(try waiting.response().text == "/1")
        #expect(origin.seen.all.last?.body.count == 8)
    }
}

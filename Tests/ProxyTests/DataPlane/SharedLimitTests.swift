// Bounds that hold over all cores: as many requests as the config says, not as many for each core; every
// place used while somebody waits; none of them lost.
// Place: DataPlane over real sockets with four cores. The kernel spreads the clients over the cores.

import Glibc
import Metrics
import Platform
import Synchronization
import Testing

@testable import Proxy

/// Counts what is in progress at an origin.
private final class Occupancy: Sendable {
    private let state = Mutex((now: 0, most: 0))

    func enter() {
        state.withLock {
            $0.now += 1
            $0.most = max($0.most, $0.now)
        }
    }

    func leave() { state.withLock { $0.now -= 1 } }
    var most: Int { state.withLock { $0.most } }
    var now: Int { state.withLock { $0.now } }
}

@Suite struct SharedLimitTests {
    private static let cores = 4

    private static func plane(
        _ origin: Origin, inFlight: Int, queue: Int, timeout: Interval = .seconds(60)
    ) throws -> Plane {
        var version = VersionPlan.version(0, "stable", 1_000_000, [origin.address])
        version.inFlightMax = inFlight
        version.queueMax = queue
        version.queueTimeout = timeout
        return try Plane([.trial([version])], cores: cores)
    }

    /// An origin that answers when the gate opens.
    private static func gated(_ gate: Gate) throws -> Origin {
        try Origin { peer, _ in
            while let request = try peer.request() {
                try gate.pass()
                try peer.send(ok(request.target))
            }
        }
    }

    /// Has threads of clients ask until each has its answers, and returns the statuses.
    private static func ask(
        _ plane: Plane, clients: Int, times: Int, _ body: @escaping @Sendable (Peer, Int) throws -> Int
    ) throws -> [Int] {
        let address = plane.data.addresses[0]
        let statuses = try Notes<Int>()
        let threads = try (0..<clients).map { i in
            try Thread.spawn(name: "client-\(i)") {
                for round in 0..<times {
                    guard let peer = try? Peer(to: address) else { continue }
                    statuses.add((try? body(peer, i * times + round)) ?? 0)
                }
            }
        }
        for thread in threads { thread.join() }
        return statuses.all
    }

    @Test(
        "As many requests are in flight as the bound says, whatever the cores, and all are served",
        arguments: [1, 2, 3, 7])
    func exact(_ bound: Int) throws {
        let occupancy = Occupancy()
        let origin = try Origin { peer, index in
            var random = Random64(seed: UInt64(index))
            while try peer.request() != nil {
                occupancy.enter()
                // Some work, so that requests meet.
                _ = poll(nil, 0, Int32(random.below(3)))
                occupancy.leave()
                try peer.send(ok("served"))
            }
        }
        let plane = try Self.plane(origin, inFlight: bound, queue: 1_000)
        let statuses = try Self.ask(plane, clients: 24, times: 10) { peer, _ in
            for _ in 0..<2 {
                try peer.send(get())
                guard try peer.response().status == 200 else { return 1 }
            }
            return 200
        }
        #expect(statuses == Array(repeating: 200, count: 240))
        #expect(occupancy.most == bound)
        try plane.waitForRest(blocks: 4 * Limits().blocksMax)
        #expect(plane.data.board.words.places.inFlight(.first) == 0)
        #expect(plane.data.board.words.places.waiting(.first) == 0)
    }

    @Test("Each place that becomes free goes to the request that has waited longest, on whichever core")
    func order() throws {
        let turns = try (0..<16).map { _ in try Gate() }
        let served = try Notes<String>()
        let origin = try Origin { peer, _ in
            while let request = try peer.request() {
                let number = served.count
                served.add(request.target)
                try turns[number].pass()
                try peer.send(ok(request.target))
            }
        }
        let plane = try Self.plane(origin, inFlight: 1, queue: 100)
        var clients: [Peer] = []
        for i in 0..<16 {
            let client = try plane.connect()
            try client.send(get("/\(i)"))
            try eventually("request \(i)") { plane.counts(0).started == i + 1 }
            clients.append(client)
        }
        for i in 0..<16 {
            // Work conserving: with the last one gone, the next one comes without anything else happening.
            try served.wait(for: i + 1)
            #expect(served.count == i + 1)
            turns[i].open()
        }
        for i in 0..<16 { #expect(try clients[i].response().text == "/\(i)") }
        #expect(served.all == (0..<16).map { "/\($0)" })
    }

    @Test(
        "As many requests wait as the queue's bound says, whatever the cores; the others get 503 at once",
        arguments: [(1, 3), (1, 0), (2, 5), (5, 1)])
    func queue(_ bound: Int, _ queue: Int) throws {
        let gate = try Gate()
        let origin = try Self.gated(gate)
        let plane = try Self.plane(origin, inFlight: bound, queue: queue)
        let clients = try (0..<20).map { _ in try plane.connect() }
        for (i, client) in clients.enumerated() {
            try client.send(get("/\(i)"))
            try eventually("request \(i)") { plane.counts(0).started == i + 1 }
        }
        let refused = UInt64(20 - bound - queue)
        try eventually("the refusals") { plane.counts(0)[.overloaded] == refused }
        try origin.seen.wait(for: bound)
        #expect(plane.data.board.words.places.inFlight(.first) == bound)
        #expect(plane.data.board.words.places.waiting(.first) == queue)
        gate.open()
        for (i, client) in clients.enumerated() {
            let response = try client.response()
            if i < bound + queue {
                #expect(response.text == "/\(i)")
            } else {
                #expect(response.status == 503 && response.reason == "overloaded")
            }
        }
        #expect(origin.seen.count == bound + queue)
    }

    @Test("A bound of 0 in flight takes no request and lets none wait", arguments: [1, 4])
    func none(_ cores: Int) throws {
        let origin = try Origin.named("a")
        var version = VersionPlan.version(0, "stable", 1_000_000, [origin.address])
        version.inFlightMax = 0
        let plane = try Plane([.trial([version])], cores: cores)
        for _ in 0..<8 {
            let response = try plane.ask()
            #expect(response.status == 503 && response.reason == "overloaded")
        }
        #expect(origin.connections.count == 0)
        try plane.publish { $0.models[0].versions[0].inFlightMax = 1 }
        #expect(try plane.ask().text == "a")
    }

    @Test("A candidate with a bound of 0 in flight gets nothing, and stable serves its share")
    func noneForCandidate() throws {
        let (stable, candidate) = (try Origin.named("s"), try Origin.named("c"))
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [candidate.address]),
        ])
        model.versions[1].inFlightMax = 0
        let plane = try Plane([model], cores: Self.cores)
        for _ in 0..<8 { #expect(try plane.ask().text == "s") }
        #expect(candidate.connections.count == 0)
    }

    @Test("Copies in flight are as many as their bound says over all cores, none with 0", arguments: [0, 1])
    func copies(_ bound: Int) throws {
        let gate = try Gate()
        let (stable, shadow) = (try Origin.named("s"), try Self.gated(gate))
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000, [stable.address]),
            .version(1, "shadow", 0, [shadow.address]),
        ])
        model.shadow = ShadowPlan(version: 1, ppm: 1_000_000, inFlightMax: bound, ageMax: .seconds(60))
        let plane = try Plane([model], cores: Self.cores)
        for _ in 0..<20 { #expect(try plane.ask().text == "s") }
        #expect(plane.counts(1).shadowSent == UInt64(bound))
        #expect(plane.drops(1, .inFlight) == UInt64(20 - bound))
        gate.open()
        try plane.waitForRest(blocks: 4 * Limits().blocksMax)
        #expect(plane.data.board.words.places.copiesInFlight(.first) == 0)
    }

    @Test("Bounds that are divided sum to the bound")
    func parts() {
        for cores in 1...70 {
            for bound in [0, 1, 2, 99, 100, 401, 1_024, 4_096, 1_000_000] {
                let sum = (0..<cores).reduce(0) { $0 + Limits.part(of: bound, core: $1, of: cores) }
                #expect(sum == bound)
            }
        }
    }
}

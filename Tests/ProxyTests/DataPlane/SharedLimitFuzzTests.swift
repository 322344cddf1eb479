// Places in flight under everything that can happen to a request that has one or waits for one: clients that
// leave, servers that fail, retries, shielding, time limits, and plans that change or remove the bounds.
// Place: DataPlane over real sockets with four cores. Invariant at rest: no place is taken, none is lost.

import Glibc
import Metrics
import Platform
import Synchronization
import Testing

@testable import Proxy

@Suite struct SharedLimitFuzzTests {
    /// Serves, or fails in some way.
    private static func origin(_ seed: UInt64) throws -> Origin {
        try Origin { peer, index in
            var random = Random64(seed: seed &+ UInt64(index))
            while try peer.request() != nil {
                switch random.below(12) {
                case 0: return peer.reset()
                case 1: return try peer.send("nonsense\r\n\r\n")
                case 2: try peer.send(reply(500, "bad"))
                case 3:
                    // Longer than the time limit.
                    _ = poll(nil, 0, 60)
                    return
                case 4: return try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ncut")
                default:
                    _ = poll(nil, 0, Int32(random.below(4)))
                    try peer.send(ok("served"))
                }
            }
        }
    }

    private static func client(_ address: SocketAddress, seed: UInt64, until over: Notes<Bool>) {
        var random = Random64(seed: seed)
        while over.count == 0 {
            guard let peer = try? Peer(to: address) else { continue }
            for _ in 0...random.below(3) {
                let body = String(repeating: "b", count: Int(random.below(100)))
                guard (try? peer.send(random.below(2) == 0 ? get() : post(body))) != nil else { break }
                if random.below(4) == 0 {
                    // Leaves: in line, called, in flight or before any of it.
                    _ = poll(nil, 0, Int32(random.below(6)))
                    if random.below(2) == 0 { peer.reset() }
                    break
                }
                peer.patience = .millis(random.below(400) + 1)
                guard (try? peer.response()) != nil else { break }
            }
        }
    }

    private static func models(_ stable: Origin, _ candidate: Origin) -> [ModelPlan] {
        var model = ModelPlan.trial([
            .version(0, "stable", 600_000, [stable.address, stable.address]),
            .version(1, "candidate", 400_000, [candidate.address]),
        ])
        for i in 0..<2 {
            model.versions[i].inFlightMax = 1 + i
            model.versions[i].queueMax = 6
            model.versions[i].queueTimeout = .millis(40)
            model.versions[i].ejection = EjectionPlan(consecutiveFailures: 0)
        }
        model.timeouts = Timeouts(connect: .millis(500), firstByte: .millis(40), idle: .millis(200))
        model.retries.nonIdempotent = true
        model.shadow = ShadowPlan(version: 1, ppm: 300_000, inFlightMax: 2, ageMax: .millis(80))
        return [model]
    }

    /// Another plan: other bounds, from shared to divided and back, another stable version, or no model.
    private static func change(_ plan: inout Plan, _ models: [ModelPlan], _ random: inout Random64) {
        plan.models = models
        for i in 0..<2 {
            let bounds = [0, 1, 1, 2, 5, 399, 400, 4_096]
            plan.models[0].versions[i].inFlightMax = bounds[Int(random.below(UInt64(bounds.count)))]
            plan.models[0].versions[i].queueMax = bounds[Int(random.below(UInt64(bounds.count)))]
        }
        plan.models[0].shadow?.inFlightMax = [0, 1, 3, 1_000][Int(random.below(4))]
        if random.below(4) == 0 { plan.models[0].stable = 1 }
        if random.below(4) == 0 { plan.models[0].shadow = nil }
        if random.below(8) == 0 { plan.models = [] }
    }

    @Test(
        "After any mixture of cancels, failures, time limits and plans no place is taken and none is lost",
        arguments: 0..<8)
    func fuzz(_ round: Int) throws {
        let seed = testSeed(0xB0_0001 &+ UInt64(round) &* 7_919)
        var random = Random64(seed: seed)
        let (stable, candidate) = (try Self.origin(seed &+ 1_000_003), try Self.origin(seed &+ 2_000_003))
        let models = Self.models(stable, candidate)
        let plane = try Plane(models, cores: 4)
        let deadline = Clock.now() + .millis(700)
        let over = try Notes<Bool>()
        let address = plane.data.addresses[0]
        let clients = try (0..<12).map { i in
            try Thread.spawn(name: "fuzz-\(i)") {
                Self.client(address, seed: seed &+ UInt64(i) &* 15_485_863, until: over)
            }
        }
        defer {
            over.add(true)
            for client in clients { client.join() }
        }
        // A slow machine takes the time that a few requests need.
        func isShort() -> Bool { plane.counts(0).started <= 20 && Clock.now() < deadline + .seconds(60) }
        while Clock.now() < deadline || isShort() {
            // Half of the rounds keep their plan.
            if round % 2 == 0 { try plane.publish { Self.change(&$0, models, &random) } }
            // Paces the plans; nothing waits for it.
            _ = poll(nil, 0, Int32(random.below(30)))
        }
        over.add(true)
        for client in clients { client.join() }
        try plane.waitForRest(blocks: 4 * Limits().blocksMax)
        let places = { (slot: Slot<VersionState>) in
            (
                plane.data.board.words.places.inFlight(slot), plane.data.board.words.places.waiting(slot)
            )
        }
        for row in 0..<2 { #expect(places(Slot(row: row)) == (0, 0), "seed \(seed)") }
        #expect(plane.data.board.words.places.copiesInFlight(.first) == 0, "seed \(seed)")
        #expect(plane.counts(0).started > 20, "seed \(seed)")
        try Self.expectExact(plane, seed)
    }

    /// With bounds of one, no place is lost on any core, and none is there twice.
    private static func expectExact(_ plane: Plane, _ seed: UInt64) throws {
        let gate = try Gate()
        let healthy = try Origin { peer, _ in
            while try peer.request() != nil {
                try gate.pass()
                try peer.send(ok("healthy"))
            }
        }
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [healthy.address])])
        model.versions[0].endpoints[0].slot = 40
        model.versions[0].inFlightMax = 1
        model.versions[0].queueMax = 11
        model.versions[0].queueTimeout = .seconds(60)
        model.timeouts.firstByte = .seconds(60)
        try plane.publish { $0.models = [model] }
        let before = plane.counts(0).started
        let clients = try (0..<12).map { _ in try plane.connect() }
        for client in clients { try client.send(get()) }
        try eventually("twelve requests, seed \(seed)") { plane.counts(0).started == before + 12 }
        #expect(plane.data.board.words.places.inFlight(.first) == 1, "seed \(seed)")
        #expect(plane.data.board.words.places.waiting(.first) == 11, "seed \(seed)")
        #expect(healthy.seen.count <= 1, "seed \(seed)")
        gate.open()
        for client in clients { #expect(try client.response().text == "healthy", "seed \(seed)") }
    }
}

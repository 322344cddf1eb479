// Mutated requests and mutated responses against a live data plane, with everything on at once: shielding,
// shadows, retries, lines, cuts and new plans. Afterwards it still serves, and every slab and pool block is
// free again.
// Place: DataPlane over real sockets. The seed is printed with a failure and taken back by WEIR_TEST_SEED;
// WEIR_FUZZ_SECONDS makes it run longer.

import Glibc
import Metrics
import Platform
import Testing

@testable import Proxy

/// Messages and what a hostile or broken peer makes of them.
struct Mutator {
    var random: Random64

    static let requests = [
        get("/a?b=c", "x: y"), get("/", "connection: close"), request("HEAD", "/", []), post("a small body"),
        post(String(repeating: "long ", count: 20_000)),
        request("POST", "/", ["transfer-encoding: chunked"])
            + "5;e=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nt: u\r\n\r\n",
        request("PUT", "/", ["content-length: 5", "expect: 100-continue"]) + "hello",
        request("GET", "/", ["connection: upgrade", "upgrade: x"]) + "tunnelled bytes",
        "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: m\r\n\r\n",
    ]

    static let responses = [
        ok("a body"), ok(String(repeating: "long ", count: 60_000)), reply(500, "broken"), reply(404),
        reply(204),
        "HTTP/1.1 100 Continue\r\n\r\n" + ok("after"), "HTTP/1.1 200 OK\r\n\r\nuntil the close",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;x\r\nabc\r\n0\r\nt: u\r\n\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        UpgradeTests.switching + "tunnel",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", ok("a") + ok("excess"),
    ]

    mutating func message(of kinds: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0...random.below(3) { bytes += Array(kinds[Int(random.below(UInt64(kinds.count)))].utf8) }
        // Half of the messages stay whole: the damage must not be the only thing that is tried.
        if random.below(2) == 0 { return bytes }
        for _ in 0...random.below(3) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        // Heads are short and matter most.
        let reach = random.below(2) == 0 ? min(bytes.count, 200) : bytes.count
        let start = Int(random.below(UInt64(reach)))
        let end = min(bytes.count, start + 1 + Int(random.below(20)))
        switch random.below(6) {
        case 0: bytes[start] ^= 1 << UInt8(random.below(8))
        case 1: bytes.removeSubrange(start..<end)
        case 2: bytes.insert(contentsOf: bytes[start..<end], at: start)
        case 3: bytes.removeSubrange(start...)
        case 4: bytes.insert(contentsOf: Array("\r\n\0 :;,0".utf8).shuffled(&random).prefix(3), at: start)
        default: bytes[start] = UInt8(truncatingIfNeeded: random.next())
        }
    }

    /// Sends in pieces of any size.
    mutating func send(_ bytes: [UInt8], on peer: Peer) throws {
        var position = 0
        while position < bytes.count {
            let piece = random.below(3) == 0 ? 1 + Int(random.below(30)) : bytes.count - position
            let end = min(bytes.count, position + piece)
            try peer.send(Array(bytes[position..<end]))
            position = end
        }
    }
}

extension Array {
    fileprivate func shuffled(_ random: inout Random64) -> [Element] {
        var copy = self
        for i in copy.indices { copy.swapAt(i, Int(random.below(UInt64(copy.count)))) }
        return copy
    }
}

@Suite struct FuzzTests {
    private static func origin(_ seed: UInt64) throws -> Origin {
        try Origin { peer, index in
            var mutator = Mutator(random: Random64(seed: seed &+ UInt64(index) &* 7_919))
            peer.patience = .millis(400)
            while true {
                if mutator.random.below(12) == 0 { return peer.reset() }
                if mutator.random.below(30) == 0 { return peer.hold() }
                if mutator.random.below(4) == 0 { _ = try peer.requestHead() } else { _ = try peer.request() }
                try mutator.send(mutator.message(of: Mutator.responses), on: peer)
                if mutator.random.below(6) == 0 { return }
            }
        }
    }

    private static func client(_ address: SocketAddress, seed: UInt64, until over: Notes<Bool>) {
        var mutator = Mutator(random: Random64(seed: seed))
        while over.count == 0 {
            guard let peer = try? Peer(to: address) else { continue }
            peer.patience = .millis(mutator.random.below(80) + 1)
            for _ in 0...mutator.random.below(3) {
                guard (try? mutator.send(mutator.message(of: Mutator.requests), on: peer)) != nil else {
                    break
                }
                guard mutator.random.below(3) > 0, (try? peer.response()) != nil else { break }
            }
            switch mutator.random.below(3) {
            case 0: peer.reset()
            case 1: peer.finish()
            default: break
            }
            if mutator.random.below(3) == 0 { _ = try? peer.end() }
        }
    }

    private static func model(_ stable: Origin, _ candidate: Origin, _ shadow: Origin) -> ModelPlan {
        var model = ModelPlan.trial([
            .version(1, "stable", 500_000, [stable.address, stable.address]),
            .version(2, "candidate", 500_000, [candidate.address]),
            .version(3, "shadow", 0, [shadow.address]),
        ])
        model.slot = 1
        model.versions[0].inFlightMax = 6
        model.versions[0].queueMax = 3
        model.versions[0].queueTimeout = .millis(100)
        model.versions[1].inFlightMax = 4
        for i in 0..<3 {
            model.versions[i].ejection = EjectionPlan(consecutiveFailures: 9, time: .millis(50))
        }
        model.shadow = ShadowPlan(version: 2, ppm: 700_000, inFlightMax: 8, ageMax: .millis(150))
        model.timeouts = Timeouts(connect: .millis(200), firstByte: .millis(150), idle: .millis(150))
        model.retries.nonIdempotent = true
        return model
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.blocksMax = 256
        limits.downstreamsMax = 24
        limits.upstreamsMax = 40
        limits.exchangesMax = 16
        limits.shadowsMax = 6
        limits.replayBytesMax = 64 << 10
        limits.headerDeadline = .millis(150)
        limits.bodyRateWindow = .millis(150)
        limits.keepAliveIdle = .millis(150)
        limits.poolIdle = .millis(200)
        limits.tunnelIdle = .millis(150)
        limits.lingerDeadline = .millis(100)
        return limits
    }

    @Test("After seconds of mutated requests and responses it still serves, and everything is free again")
    func fuzz() throws {
        let seed = testSeed(0x5EED_0001)
        let seconds = getenv("WEIR_FUZZ_SECONDS").flatMap { UInt64(String(cString: $0)) } ?? 3
        let origins = try (0..<3).map { try Self.origin(seed &+ UInt64($0) &* 104_729) }
        let healthy = try Origin.named("healthy")
        var sound = ModelPlan.trial([.version(0, "healthy", 1_000_000, [healthy.address])])
        sound.matches = [RouteMatch(host: nil, path: .prefix("/healthy"))]
        let plane = try Plane(
            [sound, Self.model(origins[0], origins[1], origins[2])], limits: Self.limits)
        let deadline = Clock.now() + .seconds(seconds)
        let over = try Notes<Bool>()
        let address = plane.data.addresses[0]
        let clients = try (0..<6).map { i in
            try Thread.spawn(name: "fuzz-\(i)") {
                Self.client(address, seed: seed &+ UInt64(i) &* 15_485_863, until: over)
            }
        }
        defer {
            over.add(true)
            for client in clients { client.join() }
        }
        var round: UInt32 = 0
        // A slow machine takes the time that a few requests need.
        let last = deadline + .seconds(120)
        func isEnough() -> Bool { plane.counts(1).started > 50 && plane.counts(3).shadowSent > 5 }
        while Clock.now() < deadline || (!isEnough() && Clock.now() < last) {
            round += 1
            plane.data.cut(1, versions: round % 3 == 0 ? 0b10 : 0)
            if round % 3 == 1 { plane.data.clearCut(1) }
            try plane.publish { $0.models[1].versions[0].inFlightMax = Int(3 + round % 5) }
            plane.data.drainAccessLog { _ in }
            // Paces the plans; nothing waits for it.
            _ = poll(nil, 0, 20)
        }
        over.add(true)
        for client in clients { client.join() }
        #expect(try plane.ask(get("/healthy")).text == "healthy", "seed \(seed)")
        try plane.waitForRest(blocks: 256)
        try eventually("the connections' end, seed \(seed)") {
            plane.core[.downstreams] == 0 && plane.core[.upstreams] == 0
        }
        for slot in 1...3 {
            let counts = plane.counts(slot)
            #expect(counts.started == counts.completed, "seed \(seed)")
            let shadowsEnded = counts.shadowOutcomes.reduce(0, +)
            #expect(shadowsEnded <= counts.shadowSent, "seed \(seed)")
        }
        #expect(plane.counts(1).started > 50 && plane.counts(3).shadowSent > 5)
        try Self.expectNoPlaceLost(plane, healthy, seed)
    }

    /// With bounds of one, a single request still counted in flight would be seen.
    private static func expectNoPlaceLost(_ plane: Plane, _ healthy: Origin, _ seed: UInt64) throws {
        plane.data.clearCut(1)
        for weight: UInt32 in [0, 1_000_000] {
            try plane.publish { plan in
                for i in 0..<3 {
                    let endpoint = EndpointPlan(slot: 100 + i, address: healthy.address)
                    plan.models[1].versions[i].endpoints = [endpoint]
                    plan.models[1].versions[i].inFlightMax = 1
                }
                plan.models[1].versions[0].weightPPM = 1_000_000 - weight
                plan.models[1].versions[1].weightPPM = weight
                plan.models[1].shadow = ShadowPlan(version: 2, ppm: 1_000_000, inFlightMax: 1)
            }
            let sent = plane.counts(3).shadowSent
            let response = try plane.ask()
            #expect(response["x-weir-version"] == (weight == 0 ? "stable" : "candidate"), "seed \(seed)")
            try eventually("a copy, seed \(seed)") { plane.counts(3).shadowSent == sent + 1 }
            try plane.waitForRest(blocks: 256)
        }
    }
}

// Relief in parts, seen turn by turn: the test's thread is the core's.
// Place: a core without a thread, between raw clients and scripted origins. A turn waits for an event or for
// a timer; every connection here has one.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct ReliefTests {
    private static var limits: Limits {
        var limits = Limits.scarce
        limits.replayBytesMax = 0
        return limits
    }

    /// A core on a listener of its own that obeys a plan with one version.
    private static func core(to origin: Origin, _ limits: Limits) throws -> (Core, SocketAddress) {
        let listener = try Socket.listen(.loopback, reusePort: false)
        guard let address = Socket.localAddress(of: listener) else { throw PeerFailure.odd("no address") }
        let link = try CoreLink()
        let seat = CoreSeat(
            index: 0, count: 1, limits: limits, idKey: (1, 2), listeners: [listener.release()],
            board: try SharedBoard(cores: 1), link: link)
        let core = try Core(seat)
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        let plan = Plan(epoch: 1, models: [model], trusted: [], accessLogPPM: nil)
        link.send(.obey(plan, AssignImage(models: plan.models, trusted: [])))
        core.turn()
        return (core, address)
    }

    /// Turns the core until something is so.
    private static func turn(_ core: Core, until what: String, _ holds: () -> Bool) throws {
        let deadline = Clock.now() + .patience
        while !holds() {
            guard Clock.now() < deadline else { throw PeerFailure.late(what, sofar: "") }
            core.turn()
        }
    }

    @Test("A turn cuts its part of those who do not move; the next turns go on")
    func stalled() throws {
        let origin = try Origin.endless()
        var limits = Self.limits
        limits.stalledCutsMax = 2
        // Each client holds a block at least. Only when twelve have gone is a quarter of the blocks free.
        (limits.downstreamsMax, limits.upstreamsMax) = (64, 64)
        let (core, address) = try Self.core(to: origin, limits)
        defer { core.close() }
        var clients: [Peer] = []
        for _ in 0..<60 { clients.append(try neverReading(address)) }
        // They may come one by one, and then a shortage is over as soon as it is there. Three cuts are
        // those of two turns at least.
        var all = 0
        try Self.turn(core, until: "three cuts") {
            let before = core.downstreams.count
            core.turn()
            let cut = before - core.downstreams.count
            #expect(cut <= 2)
            all += max(0, cut)
            return all >= 3
        }
        origin.stop()
    }

    /// How a client that holds a small block begins and ends.
    enum Ending: String, CaseIterable {
        case headReset, headClosed, headGrown, headRefused, headWhole
        case trailersReset, trailersWhole, aheadReset, aheadWhole

        var begin: String {
            switch self {
            case .headReset, .headClosed, .headGrown, .headRefused, .headWhole: "GET / HTTP/1.1\r\n"
            case .trailersReset, .trailersWhole:
                request("POST", "/", ["transfer-encoding: chunked"]) + "0\r\nx-a: b\r\n"
            case .aheadReset, .aheadWhole: get("/held") + "GET / HTTP/1.1\r\n"
            }
        }
    }

    @Test("Small blocks come back however their holders end", arguments: Ending.allCases)
    func smallBlocks(_ ending: Ending) throws {
        let gate = try Gate()
        let origin = try Origin.answering { message in
            if message.target == "/held" { try? gate.pass() }
            return ok()
        }
        let (core, address) = try Self.core(to: origin, Self.limits)
        defer { core.close() }
        let client = try Peer(to: address)
        try client.send(ending.begin)
        let most = Self.limits.blocksMax
        try Self.turn(core, until: "a small block in use") { core.smallPool.free == most - 1 }
        #expect(core.unfinishedBlocks == 0)
        switch ending {
        case .headReset, .trailersReset, .aheadReset: client.reset()
        case .headClosed: client.finish()
        case .headGrown: try client.send("x-a: \(String(repeating: "a", count: 3_000))\r\n")
        case .headRefused: try client.send("\u{1}\r\n")
        case .headWhole, .aheadWhole: try client.send("host: m\r\n\r\n")
        case .trailersWhole: try client.send("\r\n")
        }
        gate.open()
        try Self.turn(core, until: "its return") { core.smallPool.free == most }
        #expect(core.unfinishedBlocks == (ending == .headGrown ? 1 : 0))
    }
}

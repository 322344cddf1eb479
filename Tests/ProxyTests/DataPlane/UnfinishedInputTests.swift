// Clients that begin and do not finish: half heads, half trailer sections, requests sent ahead. However many
// there are and however often they come back, the others are served, and the slow but honest one as well.
// Place: DataPlane over real sockets, with a pool that the crowd would fill several times over.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct UnfinishedInputTests {
    private static let blocks = 64

    private static var limits: Limits {
        var limits = Limits()
        limits.blocksMax = blocks
        limits.downstreamsMax = 400
        // Nothing here is to be ended by its time.
        limits.headerDeadline = .seconds(600)
        limits.bodyRateWindow = .seconds(600)
        return limits
    }

    /// Field lines of so many bytes.
    private static func fields(_ bytes: Int) -> String {
        String(repeating: "x-filler: \(String(repeating: "f", count: 988))\r\n", count: bytes / 1_000)
    }

    /// What a client of the crowd sends, never to finish it.
    enum Kind: String, CaseIterable {
        case largeHeads, ordinaryHeads, halfTrailers, sentAhead

        var text: String {
            switch self {
            case .largeHeads: "GET /never HTTP/1.1\r\nhost: m\r\n" + fields(60_000)
            case .ordinaryHeads: "GET /never HTTP/1.1\r\nhost: m\r\n" + fields(1_000)
            case .halfTrailers:
                "POST /held HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + fields(60_000)
            case .sentAhead: get("/held") + "GET /next HTTP/1.1\r\nhost: m\r\n" + fields(60_000)
            }
        }
    }

    /// Answers at once, but for /held.
    private static func origin() throws -> Origin {
        try Origin { peer, _ in
            while let head = try peer.requestHead() {
                if head.target == "/held" { return peer.hold() }
                try peer.send(ok(head.target))
            }
        }
    }

    @Test(
        "A crowd that never finishes what it began does not keep the others from being served",
        arguments: Kind.allCases)
    func crowd(_ kind: Kind) throws {
        let origin = try Self.origin()
        let plane = try Plane(to: origin, limits: Self.limits) { $0.versions[0].inFlightMax = 1_000 }
        let good = try plane.connect()
        var crowd: [Peer] = []
        for i in 0..<120 {
            let client = try plane.connect()
            client.patience = .seconds(60)
            // A client that is cut while it sends is what this is about.
            try? client.send(kind.text)
            crowd.append(client)
            try good.send(get("/\(i)"))
            #expect(try good.response().text == "/\(i)", "\(kind), request \(i)")
        }
        try plane.settle()
        // Where a request is in progress it may be kept for a retry, up to five eighths of the pool.
        #expect(plane.core[.buffersFree] >= Self.blocks / 8)
        #expect(plane.core[RefusalCause.buffersExhausted] >= 60)
        #expect(plane.counts(0).failed == 0)
        for client in crowd { client.reset() }
        try plane.waitForRest(blocks: Self.blocks)
    }

    @Test("Whoever holds much goes before whoever holds little, the oldest first, with 503")
    func order() throws {
        let origin = try Self.origin()
        let plane = try Plane(to: origin, limits: Self.limits)
        let honest = try plane.connect()
        try honest.send("GET /slow HTTP/1.1\r\nhost: m\r\n")
        try eventually("its first bytes") { plane.core[.buffersFree] == Self.blocks - 1 }
        // Four blocks each: the fourth is one too many for a quarter of the pool.
        var crowd: [Peer] = []
        for i in 0..<12 {
            let client = try plane.connect()
            try client.send(Kind.largeHeads.text)
            crowd.append(client)
            let refused = UInt64(max(0, i - 2))
            try eventually("head \(i)") {
                plane.core[RefusalCause.buffersExhausted] == refused
                    && plane.core[.buffersFree] == Self.blocks - 1 - 4 * min(i + 1, 3)
            }
        }
        for client in crowd.prefix(9) {
            let reply = try client.response()
            #expect(reply.status == 503 && reply.reason == "buffers_exhausted")
        }
        for client in crowd.suffix(3) { #expect(client.isQuiet) }
        try honest.send("\r\n")
        #expect(try honest.response().text == "/slow")
        try crowd[11].send("\r\n")
        #expect(try crowd[11].response().text == "/never")
        #expect(origin.connections.count > 0)
    }

    @Test("A request whose successors were dropped is answered, and its connection closes")
    func sentAhead() throws {
        let gate = try Gate()
        let origin = try Origin.answering { request in
            if request.target == "/held" { try? gate.pass() }
            return ok(request.target)
        }
        let plane = try Plane(to: origin, limits: Self.limits)
        let first = try plane.connect()
        try first.send(Kind.sentAhead.text)
        try origin.seen.wait(for: 1)
        var crowd: [Peer] = []
        for _ in 0..<6 {
            let client = try plane.connect()
            try client.send(Kind.largeHeads.text)
            crowd.append(client)
        }
        try eventually("a cut") { plane.core[RefusalCause.buffersExhausted] >= 1 }
        gate.open()
        let response = try first.response()
        #expect(response.text == "/held" && response["connection"] == "close")
        #expect(try first.takeAll().isEmpty)
    }
}

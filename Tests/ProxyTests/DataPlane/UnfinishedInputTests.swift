// Peers that begin and do not finish: clients with half heads, half trailer sections, requests sent ahead,
// model servers with half response heads. However many there are and however often they come back, the others
// are served, and the slow but honest one as well.
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
        // Nothing is kept for a retry: blocks are held by what is unfinished, and by nothing else.
        limits.replayBytesMax = 0
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
        case largeHeads, ordinaryHeads, halfTrailers, ordinaryTrailers, sentAhead, ordinarySentAhead

        /// Whether its input takes no block.
        var isOrdinary: Bool { [.ordinaryHeads, .ordinaryTrailers, .ordinarySentAhead].contains(self) }

        var text: String {
            switch self {
            case .largeHeads: "GET /never HTTP/1.1\r\nhost: m\r\n" + fields(60_000)
            case .ordinaryHeads: "GET /never HTTP/1.1\r\nhost: m\r\n" + fields(1_000)
            case .halfTrailers: beginningOfTrailers("/held") + fields(60_000)
            case .ordinaryTrailers: beginningOfTrailers("/held") + fields(1_000)
            case .sentAhead: get("/held") + "GET /next HTTP/1.1\r\nhost: m\r\n" + fields(60_000)
            case .ordinarySentAhead: get("/held") + "GET /next HTTP/1.1\r\nhost: m\r\n" + fields(1_000)
            }
        }

    }

    /// A chunked request up to its trailer section.
    private static func beginningOfTrailers(_ target: String) -> String {
        request("POST", target, ["transfer-encoding: chunked"]) + "0\r\n"
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
        // Small blocks are as many as ordinary ones.
        for i in 0..<(kind.isOrdinary ? Self.blocks - 4 : 120) {
            let client = try plane.connect()
            // A client that is cut while it sends is what this is about.
            try? client.send(kind.text)
            crowd.append(client)
            try good.send(get("/\(i)"))
            #expect(try good.response().text == "/\(i)", "\(kind), request \(i)")
        }
        try plane.settle()
        let cut = plane.core[RefusalCause.buffersExhausted]
        if kind.isOrdinary {
            #expect(plane.core[.buffersFree] == Self.blocks && cut == 0)
        } else {
            #expect(plane.core[.buffersFree] >= Self.blocks / 2 && cut >= 60)
        }
        #expect(plane.counts(0).failed == 0)
        for client in crowd { client.reset() }
        try plane.waitForRest(blocks: Self.blocks)
    }

    /// A client that is slow, and honest: how it begins, how it ends, and the answers it then gets.
    struct Slow: CustomTestStringConvertible {
        let testDescription: String
        let begin: String
        let end: String
        let answers: [String]

        static let all = [
            Slow(
                testDescription: "a head", begin: "GET /slow HTTP/1.1\r\nhost: m\r\n" + fields(8_000),
                end: "\r\n", answers: ["/slow"]),
            Slow(
                testDescription: "a trailer section", begin: beginningOfTrailers("/whole") + fields(8_000),
                end: "\r\n", answers: ["/whole"]),
            Slow(
                testDescription: "a request sent ahead",
                begin: get("/gated") + "GET /next HTTP/1.1\r\nhost: m\r\n" + fields(8_000),
                end: "\r\n", answers: ["/gated", "/next"]),
        ]
    }

    @Test("Those who hold most go first, the oldest with 503; who holds less stays", arguments: Slow.all)
    func order(_ slow: Slow) throws {
        let gate = try Gate()
        let origin = try Origin { peer, _ in
            while let head = try peer.requestHead() {
                if head.target == "/whole" { _ = try peer.take(through: "\r\n\r\n") }
                if head.target == "/gated" { try gate.pass() }
                try peer.send(ok(head.target))
            }
        }
        let plane = try Plane(to: origin, limits: Self.limits)
        let honest = try plane.connect()
        try honest.send(slow.begin)
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
        gate.open()
        try honest.send(slow.end)
        for answer in slow.answers { #expect(try honest.response().text == answer) }
        try crowd[11].send("\r\n")
        #expect(try crowd[11].response().text == "/never")
        #expect(plane.counts(0).failed == 0)
    }

    @Test("A trailer section that goes on grows no younger by it")
    func age() throws {
        let origin = try Self.origin()
        let plane = try Plane(to: origin, limits: Self.limits)
        var clients: [Peer] = []
        // Two blocks each: eight of them are a quarter of the pool.
        for i in 1...8 {
            let client = try plane.connect()
            try client.send(Self.beginningOfTrailers("/held") + Self.fields(20_000))
            try eventually("trailers \(i)") { plane.core[.buffersFree] == Self.blocks - 2 * i }
            clients.append(client)
        }
        try clients[0].send(Self.fields(1_000))
        try plane.settle()
        let last = try plane.connect()
        try last.send(Self.beginningOfTrailers("/held") + Self.fields(20_000))
        try eventually("a cut") { plane.core[RefusalCause.buffersExhausted] == 1 }
        #expect(try clients[0].end() == .reset)
        for client in clients.dropFirst() { #expect(client.isQuiet) }
        #expect(plane.core[.buffersFree] == Self.blocks - 16)
    }

    @Test("Model servers that do not finish their heads are cut as clients are, and not blamed for it")
    func responseHeads() throws {
        let gate = try Gate()
        let origin = try Origin { peer, _ in
            while let head = try peer.requestHead() {
                switch head.target {
                case "/never":
                    try peer.send("HTTP/1.1 200 OK\r\n" + Self.fields(60_000))
                    return peer.hold()
                case "/slow":
                    try peer.send("HTTP/1.1 200 OK\r\n" + Self.fields(8_000))
                    try gate.pass()
                    try peer.send("content-length: 4\r\n\r\nslow")
                default:
                    try peer.send(ok(head.target))
                }
            }
        }
        let plane = try Plane(to: origin, limits: Self.limits)
        let honest = try plane.connect()
        try honest.send(get("/slow"))
        try eventually("the first fields") { plane.core[.buffersFree] == Self.blocks - 1 }
        var crowd: [Peer] = []
        for i in 0..<12 {
            let client = try plane.connect()
            try client.send(get("/never"))
            crowd.append(client)
            try eventually("head \(i)") {
                plane.core[RefusalCause.buffersExhausted] == UInt64(max(0, i - 2))
                    && plane.core[.buffersFree] == Self.blocks - 1 - 4 * min(i + 1, 3)
            }
            #expect(try plane.ask(get("/\(i)")).text == "/\(i)")
        }
        for client in crowd.prefix(9) {
            let reply = try client.response()
            #expect(reply.status == 503 && reply.reason == "buffers_exhausted")
        }
        gate.open()
        #expect(try honest.response().text == "slow")
        #expect(plane.counts(0).failed == 0)
        for client in crowd { client.reset() }
        try plane.waitForRest(blocks: Self.blocks)
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

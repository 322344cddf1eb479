// A crowd at the admin API: whatever strangers do with their connections, an operator's verb is answered.
// Place: the admin server over real sockets, with canned answers.

import Glibc
import Platform
import Synchronization
import Testing
import Wire

@testable import Control
@testable import Sidecar

/// What one of a crowd sends, and whether it goes on byte by byte.
private struct Stranger: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: String
    var dribbles = false

    static let verb = "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"

    static let all = [
        Stranger(testDescription: "silent", bytes: ""),
        Stranger(testDescription: "half a head", bytes: "GET /livez HTTP/1.1\r\nhost: loc"),
        Stranger(testDescription: "half a body", bytes: verb + "content-length: 20\r\n\r\n{\"mod"),
        Stranger(testDescription: "dribbling", bytes: "GET /livez HTTP/1.1\r\nx: ", dribbles: true),
        Stranger(testDescription: "answered and idle", bytes: adminGet("/livez", close: false)),
        Stranger(testDescription: "answered and not closing", bytes: adminGet("/livez")),
        Stranger(testDescription: "not reading a long page", bytes: adminGet("/metrics")),
        Stranger(
            testDescription: "pipelining without reading",
            bytes: String(repeating: adminGet("/status", close: false), count: 200)),
    ]
}

@Suite(.serialized) struct AdminCrowdTests {
    @Test(
        "64 held connections, or 500 that keep coming, leave 81 of 81 rollbacks answered",
        arguments: Stranger.all, [64, 500])
    fileprivate func brake(stranger: Stranger, count: Int) throws {
        let served = try Served()
        try served.start()
        let address = served.server.address
        var crowd: [RawClient] = []
        for _ in 0..<count {
            crowd.append(try RawClient(address))
            crowd[crowd.count - 1].sendNow(stranger.bytes)
        }
        var answered = 0
        for _ in 0..<81 {
            // Those that were made to leave come back; the others go on with what they do.
            if count > 64 {
                for _ in 0..<8 {
                    let slot = Int(Entropy.word() % UInt64(count))
                    crowd[slot] = try RawClient(address)
                    crowd[slot].sendNow(stranger.bytes)
                }
            }
            if stranger.dribbles { for client in crowd { client.sendNow("y") } }
            if try AdminClient(address).send(AdminVerb(.rollback, model: "m")).isSuccess { answered += 1 }
        }
        #expect(answered == 81)
        #expect(try AdminClient(address).get("/livez").status == 200)
    }

    @Test("Of a full house the idlest leaves, and it is told so where it had begun a request")
    func idlest() throws {
        var times = AdminTimes()
        (times.request, times.idle) = (.seconds(600), .seconds(600))
        let served = try Served(times: times)
        try served.start()
        let first = try RawClient(served.server.address)
        first.send("GET /livez HTTP/1.1\r\n")
        var others: [RawClient] = []
        for _ in 1..<AdminServer.connectionsMax {
            let client = try RawClient(served.server.address)
            client.send(adminGet("/livez", close: false))
            #expect(client.receive { $0.hasSuffix("alive\n") }.contains("200 OK"))
            others.append(client)
        }
        // Bytes of a request that does not come to its end are no reason to stay.
        first.send("host: localhost\r\n")
        let newcomer = try RawClient(served.server.address)
        newcomer.send(adminGet("/livez"))
        #expect(newcomer.receive().contains("200 OK"))
        let said = first.receive()
        #expect(said.hasPrefix("HTTP/1.1 503 ") && said.contains("idlest of 64"))
        for client in others {
            client.send(adminGet("/livez"))
            #expect(client.receive().contains("200 OK"))
        }
    }

    /// Handlers that keep their answers to themselves until told.
    private final class Withheld: Sendable {
        let verbs = Mutex<[AdminReturn]>([])
        let pages = Atomic<Int>(0)

        var handlers: AdminHandlers {
            let page: @Sendable (@escaping AdminReturn) -> Void = { [self] _ in
                pages.wrappingAdd(1, ordering: .releasing)
            }
            return AdminHandlers(
                readiness: { .text(200, "ready") }, metrics: { _, answer in page(answer) }, status: page,
                reports: page, ledger: page,
                verb: { [self] _, _, answer in verbs.withLock { $0.append(answer) } })
        }
    }

    @Test("A verb that waits for its answer keeps its place, whoever comes")
    func verbStays() throws {
        let server = try AdminServer(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0))
        let withheld = Withheld()
        try server.start(withheld.handlers)
        defer { server.stop() }
        let body = "content-length: 13\r\nconnection: close\r\n\r\n{\"model\":\"c\"}"
        let operators = try (0..<3).map { _ in try RawClient(server.address) }
        for client in operators { client.send(Stranger.verb + body) }
        #expect(eventually { withheld.verbs.withLock { $0.count } == 3 })
        var crowd: [RawClient] = []
        for _ in 0..<200 { crowd.append(try RawClient(server.address)) }
        #expect(try AdminClient(server.address).get("/readyz").status == 200)
        for answer in withheld.verbs.withLock({ $0 }) { answer { .json(200, ["ok": true]) } }
        for client in operators { #expect(client.receive().contains("{\"ok\":true}")) }
        _ = crowd
    }

    @Test("However many pages are asked for, few are with the controller at a time and verbs pass them")
    func pagesWait() throws {
        let server = try AdminServer(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0))
        let withheld = Withheld()
        try server.start(withheld.handlers)
        defer { server.stop() }
        let readers = try (0..<50).map { _ in try RawClient(server.address) }
        for client in readers { client.send(adminGet("/status")) }
        #expect(eventually { withheld.pages.load(ordering: .acquiring) == 8 })
        let client = try RawClient(server.address)
        client.send(
            Stranger.verb + "content-length: 13\r\nconnection: close\r\n\r\n{\"model\":\"c\"}")
        #expect(eventually { withheld.verbs.withLock { $0.count } == 1 })
        #expect(withheld.pages.load(ordering: .acquiring) == 8)
        for answer in withheld.verbs.withLock({ $0 }) { answer { .json(200, ["ok": true]) } }
        #expect(client.receive().contains("{\"ok\":true}"))
    }

    @Test("A body that comes byte by byte costs what it has, not its square")
    func dribbledBody() throws {
        var parser = HeadParser(limits: AdminReader.limits)
        let peer = AdminPeer(description: "test", isUnixSocket: false, localHost: nil)
        // The time of this thread alone: others do not count.
        func threadNanos() -> UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        }
        func nanos(_ bytes: Int) -> UInt64 {
            var reader = AdminReader()
            reader.take(
                Array(
                    ("POST /feedback HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"
                        + String(repeating: "x", count: bytes)).utf8))
            _ = reader.next(&parser, peer: peer)
            let begin = threadNanos()
            for _ in 0..<2_000 {
                reader.take([0x78])
                #expect(reader.next(&parser, peer: peer) == .needMore)
            }
            return threadNanos() - begin
        }
        // Behind a body of a megabyte a byte would cost a copy of it: thousands of times as much.
        let (short, long) = (nanos(10), nanos(900_000))
        #expect(long < 50 * short, "\(short) and \(long) ns")
    }
}

@Suite struct AdminClientTests {
    static let answers: [(String, [String])] = [
        ("", ["closed the connection without an answer", "Try again"]),
        ("SSH-2.0-OpenSSH_9\u{1B}[2J\r\n", ["not HTTP/1.1", "'SSH-2.0-OpenSSH_9?[2J", "Another program"]),
        ("HTTP/1.1 200 OK\r\ncontent-le", ["middle of its head", "Try again"]),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", ["ended after 3 of 9 bytes", "Try again"]),
    ]

    @Test("What comes instead of an answer is called what it is, with the next step", arguments: answers)
    func sentences(bytes: String, parts: [String]) throws {
        let server = try ScriptedServer(.bytes(bytes))
        defer { server.stop() }
        let problem = #expect(throws: AdminUnreachable.self) {
            try AdminClient(server.address).get("/livez")
        }
        let text = "\(try #require(problem))"
        for part in parts { #expect(text.contains(part), "\(text)") }
        #expect(text.contains("\(server.address)") && !text.contains("\u{1B}"))
    }

    @Test("A server that takes the connection and says nothing is late, after the time that was given")
    func late() throws {
        let server = try ScriptedServer(.silence)
        defer { server.stop() }
        let problem = #expect(throws: AdminUnreachable.self) {
            try AdminClient(server.address, timeout: .millis(60)).get("/livez")
        }
        #expect("\(try #require(problem))".contains("has not answered in 60ms"))
    }

    @Test("Socket paths that lead nowhere, and a backlog that is full, are told apart")
    func unixSockets() throws {
        let scratch = try Scratch()
        let address = SocketAddress.unix(path: scratch.path + "/a.sock")
        let missing = #expect(throws: AdminUnreachable.self) { try AdminClient(address).get("/livez") }
        #expect("\(try #require(missing))".contains("no socket at that path"))
        let listener = try Socket.listen(address, backlog: 1)
        var waiting: [RawClient] = []
        while let client = try? RawClient(address) { waiting.append(client) }
        let full = #expect(throws: AdminUnreachable.self) {
            try AdminClient(address, timeout: .millis(60)).get("/livez")
        }
        #expect("\(try #require(full))".contains("not taken the connection in 60ms"))
        _ = consume listener
        _ = waiting.count
        let dead = #expect(throws: AdminUnreachable.self) { try AdminClient(address).get("/livez") }
        #expect("\(try #require(dead))".contains("Nobody listens there"))
    }
}

// The admin server over real sockets: what it answers, what it refuses, and that no client can hold it up.

import Glibc
import Platform
import Testing
import Wire

@testable import Control
@testable import Sidecar

/// A server with canned answers; who asked for a verb is in its answer.
final class Served {
    let server: AdminServer

    init(
        _ address: SocketAddress = .ip(IPAddress(ipv4: 0x7F00_0001), port: 0),
        times: AdminTimes = AdminTimes()
    ) throws {
        server = try AdminServer(address, times: times)
    }

    func start(silent: Bool = false) throws {
        let page = String(repeating: "x", count: 3 << 20)
        try server.start(
            AdminHandlers(
                readiness: { .text(503, "not ready: draining") },
                metrics: { accept, answer in answer { .text(200, page) } },
                status: { answer in if !silent { answer { .json(200, ["ok": true]) } } },
                reports: { answer in answer { .json(200, ["reports": []]) } },
                ledger: { answer in answer { .json(200, ["total": .null]) } },
                verb: { verb, actor, answer in
                    answer { .json(200, ["verb": .string(verb.word.rawValue), "actor": .string(actor)]) }
                }))
    }

    deinit { server.stop() }
}

func adminGet(_ path: String, close: Bool = true, method: String = "GET", extra: String = "") -> String {
    "\(method) \(path) HTTP/1.1\r\nhost: localhost\r\n\(extra)\(close ? "connection: close\r\n" : "")\r\n"
}

@Suite struct AdminServerTests {
    @Test("The client of the command line gets what the handlers say, over TCP and over a Unix socket")
    func client() throws {
        let scratch = try Scratch()
        for address in [
            SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), .unix(path: scratch.path + "/a.sock"),
        ] {
            let served = try Served(address)
            try served.start()
            let client = AdminClient(served.server.address)
            #expect(try client.get("/livez").text == "alive\n")
            #expect(try client.get("/readyz").status == 503)
            #expect(try client.get("/status").json == ["ok": true])
            #expect(try client.get("/metrics").body.count > 3 << 20)
            let answer = try client.send(AdminVerb(.rollback, model: "m")).json
            #expect(answer?["verb"] == "rollback")
            if case .unix = address {
                #expect(answer?["actor"]?.string == "uid \(getuid()) pid \(getpid())")
            } else {
                #expect(answer?["actor"]?.string == "127.0.0.1")
            }
        }
        #expect(try File.list(scratch.path).isEmpty, "the socket's file goes with the server")
    }

    @Test("The folder of a Unix socket is made usable, and the socket is its owner's alone")
    func socketFolder() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/run/weir/a.sock"
        defer { for folder in ["/run/weir", "/run"] { rmdir(scratch.path + folder) } }
        let served = try Served(.unix(path: path))
        try served.start()
        #expect(try AdminClient(served.server.address).get("/livez").status == 200)
        var status = stat()
        for folder in ["/run", "/run/weir"] {
            #expect(stat(scratch.path + folder, &status) == 0 && status.st_mode & 0o722 == 0o700)
        }
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        served.server.stop()
    }

    @Test("A dead process's socket is replaced, a live one's is refused and goes on answering")
    func socketInUse() throws {
        let scratch = try Scratch()
        let address = SocketAddress.unix(path: scratch.path + "/a.sock")
        let dead = try Socket.listen(address)
        _ = consume dead
        let served = try Served(address)
        try served.start()
        let failure = #expect(throws: SystemFailure.self) { _ = try AdminServer(address) }
        #expect(failure?.errno == .addressInUse)
        #expect(try AdminClient(address).get("/livez").status == 200)
    }

    @Test("A server that is not there is told with its address and what to do")
    func nobody() throws {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        guard let address = Socket.localAddress(of: listener) else { return }
        _ = consume listener
        let problem = #expect(throws: AdminUnreachable.self) { try AdminClient(address).get("/livez") }
        #expect("\(try #require(problem))".contains("ECONNREFUSED"))
    }

    @Test("Requests on one connection are answered one after the other, also when they come at once")
    func pipelining() throws {
        let served = try Served()
        try served.start()
        let client = try RawClient(served.server.address)
        client.send(
            adminGet("/livez", close: false) + adminGet("/status", close: false)
                + "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                + "transfer-encoding: chunked\r\n\r\n7\r\n{\"model\r\n6\r\n\":\"p\"}\r\n0\r\n\r\n"
                + adminGet("/livez", method: "HEAD"))
        let text = client.receive()
        #expect(text.components(of: "HTTP/1.1 200 OK") == 4)
        #expect(text.contains("alive\n") && text.contains("{\"ok\":true}") && text.contains("\"pause\""))
        #expect(text.hasSuffix("connection: close\r\n\r\n"), "HEAD has no body")
    }

    @Test("A request that drips in byte by byte is answered")
    func drip() throws {
        let served = try Served()
        try served.start()
        let client = try RawClient(served.server.address)
        for byte in Array(adminGet("/livez").utf8) { client.send([byte]) }
        #expect(client.receive().contains("200 OK"))
    }

    @Test("A client that waits for 100 Continue gets it")
    func continues() throws {
        let served = try Served()
        try served.start()
        let client = try RawClient(served.server.address)
        client.send(
            "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                + "expect: 100-continue\r\ncontent-length: 13\r\nconnection: close\r\n\r\n")
        #expect(client.receive { $0.hasSuffix("\r\n\r\n") } == "HTTP/1.1 100 Continue\r\n\r\n")
        client.send("{\"model\":\"c\"}")
        #expect(client.receive().contains("200 OK"))
    }

    static let hostileTable: [(String, Int)] = [
        ("GET /livez HTTP/1.1\r\n\r\n", 400), ("GET /livez HTTP/1.1\nhost: a\n\n", 400),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nhost: a\r\n x\r\n\r\n", 400),
        ("G(T /livez HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /livez HTTP/2.0\r\nhost: a\r\n\r\n", 505), ("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 501),
        (
            "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
                + "transfer-encoding: chunked\r\n\r\n",
            400
        ),
        ("POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: +2\r\n\r\n{}", 400),
        ("POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999\r\n\r\n", 413),
        (
            "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                + "transfer-encoding: chunked\r\n\r\nfffff\r\n", 413
        ),
        (
            "POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: a\r\n"
                + "content-type: application/json\r\ncontent-length: 0\r\n\r\n", 400
        ),
        ("GET /" + String(repeating: "a", count: 9 << 10) + " HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nx: " + String(repeating: "a", count: 9 << 10) + "\r\n\r\n", 431),
        ("GET /livez HTTP/1.1\r\nhost: a\r\n" + String(repeating: "x: y\r\n", count: 80) + "\r\n", 431),
        (String(repeating: "\u{16}\u{3}\u{1}", count: 40), 400),
        ("GET /status HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", 421),
        (adminGet("/status", extra: "origin: http://evil.example\r\n"), 403),
    ]

    @Test("Hostile bytes are refused with their status and the connection is closed", arguments: hostileTable)
    func hostile(bytes: String, status: Int) throws {
        let served = try Served()
        try served.start()
        let client = try RawClient(served.server.address)
        client.send(bytes)
        if status == 413 { client.send([UInt8](repeating: 0x61, count: 200_000)) }
        client.finish()
        let text = client.receive()
        #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(text.prefix(200))")
        #expect(!text.hasSuffix("(timeout)"))
        #expect(try AdminClient(served.server.address).get("/livez").status == 200)
    }

    @Test("Random bytes never stop the server", arguments: [1, 2, 3] as [UInt64])
    func random(seed: UInt64) throws {
        let served = try Served()
        try served.start()
        var random = Random64(seed: seed)
        let good = Array(adminGet("/status").utf8)
        for _ in 0..<60 {
            var bytes = good
            for _ in 0...random.below(6) {
                bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(random.below(256))
            }
            let client = try RawClient(served.server.address)
            client.send(bytes)
            client.finish()
            #expect(!client.receive().hasSuffix("(timeout)"), "seed \(seed)")
        }
        #expect(try AdminClient(served.server.address).get("/livez").status == 200)
    }

    @Test("Slow clients time out: one that drips, one that does not read, one whose answer does not come")
    func slow() throws {
        // One short limit at a time: the client itself may be slow.
        func served(_ limit: WritableKeyPath<AdminTimes, Interval>) throws -> Served {
            var times = AdminTimes()
            (times.request, times.write) = (.seconds(600), .seconds(600))
            (times.idle, times.reply) = (.seconds(600), .seconds(600))
            times[keyPath: limit] = .millis(50)
            let served = try Served(times: times)
            try served.start(silent: true)
            return served
        }
        let requests = try served(\.request)
        let dripping = try RawClient(requests.server.address)
        dripping.send("GET /livez HT")
        #expect(dripping.receive().hasPrefix("HTTP/1.1 408 "))
        let replies = try served(\.reply)
        let unanswered = try RawClient(replies.server.address)
        unanswered.send(adminGet("/status"))
        #expect(unanswered.receive().hasPrefix("HTTP/1.1 504 "))
        #expect(try AdminClient(replies.server.address).get("/livez").status == 200)
        let idles = try served(\.idle)
        // One that is slow itself may be closed before its request.
        let isAnsweredOnce = try eventually {
            let idle = try RawClient(idles.server.address)
            idle.send(adminGet("/livez", close: false))
            let said = idle.receive()
            #expect(!said.hasSuffix("(timeout)"))
            return said.components(of: "200 OK") == 1
        }
        #expect(isAnsweredOnce)
        let writes = try served(\.write)
        let unread = try RawClient(writes.server.address)
        unread.send(adminGet("/metrics"))
        _ = unread.receive { _ in true }
        #expect(try AdminClient(writes.server.address).get("/livez").status == 200)
    }

    @Test("A request cut at any byte is the same request")
    func cuts() {
        let text =
            "POST /verbs/weights HTTP/1.1\r\nHost: localhost:9\r\nContent-Type: application/json\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4;x=y\r\n\": 1\r\n1\r\n}\r\n0\r\nt: u\r\n\r\n"
        let bytes = Array(text.utf8)
        let peer = AdminPeer(description: "test", isUnixSocket: false, localHost: nil)
        for cut in 0...bytes.count {
            var parser = HeadParser(limits: AdminReader.limits)
            var reader = AdminReader()
            var steps: [AdminReader.Step] = []
            for piece in [bytes[..<cut], bytes[cut...]] {
                reader.take(piece)
                while true {
                    let step = reader.next(&parser, peer: peer)
                    if step == .needMore { break }
                    steps.append(step)
                }
            }
            guard steps.count == 1, case .request(let request, true) = steps[0] else {
                Issue.record("cut at \(cut): \(steps)")
                continue
            }
            #expect(request.body == Array("{\"a\": 1}".utf8))
            #expect(request.host == "localhost" && request.contentType == "application/json")
        }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}

// Heads on their way out: what never passes, what is added, what a version's rewrite changes.
// Place: DataPlane over real sockets. Source: RFC 9110 sections 7.6.1 and 7.6.3; design.md, section 9.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct HeadTests {
    @Test("Hop-by-hop fields and those that Connection names stay behind; the rest passes in its order")
    func hopByHop() throws {
        let seen = try seenBehind(
            get(
                "/p?q=1", "A: 1", "Connection: close, X-Hop , keep-alive", "x-hop: 1", "Keep-Alive: 5",
                "Proxy-Connection: close", "TE: gzip", "Upgrade: h2c", "B: 2", "a: 3"))
        #expect(seen.start == "GET /p?q=1 HTTP/1.1")
        for name in ["connection", "x-hop", "keep-alive", "proxy-connection", "te", "upgrade"] {
            #expect(seen[name] == nil, "\(name)")
        }
        let kept = seen.fields.filter { ["a", "b"].contains($0.name.lowercased()) }
        #expect(kept.map { "\($0.name)=\($0.value)" } == ["A=1", "B=2", "a=3"])
    }

    @Test("A response's hop-by-hop fields stay behind as well")
    func responseHopByHop() throws {
        let origin = try Origin.answering { _ in
            ok("x", "Connection: x-hop", "X-Hop: 1", "Keep-Alive: 9", "X-Weir-Version: forged", "Server: s")
        }
        let response = try Plane(to: origin).ask()
        for name in ["connection", "x-hop", "keep-alive"] { #expect(response[name] == nil) }
        #expect(response.all("x-weir-version") == ["stable"])
        #expect(response["server"] == "s")
    }

    @Test("The caller's address, protocol and host are told upstream")
    func forwarded() throws {
        let seen = try seenBehind(
            get(
                "/", "x-forwarded-for: 9.9.9.9", "x-forwarded-proto: https", "x-forwarded-host: evil",
                "forwarded: for=1"))
        #expect(seen.all("x-forwarded-for") == ["9.9.9.9, 127.0.0.1"])
        #expect(seen.all("x-forwarded-proto") == ["http"])
        #expect(seen.all("x-forwarded-host") == ["model.test"])
        #expect(seen["forwarded"] == nil)
    }

    @Test("What a trusted peer says of its caller is kept")
    func trusted() throws {
        let seen = try seenBehind(
            get("/", "x-forwarded-for: 9.9.9.9", "x-forwarded-proto: https", "x-forwarded-host: outer"),
            trusted: true)
        #expect(seen.all("x-forwarded-for") == ["9.9.9.9, 127.0.0.1"])
        #expect(seen.all("x-forwarded-proto") == ["https"])
        #expect(seen.all("x-forwarded-host") == ["outer"])
    }

    @Test("A request id is kept where there is one, and made where there is none")
    func requestID() throws {
        #expect(
            try seenBehind(get("/", "X-Request-ID: mine", "x-request-id: other")).all("x-request-id") == [
                "mine"
            ])
        let made = try #require(try seenBehind(get())["x-request-id"])
        #expect(made.count == 32 && made.allSatisfy(\.isHexDigit))
        #expect(try seenBehind(get())["x-request-id"] != made)
    }

    @Test("x-weir-* fields of an untrusted client never reach a version")
    func ownFields() throws {
        let seen = try seenBehind(
            get("/", "x-weir-version: candidate", "x-weir-shadow: 1", "X-Weir-Anything: 1"))
        #expect(!seen.head.lowercased().contains("x-weir"))
    }

    @Test("A rewrite changes path prefix and Host, adds and removes fields")
    func rewrite() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin) { model in
            model.versions[0].rewrite = RewritePlan(
                pathPrefix: .init(from: "/predictions/current/", to: "/predictions/2026-07-01/"),
                host: "inner:81",
                addHeaders: [.init(name: "x-added", value: "yes"), .init(name: "x-set", value: "ours")],
                removeHeaders: ["authorization"])
        }
        #expect(
            try plane.ask(
                get("/predictions/current/a?x=/predictions/current/", "Authorization: s", "X-Set: theirs")
            ).status == 200)
        #expect(try plane.ask(get("/predictions/currently")).status == 200)
        let seen = origin.seen.all
        #expect(seen[0].target == "/predictions/2026-07-01/a?x=/predictions/current/")
        #expect(seen[0]["host"] == "inner:81")
        #expect(seen[0]["authorization"] == nil)
        #expect(seen[0].all("x-set") == ["ours"] && seen[0]["x-added"] == "yes")
        #expect(seen[0]["x-forwarded-host"] == "model.test")
        #expect(seen[1].target == "/predictions/currently")
    }

    static let targets = ["/", "/v1/models/m:predict", "/a%2Fb//c/../d", "/?", "/x?a=b?c&d=%00", "/~t;p=1"]

    @Test("Targets pass as they came, never normalised", arguments: targets)
    func target(_ target: String) throws {
        #expect(try seenBehind(get(target)).target == target)
    }

    @Test("The absolute form is forwarded as origin form, its authority as Host")
    func absoluteForm() throws {
        let seen = try seenBehind("GET http://outer:8080/x?y HTTP/1.1\r\nHost: ignored\r\n\r\n")
        #expect(seen.target == "/x?y")
        #expect(seen["host"] == "outer:8080")
    }

    @Test("A head and its small body leave in one write")
    func oneWrite() throws {
        for size in [1, 1_000, 30_000] {
            let seen = try seenBehind(post(String(repeating: "b", count: size)))
            // The origin's first read that completed the head brought the body along.
            #expect(seen.bodyBytesWithHead == size)
        }
        let chunked = try seenBehind(
            request("POST", "/", ["transfer-encoding: chunked"]) + "3\r\nabc\r\n0\r\n\r\n")
        #expect(chunked.bodyBytesWithHead == 13)
    }

    @Test("Version and id are sent only where the model says so")
    func stamps() throws {
        let origin = try Origin.named("a")
        let silent = try Plane(to: origin) { $0.sendsVersion = false }
        #expect(!(try silent.ask().head.contains("x-weir")))
        let plane = try Plane(to: origin) { $0.sendsID = true }
        let before = Clock.wallMicros() / 1_000
        let text = try #require(try plane.ask()["x-weir-id"])
        let id = try #require(ExchangeID(text: text, key: (1, 2)))
        #expect(id.version == ExchangeID.versionHash(model: "trial", version: "stable"))
        #expect(id.weightPPM == 1_000_000 && !id.isPinned)
        #expect(id.startMillis + 1 >= before && id.startMillis <= Clock.wallMicros() / 1_000)
        #expect(ExchangeID(text: text, key: (1, 3)) == nil)
        for i in 0..<48 {
            var forged = Array(text.utf8)
            forged[i] = forged[i] == 0x30 ? 0x31 : 0x30
            #expect(ExchangeID(text: String(decoding: forged, as: UTF8.self), key: (1, 2)) == nil)
        }
    }

    @Test("An answer carries the epoch its request was assigned in, also when it comes after a cut")
    func epoch() throws {
        let isAnswered = try Notes<Bool>()
        let origin = try Origin(on: .loopback) { peer, _ in
            while try peer.request() != nil {
                if peer.number == 0 { try isAnswered.wait(for: 1) }
                try peer.send(ok("late"))
            }
        }
        let plane = try Plane(to: origin) { $0.epochHeader = 7 }
        let client = try plane.connect()
        try client.send(get())
        try origin.seen.wait(for: 1)
        try plane.publish { $0.models[0].epochHeader = 8 }
        #expect(try plane.ask()["x-weir-epoch"] == "8")
        isAnswered.add(true)
        #expect(try client.response()["x-weir-epoch"] == "7")
        try plane.publish { $0.models[0].epochHeader = nil }
        #expect(try plane.ask()["x-weir-epoch"] == nil)
    }

    @Test("Different sticky keys are counted once each, per version, and anew with the round")
    func keys() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin) {
            $0.stickyKeys = [.header("x-user")]
            $0.keyRound = 1
        }
        func count() -> Int { KeySketch.count(plane.data.meters(0).map(\.keys)) }
        for user in 0..<40 { _ = try plane.ask(get("/", "x-user: \(user % 10)")) }
        _ = try plane.ask()
        #expect((9...11).contains(count()))
        try plane.publish { $0.models[0].keyRound = 2 }
        #expect(count() == 0)
        _ = try plane.ask(get("/", "x-user: 1"))
        #expect(count() == 1)
        try plane.publish { $0.models[0].keyRound = 0 }
        for user in 0..<5 { _ = try plane.ask(get("/", "x-user: \(user)")) }
        #expect(count() == 0)
    }
}

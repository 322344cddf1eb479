// Clients that close their side while their answer is due: where Weir notices, what it gives back, and what
// it counts. Place: DataPlane over real sockets. Source: RFC 9112 section 9.6; what nginx does with
// EPOLLRDHUP.

import Glibc
import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct LeavingTests {
    /// Reads a request, says what is given, and notes how the connection ends.
    private static func silent(_ endings: Notes<Peer.Ending>, saying text: String = "") throws -> Origin {
        try Origin { peer, _ in
            guard try peer.request() != nil else { return }
            try peer.send(text)
            endings.add(try peer.end())
        }
    }

    static let requests = [
        get(), post("body"), "GET / HTTP/1.0\r\n\r\n", get("/a") + get("/b"),
        "GET / HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n",
    ]

    @Test(
        "A client that closes its side while its answer is due frees the model server at once",
        arguments: requests)
    func forwarding(_ text: String) throws {
        let endings = try Notes<Peer.Ending>()
        let origin = try Self.silent(endings)
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(text)
        try origin.seen.wait(for: 1)
        client.finish()
        try endings.wait(for: 1)
        #expect(try client.takeAll().isEmpty)
        try plane.waitForRest()
        let counts = plane.counts(0)
        #expect(counts.started == 1 && counts[.clientCancel] == 1 && counts.excluded == 1)
    }

    @Test(
        "A FIN that comes with the request is a cancel too, whether or not the request went on",
        arguments: requests)
    func together(_ text: String) throws {
        let endings = try Notes<Peer.Ending>()
        let origin = try Self.silent(endings)
        let plane = try Plane(to: origin)
        for _ in 0..<20 {
            let client = try plane.connect()
            try client.send(text)
            client.finish()
            #expect(try client.takeAll().isEmpty)
        }
        try plane.waitForRest()
        let counts = plane.counts(0)
        #expect(counts.started == 20 && counts[.clientCancel] == 20)
        try endings.wait(for: origin.seen.count)
    }

    @Test("Where half-closes are ignored every request before the FIN is answered", arguments: requests)
    func ignored(_ text: String) throws {
        let origin = try Origin.answering { ok("<\($0.target)>") }
        let plane = try Plane(to: origin) { $0.clientHalfClose = .ignore }
        let count = text.contains("/b") ? 2 : 1
        for _ in 0..<20 {
            let client = try plane.connect()
            try client.send(text)
            client.finish()
            for _ in 0..<count { #expect(try client.response().status == 200) }
            #expect(try client.takeAll().isEmpty)
        }
        #expect(plane.counts(0)[.success] == UInt64(20 * count))
        try plane.waitForRest()
    }

    @Test("A client that closes its side inside the answer is cut off, and the model server with it")
    func responding() throws {
        let endings = try Notes<Peer.Ending>()
        let part = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
        let origin = try Self.silent(endings, saying: part)
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        #expect(try client.responseHead().status == 200)
        client.finish()
        try endings.wait(for: 1)
        // Not an orderly end, which would make the part look whole to a client of HTTP/1.0.
        #expect(try client.end() == .reset)
        #expect(plane.counts(0)[.clientCancel] == 1)
    }

    @Test("A client that leaves the waiting line gives its place to the next one")
    func queued() throws {
        let free = try Gate()
        let origin = try Origin.answering { _ in
            try? free.pass()
            return ok()
        }
        var version = VersionPlan.version(0, "stable", 1_000_000, [origin.address])
        version.inFlightMax = 1
        version.queueMax = 1
        version.queueTimeout = .seconds(60)
        let plane = try Plane([.trial([version])])
        let first = try plane.connect()
        try first.send(get("/first"))
        try origin.seen.wait(for: 1)
        for round in 0..<3 {
            let waiting = try plane.connect()
            try waiting.send(post("waits"))
            try eventually("a request in line") { plane.counts(0).started == UInt64(2 + round) }
            waiting.finish()
            #expect(try waiting.takeAll().isEmpty)
        }
        let last = try plane.connect()
        try last.send(get("/last"))
        free.open()
        #expect(try first.response().status == 200 && last.response().status == 200)
        #expect(origin.seen.all.map(\.target) == ["/first", "/last"])
        let counts = plane.counts(0)
        #expect(counts[.clientCancel] == 3 && counts[.success] == 2 && counts[.localRefusal] == 0)
    }

    @Test(
        "A client that leaves inside a body which nobody reads is noticed",
        arguments: ClientHalfClose.allCases)
    func stalledUpload(_ halfClose: ClientHalfClose) throws {
        // Connects stay undecided, and the client is not read meanwhile.
        let listener = try FullListener()
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [listener.address])])
        model.timeouts.connect = halfClose == .cancel ? .seconds(60) : .millis(300)
        model.retries.attemptsMax = 0
        model.clientHalfClose = halfClose
        let plane = try Plane([model])
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 1000"]) + "part")
        try eventually("an attempt") { plane.core[.upstreamConnects] == 1 }
        client.finish()
        _ = try client.end()
        try plane.waitForRest()
        let counts = plane.counts(0)
        // What is ignored is a half-close behind a request; inside one it is found when the client is read.
        #expect(counts[halfClose == .cancel ? .clientCancel : .timeoutConnect] == 1)
        #expect(counts.completed == 1)
    }

    @Test("A copy whose request is whole goes on without its client, and counts; its pair does not")
    func shadow() throws {
        let endings = try Notes<Peer.Ending>()
        let free = try Gate()
        let stable = try Self.silent(endings)
        let copies = try Origin.answering { _ in
            try? free.pass()
            return ok()
        }
        let plane = try ShadowTests.plane(stable, shadow: copies.address)
        let client = try plane.connect()
        try client.send(get())
        try stable.seen.wait(for: 1)
        try copies.seen.wait(for: 1)
        client.finish()
        try endings.wait(for: 1)
        free.open()
        try plane.waitForRest()
        #expect(plane.counts(0)[.clientCancel] == 1)
        #expect(plane.counts(1).shadowOutcomes[Int(Outcome.success.rawValue)] == 1)
    }

    @Test("Dead clients are no successes, whatever the version answers later, and hold nothing")
    func dead() throws {
        let free = try Gate()
        let origin = try Origin.answering { _ in
            try? free.pass()
            return ok("late")
        }
        let plane = try Plane(to: origin)
        for i in 0..<30 {
            let client = try plane.connect()
            try client.send(get())
            try origin.seen.wait(for: i + 1)
            client.close()
        }
        try plane.waitForRest()
        free.open()
        let counts = plane.counts(0)
        #expect(counts.started == 30 && counts[.clientCancel] == 30 && counts.counted == 0)
    }
}

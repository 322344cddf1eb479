// What is bad about an answer that is no failure: a status that is not 2xx, an empty body, a client that
// leaves. Each is counted for the version that was assigned, of users' requests and of copies.
// Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

/// An answer, the request that asks for it, and what it counts as.
struct WrongAnswer: Sendable, CustomTestStringConvertible {
    var what: String
    var answer: String
    var method = "GET"
    var event: BadEvent?

    var testDescription: String { what }
    var events: [BadEvent] { BadEvent.allCases.filter { $0 == event } }

    static let all = [
        WrongAnswer(what: "200 with a body", answer: ok("x")),
        WrongAnswer(what: "301", answer: reply(301, "", ["location: /"]), event: .rejected),
        WrongAnswer(what: "304", answer: "HTTP/1.1 304 Not Modified\r\n\r\n", event: .rejected),
        WrongAnswer(what: "401", answer: reply(401, "x"), event: .rejected),
        WrongAnswer(what: "404", answer: reply(404), event: .rejected),
        WrongAnswer(what: "429", answer: reply(429), event: .rejected),
        WrongAnswer(what: "200 of length 0", answer: ok(), event: .empty),
        WrongAnswer(
            what: "200 of no chunk", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            event: .empty),
        WrongAnswer(
            what: "200 of one chunk",
            answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        WrongAnswer(what: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n"),
        WrongAnswer(what: "205", answer: reply(205)),
        WrongAnswer(
            what: "200 to HEAD", answer: "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", method: "HEAD"),
        WrongAnswer(what: "500", answer: reply(500), event: .failure),
    ]
}

@Suite struct BadEventTests {
    private func counts(_ plane: Plane, _ version: Int, of arm: KeyPath<EvidenceBucket, ArmCounts>)
        -> ArmCounts
    {
        let now = Tick(monotonicNanos: Clock.now().nanos).number
        var sum = ArmCounts()
        for number in now - min(now, 500)...now {
            let bucket = VersionMeter.evidence(plane.data.meters(version), at: Tick(number: number))
            if let bucket { sum += bucket[keyPath: arm] }
        }
        return sum
    }

    private func request(_ wrong: WrongAnswer) -> String {
        "\(wrong.method) / HTTP/1.1\r\nhost: h\r\n\r\n"
    }

    @Test("An answer counts as what it is", arguments: WrongAnswer.all)
    func answers(wrong: WrongAnswer) throws {
        let origin = try Origin.answering { _ in wrong.answer }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request(wrong))
        _ = try client.response(to: wrong.method)
        try plane.settle()
        let seen = counts(plane, 0, of: \.randomised)
        #expect(seen.completed == 1)
        #expect(BadEvent.allCases.filter { seen.alone($0) > 0 } == wrong.events)
        #expect(plane.counts(0).empty == (wrong.event == .empty ? 1 : 0))
        let isFailure = wrong.event == .failure
        for event in BadEvent.allCases {
            #expect(seen[event].first == (isFailure || wrong.event == event ? 1 : 0), "\(event)")
        }
    }

    @Test("A copy's answer counts as its primary's would", arguments: WrongAnswer.all)
    func copies(wrong: WrongAnswer) throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.answering { _ in wrong.answer }
        let plane = try ShadowTests.plane(stable, shadow: candidate.address)
        let client = try plane.connect()
        try client.send(request(wrong))
        _ = try client.response(to: wrong.method)
        try eventually("a pair") { counts(plane, 1, of: \.copied).completed == 1 }
        let seen = counts(plane, 1, of: \.copied)
        #expect(BadEvent.allCases.filter { seen.alone($0) > 0 } == wrong.events)
        try eventually("its primary") { counts(plane, 0, of: \.copied).completed == 1 }
        let primary = counts(plane, 0, of: \.copied)
        #expect(BadEvent.allCases.allSatisfy { primary.alone($0) == 0 })
    }

    @Test("Where client errors count, 4xx are failures by another word, and 3xx are none")
    func clientErrors() throws {
        let origin = try Origin.answering { $0.target == "/302" ? reply(302) : reply(422) }
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        model.clientErrors = .count
        let plane = try Plane([model])
        #expect(try plane.ask(get("/422")).status == 422)
        #expect(try plane.ask(get("/302")).status == 302)
        try plane.settle()
        let seen = counts(plane, 0, of: \.randomised)
        #expect(seen.failed == 1 && seen.rejected == 1 && seen.completed == 2)
        #expect(plane.counts(0)[.clientError] == 1)
    }

    @Test("A client that leaves counts, before the first byte and inside the answer")
    func cancels() throws {
        let origin = try Origin { peer, _ in
            guard let request = try peer.request() else { return }
            if request.target == "/begun" {
                try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
            }
            peer.hold()
        }
        let plane = try Plane(to: origin)
        for target in ["/silent", "/begun"] {
            let before = counts(plane, 0, of: \.randomised).completed
            let client = try plane.connect()
            try client.send(get(target))
            try origin.seen.wait(for: Int(before) + 1)
            if target == "/begun" { _ = try client.responseHead() }
            client.close()
            try eventually("its end") { counts(plane, 0, of: \.randomised).completed == before + 1 }
        }
        let seen = counts(plane, 0, of: \.randomised)
        #expect(seen.cancelled == 2 && seen.excluded == 2 && seen.failed == 0)
        #expect(seen[.cancelled].first == 2)
    }

    @Test(
        "An answer that ends before its length is a failure, whatever has come of it", arguments: ["", "x"])
    func truncated(body: String) throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\(body)")
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        #expect(throws: (any Error).self) { try client.response() }
        try plane.settle()
        let seen = counts(plane, 0, of: \.randomised)
        #expect(seen.failed == 1 && seen.empty == 0)
        #expect(plane.counts(0)[.cutMidStream] == 1)
    }
}

// Shadow copies: complete, marked, on connections of their own, counted once, and never waited for.
// Place: DataPlane over real sockets. Source: design.md, section 1; field.md, stories 1 to 9.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct ShadowTests {
    static func plane(
        _ stable: Origin, shadow: SocketAddress, limits: Limits = .patient,
        _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000, [stable.address]), .version(1, "shadow", 0, [shadow]),
        ])
        model.versions[1].ejection.consecutiveFailures = 0
        model.shadow = ShadowPlan(version: 1, ppm: 1_000_000)
        change(&model)
        return try Plane([model], limits: limits)
    }

    static func chunked(_ body: String) -> String {
        let half = body.utf8.count / 2
        let parts = [String(body.prefix(half)), String(body.dropFirst(half))]
        let chunks = parts.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }.joined()
        return request("POST", "/c", ["transfer-encoding: chunked"]) + chunks + "0\r\nx-sum: 1\r\n\r\n"
    }

    @Test("A copy is the same request with the same body, marked, and its response goes nowhere")
    func complete() throws {
        let stable = try Origin.named("stable")
        let shadow = try Origin.answering { reply(500, "shadow \($0.text)") }
        let plane = try Self.plane(stable, shadow: shadow.address)
        let client = try plane.connect()
        let long = String(repeating: "0123456789", count: 50_000)
        let requests = [
            get("/g"), post("small"), Self.chunked("chunked body"), post(long), Self.chunked(long),
        ]
        for (i, request) in requests.enumerated() {
            try client.send(request)
            #expect(try client.response().text == "stable")
            let failed = Int(Outcome.upstreamError.rawValue)
            try eventually("copy \(i)") { plane.counts(1).shadowOutcomes[failed] == i + 1 }
        }
        for (copy, primary) in zip(shadow.seen.all, stable.seen.all) {
            #expect(copy.start == primary.start)
            #expect(copy.body == primary.body)
            #expect(copy.trailers.map(\.value) == primary.trailers.map(\.value))
            #expect(copy["x-weir-shadow"] == "1" && primary["x-weir-shadow"] == nil)
            #expect(copy["host"] == "model.test")
            #expect(copy["x-request-id"] == primary["x-request-id"])
            #expect(copy["content-length"] == primary["content-length"])
        }
        try plane.waitForRest()
        let counts = plane.counts(1)
        #expect(counts.shadowSent == 5 && counts.started == 0)
        #expect(counts.shadowOutcomes[Int(Outcome.upstreamError.rawValue)] == 5)
        // Those that carried a 5xx are not used again.
        #expect(shadow.connections.count == 5 && stable.connections.count == 1)
    }

    enum Trouble: CaseIterable {
        case hangs, refuses, neverReads, resets, babbles, answersEarly, slowlyAnswers
    }

    @Test(
        "Nothing that a shadow does is waited for, by this request or the next", arguments: Trouble.allCases)
    func neverWaitedFor(_ trouble: Trouble) throws {
        let stable = try Origin.answering { ok("\($0.body.count)") }
        let shadow = try Origin { peer, _ in
            if trouble == .neverReads { return peer.hold() }
            if trouble == .answersEarly { try peer.send(ok()) }
            while try peer.request() != nil {
                switch trouble {
                case .resets: return peer.reset()
                case .babbles: try peer.send("what?\r\n\r\n")
                case .slowlyAnswers: try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nslow")
                case .hangs, .refuses, .neverReads, .answersEarly: break
                }
                return peer.hold()
            }
        }
        let refusing = try RefusingAddress()
        let address = trouble == .refuses ? refusing.address : shadow.address
        let plane = try Self.plane(stable, shadow: address) { model in
            model.shadow?.ageMax = .millis(300)
            model.shadow?.bodyBytesMax = 4 << 20
        }
        let client = try plane.connect()
        let body = String(repeating: "s", count: 600_000)
        for _ in 0..<6 {
            try client.send(post(body))
            #expect(try client.response().text == "600000")
            try client.send(get())
            #expect(try client.response().text == "0")
        }
        try plane.waitForRest()
        let counts = plane.counts(1)
        let ended = counts.shadowOutcomes.reduce(0, +) + counts.shadowDrops.reduce(0, +)
        #expect(ended == 12)
        if trouble == .hangs || trouble == .neverReads || trouble == .slowlyAnswers {
            #expect(plane.drops(1, .aged) > 0)
        }
        #expect(plane.counts(0)[.success] == 12)
    }

    @Test("A copy keeps its body whole while its primary is retried or shielded")
    func primaryRepeated() throws {
        let stable = try Origin.named("stable")
        let broken = try Origin.answering { _ in reply(500) }
        // Answers when the client has its reply, so that the copy is still there while the primary is
        // repeated.
        let gates = try (0..<3).map { _ in try Gate() }
        let nothingElse = try Notes<Bool>()
        let shadow = try Origin { peer, _ in
            while try peer.request() != nil {
                try gates[nothingElse.count].pass()
                nothingElse.add(peer.isQuiet)
                try peer.send(ok())
            }
        }
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]), .version(1, "candidate", 1_000_000, [broken.address]),
            .version(2, "shadow", 0, [shadow.address]),
        ])
        model.shadow = ShadowPlan(version: 2, ppm: 1_000_000)
        model.versions[1].ejection.consecutiveFailures = 0
        let plane = try Plane([model])
        let client = try plane.connect()
        let requests = [post("a body"), Self.chunked("chunked body"), post("another")]
        for (i, request) in requests.enumerated() {
            try client.send(request)
            #expect(try client.response().text == "stable")
            gates[i].open()
            let success = Int(Outcome.success.rawValue)
            try eventually("copy \(i)") { plane.counts(2).shadowOutcomes[success] == i + 1 }
        }
        #expect(shadow.seen.all.map(\.text) == ["a body", "chunked body", "another"])
        #expect(nothingElse.all == [true, true, true])
        try plane.waitForRest()
        #expect(shadow.connections.count == 1)
    }

    @Test("Copies beyond a bound are dropped under the bound's own name")
    func bounds() throws { try calmly(from: .seconds(1), Self.keepsBounds) }

    /// False: a copy was given up before the last request came.
    private static func keepsBounds(_ age: Interval) throws -> Bool {
        let stable = try Origin.named("stable")
        let shadow = try Origin { peer, _ in
            _ = try peer.request()
            peer.hold()
        }
        let plane = try Self.plane(stable, shadow: shadow.address) { model in
            model.shadow?.bodyBytesMax = 1_000
            model.shadow?.inFlightMax = 2
            model.shadow?.ageMax = age
        }
        let long = String(repeating: "x", count: 1_500)
        #expect(try plane.ask(post(long)).text == "stable")
        #expect(plane.drops(1, .bodyTooLarge) == 1)
        #expect(try plane.ask(Self.chunked(long)).text == "stable")
        #expect(plane.drops(1, .bodyTooLarge) == 2)
        let begin = Clock.now()
        for _ in 0..<5 { #expect(try plane.ask().text == "stable") }
        guard Clock.now() - begin < age else { return false }
        #expect(plane.drops(1, .inFlight) == 3)
        #expect(plane.counts(1).shadowSent == 2)
        try plane.waitForRest()
        #expect(plane.drops(1, .aged) == 2)
        try plane.publish { $0.models[0].versions[1].endpoints = [] }
        #expect(try plane.ask().text == "stable")
        #expect(plane.drops(1, .noEndpoint) == 1)
        #expect(try plane.ask(get("/", "connection: upgrade", "upgrade: x")).text == "stable")
        #expect(plane.drops(1, .notEligible) == 1)
        return true
    }

    @Test("A client that goes away inside its body takes the copy along")
    func clientGone() throws {
        let stable = try Origin.named("stable")
        let shadow = try Origin.named("shadow")
        let plane = try Self.plane(stable, shadow: shadow.address)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 100"]) + "part")
        try shadow.connections.wait(for: 1)
        client.reset()
        try eventually("the drop") { plane.drops(1, .clientGone) == 1 }
        try plane.waitForRest()
        #expect(shadow.seen.count == 0)
    }

    @Test("Shadows give way before primaries feel them: half of the buffers are the primaries' own")
    func pressure() throws {
        let stable = try Origin.answering { ok("\($0.body.count)") }
        let shadow = try Origin { peer, _ in peer.hold() }
        var limits = Limits()
        limits.blocksMax = 256
        let plane = try Self.plane(stable, shadow: shadow.address, limits: limits) { model in
            model.shadow?.bodyBytesMax = 64 << 20
            model.shadow?.ageMax = .seconds(20)
        }
        let client = try plane.connect()
        let body = String(repeating: "p", count: 8 << 20)
        for _ in 0..<4 {
            try client.send(post(body))
            #expect(try client.response().text == "\(8 << 20)")
            #expect(plane.core[.buffersFree] >= 256 / 4)
        }
        #expect(plane.drops(1, .buffers) > 0)
        #expect(plane.core[CoreCounter.buffersExhausted] == 0)
        try plane.waitForRest(blocks: 256)
    }
}

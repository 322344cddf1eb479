// Copies of exchanges for control: the bytes as the peers sent them, why each was taken, what did not fit,
// and that the traffic does not notice.
// Place: DataPlane over real sockets; the test is the reader of the taps.

import Metrics
import Platform
import Testing

@testable import Proxy

/// A copied exchange that outlives its slot.
struct Tapped {
    var record: TapRecord
    var requestHead: String
    var requestBody: [UInt8]
    var responseHead: String
    var responseBody: [UInt8]

    init(_ sample: borrowing TapSample) {
        record = sample.record
        requestHead = String(decoding: sample.requestHead, as: UTF8.self)
        requestBody = Array(sample.requestBody)
        responseHead = String(decoding: sample.responseHead, as: UTF8.self)
        responseBody = Array(sample.responseBody)
    }

    var requestText: String { String(decoding: requestBody, as: UTF8.self) }
    var responseText: String { String(decoding: responseBody, as: UTF8.self) }
}

extension Plane {
    /// Waits for so many copies, and a little for more than that.
    func taps(_ count: Int) throws -> [Tapped] {
        var taps: [Tapped] = []
        try eventually("\(count) taps") {
            data.drainTaps { taps.append(Tapped($0)) }
            return taps.count >= count
        }
        try settle()
        data.drainTaps { taps.append(Tapped($0)) }
        return taps
    }
}

@Suite struct TapTests {
    private static let all = TapPlan(ppm: 1_000_000)
    private static let failuresOnly = TapPlan(ppm: 0)

    /// One stable and one candidate that gets everything.
    private func trial(_ stable: Origin, _ candidate: Origin, _ tap: TapPlan) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [candidate.address]),
        ])
        model.tap = tap
        return try Plane([model])
    }

    @Test("A copy has the bytes of both messages as they were sent, and says whose they are")
    func bytes() throws {
        let answer = ok("the answer", "x-cost: 0.5")
        let origin = try Origin.answering { _ in answer }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        let question = post("the question", "authorization: Bearer s")
        let before = Clock.wallMicros()
        _ = try plane.ask(question, to: "POST")
        let taps = try plane.taps(1)
        #expect(taps.count == 1)
        let tap = taps[0]
        #expect(tap.requestHead + tap.requestText == question)
        #expect(tap.responseHead + tap.responseText == answer)
        let record = tap.record
        #expect(record.traits == [.drawn] && record.outcome == .success && record.isRandomised)
        #expect(record.model == 0 && record.assigned == 0 && record.answered == 0 && record.responded == 0)
        #expect(record.status == 200 && record.responseStatus == 200 && record.weightPPM == 1_000_000)
        #expect(record.bytesIn == 12 && record.bytesOut == 10 && record.attempts == 1)
        #expect(record.wallMicros >= before - 1_000 && record.wallMicros <= Clock.wallMicros())
        #expect(record.startTick <= Tick(monotonicNanos: Clock.now().nanos))
        #expect(record.firstByteMicros <= record.upstreamMicros && record.upstreamMicros < .max)
        #expect(plane.core[.taps] == 1)
    }

    @Test("Chunked bodies are copied without their framing, however they are cut")
    func chunked() throws {
        let origin = try Origin { peer, _ in
            while try peer.request() != nil {
                try peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                try peer.drip("3;a=b\r\nabc\r\n4\r\ndefg\r\n0\r\nx-t: 1\r\n\r\n")
            }
        }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        let client = try plane.connect()
        try client.send(request("POST", "/", ["transfer-encoding: chunked"]))
        try client.drip("5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n")
        #expect(try client.response().text == "abcdefg")
        let tap = try plane.taps(1)[0]
        #expect(tap.requestText == "hello, world" && tap.responseText == "abcdefg")
        #expect(tap.record.traits == [.drawn])
    }

    @Test("A response that ends with its connection is copied whole")
    func untilClose() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\n\r\nto the end")
        }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        #expect(try plane.ask().text == "to the end")
        let tap = try plane.taps(1)[0]
        #expect(tap.responseText == "to the end" && tap.record.traits == [.drawn])
    }

    @Test("Pipelined requests are copied one by one")
    func pipelined() throws {
        let origin = try Origin.answering { ok("re: " + $0.text) }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        let client = try plane.connect()
        try client.send(post("one") + get("/two") + post("three"))
        for _ in 0..<3 { _ = try client.response() }
        let taps = try plane.taps(3)
        #expect(taps.map(\.requestText) == ["one", "", "three"])
        #expect(taps.map(\.responseText) == ["re: one", "re: ", "re: three"])
        #expect(taps[1].requestHead == get("/two"))
    }

    @Test("What passes a bound is cut, and flagged, in the copy and nowhere else")
    func bounds() throws {
        let origin = try Origin.answering { ok($0.text, "x-big: " + String(repeating: "h", count: 9_000)) }
        let plane = try Plane(to: origin) { $0.tap = TapPlan(ppm: 1_000_000, bodyBytesMax: 1_000) }
        let long = String(repeating: "0123456789", count: 20_000)
        let sent = post(long, "x-long: " + String(repeating: "f", count: 9_000))
        #expect(try plane.ask(sent, to: "POST").text == long)
        let tap = try plane.taps(1)[0]
        #expect(
            tap.record.traits == [
                .drawn, .requestHeadCut, .requestBodyCut, .responseHeadCut, .responseBodyCut,
            ])
        #expect(tap.requestText == String(long.prefix(1_000)) && tap.responseText == tap.requestText)
        #expect(tap.requestHead.utf8.elementsEqual(sent.utf8.prefix(Limits.tapHeadBytes)))
        #expect(tap.record.bytesIn == 200_000 && tap.record.bytesOut == 200_000)
        let whole = String(repeating: "w", count: 1_000)
        _ = try plane.ask(post(whole), to: "POST")
        let second = try plane.taps(1)[0]
        #expect(second.requestText == whole && !second.record.traits.contains(.requestBodyCut))
    }

    @Test("A request that was sent again is copied once; the copy says who answered")
    func retried() throws {
        let origin = try Origin { peer, index in
            guard let request = try peer.request() else { return }
            // The first connection ends without an answer.
            if index > 0 { try peer.send(ok("re: " + request.text)) }
        }
        let plane = try Plane(to: origin) {
            $0.tap = Self.all
            $0.retries.nonIdempotent = true
        }
        #expect(try plane.ask(post("again"), to: "POST").text == "re: again")
        let taps = try plane.taps(1)
        #expect(taps.count == 1)
        #expect(taps[0].requestText == "again" && taps[0].responseText == "re: again")
        #expect(taps[0].record.attempts == 2 && taps[0].record.outcome == .success)
    }

    @Test(
        "A shielded failure is the candidate's: its own response is kept, and who answered instead",
        arguments: [TapPlan(ppm: 1_000_000), TapPlan(ppm: 0)])
    func shielded(_ tap: TapPlan) throws {
        let stable = try Origin.answering { ok("stable: " + $0.text) }
        let candidate = try Origin.answering { _ in reply(500, "what went wrong") }
        let plane = try trial(stable, candidate, tap)
        #expect(try plane.ask(post("hello"), to: "POST").text == "stable: hello")
        let taps = try plane.taps(1)
        #expect(taps.count == 1)
        let record = taps[0].record
        #expect(record.assigned == 1 && record.answered == 0 && record.responded == 1)
        #expect(record.status == 200 && record.responseStatus == 500 && record.isShielded)
        #expect(record.outcome == .upstreamError)
        #expect(record.traits == (tap.ppm > 0 ? [.drawn, .failed] : [.failed]))
        #expect(taps[0].requestText == "hello" && taps[0].responseText == "what went wrong")
    }

    @Test("Where only failures are copied, their requests are whole and successes leave nothing")
    func failures() throws {
        let origin = try Origin { peer, _ in
            while let request = try peer.request() {
                switch request.target {
                case "/500": try peer.send(reply(500, "broken"))
                case "/reset": return peer.reset()
                case "/odd": try peer.send("no HTTP\r\n\r\n")
                case "/half":
                    try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                    return
                default: try peer.send(ok("fine"))
                }
            }
        }
        let plane = try Plane(to: origin) {
            $0.tap = Self.failuresOnly
            $0.versions[0].ejection.consecutiveFailures = 0
        }
        let chunked = "4\r\nbody\r\n0\r\n\r\n"
        for target in ["/", "/500", "/reset", "/odd", "/half"] {
            let client = try plane.connect()
            try client.send(request("POST", target, ["transfer-encoding: chunked"]) + chunked)
            _ = try? client.response()
        }
        let taps = try plane.taps(4)
        #expect(taps.map(\.record.outcome) == [.upstreamError, .reset, .protocolError, .cutMidStream])
        for tap in taps {
            #expect(tap.requestText == "body" && tap.requestHead.hasSuffix("chunked\r\n\r\n"))
            #expect(tap.record.traits == [.failed])
        }
        #expect(taps.map(\.responseText) == ["broken", "", "", ""])
        #expect(taps.map(\.record.responseStatus) == [500, 0, 0, 0])
        #expect(taps.map(\.record.status) == [500, 502, 502, 200])
    }

    @Test("A failure whose request is gone is copied with its start line and flagged")
    func gone() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            peer.reset()
        }
        var limits = Limits()
        limits.replayBytesMax = 100
        let plane = try Plane(to: origin, limits: limits) { $0.tap = Self.failuresOnly }
        let long = String(repeating: "x", count: 1_000)
        let client = try plane.connect()
        try client.send(request("POST", "/v2/x?secret=1", ["content-length: 1000"]) + long)
        #expect(try client.response().status == 502)
        let tap = try plane.taps(1)[0]
        #expect(tap.requestHead == "POST /v2/x HTTP/1.1\r\n\r\n" && tap.requestBody.isEmpty)
        #expect(tap.record.traits == [.failed, .requestHeadCut, .requestBodyCut])
    }

    @Test("A version that refuses fails with its requests copied; what was not sent to one is no failure")
    func noEndpoint() throws {
        let stable = try Origin.named("stable")
        let nobody = try RefusingAddress()
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [nobody.address]),
        ])
        model.tap = Self.failuresOnly
        let plane = try Plane([model])
        plane.data.setHealthy(16, false)
        #expect(try plane.ask(post("fallen"), to: "POST").text == "stable")
        plane.data.setHealthy(16, true)
        #expect(try plane.ask(post("shielded"), to: "POST").text == "stable")
        try plane.publish {
            $0.models[0].versions[0].endpoints = [EndpointPlan(slot: 1, address: nobody.address)]
        }
        #expect(try plane.ask(post("refused"), to: "POST").status == 502)
        let taps = try plane.taps(2)
        #expect(taps.map(\.requestText) == ["shielded", "refused"])
        #expect(taps.allSatisfy { $0.record.assigned == 1 && $0.record.outcome == .connectFailure })
        #expect(taps.map(\.responseText) == ["stable", ""])
        #expect(taps.map(\.record.traits) == [[.failed], [.failed]])
    }

    @Test("Draws do not look at versions: each gets its share of copies by its share of traffic")
    func fairDraw() throws {
        let origin = try Origin.named("a")
        var model = ModelPlan.trial([
            .version(0, "stable", 500_000, [origin.address]),
            .version(1, "candidate", 500_000, [origin.address]),
        ])
        model.tap = TapPlan(ppm: 250_000)
        let plane = try Plane([model])
        let client = try plane.connect()
        var taps: [Tapped] = []
        let batch = String(repeating: get(), count: 100)
        for _ in 0..<40 {
            try client.send(batch)
            for _ in 0..<100 {
                _ = try client.response()
                plane.data.drainTaps { taps.append(Tapped($0)) }
            }
        }
        try plane.settle()
        plane.data.drainTaps { taps.append(Tapped($0)) }
        // 4,000 draws of a quarter: 1,000 with a deviation of 27; of each version half of that.
        let drawn = taps.count + Int(plane.core[.tapsDroppedFull])
        #expect(drawn > 800 && drawn < 1_200)
        let ofCandidate = taps.filter { $0.record.assigned == 1 }.count
        #expect(ofCandidate * 10 > taps.count * 4 && ofCandidate * 10 < taps.count * 6)
        #expect(taps.allSatisfy { $0.record.traits == [.drawn] })
    }

    @Test("The recent ones of every version are copied at most once in their time")
    func recent() throws {
        let origin = try Origin.named("a")
        var model = ModelPlan.trial([
            .version(0, "stable", 990_000, [origin.address]),
            .version(1, "candidate", 10_000, [origin.address]),
        ])
        model.tap = TapPlan(ppm: 0, recentEvery: .seconds(3_600))
        model.cohorts = [
            CohortPlan(name: "pin", conditions: [.header(name: "x-pin", .present)], version: 1)
        ]
        let plane = try Plane([model])
        for _ in 0..<5 {
            _ = try plane.ask(get("/", "x-pin: 1"))
            _ = try plane.ask(get("/stable"))
        }
        try plane.settle()
        let taps = try plane.taps(2).filter { $0.record.traits == [.recent] }
        #expect(taps.count == 2 && Set(taps.map(\.record.assigned)) == [0, 1])
        #expect(taps.first { $0.record.assigned == 1 }?.record.isRandomised == false)
    }

    @Test("Full slots cost copies, counted by why, and nothing else; what is read back is used again")
    func full() throws {
        let origin = try Origin.answering { $0.target == "/500" ? reply(500) : ok($0.text) }
        let plane = try Plane(to: origin) {
            $0.tap = Self.failuresOnly
            $0.versions[0].ejection.consecutiveFailures = 0
        }
        let client = try plane.connect()
        for _ in 0..<40 {
            try client.send(get("/500"))
            #expect(try client.response().status == 500)
        }
        try plane.settle()
        // Half of the slots stay free for what is drawn.
        #expect(plane.core[.taps] == 32 && plane.core[.tapsDroppedFull] == 0)
        #expect(plane.core[.tapsDroppedReserved] >= 8)
        try plane.publish { $0.models[0].tap = Self.all }
        for i in 0..<40 {
            try client.send(post("\(i)"))
            #expect(try client.response().text == "\(i)")
        }
        try plane.settle()
        #expect(plane.core[.taps] == 64 && plane.core[.tapsDroppedFull] == 8)
        #expect(try plane.taps(64).count == 64)
        for round in 0..<3 {
            for i in 0..<60 {
                try client.send(post("\(round) \(i)"))
                _ = try client.response()
            }
            let texts = try plane.taps(60).map(\.responseText)
            #expect(texts == (0..<60).map { "\(round) \($0)" })
        }
        #expect(plane.core[.tapsDroppedFull] == 8)
    }

    @Test("A client that leaves, and a plan that taps no more, leave no slot behind")
    func slotsComeBack() throws {
        let gate = try Gate()
        let origin = try Origin.answering { request in
            if request.target == "/slow" { try? gate.pass() }
            return ok("x")
        }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        for i in 1...3 {
            let client = try plane.connect()
            try client.send(get("/slow"))
            try origin.seen.wait(for: i)
            client.reset()
        }
        let slow = try plane.connect()
        try slow.send(get("/slow"))
        try eventually("the slow one") { origin.seen.count == 4 }
        try plane.publish { $0.models[0].tap = nil }
        gate.open()
        _ = try slow.response()
        _ = try plane.ask()
        let taps = try plane.taps(4)
        #expect(taps.count == 4)
        #expect(taps.filter { $0.record.outcome == .clientCancel }.count == 3)
        try plane.publish { $0.models[0].tap = Self.all }
        let client = try plane.connect()
        for _ in 0..<64 {
            try client.send(get())
            _ = try client.response()
        }
        #expect(try plane.taps(64).count == 64 && plane.core[.tapsDroppedFull] == 0)
    }

    @Test("Upgrades are not copied")
    func upgrades() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
            try peer.send(try peer.takeAll())
        }
        let plane = try Plane(to: origin) { $0.tap = Self.all }
        let client = try plane.connect()
        try client.send(get("/", "connection: upgrade", "upgrade: echo"))
        #expect(try client.responseHead().status == 101)
        try client.send("through")
        client.finish()
        #expect(try client.takeAll() == Array("through".utf8))
        try plane.settle()
        #expect(plane.core[.taps] == 0 && plane.core[.tunnels] == 1)
    }

    @Test("A kept request is given back with its exchange: nothing is held at rest")
    func rest() throws {
        let origin = try Origin.answering { $0.target == "/500" ? reply(500) : ok("fine") }
        let plane = try Plane(to: origin) { $0.tap = TapPlan(ppm: 300_000, recentEvery: .millis(1)) }
        for i in 0..<100 { _ = try plane.ask(i % 10 == 0 ? get("/500") : post("abc"), to: "POST") }
        try plane.waitForRest()
    }
}

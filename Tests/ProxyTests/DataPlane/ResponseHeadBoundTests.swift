// Response heads at and over their bounds: they pass, or they are refused as what they are.
// Place: DataPlane over real sockets. Source: `Limits`, RFC 6585 section 5 for requests.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct ResponseHeadBoundTests {
    /// A whole response with a field of so many bytes and so many small ones.
    private static func answer(value: Int = 1, fields: Int = 0) -> String {
        let long = "x-long: \(String(repeating: "v", count: value))\r\n"
        let many = (0..<fields).map { "x-\($0): \($0)\r\n" }.joined()
        return "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\(long)\(many)\r\nok"
    }

    @Test(
        "A head that is longer than 16 KiB a line or 128 fields passes whole",
        arguments: [(20_000, 0), (60_000, 0), (65_400, 0), (1, 200), (1, 254), (50_000, 250)])
    func passes(value: Int, fields: Int) throws {
        let origin = try Origin.answering { _ in Self.answer(value: value, fields: fields) }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<2 {
            try client.send(get())
            let response = try client.response()
            #expect(response.status == 200 && response.text == "ok")
            #expect(response["x-long"]?.utf8.count == value)
            #expect((0..<fields).allSatisfy { response["x-\($0)"] == "\($0)" })
        }
        #expect(origin.connections.count == 1)
        #expect(plane.counts(0)[.success] == 2)
    }

    @Test(
        "A head over the bounds is 502 with its own reason and outcome, of stable as of a candidate",
        arguments: [(70_000, 0), (65_600, 0), (1, 255), (1, 3_000)])
    func tooLarge(value: Int, fields: Int) throws {
        let origin = try Origin.answering { _ in Self.answer(value: value, fields: fields) }
        var model = ModelPlan.trial([
            .version(0, "stable", 500_000, [origin.address]),
            .version(1, "candidate", 500_000, [origin.address]),
        ])
        model.shield = false
        // An endpoint that is left alone would hide what each answer counts as.
        for i in 0..<2 { model.versions[i].ejection.consecutiveFailures = 0 }
        let plane = try Plane([model])
        for _ in 0..<40 {
            let response = try plane.ask()
            #expect(response.status == 502 && response.reason == "response_head_too_large")
        }
        try plane.settle()
        for version in [0, 1] {
            let counts = plane.counts(version)
            #expect(counts.started > 0 && counts[.responseHeadTooLarge] == counts.started)
            #expect(counts.failed == counts.started && counts[.protocolError] == 0)
        }
        let records = try plane.records(40)
        #expect(records.allSatisfy { $0.outcome == .responseHeadTooLarge && $0.status == 502 })
        #expect(plane.core.refusals[Int(RefusalCause.badUpstream.rawValue)] == 40)
    }

    @Test("A candidate whose head is too large is shielded by stable, and blamed; a copy is charged alike")
    func shielded() throws {
        let stable = try Origin.named("stable")
        let origin = try Origin.answering { _ in Self.answer(value: 70_000) }
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]), .version(1, "candidate", 1_000_000, [origin.address]),
            .version(2, "copied", 0, [origin.address]),
        ])
        model.shadow = ShadowPlan(version: 2, ppm: 1_000_000)
        let plane = try Plane([model])
        #expect(try plane.ask().text == "stable")
        #expect(plane.counts(1)[.responseHeadTooLarge] == 1 && plane.counts(1).shielded == 1)
        try eventually("the copy is settled") {
            plane.counts(2).shadowOutcomes[Int(Outcome.responseHeadTooLarge.rawValue)] == 1
        }
    }

    @Test("Trailers over the bounds cut the stream, and are what the log says")
    func trailers() throws {
        let hasHead = try Notes<Bool>()
        let long = String(repeating: "v", count: 70_000)
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
            // What the client has not read is lost with the reset.
            try hasHead.wait(for: 1)
            try peer.send("x: \(long)\r\n\r\n")
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        #expect(try client.responseHead().status == 200)
        hasHead.add(true)
        #expect(try client.end() == .reset)
        #expect(try plane.records(1)[0].outcome == .responseHeadTooLarge)
    }

    @Test("The bounds are those of the config, also where a head comes in small pieces")
    func configured() throws {
        var limits = Limits()
        limits.responseHeadBytesMax = 400_000
        limits.responseFieldsMax = 1_000
        let text = Self.answer(value: 300_000, fields: 900)
        let origin = try Origin { peer, _ in
            while let asked = try peer.request() {
                let bytes = Array(text.utf8)
                let step = asked.target == "/whole" ? bytes.count : 37_777
                for start in stride(from: 0, to: bytes.count, by: step) {
                    try peer.send(Array(bytes[start..<min(start + step, bytes.count)]))
                }
            }
        }
        let plane = try Plane(to: origin, limits: limits)
        for target in ["/whole", "/pieces"] {
            let response = try plane.ask(get(target))
            #expect(response.status == 200 && response.text == "ok" && response.fields.count > 900)
            #expect(response["x-long"]?.utf8.count == 300_000)
        }
        limits.responseHeadBytesMax = 1_024
        let small = try Plane(to: origin, limits: limits)
        #expect(try small.ask().reason == "response_head_too_large")
        // Requests have bounds of their own.
        #expect(try small.ask(get("/", "x: \(String(repeating: "v", count: 10_000))")).status == 502)
        #expect(try plane.ask(get("/", "x: \(String(repeating: "v", count: 17_000))")).status == 431)
        #expect(try plane.ask(request("GET", "/", (0..<130).map { "x-\($0): 1" })).status == 431)
    }
}

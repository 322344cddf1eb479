// What remains of an exchange: evidence by start time, counters, histograms and access records.
// Place: DataPlane over real sockets. Source: design.md, sections 5 and 6.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct RecordTests {
    private func evidence(_ plane: Plane, _ version: Int, from first: Tick) -> (
        random: ArmCounts, pinned: ArmCounts
    ) {
        var sum = (random: ArmCounts(), pinned: ArmCounts())
        var tick = first
        let last = Tick(monotonicNanos: Clock.now().nanos)
        while tick <= last {
            for meter in plane.data.meters(version) {
                guard let bucket = meter.evidence.read(tick) else { continue }
                sum.random += bucket.randomised
                sum.pinned += bucket.pinned
            }
            tick = Tick(number: tick.number + 1)
        }
        return sum
    }

    @Test("Evidence counts each request once, for the version it was assigned to")
    func evidence() throws {
        let start = Tick(monotonicNanos: Clock.now().nanos)
        let stable = try Origin.answering { $0.target == "/400" ? reply(400) : ok() }
        let broken = try Origin.answering { _ in reply(500) }
        var model = ModelPlan.trial([
            .version(0, "stable", 500_000, [stable.address]),
            .version(1, "candidate", 500_000, [broken.address]),
        ])
        model.versions[1].ejection.consecutiveFailures = 0
        model.cohorts = [
            CohortPlan(name: "pin", conditions: [.header(name: "x-pin", .present)], version: 1)
        ]
        let plane = try Plane([model])
        let client = try plane.connect()
        for i in 0..<80 {
            try client.send(i % 4 == 0 ? get("/", "x-pin: 1") : get(i % 4 == 1 ? "/400" : "/"))
            let response = try client.response()
            #expect([200, 400].contains(response.status))
        }
        try plane.settle()
        let a = evidence(plane, 0, from: start)
        let b = evidence(plane, 1, from: start)
        #expect(b.pinned.started == 20 && b.pinned.completed == 20 && b.pinned.failed == 20)
        #expect(a.pinned.started == 0)
        #expect(a.random.started + b.random.started == 60)
        #expect(a.random.completed == a.random.started && a.random.failed == 0 && a.random.excluded == 0)
        #expect(b.random.completed == b.random.started && b.random.failed == b.random.started)
        #expect(plane.counts(1).shielded == UInt64(b.random.started + 20))
        #expect(plane.counts(1).started == UInt64(b.random.started + 20))
        #expect(plane.counts(0).started == UInt64(a.random.started))
    }

    @Test("A request that hangs is started and pending, before it has an outcome")
    func pending() throws {
        let start = Tick(monotonicNanos: Clock.now().nanos)
        let gate = try Gate()
        let origin = try Origin.answering { _ in
            try? gate.pass()
            return ok()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        try origin.seen.wait(for: 1)
        #expect(evidence(plane, 0, from: start).random.pending == 1)
        gate.open()
        _ = try client.response()
        try plane.settle()
        #expect(evidence(plane, 0, from: start).random.pending == 0)
    }

    @Test("An access record says what was asked, who answered, how it ended and how long it took")
    func record() throws {
        let origin = try Origin.answering { _ in reply(404, "not here") }
        let plane = try Plane(to: origin)
        let before = Clock.wallMicros()
        let path = "/v2/" + String(repeating: "p", count: 300)
        let client = try plane.connect()
        try client.send(
            request("PUT", "/a?secret=1", ["x-request-id: abc", "content-length: 4"]) + "body" + get(path))
        for _ in 0..<2 { _ = try client.response() }
        let records = try plane.records(2)
        let first = records[0]
        #expect(first.wallMicros >= before && first.wallMicros <= Clock.wallMicros())
        #expect(first.status == 404 && first.outcome == .clientError && first.reason == .random)
        #expect(first.model == 0 && first.assigned == 0 && first.answered == 0)
        #expect(first.attempts == 1 && !first.isShielded && first.core == 0)
        #expect(first.bytesIn == 4 && first.bytesOut == 8)
        #expect(first.client == IPAddress(ipv4: 0x7F00_0001))
        #expect(text(first.requestID, first.requestIDCount) == "abc")
        #expect(text(first.path, first.pathCount) == "/a" && !first.isPathCut)
        #expect(first.firstByteMicros <= first.upstreamMicros && first.upstreamMicros <= first.totalMicros)
        #expect(
            records[1].isPathCut && text(records[1].path, records[1].pathCount) == String(path.prefix(176)))
        #expect(records[1].requestIDCount == 32)
    }

    private func text<let count: Int>(_ bytes: InlineArray<count, UInt8>, _ used: UInt8) -> String {
        String(decoding: (0..<Int(used)).map { bytes[$0] }, as: UTF8.self)
    }

    @Test("Behind a trusted peer the record's client is the caller")
    func recordedCaller() throws {
        let origin = try Origin.named("a")
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        let trusted = AddressRange(base: IPAddress(ipv4: 0x7F00_0000), prefixBits: 104)
        let plane = try Plane([model], trusted: [trusted])
        _ = try plane.ask(get("/", "x-forwarded-for: 9.8.7.6"))
        #expect(try plane.records(1)[0].client == IPAddress(ipv4: 0x0908_0706))
    }

    @Test("A full ring drops records and counts them; the traffic goes on")
    func ringFull() throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        let batch = String(repeating: get(), count: 100)
        for _ in 0..<12 {
            try client.send(batch)
            for _ in 0..<100 { _ = try client.response() }
        }
        try plane.settle()
        let core = plane.core
        #expect(core[.accessRecords] == 1_024 && core[.accessRecordsDropped] == 176)
        #expect(try plane.records(1_024).count == 1_024)
        _ = try plane.ask()
        #expect(try plane.records(1).count == 1)
    }

    @Test("Only failures enter the log where ordinary requests are not sampled")
    func sampling() throws {
        let origin = try Origin.answering { $0.target == "/500" ? reply(500) : ok() }
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        let plane = try Plane([model], accessLogPPM: 0)
        for target in ["/", "/500", "/"] { _ = try plane.ask(get(target)) }
        try plane.settle()
        #expect(try plane.records(1).map(\.status) == [500])
    }

    @Test("Each time of an exchange is in its histogram, bytes and status classes in their counters")
    func measures() throws {
        let origin = try Origin.answering { $0.text.isEmpty ? reply(301, "moved") : ok($0.text) }
        let plane = try Plane(to: origin)
        for i in 0..<10 { _ = try plane.ask(i < 6 ? post("12345") : get()) }
        let counts = plane.counts(0)
        #expect(counts.statuses == [6, 4, 0, 0, 0])
        #expect(counts.bytesIn == 30 && counts.bytesOut == 50)
        #expect(counts[.success] == 10 && counts.inFlight == 0)
        for kind in TimeKind.allCases {
            var snapshot = HistogramSnapshot()
            for meter in plane.data.meters(0) { meter.histogram(kind).snapshot(into: &snapshot) }
            // One connection served them all.
            #expect(snapshot.count == (kind == .connect ? 1 : 10), "\(kind)")
        }
    }

    // Key 00…0f, message 00…0f: one row of the table of SipHash's reference implementation.
    @Test("SipHash-2-4 agrees with its reference")
    func sipHash() {
        let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
        let hash = SipHash.hash(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908, key: key)
        #expect(hash == 0x3F2A_CC7F_57C2_9BDB)
    }
}

// The embedded model server, asked by the load generator: what a fault does to its answers, and that health
// checks never see one.
// Shares are checked against five standard deviations of a binomial count; seeds are fixed.

import Load
import Platform
import Testing

@testable import Demo

@Suite("Embedded model server")
struct ModelServerTests {
    /// Asks for a quarter of a second, and on until `least` requests have ended.
    private func ask(
        _ server: ModelServer, path: String = "/v2/models/m/infer", rate: Double = 4_000,
        least: Int = 501, timeout: Interval = .seconds(60)
    ) throws -> LoadCounts {
        let plan = LoadPlan(
            target: server.address, ratePerSecond: rate,
            request: RequestTemplate(method: "GET", path: path, host: "x"), timeout: timeout)
        var generator = try LoadGenerator(plan)
        let begin = Clock.now()
        var ended = 0
        generator.run(
            each: { _ in ended += 1 }, while: { $0 < begin + .millis(250) || ended < least })
        return generator.counts
    }

    private func server(_ fault: Fault, _ time: ServiceTime = .immediate) throws -> ModelServer {
        let server = try ModelServer(
            .ip(IPAddress(ipv4: 0x7F00_0001), port: 0), model: "m", version: "v1", serviceTime: time, seed: 1)
        server.inject(fault)
        return server
    }

    @Test("A healthy server answers everything and counts it")
    func healthy() throws {
        let server = try server(.none)
        let counts = try ask(server)
        server.stop()
        #expect(counts.due > 500)
        #expect(counts.good == counts.due)
        #expect(server.requests == counts.due)
        #expect(server.requestsWhileFaulty == 0)
    }

    @Test("A share of errors is that share, and a health check sees none of it")
    func errors() throws {
        let server = try server(Fault(errorPPM: 300_000))
        defer { server.stop() }
        let counts = try ask(server)
        let expected = 0.3 * Double(counts.due)
        let deviation = (expected * 0.7).squareRoot()
        #expect(abs(Double(counts.badStatus) - expected) < 5 * deviation)
        #expect(counts.good + counts.badStatus == counts.due)
        #expect(server.requestsWhileFaulty == server.requests)
        #expect(server.failures == counts.badStatus)
        let health = try ask(server, path: "/v2/health/ready")
        #expect(health.good == health.due)
    }

    @Test("A hanging share is never answered, the rest is")
    func hangs() throws {
        let server = try server(Fault(hangPPM: 500_000))
        defer { server.stop() }
        let counts = try ask(server, rate: 400, least: 20, timeout: .millis(300))
        #expect(counts.timedOut > 0)
        #expect(counts.good > 0)
        #expect(counts.good + counts.timedOut == counts.due)
    }

    @Test("Service time and added delay are kept, each request for itself")
    func delays() throws {
        let server = try server(
            Fault(addedDelay: .millis(20)), ServiceTime(fixed: .millis(5), meanOfRest: .millis(1)))
        defer { server.stop() }
        let plan = LoadPlan(
            target: server.address, ratePerSecond: 1_000,
            request: RequestTemplate(method: "GET", path: "/infer", host: "x"), timeout: .seconds(60))
        var generator = try LoadGenerator(plan)
        var shortest = Interval.seconds(99)
        let begin = Clock.now()
        generator.run(
            each: { shortest = min(shortest, $0.latency) }, while: { $0 < begin + .millis(200) })
        #expect(generator.counts.good == generator.counts.due)
        #expect(shortest >= .millis(25))
    }

    @Test("A burst is bad inside and well outside")
    func bursts() {
        let fault = Fault(
            errorPPM: 1, burst: Fault.Burst(period: .millis(1_000), length: .millis(300)))
        #expect(fault.isActive(at: Instant(nanos: 5_000_000_000)))
        #expect(fault.isActive(at: Instant(nanos: 5_299_999_999)))
        #expect(!fault.isActive(at: Instant(nanos: 5_300_000_000)))
    }

    @Test("The queue of answers gives them out by time", arguments: 1...20)
    func dueQueue(_ seed: UInt64) {
        var random = Random64(seed: seed)
        var queue = DueQueue(capacity: 8)
        var expected: [UInt64] = []
        for _ in 0..<200 {
            let due = random.below(1_000)
            expected.append(due)
            queue.push(DueQueue.Entry(due: Instant(nanos: due), slot: .first, generation: 0))
        }
        var given: [UInt64] = []
        while let entry = queue.pop(dueAt: Instant(nanos: 1_000)) { given.append(entry.due.nanos) }
        #expect(given == expected.sorted(), "seed \(seed)")
    }
}

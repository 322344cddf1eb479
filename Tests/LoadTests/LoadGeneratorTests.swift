// The generator against a scripted server: one listener on loopback whose answers are given by the test, cut
// into pieces, late, wrong or missing.
// Invariant under test: every due request ends as exactly one result, and its end is the truth.

import Platform
import Testing

@testable import Load

@Suite("Load generator")
struct LoadGeneratorTests {
    /// Runs a plan against a server that sends `answer`, `cut` into pieces, to every read; sends `requests`.
    private func run(
        _ answer: String, pieceBytes: Int = .max, closes: Bool = false, timeout: Interval = .seconds(60),
        requests: UInt64 = 20, readsIDs: Bool = false
    ) throws -> (LoadCounts, [LoadResult]) {
        let server = try ScriptedServer(Array(answer.utf8), pieceBytes: pieceBytes, closes: closes)
        defer { server.stop() }
        let plan = LoadPlan(
            target: server.address, ratePerSecond: 2_000,
            request: RequestTemplate(
                method: "POST", path: "/v2/models/m/infer", host: "x", body: Array("{}".utf8), users: 10),
            arrivals: .regular, connectionsMax: 4, timeout: timeout, versions: ["v1", "v2"],
            readsIDs: readsIDs)
        var generator = try LoadGenerator(plan)
        var results: [LoadResult] = []
        let begin = Clock.now()
        let length = Interval.micros(500 * requests)
        // However late the first look at the clock comes, one request is due.
        generator.run(
            each: { results.append($0) }, while: { $0 < begin + length || results.isEmpty })
        return (generator.counts, results)
    }

    static let head = "HTTP/1.1 200 OK\r\nx-weir-version: v2\r\n"

    @Test(
        "A whole response is a good answer, however it is framed and cut",
        arguments: [
            head + "content-length: 5\r\n\r\nhello",
            head + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            head + "transfer-encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\nx-sum: 1\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n" + head + "content-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nx-weir-version: v2\r\n\r\n",
        ], [1, 7, Int.max])
    func whole(_ answer: String, _ pieceBytes: Int) throws {
        let (counts, results) = try run(answer, pieceBytes: pieceBytes)
        #expect(counts.due > 0)
        #expect(counts.good == counts.due)
        #expect(counts.due == UInt64(results.count))
        #expect(results.allSatisfy { $0.version == 1 })
        #expect(counts.connected <= 4)
    }

    @Test(
        "A result carries the answer's id where it is asked for, and where it is as long as an id",
        arguments: [
            (48, true, true), (48, false, false), (47, true, false), (49, true, false), (0, true, false),
        ])
    func ids(_ length: Int, _ readsIDs: Bool, _ isRead: Bool) throws {
        let id = String("0123456789abcdef0123456789abcdef0123456789abcdefff".prefix(length))
        let answer = Self.head + "X-Weir-ID: \(id)\r\ncontent-length: 5\r\n\r\nhello"
        let (counts, results) = try run(answer, pieceBytes: 9, readsIDs: readsIDs)
        #expect(counts.good == counts.due)
        #expect(results.allSatisfy { $0.version == 1 })
        #expect(results.allSatisfy { $0.id?.text == (isRead ? id : nil) })
    }

    @Test("A response up to the end of the connection is whole when the connection ends")
    func toClose() throws {
        let (counts, _) = try run(Self.head + "connection: close\r\n\r\nhello", closes: true)
        #expect(counts.good == counts.due)
        #expect(counts.connected >= counts.due)
    }

    @Test("A failing status is a bad answer, and a connection that ends early is a cut")
    func bad() throws {
        let (failed, results) = try run("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
        #expect(failed.badStatus == failed.due)
        #expect(results.allSatisfy { $0.end == .answered(status: 503) && $0.version == nil })
        let (cut, _) = try run(Self.head + "content-length: 50\r\n\r\nhello", closes: true)
        #expect(cut.cut == cut.due)
        let (garbage, _) = try run("SSH-2.0-weir\r\n")
        #expect(garbage.cut == garbage.due)
    }

    @Test("A request that is never answered times out, also while it waits for a connection")
    func late() throws {
        let (counts, results) = try run("", timeout: .millis(50), requests: 12)
        #expect(counts.timedOut == counts.due)
        #expect(results.allSatisfy { $0.latency >= .millis(50) })
    }

    @Test("A port where nobody listens refuses every request")
    func refused() throws {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        let bound = Socket.localAddress(of: listener)
        _ = consume listener
        let address = try #require(bound)
        let plan = LoadPlan(
            target: address, ratePerSecond: 1_000,
            request: RequestTemplate(method: "GET", path: "/", host: "x"))
        var generator = try LoadGenerator(plan)
        let begin = Clock.now()
        generator.run(each: { _ in }, while: { $0 < begin + .millis(20) })
        #expect(generator.counts.refused == generator.counts.due)
    }

    @Test("A user's number stands in ten digits")
    func users() {
        let template = RequestTemplate(method: "GET", path: "/", host: "x", users: 100)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: template.bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: template.bytes)
        template.place(user: 42, in: copy)
        #expect(String(decoding: copy, as: UTF8.self).contains("x-user-id: u0000000042\r\n"))
    }
}

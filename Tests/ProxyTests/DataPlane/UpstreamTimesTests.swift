// The times of the upstream: from which byte to which byte, and that no class of answered requests is
// missing. Place: DataPlane over real sockets. Source: design.md, section 5 (times per exchange).

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct UpstreamTimesTests {
    private static let pause = Interval.millis(120)

    private static func wait() {
        let end = Clock.now() + pause
        try? eventually("a pause") { Clock.now() >= end }
    }

    private func times(_ plane: Plane, _ version: VersionSlot = 0) throws -> VersionMeterSnapshot {
        try plane.waitForRest()
        var snapshot = VersionMeterSnapshot()
        for meter in plane.data.meters(version) { meter.read(into: &snapshot) }
        return snapshot
    }

    @Test(
        "The first byte is one of the final head, whatever interim heads come before it",
        arguments: [
            [], ["HTTP/1.1 100 Continue\r\n\r\n"], ["HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"],
            ["HTTP/1.1 103 Early", " Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"],
        ])
    func interim(_ parts: [String]) throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            for part in parts { try peer.send(part) }
            Self.wait()
            try peer.send(ok("late"))
            peer.hold()
        }
        let plane = try Plane(to: origin)
        #expect(try plane.ask().text == "late")
        let times = try times(plane)
        #expect(times[.firstByte].count == 1 && times[.firstByte].maxNanos >= Self.pause.nanos)
        #expect(times[.upstream].count == 1 && times[.upstream].maxNanos >= times[.firstByte].maxNanos)
        let record = try plane.records(1)[0]
        #expect(UInt64(record.firstByteMicros) >= Self.pause.micros)
    }

    @Test("A final head that comes together with an interim one counts from there")
    func together() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            Self.wait()
            try peer.send("HTTP/1.1 103 Early Hints\r\n\r\n" + ok("late"))
            peer.hold()
        }
        let plane = try Plane(to: origin)
        #expect(try plane.ask().text == "late")
        #expect(try times(plane)[.firstByte].maxNanos >= Self.pause.nanos)
    }

    @Test("Interim heads do not stop the clock of the first byte")
    func endless() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            // Fewer than are refused for their number; then an answer, which is not to be waited for.
            for _ in 0..<30 {
                try peer.send("HTTP/1.1 103 Early Hints\r\n\r\n")
                _ = try? peer.more("a close", until: Clock.now() + .millis(200))
            }
            try peer.send(ok("late"))
        }
        let plane = try Plane(to: origin) { $0.timeouts.firstByte = .millis(400) }
        let response = try plane.ask()
        #expect(response.status == 504 && response.reason == "upstream_first_byte_timeout")
        #expect(plane.counts(0)[.timeoutFirstByte] == 1)
    }

    @Test("An answer that begins before its request is whole counts from the last byte sent before it")
    func early() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            _ = try peer.take(10)
            Self.wait()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nearly")
            // What the client sends on does not move the start.
            _ = try peer.take(5)
            Self.wait()
            try peer.send("later")
            peer.hold()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: 1000"]))
        // The client's own pause is no time of the version's.
        try origin.connections.wait(for: 1)
        Self.wait()
        let sent = Clock.now()
        try client.send("0123456789")
        _ = try client.responseHead()
        try client.send("56789")
        #expect(try client.take(10) == Array("earlylater".utf8))
        let longest = Clock.now() - sent
        let times = try times(plane)
        #expect(times[.firstByte].count == 1 && times[.upstream].count == 1)
        #expect(times[.firstByte].maxNanos >= Self.pause.nanos)
        #expect(times[.upstream].maxNanos >= 2 * Self.pause.nanos)
        #expect(times[.upstream].maxNanos <= longest.nanos)
    }

    @Test("A response that breaks off has a first byte, a reply of our own has none")
    func broken() throws {
        let origin = try Origin { peer, _ in
            let request = try peer.request()
            try peer.send(
                request?.target == "/body"
                    ? "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart" : "HTTP/1.1 2")
            peer.reset()
        }
        let plane = try Plane(to: origin) { $0.retries.attemptsMax = 0 }
        let client = try plane.connect()
        try client.send(get("/body"))
        _ = try client.responseHead()
        _ = try client.end()
        let before = try times(plane)
        #expect(before[.firstByte].count == 1 && before[.upstream].count == 0 && before[.total].count == 1)
        #expect(try plane.ask(get("/head")).status == 502)
        let after = try times(plane)
        #expect(after[.firstByte].count == 1 && after[.total].count == 2)
    }
}

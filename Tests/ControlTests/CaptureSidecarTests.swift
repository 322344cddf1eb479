// Captures in a whole sidecar: from the bytes of a client to the lines of a file, by the real cores, the real
// reader and a real disk, full or not. Place: Sidecar over sockets.

import Glibc
import Payload
import Platform
import Proxy
import Synchronization
import Testing

@testable import Control
@testable import Sidecar

private let answer =
    "HTTP/1.1 200 OK\r\nset-cookie: s3cret\r\nconnection: close\r\ncontent-length: 12\r\n\r\n{\"k\":\"s3cr\"}"

/// A sidecar whose model keeps captures as `captures` says, and what it warned of.
private final class Running {
    let scratch = try? Scratch()
    let upstream: ScriptedServer
    let sidecar: Sidecar
    let warnings = Warnings()

    final class Warnings: Sendable {
        private let list = Mutex<[String]>([])
        func add(_ line: String) { list.withLock { $0.append(line) } }
        var all: [String] { list.withLock { $0 } }
    }

    var state: String { (scratch?.path ?? "") + "/state" }

    init(_ captures: String) throws {
        upstream = try ScriptedServer(.bytes(answer))
        let path = try #require(scratch?.path)
        let config = try World.config(
            """
            admin: { listen: 127.0.0.1:0 }
            state_dir: \(path)/state
            listeners: [{ listen: 127.0.0.1:0 }]
            cores: 2
            models:
              - name: m
                versions:
                  v1: { endpoints: ["\(upstream.address)"] }
                  v2: { endpoints: ["\(upstream.address)"] }
                stable: v1
                candidate: v2
                weights: { v2: 50% }
                captures: \(captures)
            """)
        let warnings = warnings
        sidecar = try Sidecar(config: config, log: WeirLog.logger { warnings.add($0) })
    }

    func ask(_ body: String) throws -> String {
        let client = try RawClient(sidecar.addresses[0])
        client.send(
            "POST /q HTTP/1.1\r\nhost: a\r\nauthorization: s3cret\r\nconnection: close\r\n"
                + "content-length: \(body.utf8.count)\r\n\r\n\(body)")
        return client.receive()
    }

    func captures(_ selection: CaptureSelection = CaptureSelection()) throws -> [JSON] {
        var archive = CaptureArchive(stateDirectory: state)
        var all: [JSON] = []
        try archive.each(selection) { capture, _ in all.append(capture) }
        return all
    }

    func stop() {
        sidecar.stop()
        upstream.stop()
    }
}

@Suite struct CaptureSidecarTests {
    @Test("Every exchange that is sampled becomes a masked line, also those of the last moment")
    func sampled() throws {
        let running = try Running("{ sample: 100%, mask: { json: [$.k] } }")
        try running.sidecar.start()
        for i in 0..<20 { #expect(try running.ask("{\"k\":\"s3cr\",\"i\":\(i)}").hasPrefix("HTTP/1.1 200")) }
        running.stop()
        let captures = try running.captures()
        let bodies = captures.compactMap { $0["request"]?["body"]?.string }
        #expect(Set(bodies) == Set((0..<20).map { "{\"k\":\"***\",\"i\":\($0)}" }))
        #expect(captures.allSatisfy { $0["response"]?["body"] == "{\"k\":\"***\"}" })
        #expect(!captures.contains { $0.text.contains("s3cr") })
        #expect(Set(captures.compactMap { $0["version"]?.string }) == ["v1", "v2"])
    }

    @Test("An operator's cut keeps the last exchanges of candidate and stable under its id, once it is told")
    func cut() throws {
        let running = try Running("{ sample: 0%, around_a_trip: 5 }")
        try running.sidecar.start()
        defer { running.stop() }
        // One of each version at least, as the recent ones come at most every 50 ms.
        let isBoth = try eventually {
            _ = try running.ask("{}")
            let metrics = try AdminClient(running.sidecar.adminAddress).get("/metrics").text
            let taps = metrics.split(separator: "\n").first { $0.hasPrefix("weir_taps_total ") }
            return (taps.flatMap { Int($0.dropFirst(16)) } ?? 0) >= 12
        }
        #expect(isBoth)
        #expect(try running.captures().isEmpty)
        let verb = AdminVerb(.rollback, model: "m")
        #expect(try AdminClient(running.sidecar.adminAddress).send(verb).status == 200)
        #expect(try eventually { try !running.captures(CaptureSelection(cut: "cut-1")).isEmpty })
        #expect(
            try eventually {
                let kept = try running.captures(CaptureSelection(cut: "cut-1"))
                return Set(kept.compactMap { $0["version"]?.string }) == ["v1", "v2"]
            })
        #expect(try running.captures().allSatisfy { $0["kept"] == "cut" })
    }

    @Test("A disk that is full costs captures, a warning and no request")
    func fullDisk() throws {
        let running = try Running("{ sample: 100% }")
        try File.makeDirectory(running.state + "/captures")
        let today = Clock.wallMicros()
        for wall in [today, today + 86_400_000_000] {
            let name = CaptureFileName(model: "m", day: CaptureFileName.day(wall), number: 1).text
            #expect(symlink("/dev/full", running.state + "/captures/" + name) == 0)
        }
        try running.sidecar.start()
        for _ in 0..<20 { #expect(try running.ask("{}").hasPrefix("HTTP/1.1 200")) }
        let isLost = try eventually {
            let metrics = try AdminClient(running.sidecar.adminAddress).get("/metrics").text
            return metrics.contains("weir_captures_total{result=\"lost\"} 20\n")
        }
        #expect(isLost)
        running.stop()
        #expect(running.warnings.all.filter { $0.contains("captures: ") }.count == 1)
    }
}

// A whole sidecar inside the test process: what embeds it relies on, and what it says about itself.

import Logging
import Payload
import Platform
import Synchronization
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let good = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"

@Suite struct SidecarTests {
    private func config(_ scratch: Scratch, _ upstream: ScriptedServer, weight: String = "20%") throws
        -> Config
    {
        var config = try World.config(
            """
            admin: { listen: 127.0.0.1:0 }
            state_dir: \(scratch.path)/state
            listeners: [{ listen: 127.0.0.1:0 }, { listen: "unix:\(scratch.path)/in.sock" }]
            cores: 1
            models:
              - name: m
                match: { path_prefix: /m }
                versions:
                  v1:
                    endpoints: ["\(upstream.address)"]
                    health_check: { path: /ready, interval: 50ms }
                  v2: { endpoints: ["\(upstream.address)"] }
                stable: v1
                candidate: v2
                weights: { v2: \(weight) }
            """)
        // An answer is good however long a busy machine takes over it.
        config.models[0].versions[0].healthCheck?.timeout = .seconds(60)
        return config
    }

    @Test("Embedded with port 0 it serves, reports and stops, and a second one takes the directory over")
    func embedded() throws {
        let scratch = try Scratch()
        let upstream = try ScriptedServer(.bytes(good))
        defer { upstream.stop() }
        for round in 1...2 {
            let sidecar = try Sidecar(config: config(scratch, upstream), log: WeirLog.silent())
            try sidecar.start()
            for address in sidecar.addresses {
                let client = try RawClient(address)
                client.send("GET /m HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                #expect(client.receive().hasPrefix("HTTP/1.1 200 OK"))
            }
            let status = try #require(sidecar.status())
            #expect(status["state"] == "running")
            #expect(status["listeners"]?.elements.count == 2)
            let versions = try #require(status["models"]?[0]?["versions"]?.elements)
            #expect(versions.map { $0["weight"]?.string } == ["80%", "20%"])
            #expect(versions.map { $0["role"]?.string } == ["stable", "candidate"])
            #expect(versions.reduce(0) { $0 + ($1["totals"]?["started"]?.integer ?? 0) } == 2)
            #expect(versions[0]["endpoints"]?[0]?["checked"] == true)
            let metrics = try AdminClient(sidecar.adminAddress).get("/metrics").text
            #expect(
                metrics.contains(
                    "weir_traffic_weight_ratio{model=\"m\",version=\"v2\",role=\"candidate\"} 0.2"))
            sidecar.drain()
            #expect(eventually { sidecar.isDrained })
            #expect(try AdminClient(sidecar.adminAddress).get("/readyz").status == 503)
            sidecar.stop()
            sidecar.stop()
            let report = try AuditVerify.check(directory: scratch.path + "/state")
            #expect(report.isIntact && report.lines == 2 * round)
        }
    }

    @Test("A reload is refused where there is no file to read")
    func noFile() throws {
        let scratch = try Scratch()
        let upstream = try ScriptedServer(.bytes(good))
        defer { upstream.stop() }
        let sidecar = try Sidecar(config: config(scratch, upstream), log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        #expect(try AdminClient(sidecar.adminAddress).send(AdminVerb(.reload)).status == 409)
    }

    @Test("An endpoint that fails its health check is shown, journaled, and comes back")
    func health() throws {
        let scratch = try Scratch()
        let upstream = try ScriptedServer(.bytes("HTTP/1.1 503 No\r\nconnection: close\r\n\r\n"))
        defer { upstream.stop() }
        let sidecar = try Sidecar(config: config(scratch, upstream), log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        func health() -> String? {
            sidecar.status()?["models"]?[0]?["versions"]?[0]?["endpoints"]?[0]?["health"]?.string
        }
        #expect(eventually { health() == "unhealthy" })
        upstream.set(.bytes(good))
        #expect(eventually { health() == "healthy" })
    }

    @Test("An endpoint that was not checked yet is unchecked in status and metrics, and not healthy")
    func unchecked() throws {
        let scratch = try Scratch()
        let upstream = try ScriptedServer(.silence)
        defer { upstream.stop() }
        var slow = try config(scratch, upstream)
        slow.models[0].versions[0].healthCheck?.interval = .seconds(600)
        slow.models[0].versions[0].healthCheck?.timeout = .seconds(600)
        let sidecar = try Sidecar(config: slow, log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        let version = try #require(sidecar.status()?["models"]?[0]?["versions"]?[0])
        let endpoint = try #require(version["endpoints"]?[0])
        #expect(endpoint["health"]?.string == "unchecked" && endpoint["healthy"]?.bool == false)
        #expect(endpoint["checked"]?.bool == true)
        let text = try AdminClient(sidecar.adminAddress).get("/metrics").text
            .split(separator: "\n").filter { $0.contains("v1") }
        for (state, count) in [("healthy", 0), ("unhealthy", 0), ("unchecked", 1)] {
            let end = "state=\"\(state)\"} \(count)"
            #expect(text.contains { $0.hasPrefix("weir_endpoints{") && $0.hasSuffix(end) }, "\(end)")
        }
    }

    @Test("A log line is one line, whatever is in the message")
    func oneLine() {
        let box = Lines()
        let log = WeirLog.logger { box.add($0) }
        log.warning("a\nb\r\u{1}c", metadata: ["k": "x y\nz", "n": "1"])
        log.debug("not said")
        #expect(box.all.count == 1)
        #expect(box.all[0].hasSuffix(" warning a\\nb\\r\\u0001c k=\"x y\\nz\" n=1\n"))
        #expect(box.all[0].filter { $0 == "\n" }.count == 1)
    }

    private final class Lines: Sendable {
        private let list = Mutex<[String]>([])
        func add(_ line: String) { list.withLock { $0.append(line) } }
        var all: [String] { list.withLock { $0 } }
    }
}

@Suite struct ExplainTests {
    private func answer(_ request: ExplainRequest, status: JSON? = nil) throws -> ExplainAnswer {
        let text = World.yaml.replacing(
            "    stable: v1\n",
            with:
                "    stable: v1\n    cohorts:\n"
                + "      - { name: staff, when: { header: { x-staff: \"1\" } }, version: v3 }\n"
        )
        return try request.answer(config: try World.config(text), status: status)
    }

    @Test("A random split is told as chances, a cohort as its version with the reason")
    func words() throws {
        #expect(try answer(ExplainRequest(path: "/x")).verdict == "drawn at random: v1 70%, v2 20%, v3 10%")
        let staff = try answer(ExplainRequest(path: "/x", headers: [("x-staff", "1")]))
        #expect(staff.verdict == "v3, by cohort staff")
        #expect(staff.json["version"] == "v3" && staff.json["reason"] == "cohort")
        let other = try answer(ExplainRequest(path: "/x", headers: [("x-staff", "2")]))
        #expect(other.lines.contains { $0.contains("staff does not match") && $0.contains("found '2'") })
        let caller = "; the caller is not in trusted_proxies, so its x-forwarded-for and x-weir-version"
        #expect(other.lines.contains { $0.hasSuffix("\(caller) are ignored") })
    }

    @Test("With a running Weir's status its weights and its quarantine count")
    func live() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "m"), actor: "t", reply: replies.take)
        world.settle()
        let status = try JSON(parsing: StatusPage.page(of: world).text)
        #expect(try answer(ExplainRequest(path: "/x"), status: status).verdict == "v1, by random")
        let staff = try answer(ExplainRequest(path: "/x", headers: [("x-staff", "1")]), status: status)
        #expect(staff.json["version"] == "v1")
        #expect(status["models"]?[0]?["last_cut"]?["guardrail"] == .null)
        #expect(status["models"]?[0]?["phase"] == "cut")
    }
}

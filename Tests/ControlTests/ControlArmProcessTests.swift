// A control arm with real sockets: a whole sidecar before two model servers. What users see has no third
// version in it, what operators see has, and a candidate that fails is cut by comparison with the arm.

import Platform
import Testing

@testable import Control

@Suite struct ControlArmProcessTests {
    @Test("Users see two versions and operators three, and a candidate that fails is cut against the arm")
    func endToEnd() throws {
        let scratch = try Scratch()
        let (good, bad) = (try server("200 OK"), try server("500 No"))
        defer {
            good.stop()
            bad.stop()
        }
        let config = try World.config(
            """
            admin: { listen: 127.0.0.1:0 }
            state_dir: \(scratch.path)/state
            listeners: [{ listen: 127.0.0.1:0 }]
            cores: 1
            models:
              - name: m
                match: { path_prefix: / }
                versions:
                  v1: { endpoints: ["\(good.address)"] }
                  v2: { endpoints: ["\(bad.address)"] }
                stable: v1
                candidate: v2
                guardrails: [{ kind: error_rate, worse_than_stable: true }]
                rollout: { stages: [{ weight: 25%, hold: 1h }], control: { share: 50% } }
            """)
        let sidecar = try Sidecar(config: config, log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        let admin = AdminClient(sidecar.adminAddress)
        func model() -> JSON? { sidecar.status()?["models"]?[0] }
        var answers = ""
        let deadline = Clock.now() + .seconds(3 * patienceSeconds)
        while model()?["phase"]?.string != "cut", Clock.now() < deadline {
            let client = try RawClient(sidecar.addresses[0])
            let request = "GET /m HTTP/1.1\r\nhost: a\r\n"
            client.send(
                String(repeating: request + "\r\n", count: 20) + request + "connection: close\r\n\r\n")
            answers += client.receive()
        }
        #expect(model()?["phase"]?.string == "cut")
        #expect(answers.contains("x-weir-version: v1\r\n") && !answers.contains("(control)"))
        let last = model()?["last_cut"]?["reason"]?.string ?? ""
        #expect(last.contains("stable stands for its control arm"), "\(last)")
        let versions = model()?["versions"]?.elements ?? []
        #expect(versions.map { $0["role"]?.string } == ["stable", "candidate", "control"])
        #expect(versions.last?["totals"]?["started"]?.integer ?? 0 > 0)
        #expect(model()?["rollout"]?["control"]?["version"]?.string == "v1 (control)")
        let metrics = try admin.get("/metrics").text
        #expect(metrics.contains("{model=\"m\",version=\"v1\",role=\"control\",outcome=\"success\"}"))
        #expect(!metrics.contains("(control)"))
    }

    private func server(_ status: String) throws -> ScriptedServer {
        try ScriptedServer(.bytes("HTTP/1.1 \(status)\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"))
    }
}

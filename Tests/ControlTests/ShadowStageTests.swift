// A shadow stage with real sockets: model servers, a whole sidecar, clients. The candidate is judged by
// copies against stable's answers to the same requests, and has no user until its gate has let it on.
// What is waited for is a state, never a time; the traffic goes on until it is there.

import Platform
import Testing

@testable import Control

/// Two model servers behind a sidecar whose rollout begins with copies.
private final class ShadowStage {
    let scratch: Scratch
    let servers: [ScriptedServer]
    let sidecar: Sidecar

    init(candidate status: String) throws {
        scratch = try Scratch()
        servers = try ["200 OK", status].map {
            try ScriptedServer(.bytes("HTTP/1.1 \($0)\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"))
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
                  v1: { endpoints: ["\(servers[0].address)"] }
                  v2: { endpoints: ["\(servers[1].address)"] }
                stable: v1
                candidate: v2
                guardrails: [{ kind: error_rate, worse_than_stable: true }]
                rollout:
                  stages:
                    - { shadow: 100%, gates: [{ kind: error_rate, margin: 5% }] }
                    - { weight: 25%, hold: 1h }
            """)
        sidecar = try Sidecar(config: config, log: WeirLog.silent())
        try sidecar.start()
    }

    deinit {
        sidecar.stop()
        for server in servers { server.stop() }
    }

    /// The candidate as the status page has it.
    var candidate: JSON? { sidecar.status()?["models"]?[0]?["versions"]?[1] }

    /// Sends requests, a few at a time, until something holds; false: it did not in time.
    func traffic(until isThere: () throws -> Bool) throws -> Bool {
        let deadline = Clock.now() + .seconds(3 * patienceSeconds)
        while Clock.now() < deadline {
            let client = try RawClient(sidecar.addresses[0])
            let request = "GET /m HTTP/1.1\r\nhost: a\r\n"
            client.send(
                String(repeating: request + "\r\n", count: 40) + request + "connection: close\r\n\r\n")
            #expect(!client.receive().contains(" 500 "))
            if try isThere() { return true }
        }
        return false
    }
}

@Suite struct ShadowStageTests {
    @Test(
        "A candidate that fails is cut on its copies alone, by comparison with stable, before it has a user")
    func bad() throws {
        let stage = try ShadowStage(candidate: "500 No")
        func cuts() throws -> String? {
            try AdminClient(stage.sidecar.adminAddress).get("/metrics").text.split(separator: "\n")
                .first { $0.hasPrefix("weir_cuts_total{model=\"m\"") }.map { String($0) }
        }
        #expect(try stage.traffic { try cuts() != nil })
        #expect(try cuts()?.contains("error_rate_worse_than_stable") == true)
        #expect(stage.candidate?["totals"]?["started"]?.integer == 0)
        #expect(stage.candidate?["weight"]?.string == "0%")
    }

    @Test("A good candidate passes the gate of its shadow stage and walks on")
    func good() throws {
        let stage = try ShadowStage(candidate: "200 OK")
        #expect(try stage.traffic { stage.candidate?["weight"]?.string == "25%" })
        #expect(try stage.traffic { stage.candidate?["totals"]?["started"]?.integer ?? 0 > 0 })
    }
}

// Values from the wire to the cut: model servers that answer over sockets, a whole sidecar between them and
// the clients, guardrails over what stands in the answers. What is waited for is a state, never a time; the
// traffic goes on until it is there.

import Platform
import Testing

@testable import Control

/// Two model servers behind a sidecar.
private final class Stage {
    let scratch: Scratch
    let servers: [ScriptedServer]
    let sidecar: Sidecar

    /// - Parameters:
    ///   - answers: header lines and body of stable's answers, and of the candidate's.
    ///   - model: further lines of the model.
    init(_ answers: [(head: String, body: String)], _ model: String) throws {
        scratch = try Scratch()
        servers = try answers.map { answer in
            try ScriptedServer(
                .bytes(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\n\(answer.head)"
                        + "content-length: \(answer.body.utf8.count)\r\n\r\n\(answer.body)"))
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
                weights: { v2: 50% }
                values: { score: { response: "$.outputs[0].data[*]" }, cost: { response_header: x-cost } }

            """ + model.split(separator: "\n").map { "    \($0)\n" }.joined())
        sidecar = try Sidecar(config: config, log: WeirLog.silent())
        try sidecar.start()
    }

    deinit {
        sidecar.stop()
        for server in servers { server.stop() }
    }

    /// The candidate as the status page has it.
    private var candidate: JSON? { sidecar.status()?["models"]?[0]?["versions"]?[1] }

    /// Sends requests, a few at a time, until something holds; false: it did not in time.
    func traffic(until isThere: () throws -> Bool) throws -> Bool {
        let deadline = Clock.now() + .seconds(3 * patienceSeconds)
        while Clock.now() < deadline {
            let client = try RawClient(sidecar.addresses[0])
            let request = "GET /m HTTP/1.1\r\nhost: a\r\n"
            client.send(
                String(repeating: request + "\r\n", count: 40) + request + "connection: close\r\n\r\n")
            _ = client.receive()
            if try isThere() { return true }
        }
        return false
    }

    var metrics: String { get throws { try AdminClient(sidecar.adminAddress).get("/metrics").text } }

    /// The guardrail that cut the candidate; nil: none has.
    var cutBy: String? {
        get throws {
            let page = try metrics
            guard page.contains(#"weir_quarantined_versions{model="m",version="v2",role="candidate"} 1"#)
            else {
                return nil
            }
            return page.split(separator: "\n").first { $0.hasPrefix("weir_cuts_total{model=\"m\"") }
                .map { String($0) }
        }
    }

    /// A counter of the page; nil: it is not there.
    func count(_ series: String) throws -> Int? {
        try metrics.split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Int($0.split(separator: " ").last ?? "") }
    }
}

private func answer(_ data: String, cost: String? = nil) -> (head: String, body: String) {
    (cost.map { "x-cost: \($0)\r\n" } ?? "", #"{"model_name":"m","outputs":[{"data":[\#(data)]}]}"#)
}

@Suite struct SignalEndToEndTests {
    @Test(
        "A candidate whose values are worse than stable's is cut by the guardrail over them",
        arguments: [
            ("null", nil, "kind: missing, value: score, worse_than_stable: true", "missing_score"),
            ("", nil, "kind: missing, value: score, above: 5%", "missing_score"),
            ("0.2", nil, "kind: confidence, value: score, below: 0.6", "confidence_score"),
            ("0.2", nil, "kind: confidence, value: score, worse_than_stable: true", "confidence_score"),
            ("0.9", "0.5", "kind: cost, value: cost, above: 0.1", "cost_cost"),
            ("0.2", nil, "kind: drift, value: score, action: cut", "drift_score"),
        ] as [(String, String?, String, String)])
    func cuts(_ data: String, _ cost: String?, _ guardrail: String, _ name: String) throws {
        let stage = try Stage(
            [answer("0.9", cost: "0.01"), answer(data, cost: cost)], "guardrails: [{ \(guardrail) }]")
        #expect(try stage.traffic { try stage.cutBy != nil })
        #expect(try stage.cutBy?.contains("guardrail=\"\(name)") == true)
    }

    @Test("Compressed answers are unknown: counted, and no evidence against anybody")
    func encoded() throws {
        let stage = try Stage(
            [answer("0.9"), ("content-encoding: gzip\r\n", "\u{1F}\u{8B}")],
            "guardrails: [{ kind: missing, value: score, above: 5% }]")
        let series = #"weir_signal_values_total{model="m",value="score",result="unknown"}"#
        #expect(try stage.traffic { try stage.count(series) ?? 0 >= 200 })
        #expect(try stage.cutBy == nil)
        #expect(try stage.count(#"weir_signal_samples_total{model="m",result="encoded"}"#) ?? 0 >= 200)
        #expect(
            try stage.count(#"weir_signal_values_total{model="m",value="score",result="number"}"#) ?? 0 > 0)
        #expect(try stage.count(#"weir_signal_values_total{model="m",value="score",result="missing"}"#) == 0)
    }
}

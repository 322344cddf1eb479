// Values from the wire to the cut: model servers that answer over sockets, a whole sidecar between them and
// the clients, guardrails over what stands in the answers. What is waited for is a state, never a time; the
// traffic goes on until it is there.

import Testing

@testable import Control

extension TwoVersions {
    /// - Parameters:
    ///   - answers: header lines and body of stable's answers, and of the candidate's.
    ///   - guardrails: the model's.
    fileprivate convenience init(_ answers: [(head: String, body: String)], _ guardrails: String) throws {
        try self.init(
            answers.map { answer in
                "HTTP/1.1 200 OK\r\nconnection: close\r\n\(answer.head)"
                    + "content-length: \(answer.body.utf8.count)\r\n\r\n\(answer.body)"
            },
            """
            candidate: v2
            weights: { v2: 50% }
            values: { score: { response: "$.outputs[0].data[*]" }, cost: { response_header: x-cost } }
            \(guardrails)
            """)
    }

    /// The guardrail that cut the candidate; nil: none has.
    fileprivate var cutBy: String? {
        get throws {
            let barred = #"weir_quarantined_versions{model="m",version="v2",role="candidate"} 1"#
            return try metrics.contains(barred) ? cuts : nil
        }
    }

    /// A counter of the page; nil: it is not there.
    fileprivate func count(_ series: String) throws -> Int? {
        try metrics.split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Int($0.split(separator: " ").last ?? "") }
    }
}

private func answer(_ data: String, cost: String? = nil) -> (head: String, body: String) {
    (cost.map { "x-cost: \($0)\r\n" } ?? "", #"{"model_name":"m","outputs":[{"data":[\#(data)]}]}"#)
}

@Suite struct ValueEndToEndTests {
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
        let stage = try TwoVersions(
            [answer("0.9", cost: "0.01"), answer(data, cost: cost)], "guardrails: [{ \(guardrail) }]")
        #expect(try stage.traffic { try stage.cutBy != nil })
        #expect(try stage.cutBy?.contains("guardrail=\"\(name)") == true)
    }

    @Test("Compressed answers are unknown: counted, and no evidence against anybody")
    func encoded() throws {
        let stage = try TwoVersions(
            [answer("0.9"), ("content-encoding: gzip\r\n", "\u{1F}\u{8B}")],
            "guardrails: [{ kind: missing, value: score, above: 5% }]")
        let series = #"weir_values_total{model="m",value="score",result="unknown"}"#
        #expect(try stage.traffic { try stage.count(series) ?? 0 >= 200 })
        #expect(try stage.cutBy == nil)
        #expect(try stage.count(#"weir_value_samples_total{model="m",result="encoded"}"#) ?? 0 >= 200)
        #expect(
            try stage.count(#"weir_values_total{model="m",value="score",result="number"}"#) ?? 0 > 0)
        #expect(try stage.count(#"weir_values_total{model="m",value="score",result="missing"}"#) == 0)
    }
}

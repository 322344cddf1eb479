// A shadow stage with real sockets: the candidate is judged by copies against stable's answers to the same
// requests, and has no user until its gate has let it on.

import Testing

@testable import Control

@Suite struct ShadowStageTests {
    private func stage(candidate status: String) throws -> TwoVersions {
        try TwoVersions(
            [TwoVersions.answer("200 OK"), TwoVersions.answer(status)],
            """
            candidate: v2
            guardrails: [{ kind: error_rate, worse_than_stable: true }]
            rollout:
              stages:
                - { shadow: 100%, gates: [{ kind: error_rate, margin: 5% }] }
                - { weight: 25%, hold: 1h }
            """)
    }

    private func noneFails(_ answers: String) { #expect(!answers.contains(" 500 ")) }

    @Test(
        "A candidate that fails is cut on its copies alone, by comparison with stable, before it has a user")
    func bad() throws {
        let stage = try stage(candidate: "500 No")
        #expect(try stage.traffic(answers: noneFails) { try stage.cuts != nil })
        #expect(try stage.cuts?.contains("error_rate_worse_than_stable") == true)
        #expect(stage.candidate?["totals"]?["started"]?.integer == 0)
        #expect(stage.candidate?["weight"]?.string == "0%")
    }

    @Test("A good candidate passes the gate of its shadow stage and walks on")
    func good() throws {
        let stage = try stage(candidate: "200 OK")
        #expect(try stage.traffic(answers: noneFails) { stage.candidate?["weight"]?.string == "25%" })
        #expect(
            try stage.traffic(answers: noneFails) {
                stage.candidate?["totals"]?["started"]?.integer ?? 0 > 0
            })
    }
}

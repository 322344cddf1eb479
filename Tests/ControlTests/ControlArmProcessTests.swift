// A control arm with real sockets: what users see has no third version in it, what operators see has; a
// candidate that fails is cut by comparison with the arm, and one that an ill arm would hide is found.

import Platform
import Testing

@testable import Control

@Suite struct ControlArmProcessTests {
    private func stage(
        _ control: String, _ answers: [String], weight: String = "25%", shield: Bool = true
    ) throws -> TwoVersions {
        try TwoVersions(
            answers,
            """
            candidate: v2
            shield: \(shield)
            guardrails: [{ kind: error_rate, worse_than_stable: true }]
            rollout: { stages: [{ weight: \(weight), hold: 1h }], control: { \(control) } }
            """)
    }

    @Test("Users see two versions and operators three, and a candidate that fails is cut against the arm")
    func endToEnd() throws {
        let world = try stage("share: 50%", [TwoVersions.answer("200 OK"), TwoVersions.answer("500 No")])
        var answers = ""
        #expect(try world.traffic(answers: { answers += $0 }) { world.model?["phase"]?.string == "cut" })
        #expect(answers.contains("x-weir-version: v1\r\n") && !answers.contains("(control)"))
        let last = world.model?["last_cut"]?["reason"]?.string ?? ""
        #expect(last.contains("stable stands for its control arm"), "\(last)")
        let versions = world.model?["versions"]?.elements ?? []
        #expect(versions.map { $0["role"]?.string } == ["stable", "candidate", "control"])
        #expect(versions.last?["totals"]?["started"]?.integer ?? 0 > 0)
        #expect(world.model?["rollout"]?["control"]?["version"]?.string == "v1 (control)")
        let metrics = try world.metrics
        #expect(metrics.contains("{model=\"m\",version=\"v1\",role=\"control\",outcome=\"success\"}"))
        #expect(!metrics.contains("(control)"))
    }

    @Test(
        "An arm whose servers are dead, or fail as the candidate does, hides no candidate and costs no user",
        arguments: [true, false])
    func illArm(isDead: Bool) throws {
        let arm = try ScriptedServer(.bytes(TwoVersions.answer("500 No")))
        defer { arm.stop() }
        // Nobody listens on port 1.
        let endpoint = isDead ? "127.0.0.1:1" : "\(arm.address)"
        // What both fail together is within the budget of what is sent again.
        let world = try stage(
            "share: 50%, endpoints: [\"\(endpoint)\"]",
            [TwoVersions.answer("200 OK"), TwoVersions.answer("500 No")], weight: "3%")
        var failures = 0
        #expect(
            try world.traffic(answers: { failures += $0.ranges(of: "HTTP/1.1 5").count }) {
                world.model?["phase"]?.string == "cut"
            })
        #expect(failures == 0, "shielded by the rest of stable")
        let control = world.model?["rollout"]?["control"]
        let withdrawn = control?["withdrawn"]?["reason"]?.string ?? ""
        #expect(withdrawn.contains("worse than the rest of stable"), "\(withdrawn)")
        let last = world.model?["last_cut"]?["reason"]?.string ?? ""
        #expect(!last.contains("control arm"), "\(last)")
    }

    @Test("Without a shield, users of a failing arm and candidate are few: both are found")
    func withoutShield() throws {
        let arm = try ScriptedServer(.bytes(TwoVersions.answer("500 No")))
        defer { arm.stop() }
        let world = try stage(
            "share: 50%, endpoints: [\"\(arm.address)\"]",
            [TwoVersions.answer("200 OK"), TwoVersions.answer("500 No")], shield: false)
        #expect(try world.traffic { world.model?["phase"]?.string == "cut" })
        #expect(world.model?["rollout"]?["control"]?["withdrawn"]?["at"]?.string != nil)
        // What is answered from now on is stable's.
        var answers = ""
        #expect(try world.traffic(answers: { answers = $0 }) { true })
        #expect(answers.contains(" 200 ") && !answers.contains(" 500 "))
    }
}

// Rollouts, their checks and groups as configs: what a whole one means, and what every broken one is told.

import ConfigSamples
import Payload
import Platform
import Rollout
import Testing

@testable import Config

/// A way up with everything in it.
private let wholeRollout = """
    sticky: { keys: [{ header: x-user }] }
    runbook_url: https://runbooks.example/recommender
    response_headers: { epoch: true }
    preflight:
      identity: { preset: triton, model: recommender }
      signatures: { model: recommender }
      warm_up: { requests: 100, file: warm.jsonl }
    rollout:
      start: manual
      stages:
        - { shadow: 10%, hold: 10m }
        - { weight: 1%, hold: 10m, min_requests: 1000, min_keys: 200 }
        - weight: 25%
          hold: 30m
          approval: required
          guardrails: [{ kind: error_rate, above: 5%, for: 1m }]
        - { weight: 100% }
      bake: 1h
      hold_back: 5%
      deadline: 72h
      ends: "2026-12-01T12:00:00Z"
      blackout:
        - { days: [fri, sat], from: "16:00", to: "08:00", time_zone: Europe/Berlin, alert_only: true }
        - { from: "2026-12-23", to: "2027-01-02" }
      rollback_window: 24h
    """

@Test("A rollout's program says what the file says")
private func programIsRead() throws {
    let model = try ConfigSample.model(wholeRollout).config().models[0]
    let rollout = try #require(model.rollout)
    let program = rollout.program
    #expect(program.candidate == "v2" && !program.startsByItself && !program.isDryRun)
    #expect(program.stages.map(\.weightPPM) == [0, 10_000, 250_000, 1_000_000])
    #expect(program.stages.map(\.shadowPPM) == [100_000, 0, 0, 0])
    #expect(program.stages[1].minRequests == 1_000 && program.stages[1].minKeys == 200)
    #expect(program.stages[2].needsApproval && program.stages[2].guardrails.count == 1)
    #expect(program.bakeMicros == 3_600_000_000 && program.holdBackPPM == 50_000)
    let plain = try ConfigSample.model("rollout: { stages: [{ weight: 100% }], bake: 1h }").config()
    #expect(plain.models[0].rollout?.program.holdBackPPM == 10_000)
    let given = try ConfigSample.model("rollout: { stages: [{ weight: 100% }], bake: 1h, hold_back: 0% }")
        .config()
    #expect(given.models[0].rollout?.program.holdBackPPM == 0)
    #expect(program.endsAtMicros == Timestamp.wallMicros("2026-12-01T12:00:00Z"))
    #expect(program.deadlineMicros == 72 * 3_600_000_000)
    #expect(program.rollbackWindowMicros == 24 * 3_600_000_000)
    #expect(rollout.blackouts.map(\.alertsOnly) == [true, false])
    #expect(rollout.blackouts[0].span == .daily(days: [4, 5], from: 960, to: 480))
    let preflight = try #require(model.preflight)
    #expect(preflight.identity?.target == "/v2/models/recommender")
    #expect(preflight.warmUp?.requests == 100 && preflight.signatureModel == "recommender")
    #expect(model.versions.map(\.identity) == ["v1", "v2"])
    #expect(model.sendsEpoch && model.weights == nil && model.runbookURL != nil)
}

@Test("The guardrails of all stages share the rollout's alpha with the model's own")
private func alphaIsSharedOverStages() throws {
    let text = """
        guardrails: [{ kind: error_rate, worse_than_stable: true }]
        rollout:
          stages:
            - { weight: 5%, guardrails: [{ kind: error_rate, above: 5% }] }
            - { weight: 100% }
        """
    let model = try ConfigSample.model(text).config().models[0]
    #expect(model.guardrails.map(\.alpha) == [0.005])
    #expect(model.rollout?.program.stages[0].guardrails.map(\.alpha) == [0.005])
    #expect(model.allGuardrails.count == 2)
}

@Test("Check prints deadline, end and rollback window, and warns when the end has passed")
private func checkPrintsEnds() throws {
    let text = "deadline: 3h, ends: \"2026-12-01T12:00:00Z\", rollback_window: 2h"
    let config = try ConfigSample.model("rollout: { stages: [{ weight: 5% }], \(text) }").config()
    let end = try #require(Timestamp.wallMicros("2026-12-01T12:00:00Z"))
    for (now, isOver) in [(nil, false), (end - 1, false), (end, true)] as [(UInt64?, Bool)] {
        let check = ConfigCheck.of(.success(config), file: "f", wallMicros: now)
        #expect(check.exitCode == 0)
        #expect(check.text.contains("    deadline: 3h after its start, then it is held\n"))
        #expect(check.text.contains("    ends: 2026-12-01T12:00:00.000000Z"))
        #expect(check.text.contains("    rollback window: guardrails cut until 2h after the promotion"))
        #expect(check.text.contains("HAS PASSED") == isOver)
    }
}

private let brokenRollouts: [Broken] = [
    Broken(
        .model("rollout: { stages: [] }"),
        ["9:24: models[0].rollout.stages: is empty", "at least 1"]),
    Broken(
        .model("weights: { v2: 5% }\nrollout: { stages: [{ weight: 5% }] }"),
        ["3:5: models[0]: has both rollout and weights", "expected weights for a fixed split"]),
    Broken(
        .model("rollout: { stages: [{ weight: 50% }, { weight: 5% }] }"),
        ["9:14: models[0].rollout: stage 2 has less weight than the stage before it"]),
    Broken(
        .model("rollout: { stages: [{ hold: 5m }] }"),
        ["9:25: models[0].rollout.stages[0]: says neither weight nor shadow"]),
    Broken(
        .model("rollout: { candidate: v3, stages: [{ weight: 5% }] }"),
        ["9:27: models[0].rollout.candidate: is no candidate: 'v3'", "expected one of v2"]),
    Broken(
        .model("rollout: { stages: [{ weight: 5%, min_keys: 5 }] }"),
        ["9:14: models[0].rollout: min_keys counts sticky keys, and the model has none"]),
    Broken(
        .model("rollout: { stages: [{ weight: 5%, approval: yes }] }"),
        [
            "9:49: models[0].rollout.stages[0].approval: wrong value 'yes'",
            "expected one of required, automatic",
        ]),
    Broken(
        .model("rollout: { stages: [{ weight: 5% }], bake: 1h }"),
        ["9:14: models[0].rollout: bake and hold_back need a last stage of 100 %"]),
    Broken(
        .model("rollout: { stages: [{ weight: 100% }], hold_back: 5% }"),
        [
            "9:14: models[0].rollout: hold_back is stable's share in a bake, and there is none",
            "expected `bake` with a duration, or no hold_back",
        ]),
    Broken(
        .model("rollout: { stages: [{ weight: 5%, hold: 1h }, { weight: 100% }], bake: 1h, deadline: 2h }"),
        [
            "9:14: models[0].rollout: the deadline of 2h comes before the end of the holds and the bake, 2h",
            "expected a deadline longer than 2h, or shorter holds",
        ]),
    Broken(
        .model("rollout: { stages: [{ weight: 5% }], blackout: [{ from: \"00:00\", to: \"24:00\" }] }"),
        [
            "9:14: models[0].rollout: the blackouts leave no minute of the week",
            "expected a time without one",
        ]),
    Broken(
        .model("rollout: { stages: [{ weight: 5% }], ends: tomorrow }"),
        [
            "9:48: models[0].rollout.ends: wrong value 'tomorrow'",
            "expected an instant such as \"2026-12-01T12:00:00Z\"",
        ]),
    Broken(
        .model("rollout: { stages: [{ weight: 5% }], blackout: [{ from: \"16:00\", to: \"fri 08:00\" }] }"),
        ["9:53: models[0].rollout.blackout[0]: from and to do not make a window"]),
    Broken(
        .model(
            "rollout: { stages: [{ weight: 5% }], "
                + "blackout: [{ from: \"16:00\", to: \"08:00\", time_zone: CEST5 }] }"),
        [
            "9:94: models[0].rollout.blackout[0].time_zone: wrong value 'CEST5'",
            "such as Europe/Berlin",
        ]),
    Broken(
        .model("rollout: { stages: [{ shadow: 5% }, { weight: 5% }] }\nshadow: { version: v2 }"),
        ["9:14: models[0].rollout: has a shadow stage beside the model's own shadow"]),
    Broken(
        .model("rollout: { stages: [{ shadow: 5%, gates: [{ kind: feedback, metric: clicks }] }] }"),
        [
            "9:14: models[0].rollout: stage 1 has copies only, whose answers are not looked into:",
            "expected gates of kind error_rate, non_2xx and latency, or a weight",
        ],
        ["9:47: models[0].rollout.stages[0].gates[0]: looks at feedback, and no response carries the id"]),
    Broken(
        .model(
            "rollout: { stages: [{ shadow: 5%, guardrails: "
                + "[{ kind: error_rate, above: 2%, window: 5m }] }] }"),
        [
            "9:14: models[0].rollout: stage 1 has copies only, which the guardrail error_rate_above does not",
            "expected sequential rules over error_rate, non_2xx, empty and latency, health, or a weight",
        ]),
    Broken(
        .model("preflight: { identity: { preset: v2 } }"),
        ["9:28: models[0].preflight.identity: lacks 'model'"]),
    Broken(
        .model("preflight: { identity: { path: /version } }"),
        ["9:28: models[0].preflight.identity: says nothing", "expected one of json, header"]),
    Broken(
        .model("preflight: { identity: { path: /version, json: version } }"),
        ["9:52: models[0].preflight.identity.json:"]),
    Broken(
        .model("runbook_url: runbooks/recommender"),
        ["9:18: models[0].runbook_url: wrong value 'runbooks/recommender'"]),
    Broken(
        .top("groups: [{ name: g, models: [m, n] }]"),
        ["1:33: groups[0].models[1]: unknown model 'n'", "expected one of m"]),
    Broken(
        .top("groups: [{ name: g, models: [m] }]"),
        ["1:29: groups[0].models: has 1 entries", "at least 2"]),
]

@Test("A broken rollout gives exactly these problems, each with its place", arguments: brokenRollouts)
private func brokenRollout(_ broken: Broken) { broken.check() }

@Test(
    "Members of a group whose rollouts have other steps are refused, each with both",
    arguments: [
        (
            "{ stages: [{ weight: 5% }, { weight: 100% }] }", "{ stages: [{ weight: 100% }] }",
            "expected 2 stages up to 100% as a has, not 1 stage up to 100%"
        ),
        (
            "{ stages: [{ weight: 5% }] }", "{ stages: [{ weight: 100% }] }",
            "expected 1 stage short of 100% as a has, not 1 stage up to 100%"
        ),
        (
            "{ stages: [{ weight: 100% }], bake: 1h }", "{ stages: [{ weight: 100% }] }",
            "expected 1 stage up to 100% and a bake as a has, not 1 stage up to 100%"
        ),
        ("{ stages: [{ weight: 100% }] }", "{ stages: [{ weight: 100% }], dry_run: true }", ", as a dry run"),
        ("{ stages: [{ weight: 5% }], bake: 0s }", "{ stages: [{ weight: 7%, hold: 9m }] }", nil),
    ])
private func unevenGroup(first: String, second: String, sentence: String?) {
    let model = { (name: String, rollout: String) in
        "  - { name: \(name), match: { path_prefix: /\(name) }, stable: v1, candidate: v2, versions: "
            + "{ v1: { endpoints: [\"127.0.0.1:9001\"] }, v2: { endpoints: [\"127.0.0.1:9002\"] } }, "
            + "rollout: \(rollout) }\n"
    }
    let text =
        "admin: { listen: 127.0.0.1:9902 }\nstate_dir: /tmp/x\nlisteners: [{ listen: 127.0.0.1:8080 }]\n"
        + "groups: [{ name: g, models: [a, b] }]\nmodels:\n" + model("a", first) + model("b", second)
    let result = ConfigSample.file(text).read()
    switch result {
    case .success:
        #expect(sentence == nil)
        let said = ConfigCheck.of(result, file: "weir.yaml").text
        #expect(said.contains("\ngroup g: a, b, promoted and cut together\n"))
    case .failure(let problems):
        let said = problems.all.map(\.description)
        #expect(said.count == 1, "\(said)")
        let start = "weir.yaml:4:33: groups[0].models[1]: its rollout has other steps than that of a: 'b'"
        #expect(said.first?.hasPrefix(start) == true, "\(said)")
        #expect(said.first?.contains(sentence ?? "nothing was expected") == true, "\(said)")
    }
}

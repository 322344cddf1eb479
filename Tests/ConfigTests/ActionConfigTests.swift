// The section `actions`: what it leads to, its defaults, and what is refused in which words.

import ConfigSamples
import Platform
import Testing

@testable import Config

private func actions(_ text: String) throws -> [ActionConfig] {
    try ConfigSample.top("actions:\n" + text).config().actions
}

@Test("Every sink can be written, and what is left out has its default")
private func allSinks() throws {
    let read = try actions(
        """
          - webhook: { url: "https://hooks.example/T0/x", secret_file: /s/key, ca_file: /s/ca, timeout: 5s }
            on: [cut, alert]
          - name: pager
            webhook: { format: pagerduty, routing_key_file: /s/routing }
          - webhook: { url_file: /s/slack, format: slack }
            retry: { pause: 500ms, max_pause: 5s, max_age: 10m }
          - exec: { command: [/usr/bin/purge, "--now"] }
          - mlflow: { url: "http://mlflow:5000", model: rec, versions: { v1: "7" } }
          - argo: { rollout: shop, namespace: prod }
            models: [m]
          - kubernetes: { api: apps/v1, resource: deployments, object: web, patch: '{"spec":{"replicas":0}}' }
        """)
    #expect(
        read.map(\.name) == [
            "webhook-1", "pager", "webhook-3", "exec-1", "mlflow-1", "argo-1", "kubernetes-1",
        ])
    #expect(
        read[0].kinds == [.cut, .alert]
            && read[1].kinds == [
                .cut, .promote, .hold, .recovery, .alert, .sampleRatio, .unserved, .served,
            ])
    #expect(read[4].kinds == [.cut, .promote] && read[6].kinds == [.cut] && read[5].models == ["m"])
    #expect(read[0].retry == ActionRetry(pause: .seconds(1), pauseMax: .seconds(60), ageMax: .seconds(3_600)))
    #expect(
        read[2].retry == ActionRetry(pause: .millis(500), pauseMax: .seconds(5), ageMax: .seconds(600)))
    guard case .webhook(let pager) = read[1].sink, case .mlflow(let mlflow) = read[4].sink,
        case .kubernetes(let patch) = read[6].sink
    else {
        Issue.record("other sinks than written")
        return
    }
    #expect(pager.address == .url(try HTTPURL("https://events.pagerduty.com/v2/enqueue")))
    #expect(pager.timeout == .seconds(10))
    #expect(mlflow.champion == "champion" && mlflow.previous == "previous_champion")
    #expect(mlflow.versions == ["v1": "7"])
    #expect(patch.patch["spec"]?["replicas"] == 0 && patch.form == .merge && patch.access.url == nil)
    #expect(try ConfigSample.top("").config().actions == [])
}

@Test("What `weir check` prints of actions shows no path of a webhook, where secrets stand")
private func checkHidesSecrets() throws {
    let text = "actions:\n  - webhook: { url: \"https://hooks.example/T0PSECRET\" }"
    let said = ConfigCheck.of(ConfigSample.top(text).read(), file: "weir.yaml").text
    let kinds = "cut, promote, hold, recovery, alert, sample_ratio, unserved, served"
    #expect(said.contains("action webhook-1: on \(kinds): webhook (json) at"))
    #expect(said.contains("https://hooks.example") && !said.contains("T0PSECRET"))
}

@Test(
    "An action that cannot work is refused by place and reason",
    arguments: [
        ("- on: [cut]", ["2:5: actions[0]", "says nothing", "webhook, exec, mlflow, argo, kubernetes"]),
        (
            "- { exec: { command: [/a] }, webhook: { url: \"http://a\" } }",
            ["2:5", "has both webhook and exec"]
        ),
        ("- { webhook: { format: json } }", ["2:16: actions[0].webhook", "url, url_file"]),
        ("- { webhook: { url: \"ftp://a\" } }", ["2:23: actions[0].webhook.url", "http:// or https://"]),
        ("- { webhook: { url: \"http://u:p@a\" } }", ["2:23", "without user and password"]),
        ("- { webhook: { url: \"http://a\", format: slck } }", ["format", "slack"]),
        ("- { webhook: { format: pagerduty } }", ["has no routing_key_file"]),
        ("- { webhook: { url: \"http://a\", routing_key_file: /k } }", ["has no use here"]),
        ("- { webhook: { url: \"http://a\", secrt_file: /k } }", ["unknown key", "secret_file"]),
        ("- { exec: { command: [purge] } }", ["looked for nowhere", "'purge'"]),
        ("- { exec: { command: [] } }", ["command"]),
        ("- { exec: { command: [/a] }, on: [cuts] }", ["actions[0].on[0]", "cut"]),
        ("- { exec: { command: [/a] }, models: [n] }", ["there is no such model", "'n'"]),
        ("- { argo: { rollout: a }, on: [hold] }", ["does nothing on this", "'hold'"]),
        ("- { mlflow: { url: \"http://a\", model: r } }", ["versions"]),
        (
            "- { mlflow: { url: \"http://a\", model: r, versions: { v1: \"1\" }, previous: champion } }",
            ["are one alias"]
        ),
        (
            "- { kubernetes: { api: v1, resource: pods, object: a, patch: nope } }",
            ["actions[0].kubernetes.patch", "JSON in quotes"]
        ),
        (
            "- { name: a, exec: { command: [/a] } }\n  - { name: a, exec: { command: [/b] } }",
            ["3:13: actions[1].name", "another action has this name"]
        ),
    ])
private func broken(_ text: String, _ fragments: [String]) {
    let said = ConfigSample.top("actions:\n  " + text).problems.map(\.description)
    #expect(said.count == 1, "\(said)")
    for fragment in fragments { #expect(said.first?.contains(fragment) == true, "\(said)") }
}

@Test("A sink that stands for one model is told of one")
private func oneModel() throws {
    let text = """
        actions: [{ argo: { rollout: a } }]
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - { name: m, match: { path: /m }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
          - { name: n, match: { path: /n }, versions: { v1: { endpoints: [127.0.0.1:9002] } } }
        """
    let said = ConfigSample.file(text).problems.map(\.description)
    #expect(said.count == 1 && said[0].contains("stands for one model, and is told of 2"))
    let fixed = text.replacing("a } }]", with: "a }, models: [n] }]")
    #expect(try ConfigSample.file(fixed).config().actions.first?.models == ["n"])
}

@Test("A reload names the actions that it changes")
private func differences() throws {
    func config(_ text: String) throws -> Config { try ConfigSample.top("actions:\n" + text).config() }
    let old = try config("  - { name: a, exec: { command: [/a] } }\n  - { name: b, exec: { command: [/b] } }")
    let new = try config("  - { name: a, exec: { command: [/c] } }\n  - { name: d, exec: { command: [/b] } }")
    let diff = ConfigDiff(from: old, to: new)
    #expect(diff.refusals.isEmpty)
    #expect(diff.changes == ["action a changes", "action d is new", "action b is gone"])
}

// Guardrails of every kind and promotion gates, as a config writes them: what they mean, and what is said of
// those that mean nothing.

import ConfigSamples
import Metrics
import Platform
import Rollout
import Testing

@testable import Config

/// A model with values, health checks and these guardrails.
private func sample(_ guardrails: String) -> ConfigSample {
    .file(
        """
        state_dir: /tmp/s
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            versions:
              v1: { endpoints: ["127.0.0.1:9001"] }
              v2: { endpoints: ["127.0.0.1:9002"], health_check: { path: /ok } }
            stable: v1
            candidate: v2
            response_headers: { id: true }
            values: { score: { response: "$.score" }, cost: { response_header: x-cost } }
            guardrails:
        """ + guardrails.split(separator: "\n").map { "\n      - { \($0) }" }.joined())
}

private func specs(_ guardrails: String) throws -> [GuardrailSpec] {
    try sample(guardrails).config().models[0].guardrails
}

private func worse(_ ratio: Double, _ difference: Double = 0) -> GuardrailSpec.Rule {
    .sequentialWorseThanStable(rho: 1, materialRatio: ratio, materialDifference: difference)
}

@Test(
    "Every kind of guardrail means what it says",
    arguments: [
        (
            "kind: feedback, metric: clicks, window: 30m, worse_than_stable_by: 5%, higher_is: better",
            GuardrailSpec.Measure.feedback(FeedbackMetric(metric: "clicks", windowMillis: 1_800_000)),
            worse(1.05), "feedback_clicks_worse_than_stable"
        ),
        (
            "kind: feedback, metric: wait, window: 2s, worse_than_stable: true, higher_is: worse, max: 60",
            .feedback(
                FeedbackMetric(metric: "wait", windowMillis: 2_000, isHigherBetter: false, highest: 60)),
            worse(1.05), "feedback_wait_worse_than_stable"
        ),
        ("kind: drift, value: score", .drift(value: "score"), .sequentialDrift(psi: 0.2), "drift_score"),
        (
            "kind: drift, value: score, against: stable, psi: 0.1", .drift(value: "score"),
            .sequentialDrift(psi: 0.1), "drift_score"
        ),
        (
            "kind: missing, value: score, above: 5%", .missing(value: "score"), .sequentialAbove(0.05),
            "missing_score_above"
        ),
        (
            "kind: missing, value: score, worse_than_stable_by: 2%", .missing(value: "score"),
            worse(1, 0.02), "missing_score_worse_than_stable"
        ),
        (
            "kind: confidence, value: score, below: 0.6", .confidence(value: "score"),
            .sequentialBelow(0.6), "confidence_score_below"
        ),
        (
            "kind: confidence, value: score, worse_than_stable_by: 0.05", .confidence(value: "score"),
            worse(1, 0.05), "confidence_score_worse_than_stable"
        ),
        (
            "kind: cost, value: cost, above: 0.002", .cost(value: "cost", cap: nil),
            .sequentialAbove(0.002), "cost_cost_above"
        ),
        (
            "kind: cost, value: cost, worse_than_stable: true, cap: 2.5", .cost(value: "cost", cap: 2.5),
            worse(1.2), "cost_cost_worse_than_stable"
        ),
        (
            "kind: burn_rate, slo: 99.9%, burn: 14.4, monthly_requests: 1000000", .errorRate,
            .sequentialBurn(budget: 0.001, burn: 14.4, monthlyRequests: 1_000_000), "burn_rate"
        ),
        (
            "kind: burn_rate, slo: 99.9%, burn: 14.4, window: 1h", .errorRate,
            .windowBurn(budget: 0.001, burn: 14.4), "burn_rate"
        ),
        ("kind: health, below: 50%, for: 10s", .health, .below(0.5), "health_below"),
    ])
private func kindsAreRead(
    _ text: String, _ measure: GuardrailSpec.Measure, _ rule: GuardrailSpec.Rule, _ name: String
) throws {
    let spec = try #require(try specs(text).first)
    #expect(spec.measure == measure)
    #expect(spec.rule == rule)
    #expect(spec.name == name)
    #expect(spec.action == .cut && !spec.isDryRun && spec.problem == nil)
}

@Test("A rule can be a dry run, hold instead of cut, and name its runbook and its time")
private func commonKeysAreRead() throws {
    let found = try specs(
        """
        kind: error_rate, above: 5%, dry_run: true, action: hold, runbook_url: "https://runbooks/errors"
        kind: latency, quantile: p99, time: first_byte, above: 1s, window: 5m
        kind: missing, value: score, above: 5%, for: 1m, alpha: 0.1%
        """)
    #expect(found[0].isDryRun && found[0].action == .hold)
    #expect(found[0].runbookURL == "https://runbooks/errors")
    #expect(found[1].time == .firstByte && found[1].rule == .windowAbove(1_000_000))
    #expect(found[1].name == "latency_first_byte_p99_above")
    #expect(found[2].forTicks == 600 && found[2].alpha == 0.001)
}

@Test(
    "A guardrail that cannot be watched is refused with what to write instead",
    arguments: [
        ("kind: drift, value: skore", ["unknown value 'skore'", "one of score, cost", "'score'?"]),
        ("kind: drift, quantile: p99, value: score", ["kind drift has no quantile", "value, against, psi"]),
        ("kind: drift", ["lacks 'value'"]),
        ("kind: outcome, metric: a, worse_than_stable: true", ["wrong value 'outcome'", "'feedback'?"]),
        ("kind: feedback, worse_than_stable: true", ["lacks 'metric'"]),
        ("kind: feedback, metric: a/b, worse_than_stable: true", ["wrong value 'a/b'", "a metric's name"]),
        ("kind: feedback, metric: a", ["says nothing", "one of worse_than_stable, worse_than_stable_by"]),
        ("kind: feedback, metric: a, worse_than_stable: true, min: 2", ["from a lower to a higher value"]),
        (
            "kind: feedback, metric: a, worse_than_stable: true, window: 9999h",
            ["wrong value '9999h'", "1s to 720h"]
        ),
        ("kind: confidence, value: score, below: 60%", ["wrong value '60%'", "such as 0.25"]),
        ("kind: confidence, value: score, below: 1.5", ["a floor lies between 0 % and 100 %"]),
        ("kind: missing, value: score, above: 5%, worse_than_stable: true", ["has both above and"]),
        ("kind: cost, value: cost, above: -1", ["wrong value '-1'", "a number above 0"]),
        ("kind: burn_rate, burn: 14.4", ["lacks 'slo'"]),
        ("kind: burn_rate, slo: 50%, burn: 3", ["burn times the budget"]),
        ("kind: burn_rate, slo: 99%, burn: 3, window: 1h, alpha: 1%", ["has both alpha and window"]),
        (
            "kind: burn_rate, slo: 99%, burn: 3, window: 1h, monthly_requests: 9",
            ["has both window and monthly_requests"]
        ),
        ("kind: health", ["lacks 'below'", "a percentage"]),
        ("kind: error_rate, above: 2%, alpha: 51%", ["wrong value '51%'"]),
        ("kind: error_rate, above: 2%, runbook_url: runbooks/x", ["a link that starts with https://"]),
        (
            "kind: latency, quantile: p99, time: upstream, worse_than_stable: true",
            ["judges the total time", "give a window"]
        ),
        ("kind: drift, value: score, against: /no/such.json", ["against: cannot be read"]),
    ])
private func badGuardrails(_ text: String, _ words: [String]) {
    let problems = sample(text).problems
    #expect(problems.count == 1, "\(problems)")
    for word in words { #expect(problems.first?.description.contains(word) == true, "\(problems)") }
}

@Test("Check says from how many requests on a rule speaks, of those that count requests only")
private func checkSaysFromWhen() throws {
    for (rule, end) in [
        ("kind: health, below: 1%, for: 1s", "below 1.0 % for 1 s while stable's is not\n"),
        ("kind: error_rate, above: 2%, for: 5m", ", over 1 m, from 100 requests\n"),
        ("kind: error_rate, worse_than_stable: true", ", alpha 1.0 %\n"),
    ] {
        let text = ConfigCheck.of(.success(try sample(rule).config()), file: "f").text
        #expect(text.contains(end), "\(text)")
        #expect(text.contains("from 100 requests") == end.contains("from 100 requests"), "\(text)")
    }
}

@Test("A health guardrail over a candidate that nobody checks is refused")
private func uncheckedHealth() {
    let problems = ConfigSample.model("guardrails: [{ kind: health, below: 50% }]").problems
    #expect(problems.first?.description.contains("has no health_check") == true, "\(problems)")
}

@Test("A reference file is read as a histogram with or without outer edges, or as values, and else refused")
private func references() throws {
    let inner = try DriftReference.parse([UInt8](#"{"bins":[1,2],"counts":[400,300,500]}"#.utf8)).get()
    let outer = try DriftReference.parse([UInt8](#"{"bins":[0,1,2,9],"counts":[400,300,500]}"#.utf8)).get()
    #expect(inner == outer && inner.edges == [1, 2] && inner.rows == 1200)
    let rows = (0..<2000).map { "\($0)" }.joined(separator: ",")
    #expect(try DriftReference.parse([UInt8]("{\"values\":[\(rows)]}".utf8)).get().counts.count == 10)
    for (text, word) in [
        ("", "not JSON"), ("[]", "neither"), (#"{"values":[1,"x"]}"#, "neither"),
        (#"{"values":[1]}"#, "bins"),
        (#"{"bins":[1],"counts":[0.5,2000]}"#, "whole numbers"),
        (#"{"bins":[1],"counts":[9,9]}"#, "1000 rows"),
        (#"{"bins":[2,1],"counts":[1,999,2]}"#, "ascend"), (#"{"bins":[1],"counts":[1e300,1]}"#, "whole"),
        (#"{"bins":[1,2,3,4],"counts":[500,600]}"#, "one count more"),
    ] {
        let found = DriftReference.parse([UInt8](text.utf8))
        guard case .failure(let problem) = found else {
            Issue.record("\(text) was accepted")
            continue
        }
        #expect(problem.what.contains(word), "\(problem.what)")
    }
}

/// Reads `gates` as a stage does.
private func gates(_ yaml: String) throws -> (gates: [GateSpec]?, problems: [ConfigProblem]) {
    let reading = Reading(file: "weir.yaml", resolve: { _, _ in .success([]) })
    let tree = try YAMLTree("gates: \(yaml)", file: "weir.yaml")
    let kind = Kind<[GateDraft]>.section("a stage") { $0.optional("gates", .gates) }
    let drafts = NodeReader(tree.root, path: "", schema: "", reading: reading).read(kind)
    return (drafts?.map(\.spec), reading.problems)
}

@Test("Gates mean what they say, and `not_worse_than_stable` stands for errors, answers and p99")
private func gatesAreRead() throws {
    let standard = try gates("not_worse_than_stable").gates
    #expect(standard == GateSpec.notWorseThanStable)
    #expect(
        try gates(
            """
            [{ kind: error_rate, margin: 0.5% }, { kind: non_2xx, margin: 1% },
             { kind: latency, quantile: p99, margin: 30% }]
            """
        ).gates == standard)
    let found = try gates(
        """
        [{ kind: feedback, metric: clicks, margin: 5% }, { kind: error_rate, below: 1% },
         { kind: missing, value: age }, { kind: drift, value: score, name: d }]
        """
    ).gates
    #expect(
        found == [
            GateSpec(
                name: "feedback_clicks_not_worse",
                metric: .feedback(FeedbackMetric(metric: "clicks", windowMillis: 1_800_000)), margin: 0.05),
            GateSpec(name: "error_rate_below", metric: .errorRateBelow, margin: 0.01),
            GateSpec(name: "missing_age_not_worse", metric: .missing(value: "age"), margin: 0.01),
            GateSpec(name: "d", metric: .drift(value: "score"), margin: 0),
        ])
}

@Test(
    "A gate that cannot be watched is refused",
    arguments: [
        ("not_worse", "not_worse_than_stable"), ("[]", "is empty"), ("[{ margin: 1% }]", "lacks 'kind'"),
        ("[{ kind: outcome, metric: a }]", "did you mean 'feedback'?"),
        ("[{ kind: latency }]", "lacks 'quantile'"), ("[{ kind: feedback }]", "lacks 'metric'"),
        ("[{ kind: error_rate, quantile: p99 }]", "has no quantile"),
        ("[{ kind: error_rate, margin: 1%, below: 1% }]", "has both"),
        ("[{ kind: error_rate, margin: 100% }]", "a margin of rates"),
        ("[{ kind: error_rate }, { kind: error_rate }]", "two gates have the name"),
    ])
private func badGates(_ yaml: String, _ words: String) throws {
    let problems = try gates(yaml).problems
    #expect(problems.contains { $0.description.contains(words) }, "\(problems)")
}

@Test("With sticky keys, sequential rules against stable count a key once; constants and windows as ever")
func stickyLatency() throws {
    let rules = """
        kind: latency, quantile: p99, worse_than_stable: true
        kind: latency, quantile: p99, above: 300ms
        kind: latency, quantile: p95, worse_than_stable_by: 30%, window: 1m
        kind: error_rate, worse_than_stable: true
        """
    #expect(try specs(rules).map(\.countsKeysOnce) == [false, false, false, false])
    let sticky = sample(rules).text.replacing(
        "stable: v1", with: "stable: v1\n    sticky: { keys: [client_address] }")
    #expect(
        try ConfigSample.file(sticky).config().models[0].guardrails.map(\.countsKeysOnce) == [
            true, false, false, true,
        ])
}

@Test(
    "Latency against stable tolerates pauses of versions with fewer than three endpoints, unless told not to")
func toleratesPauses() throws {
    let rules = """
        kind: latency, quantile: p99, worse_than_stable: true
        kind: latency, quantile: p50, worse_than_stable: true, tolerates: 0s
        kind: latency, quantile: p95, worse_than_stable: true, tolerates: 2s
        kind: error_rate, worse_than_stable: true
        kind: error_rate, above: 30%, tolerates: 5s
        """
    #expect(try specs(rules).map(\.toleratedTicks) == [50, 0, 20, 0, 50])
    let three = ["9001", "9002"].reduce(sample(rules).text) { text, port in
        text.replacing(
            "\"127.0.0.1:\(port)\"", with: "\"127.0.0.1:\(port)\", \"[::1]:1\", \"[::1]:2\"")
    }
    #expect(
        try ConfigSample.file(three).config().models[0].guardrails.map(\.toleratedTicks) == [
            0, 0, 20, 0, 50,
        ])
    let window = sample("kind: latency, quantile: p99, above: 1s, window: 1m, tolerates: 5s").problems
    #expect(window.contains { $0.description.contains("tolerates goes with sequential rules") })
}

@Test("Latency against stable has a warm-up, which no other rule has")
func warmUp() throws {
    let rules = """
        kind: latency, quantile: p99, worse_than_stable: true
        kind: latency, quantile: p50, worse_than_stable: true, warm_up: 0
        kind: latency, quantile: p95, worse_than_stable: true, warm_up: 500
        kind: error_rate, worse_than_stable: true
        """
    #expect(try specs(rules).map(\.warmUpRequests) == [2000, 0, 500, 0])
    let constant = sample("kind: latency, quantile: p99, above: 1s, warm_up: 500").problems
    #expect(constant.contains { $0.description.contains("warm_up goes with sequential rules on latency") })
    let errors = sample("kind: error_rate, worse_than_stable: true, warm_up: 500").problems
    #expect(errors.contains { $0.description.contains("kind error_rate has no warm_up") })
}

@Test("What a rule against stable does without stable is alert, unless it says so; no other rule has it")
func withoutStable() throws {
    let rules = """
        kind: error_rate, worse_than_stable: true
        kind: latency, quantile: p50, worse_than_stable: true, without_stable: cut
        kind: non_2xx, worse_than_stable: true, without_stable: sleep
        kind: empty, worse_than_stable: true, action: alert, without_stable: hold
        """
    #expect(try specs(rules).map(\.withoutStable) == [.alert, .cut, .sleep, .hold])
    let constant = sample("kind: error_rate, above: 5%, without_stable: cut").problems
    #expect(constant.contains { $0.description.contains("without_stable goes with sequential rules") })
    let value = sample("kind: missing, value: score, worse_than_stable: true, without_stable: cut").problems
    #expect(value.contains { $0.description.contains("kind missing has no without_stable") })
}

@Test("Under sticky keys rules over values alert, unless they say what they do")
func valuesUnderStickyKeys() throws {
    let rules = """
        kind: drift, value: score
        kind: missing, value: score, worse_than_stable: true, action: cut
        kind: error_rate, worse_than_stable: true
        """
    let text = sample(rules).text
    #expect(
        try ConfigSample.file(text).config().models[0].guardrails.map(\.action) == [.cut, .cut, .cut])
    let sticky = text.replacing("stable: v1", with: "stable: v1\n    sticky: { keys: [client_address] }")
    #expect(
        try ConfigSample.file(sticky).config().models[0].guardrails.map(\.action) == [.alert, .cut, .cut])
}

@Test(
    "A rule over feedback needs responses that carry its id, and says where that is written",
    arguments: [
        Broken(
            .model("guardrails: [{ kind: feedback, metric: clicks, worse_than_stable: true }]"),
            [
                "9:18: models[0].guardrails[0]: looks at feedback, and no response carries the id",
                "expected `response_headers: { id: true }` in the model",
            ]),
        Broken(
            .model(
                "rollout: { stages: [{ weight: 5%, gates: [{ kind: feedback, metric: clicks }] }] }\n"
                    + "response_headers: { id: false }"),
            ["9:47: models[0].rollout.stages[0].gates[0]: looks at feedback"]),
        Broken(
            .model(
                "rollout: { stages: [{ weight: 5%, gates: [{ kind: feedback, metric: clicks }] }] }\n"
                    + "response_headers: { id: true }")),
    ])
private func feedbackNeedsIDs(_ broken: Broken) { broken.check() }

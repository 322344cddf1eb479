// The config of a demo, as a user would write it: two versions of one model, the split, and the guardrails
// that the scenario is about.
// Place: read by Weir's own loader; everything that a scenario asks of Weir stands here.
// Invariant: the text is valid for every scenario; ports are the kernel's choice.

import Platform

/// Writes the config.
enum DemoConfig {
    static let model = "recommender"
    static let stable = "v1"
    static let candidate = "v2"
    /// The metric that users' clicks are posted as.
    static let metric = "clicks"

    static func text(
        _ scenario: Scenario, stable stableAddress: SocketAddress, candidate candidateAddress: SocketAddress,
        stateFolder: String
    ) -> String {
        """
        admin: { listen: 127.0.0.1:0 }
        state_dir: \(stateFolder)
        # Verdicts over clicks wait for a window and for this.
        feedback: { grace: 1s }
        listeners:
          - listen: 127.0.0.1:0
        models:
          - name: \(model)
            match: { path_prefix: /v2/models/\(model) }
            versions:
              \(stable):
                endpoints: ["\(stableAddress)"]
                health_check: { path: /v2/health/ready, interval: 1s }
              \(candidate):
                endpoints: ["\(candidateAddress)"]
                health_check: { path: /v2/health/ready, interval: 1s }
                # A guardrail is to be seen at work; without it, ejection would often be faster.
                outlier_ejection: { consecutive_failures: 0 }
            stable: \(stable)
            candidate: \(candidate)
            timeouts: { first_byte: \(scenario == .tail ? "3s" : "1s") }
            \(lines(scenario).joined(separator: "\n    "))
            guardrails:
              \(guardrails(scenario).map { "- \($0)" }.joined(separator: "\n      "))
        """
    }

    /// What the scenario adds to the model.
    private static func lines(_ scenario: Scenario) -> [String] {
        switch scenario {
        case .errors, .slow, .hang, .flaky, .healthy: ["weights: { \(candidate): 10% }"]
        // Small differences take hundreds of the candidate's requests: it gets them sooner.
        case .trickle, .tail: ["weights: { \(candidate): 25% }"]
        case .clicks: ["weights: { \(candidate): 25% }", "response_headers: { id: true }"]
        case .drift:
            ["weights: { \(candidate): 25% }", "values: { score: { response: \"$.outputs[0].data[0]\" } }"]
        case .walk:
            [
                "rollout:", "  bake: 2s", "  hold_back: 5%", "  stages:",
                "    - { weight: 1%, min_requests: 20 }", "    - { weight: 5%, min_requests: 100 }",
                "    - { weight: 25%, gates: not_worse_than_stable }", "    - { weight: 100% }",
            ]
        }
    }

    private static func guardrails(_ scenario: Scenario) -> [String] {
        let errors = "{ kind: error_rate, worse_than_stable: true }"
        // Its versions have one endpoint each, whose pauses would be tolerated at the price of minutes.
        let latency = "{ kind: latency, quantile: p90, worse_than_stable_by: 50%, tolerates: 0s }"
        switch scenario {
        case .errors, .trickle, .slow, .hang, .flaky, .healthy, .walk: return [errors, latency]
        // A tail that grows by 30 % reaches a size of 30 % in half of all cases, and one of 15 % always. The
        // median is watched to show that it has no part in it.
        case .tail:
            return [
                errors, "{ kind: latency, quantile: p50, worse_than_stable_by: 15%, tolerates: 0s }",
                "{ kind: latency, quantile: p99, worse_than_stable_by: 15%, tolerates: 0s }",
            ]
        case .clicks:
            return [
                errors, latency,
                "{ kind: feedback, metric: \(metric), window: 2s, worse_than_stable_by: 10% }",
            ]
        case .drift: return [errors, latency, "{ kind: drift, value: score }"]
        }
    }
}

// A config as the machine has it: the file itself, the system's resolver, and `weir check` on a file.

import Config
import ConfigSamples
import Testing

@testable import Control

@Test("A missing file is a problem that names it")
private func missingFileIsTold() {
    guard case .failure(let problems) = ConfigLoader.load(path: "/nonexistent/weir.yaml") else {
        Issue.record("it was found")
        return
    }
    #expect(problems.description.hasPrefix("/nonexistent/weir.yaml: cannot be read: "))
    #expect(problems.description.contains("ENOENT"))
}

@Test("The system's resolver knows addresses and says why it does not know a name")
private func systemResolves() {
    #expect(ConfigLoader.systemNames("127.0.0.1", 80) == .success([.ip(.loopback, port: 80)]))
    guard case .failure(let failure) = ConfigLoader.systemNames("", 80) else {
        Issue.record("an empty name has an address")
        return
    }
    #expect(!failure.reason.isEmpty)
}

@Test("`weir check` ends with 0 and a summary of a good config")
private func checkSummarises() throws {
    let check = ConfigCheck.run(path: configTestRoot + "/deploy/weir.yaml", isForElsewhere: true)
    #expect(check.exitCode == 0)
    for line in [
        "model recommender: any host, path_prefix /v2/models/recommender",
        "  version v1.12 (stable): 95% to 127.0.0.1:9001, 127.0.0.1:9011",
        "  version v1.13 (candidate): 5% to 127.0.0.1:9002",
        "  shadow: v1.13, 10%", "  cohort staff: v1.13",
        "  guardrail error_rate_worse_than_stable: cut when error rate worse than stable by 1.5x",
        "error_rate_above: alert when error rate above 2.0 % for 5 m, over 1 m, from 200 requests",
        "model embeddings: embeddings.example, path_prefix /; any host, path /v1/embeddings",
        "  candidate by mlflow alias challenger of embeddings at https://mlflow.internal, every 10s",
        "    version 12: 2026-11-20", "  rollout of whichever the registry names, started by hand",
        "    stage 1: no users, 10% copied for 10m",
        "    stage 3: 25% for 30m, gates error_rate_not_worse and non_2xx_not_worse and latency_p99",
        "    bake: 1h, 5% held back", "    deadline: 168h after its start", "    ends: 2027-01-31T12:00:00",
        "    rollback window: guardrails cut until 24h after the promotion",
        "    blackout: fri 16:00 to mon 08:00 Europe/Berlin",
    ] { #expect(check.text.contains(line), "\(check.text)") }
}

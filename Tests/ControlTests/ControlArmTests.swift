// The control arm: what a file may say of it, what it takes and from whom, under which name it is seen, and
// that a candidate is compared with it and with nothing else of stable.

import ConfigSamples
import Metrics
import Platform
import Proxy
import Rollout
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let arm = "v1 (control)"

/// A model whose rollout has the stages and the control arm that are given.
private func rollout(_ control: String, stages: String = "[{ weight: 10%, hold: 1h }]") -> ConfigSample {
    .model("rollout: { stages: \(stages), control: \(control) }")
}

private let refused: [Broken] = [
    Broken(rollout("{}"), ["9:", "models[0].rollout.control: says neither share nor endpoints"]),
    Broken(rollout("{ share: 51% }"), ["9:", "models[0].rollout.control.share: wrong value '51%'"]),
    Broken(rollout("{ share: 0% }"), ["9:", "models[0].rollout.control.share: wrong value '0%'"]),
    Broken(
        .model("control: { share: 50% }"),
        ["9:5: models[0]: unknown key 'control'"]),
    Broken(
        rollout("{ endpoints: [127.0.0.1:9002] }"),
        [
            "9:", "models[0].rollout.control.endpoints: is an endpoint of v2 already: '127.0.0.1:9002'",
            "expected a server that runs v1",
        ]),
    Broken(
        rollout("{ endpoints: [127.0.0.1:9001] }"),
        ["9:", "models[0].rollout.control.endpoints: is an endpoint of v1 already: '127.0.0.1:9001'"]),
    Broken(
        rollout("{ endpoints: [127.0.0.1:8080] }"),
        ["9:", "models[0].rollout.control.endpoints: Weir itself listens on '127.0.0.1:8080'"]),
    Broken(
        rollout("{ share: 50% }", stages: "[{ shadow: 10%, hold: 1h }]"),
        ["9:", "models[0].rollout.control: no stage has a weight"]),
    Broken(
        .model(
            "guardrails: [{ kind: error_rate, above: 5% }]\n"
                + "rollout: { stages: [{ weight: 10%, hold: 1h }], control: { share: 50% } }"),
        [
            "10:", "models[0].rollout.control: no guardrail and no gate compares with stable",
            "expected a rule or a gate against stable, or no control arm",
        ]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:8080 }]
            models:
              - name: m
                stable: v1
                candidate: v2
                versions:
                  v1: { endpoints: [127.0.0.1:9001], max_in_flight: 1 }
                  v2: { endpoints: [127.0.0.1:9002] }
                rollout: { stages: [{ weight: 10% }], control: { share: 50% } }
            """),
        [
            "9:", "models[0].rollout.control: shares stable's servers, and stable's max_in_flight of 1",
            "expected a max_in_flight of at least 2 at v1, or endpoints",
        ]),
]

/// The plan where the candidate has been given a weight.
private func plan(_ config: Config, candidate ppm: UInt32) throws -> ModelPlan {
    var slots = SlotTable()
    let overrides = PlanOverrides(weights: ["m": ["v2": ppm]])
    return try PlanBuilder.plan(from: config, slots: &slots, overrides: overrides, epoch: 1).models[0]
}

@Suite struct ControlArmTests {
    @Test("A control arm that cannot be is refused at its place", arguments: refused)
    func refusals(_ broken: Broken) { broken.check() }

    @Test("An arm is stable's release under a name of its own; check says what it costs")
    func isRead() throws {
        let config = try rollout("{ share: 20% }").config()
        let model = config.models[0]
        #expect(model.versions.map(\.name) == ["v1", "v2", arm])
        #expect(model.versions[2].endpoints == model.versions[0].endpoints)
        #expect(model.role(of: arm) == .control && model.label(of: arm) == "v1")
        #expect(model.control?.sharePPM == 200_000 && model.control?.hasOwnEndpoints == false)
        let text = ConfigCheck.of(.success(config), file: "f").text
        #expect(text.contains("    control: v1 (control) takes as much of stable's traffic as the candidate"))
        #expect(text.contains("at most 20% of all requests") && text.contains("evidence comes slower"))
        #expect(text.contains("  version v1 (control): 0% to ") && !text.contains("(control) (control)"))
        let own = try rollout("{ endpoints: [127.0.0.1:9003] }").config().models[0]
        #expect(own.versions[2].endpoints.map(\.description) == ["127.0.0.1:9003"])
        #expect(own.control?.sharePPM == 500_000 && own.control?.hasOwnEndpoints == true)
        let gate = "[{ weight: 10%, gates: [{ kind: error_rate, margin: 1% }] }]"
        let gated = "guardrails: none\nrollout: { stages: \(gate), control: { share: 50% } }"
        #expect(try ConfigSample.model(gated).config().models[0].control != nil)
        let none = try ConfigSample.model("rollout: { stages: [{ weight: 10% }] }").config().models[0]
        #expect(none.control == nil && none.versions.count == 2)
        let diff = ConfigDiff(
            from: try ConfigSample.model("rollout: { stages: [{ weight: 10%, hold: 1h }] }").config(),
            to: config)
        #expect(diff.changes.contains { $0.contains("version \(arm) is new") })
    }

    @Test(
        "The arm has the candidate's weight, but not more than its share, nor than the rest of stable keeps",
        arguments: [1, 2, 3])
    func weights(_ seed: UInt64) throws {
        var random = Random64(seed: seed)
        for _ in 0..<100 {
            let share = UInt32(1 + random.below(50))
            let config = try rollout("{ share: \(share)% }").config()
            let ppm = UInt32(random.below(1_000_001))
            let model = try plan(config, candidate: ppm)
            let weights = model.versions.map(\.weightPPM)
            #expect(weights.reduce(0, +) == 1_000_000)
            #expect(weights[1] == ppm, "the candidate loses nothing")
            #expect(weights[0] + weights[2] == 1_000_000 - ppm, "stable's release has what it had")
            #expect(weights[2] == min(ppm, share * 10_000, (1_000_000 - ppm) / 2), "seed \(seed), \(ppm)")
            // What pages show is what the plan says.
            let decided: [String: UInt32] = ["v1": 1_000_000 - ppm, "v2": ppm]
            let shown = config.models[0].versions.map { config.models[0].weight(of: $0.name, under: decided) }
            #expect(shown == weights)
        }
    }

    @Test("A quarantined candidate has no control arm, and half of what is held back in a bake is the arm's")
    func edges() throws {
        let config = try rollout("{ share: 50% }").config()
        #expect(try plan(config, candidate: 990_000).versions.map(\.weightPPM) == [5_000, 990_000, 5_000])
        #expect(try plan(config, candidate: 0).versions.map(\.weightPPM) == [1_000_000, 0, 0])
        let weights = PlanBuilder.weights(
            of: config.models[0], asked: ["v2": 100_000, arm: 300_000], quarantined: ["v2"])
        #expect(weights == [1_000_000, 0, 0])
        let withdrawn = PlanBuilder.weights(
            of: config.models[0], asked: ["v2": 100_000], quarantined: [], isControlWithdrawn: true)
        #expect(withdrawn == [900_000, 100_000, 0])
    }

    @Test("Where an arm shares stable's servers, their bounds hold for both, and leave room for each")
    func bounds() throws {
        for bound in [0, 1, 2, 3, 7, 8, 64, 4_096, 1_000_000] {
            for ppm: UInt32 in [0, 1, 20_000, 500_000, 980_000, 999_999] {
                let (stable, control) = ControlArm.divided(bound, stablePPM: ppm)
                #expect(stable + control == bound)
                if bound > 1 { #expect(min(stable, control) >= max(1, bound / 8)) }
            }
        }
        let shared = try plan(rollout("{ share: 50% }").config(), candidate: 100_000).versions
        #expect(shared[0].inFlightMax + shared[2].inFlightMax == 4_096 && shared[1].inFlightMax == 4_096)
        #expect(shared[0].queueMax + shared[2].queueMax == 1_024)
        let idle = try plan(rollout("{ share: 50% }").config(), candidate: 0).versions
        #expect(idle[0].inFlightMax == 4_096)
        let own = try plan(rollout("{ endpoints: [127.0.0.1:9003] }").config(), candidate: 100_000).versions
        #expect(own.map(\.inFlightMax) == [4_096, 4_096, 4_096])
    }

    @Test("Cores tell clients and logs stable's name, and deal keys and ids by the arm's own")
    func names() throws {
        let config = try rollout("{ share: 50% }").config()
        var slots = SlotTable()
        let whole = try PlanBuilder.plan(from: config, slots: &slots, epoch: 1)
        let versions = whole.models[0].versions
        #expect(versions.indices.map(whole.models[0].label) == ["v1", "v2", "v1"])
        #expect(versions.map(\.name) == ["v1", "v2", arm])
        #expect(Set(versions.map(\.slot)).count == 3)
        #expect(Set(versions.flatMap(\.endpoints).map(\.slot)).count == 3, "connections of its own")
        let names = AccessNames(whole)
        #expect(names.version(UInt32(versions[2].slot)) == names.version(UInt32(versions[0].slot)))
    }
}

/// How many of ten requests fail: of stable without its arm, of the arm, of the candidate.
private struct Failures: Sendable, CustomTestStringConvertible {
    var stable: Int
    var control: Int
    var candidate: Int

    var testDescription: String { "\(stable), \(control), \(candidate) of ten" }
}

@Suite struct ControlComparisonTests {
    private static func yaml(_ control: String) -> String {
        World.yaml.replacing(
            "candidates: [v2, v3]\n    weights: { v2: 20%, v3: 10% }",
            with: """
                candidate: v2
                    guardrails: [{ kind: error_rate, worse_than_stable: true }]
                    rollout: { stages: [{ weight: 10%, hold: 1h }]\(control) }
                """)
    }

    /// A second of the stage that begins at once, then a minute with failures.
    private func world(_ failures: Failures, control: Bool) throws -> World {
        let world = try World(Self.yaml(control ? ", control: { share: 50% }" : ""))
        world.step(10)
        func pass(_ failures: Failures) {
            world.requests(0, 80, failing: 8 * failures.stable)
            world.requests(control ? 3 : 0, 10, failing: failures.control)
            world.requests(1, 10, failing: failures.candidate)
        }
        world.step(50) { pass(Failures(stable: 0, control: 0, candidate: 0)) }
        world.step(600) { pass(failures) }
        return world
    }

    private func isCut(_ world: World) -> Bool { world.loop.lastCuts["m"] != nil }

    @Test(
        "A candidate like its control arm is not cut, nor the arm withdrawn, whatever else fails in stable",
        arguments: [
            Failures(stable: 0, control: 0, candidate: 0), Failures(stable: 3, control: 0, candidate: 0),
            Failures(stable: 1, control: 1, candidate: 1), Failures(stable: 3, control: 3, candidate: 3),
        ])
    private func silent(_ failures: Failures) throws {
        let world = try world(failures, control: true)
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [800_000, 100_000, 0, 100_000])
        #expect(!isCut(world))
        #expect(!world.ledger.events.contains { $0.kind == .control })
        // A verb answers with the weights that status shows.
        let replies = Replies()
        world.loop.obey(AdminVerb(.hold, model: "m"), actor: "test", reply: replies.take)
        world.settle()
        let answered = try replies.json()["weights"]
        #expect(answered?["v1"]?.string == "80%" && answered?["v2"]?.string == "10%")
        #expect(answered?[arm]?.string == "10%")
    }

    @Test(
        "An arm worse than the rest of stable is withdrawn, and the candidate compared with the rest",
        arguments: [
            Failures(stable: 0, control: 3, candidate: 0), Failures(stable: 0, control: 3, candidate: 3),
            Failures(stable: 0, control: 10, candidate: 10), Failures(stable: 1, control: 4, candidate: 4),
        ])
    private func withdrawn(_ failures: Failures) throws {
        let world = try world(failures, control: true)
        let line = try #require(world.ledger.events.first { $0.kind == .control })
        #expect(line.reason.contains("the control arm is worse than the rest of stable"), "\(line.reason)")
        #expect(line.details.first { $0.name == "version" }?.value.string == arm)
        let weights = world.plane.last?.models[0].versions.map(\.weightPPM)
        #expect(isCut(world) == (failures.candidate > failures.stable))
        if isCut(world) {
            #expect(world.loop.lastCuts["m"]?.reason.contains("control arm") == false)
            #expect(weights == [1_000_000, 0, 0, 0])
        } else {
            #expect(weights == [900_000, 100_000, 0, 0])
        }
        #expect(world.ledger.events.count { $0.kind == .control } == 1)
        // A restart finds it withdrawn, and status says so.
        let again = try World(
            Self.yaml(", control: { share: 50% }"), saved: try #require(world.ledger.lastState))
        #expect(again.plane.last?.models[0].versions.map(\.weightPPM) == weights)
        let page = StatusPage.page(of: again)["models"]?[0]?["rollout"]?["control"]
        #expect(page?["withdrawn"]?["reason"]?.string == line.reason && page?["weight"]?.string == "0%")
    }

    @Test(
        "A candidate worse than its control arm is cut, also where the rest of stable is as bad as it is",
        arguments: [
            Failures(stable: 0, control: 0, candidate: 3), Failures(stable: 3, control: 0, candidate: 3),
            Failures(stable: 1, control: 1, candidate: 3),
        ])
    private func cut(_ failures: Failures) throws {
        let world = try world(failures, control: true)
        let record = try #require(world.loop.lastCuts["m"])
        #expect(record.versions == ["v2"])
        #expect(record.reason.contains("stable stands for its control arm"), "\(record.reason)")
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [1_000_000, 0, 0, 0])
        let line = try #require(world.ledger.events.first { $0.kind == .cut })
        let control = line.details.first { $0.name == "control" }?.value
        #expect(control?["version"]?.string == arm && control?["weight"]?.string == "10%")
    }

    @Test("Without an arm the same traffic is compared with all of stable, and reasons say nothing of an arm")
    func withoutArm() throws {
        let cold = try world(Failures(stable: 0, control: 3, candidate: 3), control: false)
        #expect(isCut(cold))
        #expect(cold.loop.lastCuts["m"]?.reason.contains("control") == false)
        #expect(try !isCut(world(Failures(stable: 3, control: 3, candidate: 3), control: false)))
    }

    @Test("Only the candidate that walks has an arm: another one is compared with stable")
    func others() throws {
        let text = Self.yaml(", candidate: v2, control: { share: 50% }").replacing(
            "candidate: v2\n    guardrails", with: "candidates: [v2, v3]\n    guardrails")
        let model = try World(text).model
        let split = SplitInForce(weights: [700_000, 100_000, 100_000, 100_000], shadow: nil)
        #expect(model.opponent(of: 1, split) == 3)
        #expect(model.opponent(of: 2, split) == 0)
        let copies = SplitInForce(weights: [1_000_000, 0, 0, 0], shadow: 1)
        #expect(model.opponent(of: 1, copies) == 0)
    }

    @Test("Latency is judged by the arm's own times: a candidate as cold as its arm is not cut")
    func latency() throws {
        let text = Self.yaml(", control: { share: 50% }").replacing(
            "kind: error_rate", with: "kind: latency, quantile: p50, tolerates: 0s")
        func isCut(candidate: UInt64) throws -> Bool {
            let world = try World(text)
            world.step(10)
            world.step(1_200) {
                world.requests(0, 80, micros: 5_000)
                world.requests(3, 10, micros: 12_000)
                world.requests(1, 10, micros: candidate)
            }
            let isCut = world.loop.lastCuts["m"] != nil
            if !isCut { #expect(world.model.reference.stableThresholds.allSatisfy { $0 > 9_000 }) }
            return isCut
        }
        #expect(try !isCut(candidate: 12_000))
        #expect(try isCut(candidate: 40_000))
    }
}

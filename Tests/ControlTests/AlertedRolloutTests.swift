// Rollouts whose candidate turns bad where its trips only alert: what holds them, what pages, ledger and
// `weir check` say of it. In virtual time.

import Metrics
import Payload
import Platform
import Rollout
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct AlertedRolloutTests {
    private static func yaml(_ rollout: String) -> String {
        World.yaml.replacing(
            "candidates: [v2, v3]\n    weights: { v2: 20%, v3: 10% }",
            with: "candidate: v2\n    rollout: { \(rollout) }")
    }

    /// Half of the traffic for the first stage, then by the weights in force; it fails once stable's last
    /// requests lie behind, for else the live comparison would see it.
    private func run(_ world: World, ticks: Int, failing: Int, until isOver: (RolloutPhase) -> Bool) {
        var ticksAtFull = 0
        for _ in 0..<ticks where !isOver(world.model.decided.phase) {
            let weight = world.model.decided.weights["v2"] ?? 0
            if weight > 900_000 { ticksAtFull += 1 }
            let failing = ticksAtFull > 50 ? failing : 0
            world.step {
                if weight < 1_000_000 { world.requests(0, weight > 900_000 ? 1 : 20) }
                world.requests(1, weight < 900_000 ? 20 : 40, failing: failing)
            }
        }
    }

    private func isPromoted(_ phase: RolloutPhase) -> Bool {
        if case .promoted = phase { true } else { false }
    }

    @Test("A candidate that turns bad at 100 % is not promoted by itself: status says why, and it alerts")
    func held() throws {
        let stages = "stages: [{ weight: 50%, min_requests: 1000 }, { weight: 100% }]"
        let world = try World(Self.yaml("\(stages), bake: 3m, hold_back: 0%"))
        run(world, ticks: 2_600, failing: 12, until: isPromoted)
        #expect(world.model.decided.phase == .baking)
        let model = StatusPage.page(of: world)["models"]?[0]
        let waits = model?["rollout"]?["waiting_for"]?.elements.compactMap(\.string) ?? []
        let words = "the guardrail error_rate_worse_than_stable, which fails: pinned"
        let own = waits.filter { $0.hasPrefix(words) }
        #expect(own.count == 1 && own[0].contains("it only alerts"), "\(waits)")
        #expect(world.ledger.events.contains { $0.kind == .alert })
        #expect(world.loop.snapshot.ledger["total"]?["alerts"]?.integer ?? 0 >= 1)
        #expect(world.ledger.lastState?.reports?.tallies["m"]?.alerts ?? 0 >= 1)
        let twin = try World(Self.yaml("\(stages), bake: 3m, hold_back: 0%"))
        run(twin, ticks: 2_600, failing: 0, until: isPromoted)
        #expect(isPromoted(twin.model.decided.phase))
        #expect(twin.loop.snapshot.ledger["total"]?["alerts"]?.integer == 0)
    }

    @Test("A stage's own rule at 100 % compares with stable by what the model's rules know of it, and cuts")
    func stageRule() throws {
        let rule = "{ kind: error_rate, worse_than_stable: true, without_stable: cut, name: mine }"
        let text = Self.yaml(
            "stages: [{ weight: 50%, min_requests: 1000 },"
                + " { weight: 100%, hold: 10m, guardrails: [\(rule)] }]")
        let world = try World(text)
        run(world, ticks: 2_600, failing: 12) { if case .cut = $0 { true } else { false } }
        #expect(world.loop.lastCuts["m"]?.guardrail == "mine")
        let check = ConfigCheck.of(.success(try World.config(text)), file: "f").text
        #expect(check.contains("      guardrail mine: cut when error rate worse than stable"), "\(check)")
        #expect(check.contains("      without stable traffic: watching: none; compared with"), "\(check)")
        #expect(!check.contains("NOTHING TO COMPARE WITH"))
    }

    @Test("Check says of a stage's rule at 100 % that nothing will be known to compare it with")
    func blindStage() throws {
        let rule = "{ kind: non_2xx, worse_than_stable: true, without_stable: cut }"
        let own = "guardrails: [{ kind: error_rate, worse_than_stable: true }]\n    rollout:"
        let text = Self.yaml("stages: [{ weight: 50% }, { weight: 100%, guardrails: [\(rule)] }]")
            .replacing("rollout:", with: own)
        let check = ConfigCheck.of(.success(try World.config(text)), file: "f")
        let words = "NOTHING TO COMPARE WITH: non_2xx_worse_than_stable sleeps in this stage"
        #expect(check.text.contains(words), "\(check.text)")
        let known = text.replacing("{ weight: 50% }", with: "{ weight: 50%, guardrails: [\(rule)] }")
        let fine = ConfigCheck.of(.success(try World.config(known)), file: "f")
        #expect(!fine.text.contains("NOTHING TO COMPARE WITH"), "\(fine.text)")
    }

    @Test("A promotion at 100 % without anything known of stable says so in its line, status and reason")
    func uncompared() throws {
        let world = try World(Self.yaml("stages: [{ weight: 100%, min_requests: 100 }]"))
        run(world, ticks: 100, failing: 0, until: isPromoted)
        #expect(isPromoted(world.model.decided.phase))
        let event = try #require(world.ledger.events.last { $0.kind == .promoted })
        let words = "promoted without comparison: no rule against stable"
        #expect(event.reason.contains(words), "\(event.reason)")
        let told = try #require(Notice(event))
        #expect(told.kind == .promote && told.reason == event.reason)
        let model = StatusPage.page(of: world)["models"]?[0]
        #expect(model?["promoted"]?["reason"]?.string == event.reason)
    }

    @Test("A reload says of a rule what it no longer knows of stable, and nothing where it knows it still")
    func reload() throws {
        func changes(_ old: String, _ new: String) throws -> [String] {
            func config(_ list: String) throws -> Config {
                try World.config(World.yaml.replacing("weights:", with: "\(list)\n    weights:"))
            }
            return ConfigDiff(from: try config(old), to: try config(new)).changes
                .filter { $0.contains("guardrail") }
        }
        let errors = "guardrails: [{ kind: error_rate, worse_than_stable: true, name: a }]"
        let start = "model m: guardrail a changes and starts with new evidence"
        #expect(try changes(errors, errors.replacing("name: a", with: "name: a, alpha: 3%")) == [start])
        let other = errors.replacing("error_rate", with: "non_2xx")
        let measures = start + ", also of stable as it was: it measures something else"
        #expect(try changes(errors, other) == [measures])
        let keyed = "sticky: { keys: [client_address] }\n    " + errors
        let lost = try changes(keyed, errors)
        #expect(lost.count == 1 && lost[0].contains("counted once per key and minute"), "\(lost)")
    }
}

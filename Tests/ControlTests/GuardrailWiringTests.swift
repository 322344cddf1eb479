// The newer guardrails in the control loop, in virtual time: what they are fed with comes from where it
// should, and a trip does what the rule says.

import Metrics
import Platform
import Proxy
import Rollout
import Testing

@testable import Control

@Suite struct GuardrailWiringTests {
    private static func yaml(_ guardrail: String) -> String {
        """
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - name: m
            versions:
              v1: { endpoints: ["127.0.0.1:9001"] }
              v2: { endpoints: ["127.0.0.1:9002", "127.0.0.1:9003"], health_check: { path: /ok } }
            stable: v1
            candidate: v2
            weights: { v2: 20% }
            guardrails: [{ \(guardrail) }]
        """
    }

    private func traffic(_ world: World) {
        world.requests(0, 80)
        world.requests(1, 20)
    }

    @Test("A candidate most of whose endpoints are unhealthy for the rule's time is cut")
    func health() throws {
        let world = try World(Self.yaml("kind: health, below: 75%, for: 2s"))
        world.step(20) { traffic(world) }
        #expect(world.model.readings[1]?.first?.candidate == 1)
        let slots = try #require(world.plane.last?.models[0].versions[1].endpoints.map(\.slot))
        world.loop.health[slots[1]] = false
        // Its checks go on to fail.
        world.loop.failedChecks[slots[1]] = Tick(number: .max)
        world.step(15) { traffic(world) }
        #expect(world.model.decided.phase == .split)
        world.loop.health[slots[1]] = true
        world.step(10) { traffic(world) }
        world.loop.health[slots[1]] = false
        world.step(25) { traffic(world) }
        #expect(world.loop.lastCuts["m"]?.guardrail == "health_below")
    }

    @Test(
        "A candidate that only a cohort or callers reach is cut when it dies, not before it has been there",
        arguments: [true, false])
    func reachedWithoutWeight(hasBeenThere: Bool) throws {
        let world = try World(
            Self.yaml("kind: health, below: 75%").replacing(
                "weights: { v2: 20% }",
                with: "cohorts: [{ name: staff, when: { path: { prefix: /s } }, version: v2 }]\n"
                    + "    weights: { v2: 0% }"))
        let slots = try #require(world.plane.last?.models[0].versions[1].endpoints.map(\.slot))
        for slot in slots {
            world.plane.setHealthy(slot, hasBeenThere)
            world.loop.health[slot] = hasBeenThere
        }
        let meter = world.model.meters[1][0]
        func run(_ ticks: Int, staff: Bool) {
            world.step(ticks) {
                world.requests(0, 80)
                guard staff else { return }
                world.plane.count(1)
                meter.start(tick: world.tick, weightPPM: 0, isPinned: true)
                meter.settle(start: world.tick, isPinned: true, outcome: .success, nanos: 5_000_000)
            }
        }
        run(20, staff: true)
        for slot in slots {
            world.loop.health[slot] = false
            world.loop.failedChecks[slot] = Tick(number: .max)
        }
        run(50, staff: true)
        let wasCut = world.loop.lastCuts["m"] != nil
        #expect(wasCut == hasBeenThere)
        let idle = try World(Self.yaml("kind: health, below: 75%").replacing("v2: 20%", with: "v2: 0%"))
        for slot in slots {
            idle.plane.setHealthy(slot, true)
            idle.loop.health[slot] = false
            idle.loop.failedChecks[slot] = Tick(number: .max)
        }
        idle.step(50) { idle.requests(0, 80) }
        #expect(idle.loop.lastCuts["m"] == nil)
    }

    @Test(
        "A window rule on one of the times looks at that time alone",
        arguments: [("upstream", true), ("first_byte", false), ("total", false)])
    func windowTimes(_ time: String, _ trips: Bool) throws {
        let world = try World(
            Self.yaml("kind: latency, time: \(time), quantile: p50, above: 100ms, window: 10s"))
        world.step(150) {
            traffic(world)
            for version in 0...1 {
                let meter = world.model.meters[version][0]
                meter.record(.firstByte, nanos: 2_000_000)
                meter.record(.upstream, nanos: version == 1 ? 300_000_000 : 3_000_000)
            }
        }
        #expect((world.loop.lastCuts["m"] != nil) == trips)
    }

    @Test("A dry run and a runbook stand in the readings")
    func readingsCarryTheRule() throws {
        let world = try World(
            Self.yaml("kind: error_rate, above: 5%, dry_run: true, runbook_url: \"https://runbooks/e\""))
        world.step(5) { traffic(world) }
        let reading = try #require(world.model.readings[1]?.first)
        #expect(reading.isDryRun && reading.runbookURL == "https://runbooks/e")
        world.step(50) {
            world.requests(0, 80)
            world.requests(1, 20, failing: 20)
        }
        #expect(world.model.readings[1]?.first?.verdict == .fail)
        #expect(world.loop.lastCuts["m"] == nil)
    }
}

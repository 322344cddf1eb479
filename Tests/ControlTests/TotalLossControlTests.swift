// A version that hangs while its clients leave, seen from control: whether stable can take its users, and
// what a report says of those who left.

import Metrics
import Platform
import Proxy
import Rollout
import Testing

@testable import Control

@Suite struct TotalLossControlTests {
    private static let checked = World.yaml.replacing(
        "v1: { endpoints: [\"127.0.0.1:9001\"] }",
        with: "v1: { endpoints: [\"127.0.0.1:9001\", \"127.0.0.1:9011\"], health_check: { path: /up } }")

    private func leave(_ world: World, _ count: Int, started: Tick? = nil) {
        let meter = world.model.meters[1][0]
        let weight = world.plane.last?.models[0].versions[1].weightPPM ?? 0
        world.plane.count(count)
        for _ in 0..<count {
            if started == nil { meter.start(tick: world.tick, weightPPM: weight, isPinned: false) }
            meter.count(.clientCancel)
            meter.evidence.settle(
                start: started ?? world.tick, isPinned: false, outcome: .clientCancel, events: .cancelled,
                micros: 50_000, known: [])
        }
    }

    /// A world in which v2 was promoted and has answered well for a while.
    private func promoted(_ yaml: String) throws -> World {
        let world = try World(yaml)
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20)
        }
        world.loop.obey(
            AdminVerb(.promote, model: "m", version: "v2", force: true), actor: "t", reply: { _ in })
        world.settle()
        world.step(100) { world.requests(1, 20) }
        #expect(world.model.decided.cutCount == 0)
        return world
    }

    private func stableSlots(_ world: World) -> [EndpointSlot] {
        world.loop.plan.models[0].versions[0].endpoints.map(\.slot)
    }

    private func status(_ world: World) -> JSON {
        StatusPage(
            snapshot: world.loop.snapshot,
            process: StatusPage.Process(
                state: "running", startedAtMicros: 0, now: world.wall, pid: 1, stateDir: "/tmp",
                listeners: [], cores: 1), counts: { _ in VersionCounts() }
        ).json["models"]?[0] ?? .null
    }

    private func hang(_ world: World, _ ticks: Int) {
        for _ in 0..<ticks where world.model.decided.cutCount == 0 { world.step { leave(world, 20) } }
    }

    @Test("A hang is not cut to a stable whose checks all fail, but told, and cut when an endpoint is back")
    func stableIsDown() throws {
        let world = try promoted(Self.checked)
        let slots = stableSlots(world)
        for slot in slots { world.plane.setHealthy(slot, false) }
        hang(world, 300)
        #expect(world.model.decided.cutCount == 0)
        #expect(world.ledger.events.count { $0.kind == .alert } == 1)
        let told = try #require(world.ledger.events.last { $0.kind == .alert })
        #expect(told.reason.contains("would cut, but stable v1 has no usable endpoint"))
        #expect(Notice(told)?.kind == .alert)
        #expect(status(world)["withheld_cuts"]?[0]?["version"]?.string == "v2")
        #expect(status(world)["withheld_cuts"]?[0]?["guardrail"]?.string == "outage")
        world.plane.setHealthy(slots[1], true)
        hang(world, 5)
        #expect(world.model.decided.cutCount == 1)
        #expect(status(world)["withheld_cuts"]?.elements.isEmpty == true)
    }

    @Test(
        "Twins: one endpoint that passes, checks that have said nothing, or none at all, withhold no cut",
        arguments: ["one", "silent", "unchecked"])
    func twins(_ what: String) throws {
        let world = try promoted(what == "unchecked" ? World.yaml : Self.checked)
        let slots = stableSlots(world)
        if what == "one" {
            world.plane.setHealthy(slots[0], false)
            world.plane.setHealthy(slots[1], true)
        }
        hang(world, 300)
        #expect(world.model.decided.cutCount == 1)
    }

    @Test("What was proven while stable was down is given up when it is back; a version that fails on is cut")
    func forfeited() throws {
        for isMended in [true, false] {
            let world = try promoted(Self.checked)
            let slots = stableSlots(world)
            for slot in slots { world.plane.setHealthy(slot, false) }
            world.step(150) { world.requests(1, 20, failing: 20) }
            #expect(world.model.decided.cutCount == 0)
            #expect(status(world)["withheld_cuts"]?.elements.count == 1)
            if isMended { world.step(200) { world.requests(1, 20) } }
            for slot in slots { world.plane.setHealthy(slot, true) }
            world.step(300) { world.requests(1, 20, failing: isMended ? 0 : 20) }
            #expect(world.model.decided.cutCount == (isMended ? 0 : 1))
        }
    }

    @Test("Who left without an answer was harmed, also after the cut; who left before the hang was not")
    func harmed() throws {
        let world = try promoted(World.yaml)
        // Impatient clients of the good time.
        world.step(100) {
            leave(world, 1)
            world.requests(1, 19)
        }
        let before = world.model.meters[1].reduce(into: VersionCounts()) { $1.read(into: &$0) }
        let meter = world.model.meters[1][0]
        hang(world, 300)
        #expect(world.model.decided.cutCount == 1)
        let counts = world.model.meters[1].reduce(into: VersionCounts()) { $1.read(into: &$0) }
        let left = counts[.clientCancel] - before[.clientCancel]
        let report = try #require(world.loop.snapshot.reports.last)
        #expect(report.measure == .unanswered && report.failures == 0)
        #expect(report.harmed >= left && report.harmed <= left + 20, "\(report.harmed), \(left)")
        #expect(report.firstBad != nil)
        let tick = world.tick
        for _ in 0..<3 { meter.start(tick: tick, weightPPM: 1_000_000, isPinned: false) }
        leave(world, 3, started: tick)
        world.step { world.requests(0, 100) }
        let later = try #require(world.loop.snapshot.reports.last)
        #expect(later.harmed == report.harmed + 3)
        #expect(later.sentence.contains("failed or were left without an answer"))
        #expect(ReportText.render(later.json).contains("left without an answer"))
    }
}

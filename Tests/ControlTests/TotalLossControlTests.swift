// A version that hangs while its clients leave, seen from control: whether stable can take its users, and
// what a report says of those who left.

import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Testing

@testable import Control
@testable import Sidecar

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

    private func setStable(_ world: World, _ isHealthy: Bool) {
        for slot in stableSlots(world) { world.plane.setHealthy(slot, isHealthy) }
    }

    @Test("After a start a cut waits for the first verdict on stable, and pages say so; a rollback does not")
    func undecided() throws {
        for verdict in [true, false] {
            let world = try World(Self.checked)
            func fail(_ ticks: Int) {
                world.step(ticks) {
                    world.requests(0, 70)
                    world.requests(1, 20, failing: 20)
                }
            }
            func isTold() -> Bool { world.ledger.events.contains { $0.reason.contains("would cut") } }
            fail(100)
            #expect(world.model.decided.cutCount == 0 && !isTold())
            let reason = status(world)["withheld_cuts"]?[0]?["reason"]?.string ?? ""
            #expect(reason.contains("the checks of stable v1 have not decided yet"))
            #expect(world.loop.troubles.contains { $0.hasPrefix("m: v2 is not cut: ") })
            setStable(world, verdict)
            fail(300)
            #expect(world.model.decided.cutCount == (verdict ? 1 : 0))
            #expect(isTold() == !verdict)
        }
        let asked = try World(Self.checked)
        asked.loop.obey(
            AdminVerb(.rollback, model: "m", version: "v2"), actor: "t", reply: { _ in })
        asked.settle()
        #expect(asked.model.decided.cutCount == 1)
    }

    @Test("Checks that never decide are waited for as long as they need to, and for a minute at most")
    func patience() throws {
        var version = try World.config(Self.checked).models[0].versions[0]
        let start = Tick(number: 0)
        #expect(WatchedModel.stableAwaitedUntil(version, from: start)?.number == 171)
        version.healthCheck?.interval = .seconds(3_600)
        #expect(WatchedModel.stableAwaitedUntil(version, from: start)?.number == 601)
        version.healthCheck = nil
        #expect(WatchedModel.stableAwaitedUntil(version, from: start) == nil)
    }

    @Test("A window rule begins its window anew when stable is back: who has recovered is not cut")
    func windows() throws {
        let yaml = Self.checked.replacing(
            "weights:",
            with: "guardrails: [{ kind: error_rate, above: 5%, window: 10s, min_requests: 10 }]\n"
                + "    weights:")
        for isMended in [true, false] {
            let world = try World(yaml)
            setStable(world, true)
            world.step(50) {
                world.requests(0, 70)
                world.requests(1, 20)
            }
            setStable(world, false)
            // Ten seconds without word of stable.
            world.step(130) { world.requests(1, 20, failing: 20) }
            #expect(status(world)["withheld_cuts"]?.elements.count == 1)
            world.step(30) { world.requests(1, 20, failing: isMended ? 0 : 20) }
            #expect(world.model.decided.cutCount == 0)
            setStable(world, true)
            world.step(150) { world.requests(1, 20, failing: isMended ? 0 : 20) }
            #expect(world.model.decided.cutCount == (isMended ? 0 : 1))
        }
    }

    /// Requests that a cohort or a caller brings to v2.
    private func pinned(_ world: World, _ count: Int) {
        let meter = world.model.meters[1][0]
        let weight = world.plane.last?.models[0].versions[1].weightPPM ?? 0
        world.plane.count(count)
        for _ in 0..<count {
            meter.start(tick: world.tick, weightPPM: weight, isPinned: true)
            meter.settle(start: world.tick, isPinned: true, outcome: .upstreamError, nanos: 5_000_000)
        }
    }

    @Test(
        "Users without weight stay while stable is down, and are in the report of the cut, whoever sent them",
        arguments: [true, false])
    func cohort(hasCohort: Bool) throws {
        let cohorts = "cohorts: [{ name: staff, when: { path: { prefix: /s } }, version: v2 }]"
        let yaml = Self.checked.replacing(
            "weights: { v2: 20%, v3: 10% }",
            with: "weights: { v2: 0%, v3: 0% }\n    \(hasCohort ? cohorts + "\n    " : "")"
                + "guardrails: [{ name: errors, kind: error_rate, above: 5% }]")
        let world = try World(yaml)
        setStable(world, false)
        world.step(100) { pinned(world, 20) }
        #expect(world.model.decided.cutCount == 0)
        #expect(status(world)["withheld_cuts"]?[0]?["version"]?.string == "v2")
        setStable(world, true)
        for _ in 0..<300 where world.model.decided.cutCount == 0 { world.step { pinned(world, 20) } }
        #expect(world.model.decided.cutCount == 1)
        let report = try #require(world.loop.snapshot.reports.last)
        #expect(report.requests >= 2_000 && report.failures >= 2_000)
        #expect(report.harmed >= 2_000)
    }

    @Test("A candidate of a fixed split that fails its pre-flight checks is cut when stable is back")
    func preflight() throws {
        let world = try World(
            Self.checked.replacing(
                "weights:", with: "preflight: { identity: { path: /v, json: $.v } }\n    weights:"))
        func report(_ reading: PreflightReading, _ reason: String) {
            world.loop.take(PreflightReport(model: "m", candidate: "v2", reading: reading, reason: reason))
            world.step(3)
        }
        setStable(world, true)
        world.step(3)
        report(.passed, "right")
        setStable(world, false)
        world.step(1)
        report(.failed("it is v3"), "it is v3")
        #expect(world.model.decided.cutCount == 0)
        #expect(status(world)["withheld_cuts"]?[0]?["guardrail"]?.string == "preflight")
        world.step(20)
        let told = world.ledger.events.filter { $0.kind == .alert }
        #expect(told.map { $0.reason.hasPrefix("v2 is not cut: preflight would cut, but") } == [true])
        #expect(told.first.flatMap { Notice($0) }?.versions == ["v2"])
        setStable(world, true)
        world.step(3)
        #expect(world.model.decided.cutCount == 1)
        #expect(status(world)["withheld_cuts"]?.elements.isEmpty == true)
        // Who is let back is cut again by another verdict only.
        world.loop.obey(
            AdminVerb(.unquarantine, model: "m", version: "v2"), actor: "t", reply: { _ in })
        world.step(5)
        #expect(world.model.decided.quarantined["v2"] == nil)
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

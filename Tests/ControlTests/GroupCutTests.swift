// A group's cut that waits for a member's stable: what a restart shows of it, what people, reloads, dry runs
// and blackouts make of it meanwhile, and what a verb over such a member is told.

import Metrics
import Payload
import Proxy
import Rollout
import Testing

@testable import Control
@testable import Sidecar

@Suite struct GroupCutTests {
    private static let split = "candidate: v2\n    weights: { v2: 20% }"

    private static func yaml(_ b: String = split, groups: String = "groups: [{ name: g, models: [a, b] }]")
        -> String
    {
        """
        admin: { listen: 127.0.0.1:9902 }
        state_dir: /tmp/never-used
        listeners: [{ listen: 127.0.0.1:8080 }]
        \(groups)
        models:
          - name: a
            match: { path_prefix: /a }
            versions:
              v1: { endpoints: ["127.0.0.1:9001"] }
              v2: { endpoints: ["127.0.0.1:9002"] }
            stable: v1
            candidate: v2
            weights: { v2: 20% }
          - name: b
            match: { path_prefix: /b }
            versions:
              v1: { endpoints: ["127.0.0.1:9011"], health_check: { path: /up } }
              v2: { endpoints: ["127.0.0.1:9012"] }
              v3: { endpoints: ["127.0.0.1:9013"] }
            stable: v1
            \(b)
        """
    }

    private func traffic(_ world: World) {
        for m in 0..<2 {
            world.requests(0, 20, of: m)
            world.requests(1, 20, of: m)
        }
    }

    private func stable(_ world: World, isUp: Bool) {
        let slot = world.loop.plan.models[1].versions[0].endpoints[0].slot
        world.plane.setHealthy(slot, isUp)
        world.step(3) { traffic(world) }
    }

    @discardableResult
    private func obey(_ world: World, _ verb: AdminVerb) throws -> JSON {
        let replies = Replies()
        world.loop.obey(verb, actor: "ann", reply: replies.take)
        world.settle()
        return try replies.json()
    }

    /// `a` is cut, and `b` waits for its stable.
    private func pending(_ yaml: String = yaml()) throws -> World {
        let world = try World(yaml)
        stable(world, isUp: true)
        stable(world, isUp: false)
        try obey(world, AdminVerb(.rollback, model: "a"))
        world.step(3) { traffic(world) }
        try #require(world.loop.models.map(\.decided.cutCount) == [1, 0])
        return world
    }

    private func reload(_ world: World, _ yaml: String) throws {
        world.loop.reconfigure(
            Reconfiguration(config: try World.config(yaml), actor: "ann", reason: "", reply: nil))
        world.step(3)
    }

    private func lines(_ world: World) -> [String] {
        world.ledger.events.filter { $0.kind == .group }.map(\.reason)
    }

    private func isOpen(_ world: World) -> Bool {
        world.loop.models[1].decided.cutCount == 0 && world.loop.models[1].decided.quarantined.isEmpty
    }

    @Test("After a restart status and metrics still say which member the cut has not reached")
    func restart() throws {
        let before = try pending()
        let world = try World(Self.yaml(), saved: try #require(before.ledger.lastState))
        let slot = world.loop.plan.models[1].versions[0].endpoints[0].slot
        world.plane.setHealthy(slot, false)
        world.step(3) { traffic(world) }
        let uncut = StatusPage.page(of: world)["groups"]?.elements[0]["uncut"]?.elements ?? []
        #expect(uncut.compactMap { $0["model"]?.string } == ["b"])
        let page = world.loop.snapshot.metricsPage(
            cores: 1, core: CoreMeterSnapshot(), meters: { _ in VersionMeterSnapshot() }
        ).text(.openMetrics)
        #expect(page.contains("weir_group_uncut{group=\"g\"} 1"))
        stable(world, isUp: true)
        #expect(world.loop.models.map(\.decided.cutCount) == [1, 1])
        #expect(lines(world).last == "every model of group g is cut")
    }

    @Test("Nobody is cut for a cut that a person has lifted, and the journal says so")
    func lifted() throws {
        let world = try pending()
        try obey(world, AdminVerb(.unquarantine, model: "a", version: "v2"))
        try obey(world, AdminVerb(.resume, model: "a", force: true))
        stable(world, isUp: true)
        #expect(isOpen(world) && world.loop.saved.groupTrips.isEmpty)
        let said = "the cut of group g ends: cut-1 of a, which began it, was lifted; not cut for it: b"
        #expect(lines(world) == [said])
    }

    @Test(
        "A member that a person weighs by force or frees is left out, and the answer and the journal say so",
        arguments: [
            AdminVerb(.promote, model: "b", version: "v2", force: true),
            AdminVerb(.weights, model: "b", weights: ["v2": 600_000], force: true),
            AdminVerb(.unquarantine, model: "b", version: "v2"),
        ])
    func decided(verb: AdminVerb) throws {
        let world = try pending()
        let answer = try obey(world, verb)
        #expect(answer["answer"]?.string?.contains("the pending cut of group g leaves b out") == true)
        stable(world, isUp: true)
        world.step(10) { traffic(world) }
        #expect(isOpen(world) && world.loop.saved.groupTrips.isEmpty)
        let what = verb.word.rawValue + (verb.force ? " by force" : "")
        #expect(lines(world).contains("b is left out of the cut of group g: \(what), by ann"))
        #expect(lines(world).last == "the cut of group g is over; left out: b: \(what), by ann")
    }

    @Test("A member that a person rolls back is not cut again when its stable is back")
    func rolledBack() throws {
        let world = try pending()
        try obey(world, AdminVerb(.rollback, model: "b"))
        world.step(3) { traffic(world) }
        try obey(world, AdminVerb(.unquarantine, model: "b", version: "v2"))
        try obey(world, AdminVerb(.resume, model: "b", force: true))
        stable(world, isUp: true)
        #expect(world.loop.models.map(\.decided.cutCount) == [1, 1])
        #expect(world.loop.models[1].decided.weights["v2"] == 200_000)
        #expect(lines(world) == ["every model of group g is cut"])
    }

    @Test("What only changed on a disk that refused it changes nothing: the member is cut")
    func refused() throws {
        let world = try pending()
        world.ledger.set(.refused)
        let answer = try obey(world, AdminVerb(.promote, model: "b", version: "v2", force: true))
        #expect(answer["error"]?.string?.contains("nothing was changed") == true)
        world.ledger.set(.durable)
        stable(world, isUp: true)
        #expect(world.loop.models[1].decided.cutCount == 1)
    }

    @Test("No version is cut for another one's cut: a member with another candidate is left out")
    func otherCandidate() throws {
        let world = try pending()
        try reload(world, Self.yaml("candidate: v3\n    weights: { v3: 20% }"))
        stable(world, isUp: true)
        #expect(isOpen(world))
        #expect(
            lines(world).last
                == "the cut of group g is over; left out: b: its candidate is v3, and was v2 at that cut")
    }

    @Test("A reload without the group, or without the member in it, ends what was pending")
    func gone() throws {
        let world = try pending()
        try reload(world, Self.yaml(groups: ""))
        stable(world, isUp: true)
        #expect(isOpen(world) && world.loop.saved.groupTrips.isEmpty)
        #expect(
            lines(world).last
                == "the cut of group g ends: the config has no such group any more; not cut for it: b")
    }

    @Test("A verb that weighs a version whose cut waits needs force; one that does not says that it waits")
    func verbs() throws {
        let world = try pending()
        let more = try obey(world, AdminVerb(.weights, model: "b", weights: ["v2": 400_000]))
        #expect(more["ok"]?.bool == false && world.loop.models[1].decided.weights["v2"] == 200_000)
        let why = more["error"]?.string ?? ""
        #expect(why.hasPrefix("v2 is to be cut: group g would cut, but stable v1 has no usable"), "\(why)")
        let line = try #require(world.ledger.events.last { $0.kind == .verb })
        #expect(line.details.contains { $0.name == "answer" && $0.value.string == why })
        let promoted = try obey(world, AdminVerb(.promote, model: "b", version: "v2"))
        #expect(promoted["ok"]?.bool == false)
        let less = try obey(world, AdminVerb(.weights, model: "b", weights: ["v2": 100_000]))
        #expect(less["answer"]?.string?.contains("v2 is still to be cut: group g would cut") == true)
        stable(world, isUp: true)
        #expect(world.loop.models[1].decided.cutCount == 1)
    }

    @Test("A member in dry run, or in a blackout that only alerts, gets what these promise and no cut")
    func notInEarnest() throws {
        let stages = "stages: [{ weight: 50%, hold: 10m }, { weight: 100% }]"
        let dry = try pending(Self.yaml("candidate: v2\n    rollout: { \(stages), dry_run: true }"))
        stable(dry, isUp: true)
        #expect(isOpen(dry))
        let would = dry.ledger.events.filter { $0.kind == .wouldHave && $0.model == "b" }
        #expect(would.filter { $0.reason.contains("group g: a was cut (cut-1)") }.count == 1)
        let why = "its rollout is a dry run, so the cut is journaled only"
        #expect(lines(dry).last == "the cut of group g is over; left out: b: \(why)")

        let window = "[{ from: \"00:00\", to: \"23:59\", alert_only: true }]"
        let dark = try pending(Self.yaml("candidate: v2\n    rollout: { \(stages), blackout: \(window) }"))
        stable(dark, isUp: true)
        #expect(isOpen(dark))
        let alerts = dark.ledger.events.filter { $0.kind == .alert && $0.model == "b" }
        #expect(alerts.count == 1)
        #expect(alerts[0].reason.hasPrefix("v2 is not cut: group g would cut, but automation only alerts"))
    }
}

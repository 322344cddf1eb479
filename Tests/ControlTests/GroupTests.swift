// Models of a group under the control loop: up together in one durable entry, down together in one tick, and
// what is seen when disk or plan stand in the way.

import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Testing

@testable import Control
@testable import Sidecar

/// A seeded generator; the seed is in the test's argument.
private struct Dice {
    var state: UInt64

    mutating func below(_ n: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % n
    }

    mutating func chance(_ percent: UInt64) -> Bool { below(100) < percent }
}

@Suite struct GroupTests {
    private static let names = ["ranker", "embedder", "filter"]

    /// Three models whose group moves in another order than they stand in.
    private static func yaml(stages: String) -> String {
        var text = """
            admin: { listen: 127.0.0.1:9902 }
            state_dir: /tmp/never-used
            listeners: [{ listen: 127.0.0.1:8080 }]
            groups: [{ name: search, models: [filter, ranker, embedder] }]
            models:

            """
        for (i, name) in names.enumerated() {
            text += """
                  - name: \(name)
                    match: { path_prefix: /\(name) }
                    versions:
                      v1: { endpoints: ["127.0.0.1:90\(i)1"] }
                      v2: { endpoints: ["127.0.0.1:90\(i)2"] }
                    stable: v1
                    candidate: v2
                    rollout: { stages: \(stages) }

                """
        }
        return text
    }

    private static let stages =
        "[{ weight: 10%, hold: 1s, min_requests: 20 }, { weight: 50%, hold: 1s, min_requests: 20 }]"

    private func world() throws -> World { try World(Self.yaml(stages: Self.stages)) }

    private func traffic(_ world: World, _ model: Int, failing: Int = 0) {
        world.requests(0, 20, of: model)
        world.requests(1, 20, failing: failing, of: model)
    }

    private func weights(_ world: World) -> [UInt32] {
        world.plane.last?.models.map { $0.versions[1].weightPPM } ?? []
    }

    private func status(_ world: World) -> JSON { StatusPage.page(of: world) }

    @Test("Members enter a stage in one entry, in the declared order, and one plan shows it")
    func together() throws {
        let world = try world()
        world.step(2)
        #expect(weights(world) == [100_000, 100_000, 100_000])
        world.step(30) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [500_000, 500_000, 500_000])
        #expect(world.trace.all.filter { $0 == "post stage,stage,stage" }.count == 2)
        let stages = world.ledger.events.filter { $0.kind == .stage }
        #expect(stages.map(\.model) == ["filter", "ranker", "embedder", "filter", "ranker", "embedder"])
    }

    @Test("A member without evidence holds the others, and status says who and why")
    func holds() throws {
        let world = try world()
        world.step(60) {
            traffic(world, 0)
            traffic(world, 1)
            world.requests(0, 20, of: 2)
        }
        #expect(weights(world) == [100_000, 100_000, 100_000])
        let waiting = status(world)["models"]?.elements[0]["rollout"]?["waiting_for"]?.elements ?? []
        #expect(
            waiting.compactMap(\.string) == [
                "model filter of group search: stage 1 of 2, 20 more requests of 20"
            ])
        world.step(30) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [500_000, 500_000, 500_000])
    }

    @Test("A paused member holds the others until it is resumed")
    func paused() throws {
        let world = try world()
        let replies = Replies()
        world.step(5) { for m in 0..<3 { traffic(world, m) } }
        world.loop.obey(AdminVerb(.pause, model: "embedder"), actor: "test", reply: replies.take)
        world.step(60) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [100_000, 100_000, 100_000])
        world.loop.obey(AdminVerb(.resume, model: "embedder"), actor: "test", reply: replies.take)
        world.step(30) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [500_000, 500_000, 500_000])
    }

    @Test("A step that the disk refuses is taken by nobody; it is tried again when the disk works")
    func refusedStep() throws {
        let world = try world()
        world.step(8) { for m in 0..<3 { traffic(world, m) } }
        world.ledger.set(.refused)
        world.step(30) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [100_000, 100_000, 100_000])
        let places = Set(world.loop.models.map { $0.decided.climb?.place })
        #expect(places == [.stage(0)])
        world.ledger.set(.durable)
        world.step(30) { for m in 0..<3 { traffic(world, m) } }
        #expect(weights(world) == [500_000, 500_000, 500_000])
    }

    @Test("A cut of one is everyone's in its tick, in the declared order, and is over when all is durable")
    func cut() throws {
        let world = try world()
        world.step(8) { for m in 0..<3 { traffic(world, m) } }
        while world.loop.models[0].decided.cutCount == 0, world.tick.number < 10_200 {
            world.step(1) { for m in 0..<3 { traffic(world, m, failing: m == 0 ? 20 : 0) } }
        }
        #expect(world.loop.models.map(\.decided.cutCount) == [1, 1, 1])
        let cuts = world.ledger.events.filter { $0.kind == .cut }
        #expect(cuts.map(\.model) == ["ranker", "filter", "embedder"])
        #expect(status(world)["groups"]?.elements[0]["uncut"]?.elements.count == 3)
        let counted = world.loop.snapshot.ledger["total"]?["cuts"]
        #expect(counted?.members.count == 2 && counted?["group"]?.integer == 2)
        #expect(Set(world.loop.snapshot.cuts.map(\.guardrail)).contains("group"))
        world.step(2)
        #expect(weights(world) == [0, 0, 0])
        #expect(status(world)["groups"]?.elements[0]["uncut"]?.elements.isEmpty == true)
        #expect(
            world.ledger.events.last { $0.kind == .group }?.reason == "every model of group search is cut")
    }

    private func rollback(_ world: World) {
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "ranker"), actor: "test", reply: replies.take)
    }

    @Test("A member whose stable is down is cut when that is back, and pages say that it is not cut")
    func heldUp() throws {
        let endpoint = "v1: { endpoints: [\"127.0.0.1:9011\"]"
        let world = try World(
            Self.yaml(stages: Self.stages).replacing(
                "\(endpoint) }", with: "\(endpoint), health_check: { path: /up } }"))
        let slot = world.loop.plan.models[1].versions[0].endpoints[0].slot
        world.plane.setHealthy(slot, true)
        world.step(7) { for m in 0..<3 { traffic(world, m) } }
        world.plane.setHealthy(slot, false)
        world.step(1) { for m in 0..<3 { traffic(world, m) } }
        rollback(world)
        world.step(4) { for m in 0..<3 { traffic(world, m) } }
        #expect(world.loop.models.map(\.decided.cutCount) == [1, 0, 1])
        #expect(weights(world)[1] > 0 && weights(world)[0] == 0 && weights(world)[2] == 0)
        let uncut = status(world)["groups"]?.elements[0]["uncut"]?.elements ?? []
        #expect(uncut.compactMap { $0["model"]?.string } == ["embedder"])
        #expect(uncut.first?["reason"]?.string?.contains("stable v1 has no usable endpoint") == true)
        let waiting = status(world)["models"]?.elements[1]["withheld_cuts"]?.elements ?? []
        #expect(waiting.compactMap { $0["guardrail"]?.string } == ["group search"])
        let told = "embedder: v2 is not cut: group search would cut, but stable v1 has no usable endpoint"
        #expect(world.loop.troubles.contains { $0.hasPrefix(told) }, "\(world.loop.troubles)")
        let alerts = world.ledger.events.filter { $0.kind == .alert && $0.model == "embedder" }
        #expect(alerts.map { $0.reason.hasPrefix("v2 is not cut: group search would cut, but") } == [true])
        let notice = try #require(alerts.first.flatMap { Notice($0) })
        #expect(notice.kind == .alert && notice.versions == ["v2"] && notice.stable == "v1")
        world.plane.setHealthy(slot, true)
        world.step(3)
        #expect(world.loop.models.map(\.decided.cutCount) == [1, 1, 1])
        #expect(world.loop.troubles.isEmpty)
    }

    @Test("A group's cut that cannot be journaled is obeyed, shown as partial, and over when the disk works")
    func cutWithoutDisk() throws {
        let world = try world()
        world.step(8) { for m in 0..<3 { traffic(world, m) } }
        world.ledger.set(.refused)
        world.ledger.report(.degraded(reason: "ENOSPC"))
        rollback(world)
        world.step(5)
        #expect(weights(world) == [0, 0, 0])
        let uncut = status(world)["groups"]?.elements[0]["uncut"]?.elements ?? []
        #expect(uncut.compactMap { $0["model"]?.string } == ["filter", "ranker", "embedder"])
        #expect(uncut.first?["reason"]?.string?.contains("ENOSPC") == true)
        let page = world.loop.snapshot.metricsPage(
            cores: 1, core: CoreMeterSnapshot(), meters: { _ in VersionMeterSnapshot() }
        ).text(.openMetrics)
        #expect(page.contains("weir_group_uncut{group=\"search\"} 3"))
        world.ledger.set(.durable)
        world.ledger.report(.restored)
        world.step(3)
        #expect(status(world)["groups"]?.elements[0]["uncut"]?.elements.isEmpty == true)
    }

    @Test("Lines that a full ledger had no room for are posted when it has, in their order")
    func fullLedger() throws {
        let world = try world()
        world.step(8) { for m in 0..<3 { traffic(world, m) } }
        world.ledger.set(.full)
        rollback(world)
        world.step(5)
        #expect(weights(world) == [0, 0, 0])
        #expect(!world.ledger.events.contains { $0.kind == .cut })
        let uncut = status(world)["groups"]?.elements[0]["uncut"]?.elements ?? []
        #expect(uncut.first?["reason"]?.string?.contains("the disk is too slow") == true)
        world.ledger.set(.durable)
        world.step(3)
        let cuts = world.ledger.events.filter { $0.kind == .cut }
        #expect(cuts.map(\.model) == ["ranker", "filter", "embedder"])
        #expect(
            world.ledger.lastState?.models.values.allSatisfy { $0.rollout.quarantined["v2"] != nil } == true)
        #expect(status(world)["groups"]?.elements[0]["uncut"]?.elements.isEmpty == true)
    }

    @Test("While no plan can be built with a cut, its bars stay up; it is built as soon as it can be")
    func noPlan() throws {
        let world = try world()
        world.step(8) { for m in 0..<3 { traffic(world, m) } }
        let config = world.loop.config
        // A config that makes the cut version stable has no plan.
        world.loop.config.models[0].stable = "v2"
        rollback(world)
        world.step(5)
        #expect(world.plane.barred == [0: 2, 1: 2, 2: 2])
        #expect(world.loop.planFailures > 0)
        #expect(status(world)["plan_trouble"]?.string?.contains("v2") == true)
        let uncut = status(world)["groups"]?.elements[0]["uncut"]?.elements ?? []
        #expect(uncut.count == 3 && uncut[0]["reason"]?.string?.contains("there is no plan") == true)
        world.loop.config = config
        world.step(2)
        #expect(world.plane.barred == [:])
        #expect(weights(world) == [0, 0, 0])
        #expect(status(world)["plan_trouble"]?.string == nil)
    }

    @Test(
        "Over seeds: every plan has all members at one weight, and a cut takes all of them", arguments: 0..<60
    )
    func seeds(seed: Int) throws {
        let world = try World(
            Self.yaml(
                stages: "[{ weight: 5%, hold: 1s, min_requests: 20 }, { weight: 20%, hold: 500ms }, "
                    + "{ weight: 50%, hold: 2s, min_requests: 40 }]"))
        var dice = Dice(state: UInt64(seed))
        let replies = Replies()
        for _ in 0..<150 {
            let silent = dice.below(6)
            let bad = dice.chance(2) ? Int(dice.below(3)) : -1
            if dice.chance(4) {
                let verb: AdminVerb.Word = dice.chance(30) ? .pause : .resume
                let model = Self.names[Int(dice.below(3))]
                world.loop.obey(AdminVerb(verb, model: model), actor: "test", reply: replies.take)
            }
            if dice.chance(3) { world.ledger.set(dice.chance(50) ? .refused : .held) }
            if dice.chance(20) {
                world.ledger.set(.durable)
                world.ledger.release()
            }
            world.step(1) {
                for m in 0..<3 where UInt64(m) != silent { traffic(world, m, failing: m == bad ? 20 : 0) }
            }
            let cuts = Set(world.loop.models.map(\.decided.cutCount))
            #expect(cuts.count == 1, "seed \(seed): cut in part")
            #expect(Set(weights(world)).count == 1, "seed \(seed): \(weights(world))")
            if cuts.count > 1 || Set(weights(world)).count > 1 { return }
        }
    }
}

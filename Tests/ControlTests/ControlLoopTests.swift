// The control loop in virtual time: what trips, in which order things happen, and what survives.

import Metrics
import Platform
import Proxy
import Rollout
import Testing

@testable import Control

@Suite struct ControlLoopTests {
    /// Healthy traffic in the ratio of the weights.
    private func healthy(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20)
        world.requests(2, 10)
    }

    private func failing(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20, failing: 10)
        world.requests(2, 10)
    }

    @Test("Healthy versions are never cut, and no plan is published for them")
    func healthyStays() throws {
        let world = try World()
        world.step(600) { healthy(world) }
        #expect(!world.trace.all.contains { $0.hasPrefix("cut") || $0.hasPrefix("publish") })
        #expect(world.model.decided.phase == .split)
        #expect(world.model.readings[1]?.isEmpty == false)
    }

    @Test(
        "A failing candidate is cut within a second: switch, then journal, then plan, then no switch"
    )
    func cutOrder() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.trace.clear()
        world.step(10) { failing(world) }
        let cut = try #require(world.trace.all.firstIndex(of: "cut 0 2"))
        let post = try #require(world.trace.all.firstIndex { $0.hasPrefix("post cut") })
        let publish = try #require(world.trace.all.firstIndex { $0.hasPrefix("publish") })
        let clear = try #require(world.trace.all.firstIndex(of: "clear 0"))
        #expect(cut < post && post < publish && publish < clear)
        let plan = try #require(world.plane.last?.models[0])
        #expect(plan.versions.map(\.weightPPM) == [1_000_000, 0, 0])
        #expect(plan.versions.map(\.isQuarantined) == [false, true, false])
        let saved = try #require(world.ledger.lastState?.models["m"]?.rollout)
        #expect(saved.quarantined["v2"] != nil)
        #expect(world.loop.lastCuts["m"]?.guardrail == "error_rate_worse_than_stable")
    }

    @Test("A cut waits for no disk: while the ledger is silent the switch is up and no plan shows it yet")
    func cutWithSilentDisk() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.trace.clear()
        world.ledger.set(.held)
        world.step(20) { failing(world) }
        #expect(world.plane.barred == [0: 2])
        #expect(!world.trace.all.contains { $0.hasPrefix("publish") })
        world.ledger.release()
        world.settle()
        #expect(world.plane.last?.models[0].versions[1].isQuarantined == true)
        #expect(world.plane.barred == [:])
    }

    @Test("A cut that cannot be journaled is obeyed all the same, kept for the journal, and said")
    func cutWithRefusingDisk() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.ledger.set(.refused)
        world.ledger.report(.degraded(reason: "ENOSPC"))
        world.step(20) { failing(world) }
        #expect(world.plane.last?.models[0].versions[1].isQuarantined == true)
        #expect(world.loop.isLedgerDegraded == "ENOSPC")
        #expect(world.loop.ledgerFailures > 0)
        #expect(world.loop.snapshot.journalTrouble == "ENOSPC")
    }

    @Test("The switch stays up until every core obeys the plan that says the same")
    func switchOutlivesPlan() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.plane.setObeysAtOnce(false)
        world.step(20) { failing(world) }
        #expect(world.plane.barred == [0: 2])
        world.plane.setObeysAtOnce(true)
        world.settle()
        #expect(world.plane.barred == [:])
    }

    @Test("After a cut, stable's good traffic is journaled as recovery")
    func recovery() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.step(20) { failing(world) }
        world.step(100) { world.requests(0, 100) }
        #expect(world.model.decided.recovery == .recovered)
        #expect(world.ledger.events.contains { $0.kind == .recovery })
    }

    @Test("Guardrails cut a paused model too")
    func pausedCuts() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(AdminVerb(.pause, model: "m"), actor: "test", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(world.model.decided.phase == .paused)
        world.step(50) { healthy(world) }
        world.step(20) { failing(world) }
        guard case .cut = world.model.decided.phase else {
            Issue.record("\(world.model.decided.phase)")
            return
        }
    }

    @Test("After a restart from the saved state a quarantined version has no weight and stays barred")
    func restart() throws {
        let first = try World()
        first.step(50) { healthy(first) }
        first.step(20) { failing(first) }
        let saved = try #require(first.ledger.lastState)
        let bytes = saved.encoded()
        let second = try World(saved: try SavedState.decoded(bytes, path: "rollouts.json"))
        let plan = try #require(second.plane.last?.models[0])
        #expect(plan.versions.map(\.weightPPM) == [1_000_000, 0, 0])
        #expect(plan.versions[1].isQuarantined)
        second.step(50) { second.requests(0, 100) }
        #expect(second.model.watches[1] == nil)
        #expect(second.model.decided.quarantined["v2"] != nil)
    }

    @Test("Evidence survives a restart: a watch goes on from what it had")
    func evidenceSurvives() throws {
        let first = try World()
        first.step(200) { healthy(first) }
        let saved = try #require(first.ledger.lastState)
        #expect(saved.models["m"]?.watches["v2"] != nil)
        let second = try World(saved: saved)
        let fresh = CandidateWatch(specs: second.model.config.guardrails, from: second.tick)
        #expect(second.model.saved(at: second.loop.clocks).watches["v2"] != fresh.saved)
    }

    @Test("A reload that writes weight for a quarantined version gives it none")
    func reloadKeepsQuarantine() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.step(20) { failing(world) }
        let replies = Replies()
        let changed = try World.config(World.yaml.replacing("v2: 20%", with: "v2: 60%"))
        world.loop.reconfigure(
            Reconfiguration(config: changed, actor: "test", reason: "", reply: replies.take))
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [1_000_000, 0, 0])
        #expect(world.plane.last?.models[0].versions[1].isQuarantined == true)
    }

    @Test("A model that leaves the config and comes back is still quarantined")
    func removedModelRemembers() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.step(20) { failing(world) }
        let other = try World.config(World.yaml.replacing("name: m\n", with: "name: other\n"))
        world.loop.reconfigure(Reconfiguration(config: other, actor: "test", reason: "", reply: nil))
        world.settle()
        #expect(world.plane.last?.models[0].name == "other")
        world.loop.reconfigure(
            Reconfiguration(config: try World.config(), actor: "test", reason: "", reply: nil))
        world.settle()
        #expect(world.plane.last?.models[0].versions[1].isQuarantined == true)
    }

    @Test(
        "A reload that needs a restart, or makes a quarantined version stable, changes nothing and says why")
    func refusedReloads() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.step(20) { failing(world) }
        let epoch = world.loop.plan.epoch
        for text in [
            World.yaml.replacing("127.0.0.1:8080", with: "127.0.0.1:8081"),
            World.yaml.replacing("stable: v1", with: "stable: v2")
                .replacing("candidates: [v2, v3]", with: "candidates: [v1, v3]")
                .replacing("v2: 20%, v3: 10%", with: "v3: 10%"),
        ] {
            let replies = Replies()
            world.loop.reconfigure(
                Reconfiguration(
                    config: try World.config(text), actor: "test", reason: "", reply: replies.take))
            world.settle()
            #expect(replies.last?.status == 422)
            #expect(world.loop.plan.epoch == epoch)
        }
        #expect(world.ledger.events.filter { $0.kind == .configRefused }.count == 2)
    }

    @Test("A single request wakes a resting model within four ticks, whichever tick it falls into")
    func wakes() throws {
        for offset in 0..<8 {
            let world = try World()
            world.step(700 + offset)
            #expect(world.model.isResting)
            world.requests(0, 1)
            world.step(5)
            #expect(!world.model.isResting, "offset \(offset)")
        }
    }

    @Test("An idle model is not stepped, and wakes with its first request")
    func idle() throws {
        let world = try World()
        world.step(20) { healthy(world) }
        world.step(700)
        #expect(world.model.isResting)
        world.step(4) { healthy(world) }
        #expect(!world.model.isResting)
    }
}

@Suite struct VerbTests {
    private func weights(_ share: UInt32, id: String? = nil) -> AdminVerb {
        AdminVerb(.weights, model: "m", reason: "why", requestID: id, weights: ["v2": share])
    }

    @Test("A verb is answered after it is durable and every core obeys, not before")
    func answeredWhenTrue() throws {
        let world = try World()
        let replies = Replies()
        world.ledger.set(.held)
        world.plane.setObeysAtOnce(false)
        world.loop.obey(weights(50_000), actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.all.isEmpty)
        world.ledger.release()
        world.settle()
        #expect(replies.all.isEmpty)
        world.plane.setObeysAtOnce(true)
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [950_000, 50_000, 0])
        let event = try #require(world.ledger.events.last { $0.kind == .verb })
        #expect(event.actor == "ann" && event.reason == "why")
    }

    @Test("The same request id is obeyed once and answered alike, while it waits, later, and after a restart")
    func idempotent() throws {
        let world = try World()
        let replies = Replies()
        world.ledger.set(.held)
        world.loop.obey(weights(50_000, id: "r1"), actor: "ann", reply: replies.take)
        world.loop.obey(weights(50_000, id: "r1"), actor: "ann", reply: replies.take)
        world.ledger.set(.durable)
        world.ledger.release()
        world.settle()
        world.loop.obey(weights(50_000, id: "r1"), actor: "ann", reply: replies.take)
        #expect(replies.all.count == 3)
        #expect(Set(replies.all.map(\.body)).count == 1)
        #expect(world.ledger.events.filter { $0.kind == .verb }.count == 1)

        let after = try World(saved: try #require(world.ledger.lastState))
        let late = Replies()
        after.loop.obey(weights(50_000, id: "r1"), actor: "ann", reply: late.take)
        #expect(late.last?.body == replies.last?.body)
        #expect(after.ledger.events.filter { $0.kind == .verb }.isEmpty)
    }

    @Test("A request id that comes with another request is refused")
    func conflictingID() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(weights(50_000, id: "r1"), actor: "ann", reply: replies.take)
        world.settle()
        world.loop.obey(weights(60_000, id: "r1"), actor: "ann", reply: replies.take)
        #expect(replies.last?.status == 409)
        #expect(world.model.decided.weights["v2"] == 50_000)
    }

    @Test("Unknown models and versions are refused by name")
    func unknown() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "x"), actor: "ann", reply: replies.take)
        #expect(replies.last?.status == 404)
        world.loop.obey(
            AdminVerb(.weights, model: "m", weights: ["v9": 1]), actor: "ann", reply: replies.take)
        #expect(replies.last?.status == 422)
        world.loop.obey(
            AdminVerb(.promote, model: "m", version: "v9"), actor: "ann", reply: replies.take)
        #expect(replies.last?.status == 422)
    }

    @Test("While the disk refuses, verbs that give traffic change nothing; rollback is obeyed with a warning")
    func blind() throws {
        let world = try World()
        let replies = Replies()
        world.ledger.set(.refused)
        world.loop.obey(weights(500_000, id: "r2"), actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 503)
        #expect(world.model.decided.weights["v2"] == 200_000)
        #expect(world.loop.saved.answered.isEmpty)
        #expect(world.loop.plan.epoch == 1)

        world.ledger.report(.degraded(reason: "EROFS"))
        world.settle()
        world.loop.obey(weights(500_000), actor: "ann", reply: replies.take)
        #expect(replies.last?.status == 503)
        world.loop.obey(AdminVerb(.rollback, model: "m"), actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(try replies.json()["durable"]?.bool == false)
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [1_000_000, 0, 0])
    }

    @Test("A raise that turns out not to be durable is taken back, unless a cut came in between")
    func takenBack() throws {
        let world = try World()
        let replies = Replies()
        world.ledger.set(.held)
        world.loop.obey(weights(500_000), actor: "ann", reply: replies.take)
        world.settle()
        #expect(world.plane.last?.models[0].versions[1].weightPPM == 200_000)
        let id = try #require(world.ledger.lastEntry?.id)
        world.loop.obey(AdminVerb(.rollback, model: "m"), actor: "bob", reply: replies.take)
        world.ledger.report(.failed(id: id, reason: "EIO"))
        world.ledger.release()
        world.settle()
        #expect(replies.all.map(\.status) == [503, 200])
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [1_000_000, 0, 0])
    }

    @Test("A lift of quarantine that is not durable is taken back although a cut came in between")
    func quarantineTakenBack() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "m", version: "v2"), actor: "ann", reply: replies.take)
        world.settle()
        world.ledger.set(.held)
        world.loop.obey(
            AdminVerb(.unquarantine, model: "m", version: "v2"), actor: "ann", reply: replies.take)
        let id = try #require(world.ledger.lastEntry?.id)
        world.loop.obey(AdminVerb(.rollback, model: "m", version: "v3"), actor: "bob", reply: replies.take)
        world.ledger.set(.durable)
        world.ledger.report(.failed(id: id, reason: "EIO"))
        world.ledger.release()
        world.settle()
        #expect(replies.all.map(\.status) == [200, 503, 200])
        #expect(Set(world.model.decided.quarantined.keys) == ["v2", "v3"])
        #expect(world.plane.last?.models[0].versions.map(\.isQuarantined) == [false, true, true])
        #expect(
            Set(try #require(world.ledger.lastState?.models["m"]).rollout.quarantined.keys) == ["v2", "v3"])
    }

    @Test("A verb that no core obeys in time is told so")
    func neverObeyed() throws {
        let world = try World()
        let replies = Replies()
        world.plane.setObeysAtOnce(false)
        world.loop.obey(weights(50_000), actor: "ann", reply: replies.take)
        world.step(101)
        #expect(replies.last?.status == 504)
    }

    @Test("Reloads wait for the plan under way, in order, and a bounded number of them")
    func reloadsWait() throws {
        let world = try World()
        let replies = Replies()
        world.plane.setObeysAtOnce(false)
        world.loop.obey(weights(50_000), actor: "ann", reply: { _ in })
        world.settle()
        for i in 1...18 {
            let text = World.yaml.replacing("v2: 20%", with: "v2: \(20 + i)%")
            world.loop.reconfigure(
                Reconfiguration(
                    config: try World.config(text), actor: "test", reason: "", reply: replies.take))
        }
        #expect(replies.all.map(\.status) == [503, 503])
        world.plane.setObeysAtOnce(true)
        for _ in 0..<40 { world.settle() }
        #expect(replies.all.count == 18 && replies.all.dropFirst(2).allSatisfy { $0.status == 200 })
        #expect(world.model.decided.weights["v2"] == 360_000)
    }

    @Test("A rollback bars its candidates at once, and only a verb lets them back")
    func rollbackAndBack() throws {
        let world = try World()
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "m"), actor: "ann", reply: replies.take)
        #expect(world.trace.all.first == "cut 0 6")
        world.settle()
        world.loop.obey(
            AdminVerb(.weights, model: "m", weights: ["v2": 100_000]), actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 409)
        world.loop.obey(
            AdminVerb(.unquarantine, model: "m", version: "v2"), actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        world.loop.obey(
            AdminVerb(.weights, model: "m", weights: ["v2": 100_000], force: true), actor: "ann",
            reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(world.plane.last?.models[0].versions.map(\.weightPPM) == [900_000, 100_000, 0])
    }
}

@Suite struct SplitHistoryTests {
    private func at(_ number: UInt64) -> Tick { Tick(number: number) }

    @Test("A tick in which weights changed belongs to no split; those before and after to theirs")
    func change() {
        var history = SplitHistory(SplitInForce(weights: [70, 30], shadow: nil), at: at(10))
        #expect(history.weights(at: at(10)) == nil)
        #expect(history.weights(at: at(11)) == [70, 30])
        history.change(at: at(20))
        history.settle(at: at(22), SplitInForce(weights: [100, 0], shadow: nil))
        #expect(history.weights(at: at(19)) == [70, 30])
        for tick in 20...22 as ClosedRange<UInt64> { #expect(history.weights(at: at(tick)) == nil) }
        #expect(history.weights(at: at(23)) == [100, 0])
    }

    @Test("Changes inside one tick leave that tick unknown and the last weights in force")
    func twiceInATick() {
        var history = SplitHistory(SplitInForce(weights: [70, 30], shadow: nil), at: at(10))
        history.change(at: at(20))
        history.settle(at: at(20), SplitInForce(weights: [60, 40], shadow: nil))
        history.change(at: at(20))
        history.settle(at: at(20), SplitInForce(weights: [50, 50], shadow: nil))
        #expect(history.weights(at: at(19)) == [70, 30])
        #expect(history.weights(at: at(20)) == nil)
        #expect(history.weights(at: at(21)) == [50, 50])
    }
}

// That somebody is told when nobody is served: no version is cut for what all fail, and no page says that
// all is well.

import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Testing

@testable import Control
@testable import Sidecar

@Suite struct ServiceWatchTests {
    /// Requests of every version, so many of ten failing.
    private func traffic(_ world: World, stable: Int, candidates: Int) {
        world.requests(0, 70, failing: 7 * stable)
        world.requests(1, 20, failing: 2 * candidates)
        world.requests(2, 10, failing: candidates)
    }

    private func told(_ world: World) -> [JournalEvent.Kind] {
        world.ledger.events.map(\.kind).filter { $0 == .unserved || $0 == .served }
    }

    private func status(_ world: World) -> JSON { StatusPage.page(of: world)["models"]?[0] ?? .null }

    @Test("Where every version fails nothing is cut, and journal, readiness, status and sinks say so, once")
    func allFail() throws {
        let world = try World()
        world.step(50) { traffic(world, stable: 0, candidates: 0) }
        world.step(100) { traffic(world, stable: 10, candidates: 10) }
        #expect(world.model.decided.cutCount == 0)
        #expect(told(world) == [.unserved])
        let event = try #require(world.ledger.events.last { $0.kind == .unserved })
        #expect(event.reason.hasPrefix("users are not served: "), "\(event.reason)")
        #expect(event.reason.contains(" requests for v1 and "), "\(event.reason)")
        let notice = try #require(Notice(event))
        #expect(notice.kind == .unserved && notice.versions == ["v1", "v2", "v3"])
        #expect(notice.headline == "m: users are not served")
        let trouble = try #require(world.loop.troubles.first)
        #expect(trouble.hasPrefix("m: users are not served: "), "\(trouble)")
        #expect(trouble.contains("requests for v1"))
        #expect(status(world)["unserved"]?["failed"]?.integer ?? 0 >= 9_000)
        #expect(status(world)["unserved"]?["reason"]?.string?.contains("ended with 5xx") == true)

        world.step(30) { traffic(world, stable: 0, candidates: 0) }
        #expect(told(world) == [.unserved, .served])
        #expect(world.loop.troubles.isEmpty)
        #expect(status(world)["unserved"] == .null)
        #expect(world.model.decided.cutCount == 0)
    }

    @Test(
        "Twins: where stable answers, or one user in ten is served, or hardly anybody asked, nothing is said",
        arguments: [(0, 10), (9, 9), (10, 0)])
    func someAreServed(stable: Int, candidates: Int) throws {
        let world = try World()
        world.step(50) { traffic(world, stable: 0, candidates: 0) }
        world.step(100) { traffic(world, stable: stable, candidates: candidates) }
        #expect(told(world).isEmpty)
        let quiet = try World()
        quiet.step(9) { quiet.requests(0, 1, failing: 1) }
        quiet.step(300)
        #expect(told(quiet).isEmpty)
    }

    @Test("Few requests tell as many do: ten failures in a row, whatever time they take")
    func slowTraffic() throws {
        let world = try World()
        for _ in 0..<12 {
            world.requests(0, 1, failing: 1)
            world.step(300)
        }
        #expect(told(world) == [.unserved])
        // No request says nothing new; three answers do.
        #expect(status(world)["unserved"]?["requests"]?.integer ?? 0 >= 10)
        for answers in 1...4 {
            world.requests(0, 1)
            world.step(300)
            #expect((told(world).last == .served) == (answers >= 3))
        }
    }

    @Test("A hang that every client leaves is no service either; a stream that its clients end is")
    func clientsLeave() throws {
        for isAnswered in [false, true] {
            let world = try World()
            let meter = world.model.meters[0][0]
            world.step(100) {
                world.plane.count(10)
                for _ in 0..<10 {
                    meter.start(tick: world.tick, weightPPM: 700_000, isPinned: false)
                    meter.settle(start: world.tick, isPinned: false, outcome: .clientCancel, nanos: 9_000_000)
                    if isAnswered { meter.countStatus(200) }
                }
            }
            #expect(told(world) == (isAnswered ? [] : [.unserved]))
        }
    }

    @Test("A reload says nothing twice, and an outage that it finds is over when users are served again")
    func reload() throws {
        let world = try World()
        world.step(50) { traffic(world, stable: 10, candidates: 10) }
        #expect(told(world) == [.unserved])
        let config = try World.config(World.yaml.replacing("v3: 10%", with: "v3: 11%"))
        world.loop.reconfigure(Reconfiguration(config: config, actor: "t", reason: ""))
        world.step(50) { traffic(world, stable: 10, candidates: 10) }
        #expect(told(world) == [.unserved])
        world.step(50) { traffic(world, stable: 0, candidates: 0) }
        #expect(told(world) == [.unserved, .served])
    }

    @Test("Users who are not served are an incident of their own, which ends when they are")
    func incident() throws {
        let world = try World()
        world.step(50) { traffic(world, stable: 10, candidates: 10) }
        world.step(50) { traffic(world, stable: 0, candidates: 0) }
        let notices = world.ledger.events.compactMap { Notice($0) }.filter {
            $0.kind == .unserved || $0.kind == .served
        }
        let sent = notices.compactMap { Webhook.pagerDuty($0, routingKey: "k") }
        #expect(sent.map { $0["event_action"] } == ["trigger", "resolve"])
        #expect(sent.allSatisfy { $0["dedup_key"] == "weir/m/unserved" })
        #expect(sent[0]["payload"]?["severity"] == "critical")
    }
}

// A stable that nobody checks and that is gone: requests that a candidate fails and that do not reach stable
// either are no word of a common cause. It is said at once, and no cut moves users there.

import Metrics
import Payload
import Rollout
import Testing

@testable import Control
@testable import Sidecar

@Suite struct StableReachTests {
    private enum Retry { case well, failed, unreached }

    private func world() throws -> World {
        try World(
            World.yaml.replacing(
                "candidates: [v2, v3]\n    weights: { v2: 20%, v3: 10% }",
                with: "candidate: v2\n    weights: { v2: 100% }"))
    }

    /// Ten requests of the candidate a tick; those that fail are sent again to stable.
    private func run(_ world: World, _ ticks: Int, failing: Int, _ retry: Retry) {
        world.step(ticks) {
            world.requests(1, 10, failing: failing)
            let meter = world.model.meters[1][0]
            for _ in 0..<failing {
                meter.countShielded()
                switch retry {
                case .well: meter.countRescue(true)
                case .failed: meter.countRescue(false)
                case .unreached: meter.countUnreached()
                }
            }
        }
    }

    private func alerts(_ world: World) -> [JournalEvent] {
        world.ledger.events.filter { $0.kind == .alert && $0.reason.hasPrefix("stable v1 cannot be reached") }
    }

    @Test("That neither answers is told within seconds, once, and pages say it until stable answers")
    func told() throws {
        let world = try world()
        run(world, 100, failing: 0, .well)
        run(world, 40, failing: 4, .unreached)
        #expect(alerts(world).count == 1 && world.model.stableUse == .unreached)
        let notice = try #require(alerts(world).first.flatMap { Notice($0) })
        #expect(notice.kind == .alert && notice.versions == ["v2"])
        let said = StatusPage.page(of: world)["models"]?[0]?["stable_unreached"]?.string ?? ""
        #expect(said.contains("requests that v2 failed and that were sent again to it"), "\(said)")
        #expect(world.loop.troubles.contains { $0.hasPrefix("m: stable v1 cannot be reached") })
        run(world, 100, failing: 4, .unreached)
        #expect(alerts(world).count == 1)
        run(world, 2, failing: 4, .well)
        #expect(world.model.stableUse == .usable && world.loop.troubles.isEmpty)
    }

    @Test("A candidate that fails all is not cut to a stable that is not there, and is when that is back")
    func withheld() throws {
        let world = try world()
        run(world, 100, failing: 0, .well)
        run(world, 300, failing: 10, .unreached)
        #expect(world.model.decided.cutCount == 0)
        let waiting = StatusPage.page(of: world)["models"]?[0]?["withheld_cuts"]?.elements ?? []
        #expect(waiting.compactMap { $0["guardrail"]?.string } == ["outage"])
        #expect(waiting.first?["reason"]?.string?.contains("does not reach it") == true)
        #expect(
            world.ledger.events.contains {
                $0.kind == .alert && $0.reason.contains("would cut, but what is sent again to stable v1")
            })
        run(world, 100, failing: 10, .well)
        #expect(world.model.decided.cutCount == 1)
    }

    @Test("Twins that both fail blame nobody, and a stable that answers is not said to be gone")
    func twins() throws {
        for retry in [Retry.failed, .well] {
            let world = try world()
            run(world, 100, failing: 0, .well)
            run(world, 200, failing: 4, retry)
            #expect(alerts(world).isEmpty && world.model.stableUse == .usable)
        }
        let both = try world()
        run(both, 100, failing: 0, .well)
        run(both, 300, failing: 10, .failed)
        #expect(both.model.decided.cutCount == 0)
    }

    @Test("A moment without stable says nothing: one second of it, or a retry now and then that is answered")
    func moment() throws {
        let world = try world()
        run(world, 100, failing: 0, .well)
        run(world, 10, failing: 4, .unreached)
        run(world, 1, failing: 4, .well)
        for _ in 0..<20 {
            run(world, 10, failing: 4, .unreached)
            run(world, 1, failing: 1, .failed)
        }
        #expect(alerts(world).isEmpty && world.model.stableUse == .usable)
    }
}

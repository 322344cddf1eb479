// What control tells a core that does not look: the newest plan waits, and nothing is ever too much.
// Place: DataPlane before and after its start.

import Platform
import Testing

@testable import Proxy

@Suite struct CommandTests {
    @Test("However many plans, drains and stops come while a core is held up, one of each waits: the last")
    func newestWins() throws {
        let data = try DataPlane(DataPlaneSettings(listeners: [.loopback], cores: 1))
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [.loopback])])
        for epoch in 1...1_000 as ClosedRange<UInt64> {
            data.publish(Plan(epoch: epoch, models: [model], trusted: [], accessLogPPM: 0))
            if epoch % 2 == 0 { data.drain() }
        }
        data.links[0].send(.stop)
        var epochs: [UInt64] = []
        var others = 0
        while let command = data.links[0].commands.take() {
            if case .obey(let plan, _) = command { epochs.append(plan.epoch) } else { others += 1 }
        }
        #expect(epochs == [1_000] && others == 2)
    }

    @Test("A running core that is sent plans faster than it takes them obeys the last one")
    func flood() throws {
        let origin = try Origin.answering { _ in ok("done") }
        let plane = try Plane(to: origin)
        for _ in 0..<500 {
            plane.plan.epoch += 1
            plane.data.publish(plane.plan)
        }
        try eventually("the last plan") { plane.data.obeyedEpoch == plane.plan.epoch }
        #expect(try plane.ask().text == "done")
    }
}

// Weight 0 stays warm: connected before the first percent, on one connection, and not against a server that
// does not want it.
// Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct WarmTests {
    private func plane(stable: Origin, candidate: Origin, isChecked: Bool = false) throws -> Plane {
        // No connection ages, and is renewed, however long a busy machine takes over the test.
        var limits = Limits()
        limits.poolIdle = .seconds(3_600)
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000, [stable.address]),
            .version(1, "candidate", 0, [candidate.address]),
        ])
        model.versions[1].endpoints[0].isChecked = isChecked
        return try Plane([model], limits: limits)
    }

    @Test(
        "A version at weight 0 is connected before its first request, which needs no new connection",
        arguments: [false, true])
    func connected(_ isChecked: Bool) throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(stable: stable, candidate: candidate, isChecked: isChecked)
        try candidate.connections.wait(for: 1)
        if isChecked { plane.data.setHealthy(16, true) }
        try plane.settle()
        try plane.publish { plan in
            plan.models[0].versions[0].weightPPM = 0
            plan.models[0].versions[1].weightPPM = 1_000_000
        }
        #expect(try plane.ask().text == "candidate")
        #expect(candidate.connections.count == 1)
    }

    @Test("A server that closes at once is not connected again and again")
    func unwanted() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin { peer, _ in peer.close() }
        let plane = try plane(stable: stable, candidate: candidate)
        try candidate.connections.wait(for: 1)
        for _ in 0..<200 { #expect(try plane.ask().text == "stable") }
        #expect(candidate.connections.count == 1)
    }
}

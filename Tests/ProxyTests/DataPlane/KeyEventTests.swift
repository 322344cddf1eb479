// Sticky keys in the data plane: of one key's slow or failed requests the first is evidence, on whichever
// connection and core they come. Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct KeyEventTests {
    /// A plane of one split whose thresholds no real request meets: everything is slow.
    private func plane(_ origin: Origin, weights: (UInt32, UInt32) = (500_000, 500_000)) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", weights.0, [origin.address]),
            .version(1, "candidate", weights.1, [origin.address]),
        ])
        model.stickyKeys = [.header("x-user")]
        model.shield = false
        for i in model.versions.indices { model.versions[i].ejection.consecutiveFailures = 0 }
        let plane = try Plane([model], cores: 2)
        for version in 0...1 {
            for meter in plane.data.meters(version) {
                // Evidence and size of one rule; a second rule that nothing is slow for.
                for (slot, micros) in [1, 1, UInt32.max].enumerated() {
                    meter.setThreshold(slot, micros: micros)
                }
                meter.countKeysOnce([.slow(0), .slow(2)])
            }
        }
        return plane
    }

    /// All that both versions' rings remember.
    private func counts(_ plane: Plane) -> ArmCounts {
        let now = Tick(monotonicNanos: Clock.now().nanos).number
        var sum = ArmCounts()
        for version in 0...1 {
            for meter in plane.data.meters(version) {
                for number in now - min(now, 500)...now {
                    if let bucket = meter.evidence.read(Tick(number: number)) { sum += bucket.randomised }
                }
            }
        }
        return sum
    }

    @Test("Two slow requests of one key count once; another key's counts for itself")
    func slow() throws {
        let origin = try Origin.named("model")
        let plane = try plane(origin)
        for user in ["ann", "ann", "ann", "bob"] {
            #expect(try plane.ask(get("/", "x-user: \(user)")).status == 200)
        }
        try plane.settle()
        let counts = counts(plane)
        #expect(counts.started == 4 && counts.completed == 4 && counts.failed == 0)
        #expect(counts.fast0 == 2, "ann's second and third are no news")
        #expect(counts.fast1 == 0, "sizes are over all requests")
        #expect(counts.fast2 == 4)
    }

    @Test(
        "A failed request is its key's slow one as well, and a failure of the same key later is no evidence")
    func failed() throws {
        let origin = try Origin.answering { reply($0.start.contains("/bad") ? 500 : 200) }
        let plane = try plane(origin)
        for target in ["/bad", "/", "/bad"] { _ = try plane.ask(get(target, "x-user: ann")) }
        try plane.settle()
        let counts = counts(plane)
        #expect(counts.completed == 3 && counts.failed == 1 && counts.excluded == 1)
        #expect(counts.fast0 == 1, "the good one was slow, but not for the first time")
        #expect(counts.fast1 == 0)
    }

    @Test("While one version has all the weight a slow request is no key's first")
    func nothingToCompare() throws {
        let origin = try Origin.named("model")
        let plane = try plane(origin, weights: (1_000_000, 0))
        for _ in 0..<3 { _ = try plane.ask(get("/", "x-user: ann")) }
        try plane.settle()
        #expect(counts(plane).fast0 == 0)
        try plane.publish {
            $0.models[0].versions[0].weightPPM = 500_000
            $0.models[0].versions[1].weightPPM = 500_000
        }
        for _ in 0..<3 { _ = try plane.ask(get("/", "x-user: ann")) }
        try plane.settle()
        #expect(counts(plane).fast0 == 2)
    }
}

// Answers that stream for longer than the deadline: they are good so far, and hide no errors; silence is bad.

import Metrics
import Rollout
import Testing

@Suite struct LongStreamTests {
    /// A fifth of the answers begins at once and streams for forty seconds; others fail at a rate.
    private static func streaming(_ rate: Double) -> Behaviour {
        { _, random in
            random.chance(0.2)
                ? Ending(micros: 40_000_000, firstByteMicros: 20_000)
                : Ending(isFailure: random.chance(rate))
        }
    }

    private static let errors = [GuardrailSpec.defaults(alpha: 0.01)[0]]

    @Test("errors are found beside long streams, and equal versions with long streams are not cut")
    func errorsBesideStreams() {
        for (candidate, isFound) in [(0.1, true), (0.01, false)] {
            var bench = Bench(seed: 3, specs: Self.errors)
            let trip = bench.runUntilTrip(
                ticks: 900, candidate: Self.streaming(candidate), stable: Self.streaming(0.01))
            #expect((trip != nil) == isFound, "\(candidate): \(trip?.trip.reason ?? "")")
        }
    }

    @Test("a candidate that is silent where stable streams is cut at the deadline")
    func silence() throws {
        var bench = Bench(seed: 4, specs: Self.errors)
        let silent: Behaviour = { _, random in
            random.chance(0.2) ? Ending(micros: 60_000_000) : Ending()
        }
        let found = bench.runUntilTrip(ticks: 600, candidate: silent, stable: Self.streaming(0))
        let tick = try #require(found).tick
        #expect(tick > 1300, "at \(tick)")
    }
}

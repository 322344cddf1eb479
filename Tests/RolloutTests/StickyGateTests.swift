// Gates where sticky keys are assigned: a few keys prove nothing, whichever version has the broken ones.

import Metrics
import Rollout
import Testing

@Suite struct StickyGateTests {
    private static let errors = GateSpec(name: "errors", metric: .errorRate, margin: 0.01)

    /// The gate after five hundred settled ticks of 25 candidate and 75 stable requests.
    /// - Parameters:
    ///   - first: of stable's requests in a tick those that are their key's first failure.
    ///   - again: those that are failures of keys that had failed before.
    private func reading(keys: Int?, first: UInt32 = 0, again: UInt32 = 0) -> GateReading {
        let gates = [Self.errors]
        var watch = GateWatch(specs: gates, from: Tick(number: 1000), stableErrorRate: 0.01)
        func arm(_ started: UInt32, first: UInt32, again: UInt32) -> ArmTick {
            var counts = ArmCounts()
            (counts.started, counts.completed) = (started, started)
            (counts.failed, counts.excluded, counts.known) = (first, again, again)
            return ArmTick(randomised: counts)
        }
        return watch.step(
            now: Tick(number: 1501), reference: LatencyReference(specs: [], gates: gates), readings: [],
            guardrails: [], keys: keys,
            read: { tick in
                PairTick(
                    tick: tick, split: PairSplit(candidatePPM: 250_000, stablePPM: 750_000),
                    candidate: arm(25, first: 0, again: 0), stable: arm(75, first: first, again: again))
            })[0]
    }

    @Test("two hundred different keys are enough, fewer are undecided, and random splits have none")
    func keys() {
        #expect(reading(keys: nil).verdict == .pass)
        #expect(reading(keys: 200).verdict == .pass)
        let few = reading(keys: 199)
        #expect(few.verdict == .notEnoughData && few.progress < 1)
        #expect(few.reason.hasPrefix("undecided: 199 different keys in this stage"))
    }

    @Test("a pass that rests on the repeated failures of a few keys is undecided")
    func repeats() {
        let broken = reading(keys: 500, again: 2)
        #expect(broken.verdict == .notEnoughData)
        #expect(broken.reason.contains("1,000 of 1,000 failures are repeats"))
        // Many keys that fail once each are a rate like any other.
        #expect(reading(keys: 500, first: 2).verdict == .pass)
    }
}

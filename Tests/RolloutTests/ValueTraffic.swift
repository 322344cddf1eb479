// Simulated values of a candidate and stable by start tick, and a watch stepped over them: what a value book
// would hand out. Seeded.

import Metrics
import Rollout

/// What one request's value is; nil: missing.
typealias ValueOf = (_ random: inout Seeded) -> Double?

/// A guardrail on values over simulated ticks.
struct ValueBench {
    var random: Seeded
    var split: PairSplit? = PairSplit(candidatePPM: 200_000, stablePPM: 800_000)
    var requestsPerTick = 50
    private(set) var ticks: [ValueTick] = []
    private(set) var watch: CandidateWatch
    private let specs: [GuardrailSpec]
    private(set) var now: UInt64 = 1000
    private(set) var readings: [GuardrailReading] = []

    init(seed: UInt64, _ specs: GuardrailSpec...) {
        random = Seeded(seed)
        self.specs = specs
        watch = CandidateWatch(specs: specs, from: Tick(number: 1000))
    }

    var reading: GuardrailReading { readings[0] }

    /// One tick of requests, complete at once, and a step.
    mutating func tick(candidate: ValueOf, stable: ValueOf) {
        var tick = ValueTick(tick: Tick(number: now), split: split)
        for _ in 0..<requestsPerTick {
            if random.chance(split?.share ?? 0) {
                tick.candidate.add(candidate(&random))
            } else {
                tick.stable.add(stable(&random))
            }
        }
        ticks.append(tick)
        now += 1
        step()
    }

    /// Ticks without requests.
    mutating func wait(_ ticks: UInt64) {
        for _ in 0..<ticks {
            now += 1
            step()
        }
    }

    mutating func step() {
        let ticks = ticks
        readings = watch.step(
            now: Tick(number: now), reference: LatencyReference(specs: []), windows: { _ in nil },
            values: { _, from in
                let before = ticks.lastIndex { $0.tick < from }
                return Array(ticks[(before.map { $0 + 1 } ?? 0)...])
            }, read: { _ in nil })
    }

    /// Candidate values until the trip; nil when there is none within so many ticks.
    mutating func valuesToTrip(ticks: Int, candidate: ValueOf, stable: ValueOf) -> Int? {
        let before = self.ticks.count
        for _ in 0..<ticks {
            tick(candidate: candidate, stable: stable)
            if readings.contains(where: { $0.verdict == .fail }) {
                return self.ticks[before...].reduce(0) { $0 + $1.candidate.observed }
            }
        }
        return nil
    }

    /// As control does it when a cut becomes possible that was not before.
    mutating func forfeitProven() { watch.forfeitProven() }

    /// As a restart does it: what is saved goes through JSON.
    mutating func restart(_ recode: (CandidateWatch.Saved) throws -> CandidateWatch.Saved) rethrows {
        watch = CandidateWatch(
            restoring: try recode(watch.saved), specs: specs, from: Tick(number: now), valuesFrom: { $0 })
    }
}

extension ValueArm {
    mutating func add(_ value: Double?) {
        if let value { values.append(value) } else { missing += 1 }
    }
}

/// Values that tests share.
enum Values {
    static func click(_ p: Double) -> ValueOf { { $0.chance(p) ? 1 : 0 } }
    static func missing(_ p: Double) -> ValueOf { { $0.chance(p) ? nil : 1 } }

    /// About normal: the sum of twelve uniform numbers.
    static func normal(_ mean: Double, _ deviation: Double) -> ValueOf {
        { random in
            var sum = -6.0
            for _ in 0..<12 { sum += random.uniform() }
            return mean + deviation * sum
        }
    }

    /// A constant share of heavy values on small ones.
    static func cost(_ mean: Double) -> ValueOf { { 2 * mean * $0.uniform() } }
    static func label(_ p: [Double]) -> ValueOf {
        { random in
            var left = random.uniform()
            for (i, share) in p.enumerated() {
                if left < share { return Double(i) }
                left -= share
            }
            return Double(p.count - 1)
        }
    }
}

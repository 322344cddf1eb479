// What a tick costs control, per candidate, with the default guardrails: the aim is 2 us per guardrail.
// Once with every tick settled, once with 30 s of requests in flight, which are replayed at every tick.
// CPU time, so that a busy machine does not show.

import Glibc
import Metrics
import Rollout

enum Cost {
    static func report() {
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        var reference = LatencyReference(specs: specs)
        _ = reference.refresh(now: Tick(number: 0), requests: 5000) { UInt64(40_000 * $0) }
        for (name, pending) in [("all settled", UInt32(0)), ("30 s of requests pending", 1)] {
            let pair = pair(reference, pending: pending)
            var watch = CandidateWatch(specs: specs, from: Tick(number: 1000))
            let ticks: UInt64 = 20_000
            var worst = 0.0
            let start = seconds()
            for now in 1001...(1000 + ticks) {
                let readings = watch.step(
                    now: Tick(number: now), reference: reference, windows: { _ in nil },
                    read: { _ in pair })
                worst = max(worst, readings[0].progress)
            }
            let micros = (seconds() - start) / Double(ticks) * 1e6
            print(
                "\(Report.pad(name, 52)) \(Double(Int(micros * 100)) / 100) us a tick,"
                    + " \(Double(Int(micros / Double(specs.count) * 100)) / 100) us a guardrail")
        }
    }

    /// The guardrails on values, with ten and with a hundred values a tick, a tenth of them the candidate's.
    static func values() {
        let clicks = GuardrailSpec.Measure.outcome(OutcomeMetric(metric: "clicks", windowMillis: 1000))
        let worse = GuardrailSpec.Rule.sequentialWorseThanStable(
            rho: 1, materialRatio: 1.05, materialDifference: 0)
        let edges = (1...9).map { Double($0) / 10 }
        let pinned = DriftReference(edges: edges, counts: Array(repeating: 1000, count: 10))
        let rows: [(String, GuardrailSpec)] = [
            ("outcome", GuardrailSpec(name: "r", measure: clicks, rule: worse)),
            ("missing", GuardrailSpec(name: "r", measure: .missing(value: "x"), rule: worse)),
            ("confidence", GuardrailSpec(name: "r", measure: .confidence(value: "x"), rule: worse)),
            (
                "drift",
                GuardrailSpec(name: "r", measure: .drift(value: "x"), rule: .sequentialDrift(psi: 0.2))
            ),
            (
                "drift from a reference",
                GuardrailSpec(
                    name: "r", measure: .drift(value: "x"), rule: .sequentialDriftFrom(pinned, psi: 0.2))
            ),
        ]
        let latency = LatencyReference(specs: [])
        for (name, spec) in rows {
            var costs: [String] = []
            for (count, isBinary) in [(0, true), (10, true), (100, true), (100, false)] {
                var random = Seeded(1)
                func draw(_ n: Int) -> [Double] {
                    (0..<n).map { _ in isBinary ? (random.chance(0.1) ? 1 : 0) : random.uniform() }
                }
                var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
                let first = ValueTick(
                    tick: Tick(number: 0), split: Row.split(0.1), stable: ValueArm(values: draw(1000)))
                _ = watch.step(
                    now: Tick(number: 1), reference: latency, windows: { _ in nil },
                    values: { _, _ in [first] }, read: { _ in nil })
                let (ours, theirs) = (
                    ValueArm(values: draw(count / 10)), ValueArm(values: draw(count * 9 / 10))
                )
                let ticks: UInt64 = 20_000
                let start = seconds()
                for now in 2...(1 + ticks) {
                    let tick = ValueTick(
                        tick: Tick(number: now - 1), split: first.split, candidate: ours, stable: theirs)
                    _ = watch.step(
                        now: Tick(number: now), reference: latency, windows: { _ in nil },
                        values: { _, _ in count == 0 ? [] : [tick] }, read: { _ in nil })
                }
                let micros = (seconds() - start) / Double(ticks) * 1e6
                let what = count == 0 ? "no values" : "\(count) \(isBinary ? "yes or no" : "different")"
                costs.append("\(Double(Int(micros * 100)) / 100) us (\(what))")
            }
            print("\(Report.pad(name, 24)) \(costs.joined(separator: ", "))")
        }
    }

    /// A busy tick in which nothing is wrong.
    private static func pair(_ reference: LatencyReference, pending: UInt32) -> PairTick {
        func arm(_ n: UInt32, _ thresholds: [UInt32]) -> ArmTick {
            var arm = ArmTick()
            for (slot, micros) in thresholds.enumerated() { arm.thresholds[slot] = micros }
            arm.randomised.started = n
            arm.randomised.completed = n - pending
            arm.randomised.fast0 = n / 2
            arm.randomised.fast1 = n * 3 / 4
            arm.randomised.fast2 = n - pending
            arm.randomised.fast3 = n - pending
            return arm
        }
        return PairTick(
            tick: Tick(number: 0), split: PairSplit(candidatePPM: 50_000, stablePPM: 950_000),
            candidate: arm(50, reference.candidateThresholds), stable: arm(950, reference.stableThresholds))
    }

    /// CPU time of the process.
    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

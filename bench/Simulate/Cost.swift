// What a tick costs control for each kind of guardrail, and what a guardrail keeps: the aims are 2 us and
// 1 KB (drift 4 KB). A tick is timed by itself and belongs to one of twenty places in a round of two
// seconds, so that work that is not done in every tick (an epoch, a look at a pinned reference) always falls
// on the same place. A place's time is the lower quartile of its rounds, which other processes disturb least;
// the amortised time is the mean of the places, and the dearest tick is the slowest place.

import Glibc
import Metrics
import Rollout

enum Cost {
    /// Ticks of a round.
    private static let places = 20
    private static let rounds = 400

    static func wallSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    static func report() {
        print("| guardrail | us per tick | us in its dearest tick | bytes kept |\n|---|---|---|---|")
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        for (name, hang) in [("", false), (", a fiftieth hangs", true)] {
            for spec in specs { requests(spec.name + name, [spec], hang) }
            requests("the four defaults, each" + name, specs, hang)
        }
        for spec in specs where spec.watchesPinned {
            requests(spec.name + ", without stable", [spec], false, isAlone: true)
        }
        requests("the four defaults, each, without stable", specs, false, isAlone: true)
        values()
    }

    /// Runs a watch for all rounds and prints a line. `step` is the tick's number.
    private static func show(
        _ name: String, _ watch: inout CandidateWatch, _ step: (inout CandidateWatch, UInt64) -> Void
    ) {
        var times = Array(repeating: [Double](), count: places)
        var now: UInt64 = 1001
        for _ in 0..<rounds {
            for place in 0..<places {
                let start = wallSeconds()
                step(&watch, now)
                times[place].append(wallSeconds() - start)
                now += 1
            }
        }
        let idle = (0..<1000).map { _ in -wallSeconds() + wallSeconds() }.sorted()[250]
        let micros = times.map { max(0, $0.sorted()[rounds / 4] - idle) * 1e6 / Double(watch.specs.count) }
        func rounded(_ x: Double) -> Double { (x * 100).rounded() / 100 }
        let mean = micros.reduce(0, +) / Double(places)
        let bytes = watch.specs.count > 1 ? "" : "\(Footprint.bytes(of: watch))"
        print("| \(name) | \(rounded(mean)) | \(rounded(micros.max() ?? 0)) | \(bytes) |")
        fflush(nil)
    }

    private static func requests(
        _ name: String, _ specs: [GuardrailSpec], _ hang: Bool, isAlone: Bool = false
    ) {
        var reference = LatencyReference(specs: specs)
        _ = reference.refresh(now: Tick(number: 0), requests: 5000) { UInt64(40_000 * $0) }
        let both = (0..<4).map { pair(reference, failed: $0 % 2, hang: hang) }
        var alone = both
        for i in alone.indices { (alone[i].split, alone[i].stable) = (Row.split(1), ArmTick()) }
        var watch = CandidateWatch(specs: specs, from: Tick(number: 1000))
        show(name, &watch) { watch, now in
            let ticks = isAlone && now > 1600 ? alone : both
            let readings = watch.step(
                now: Tick(number: now), reference: reference, windows: { _ in nil },
                read: { ticks[Int($0.number & 3)] })
            precondition(!readings.contains { $0.verdict == .fail }, "a healthy candidate is cut")
        }
    }

    /// Fifty requests of the candidate and 950 of stable, of which a hundredth fails; and a fiftieth never
    /// ends, so that all ticks of the last 30 s are open and looked at again in every tick.
    private static func pair(_ reference: LatencyReference, failed: UInt32, hang: Bool) -> PairTick {
        func arm(_ n: UInt32, _ failed: UInt32, _ thresholds: [UInt32]) -> ArmTick {
            var arm = ArmTick()
            for (slot, micros) in thresholds.enumerated() { arm.thresholds[slot] = micros }
            let pending = hang ? n / 50 : 0
            let good = n - failed - pending
            arm.randomised.started = n
            arm.randomised.completed = n - pending
            arm.randomised.failed = failed
            arm.randomised.fast0 = n / 2
            arm.randomised.fast1 = n * 3 / 4
            arm.randomised.fast2 = good
            arm.randomised.fast3 = good
            return arm
        }
        return PairTick(
            tick: Tick(number: 0), split: Row.split(0.05),
            candidate: arm(50, failed, reference.candidateThresholds),
            stable: arm(950, 9 + failed, reference.stableThresholds))
    }

    /// The guardrails on values, without any, and with ten and a hundred values a tick, a tenth of them the
    /// candidate's.
    private static func values() {
        let clicks = GuardrailSpec.Measure.feedback(FeedbackMetric(metric: "clicks", windowMillis: 1000))
        let worse = GuardrailSpec.Rule.sequentialWorseThanStable(
            rho: 1, materialRatio: 1.05, materialDifference: 0)
        let edges = (1...9).map { Double($0) / 10 }
        let pinned = DriftReference(edges: edges, counts: Array(repeating: 1000, count: 10))
        let rows: [(String, GuardrailSpec.Measure, GuardrailSpec.Rule)] = [
            ("feedback", clicks, worse), ("missing", .missing(value: "x"), worse),
            ("confidence", .confidence(value: "x"), worse), ("cost", .cost(value: "x", cap: nil), worse),
            ("mean cost", .cost(value: "x", cap: nil), .sequentialAbove(0.6)),
            ("drift", .drift(value: "x"), .sequentialDrift(psi: 0.2)),
            ("drift from a reference", .drift(value: "x"), .sequentialDriftFrom(pinned, psi: 0.2)),
        ]
        for (name, measure, rule) in rows {
            let spec = GuardrailSpec(name: "r", measure: measure, rule: rule)
            for count in [0, 10, 100] {
                let isBinary = ["feedback", "missing"].contains(name)
                values("\(name), \(count) values a tick", spec, count, isBinary)
            }
        }
    }

    private static func values(_ name: String, _ spec: GuardrailSpec, _ count: Int, _ isBinary: Bool) {
        var random = Seeded(1)
        func arm(_ n: Int) -> ValueArm {
            ValueArm(values: (0..<n).map { _ in isBinary ? (random.chance(0.1) ? 1 : 0) : random.uniform() })
        }
        let latency = LatencyReference(specs: [])
        let first = ValueTick(tick: Tick(number: 1000), split: Row.split(0.1), stable: arm(1000))
        let ticks = (0..<16).map { _ in
            ValueTick(
                tick: Tick(number: 0), split: first.split, candidate: arm(count / 10),
                stable: arm(count * 9 / 10))
        }
        var watch = CandidateWatch(specs: [spec], from: Tick(number: 1000))
        show(name, &watch) { watch, now in
            var tick = now == 1001 ? first : ticks[Int(now & 15)]
            tick.tick = Tick(number: now - 1)
            _ = watch.step(
                now: Tick(number: now), reference: latency, windows: { _ in nil },
                values: { _, _ in count == 0 && now > 1001 ? [] : [tick] }, read: { _ in nil })
        }
    }
}

// Rows that run through the watch and the gates as control steps them, fed with values and counts by tick:
// outcomes, drift, missing values, confidence, cost, and promotion. Ten candidate requests a tick, so that a
// delay is a multiple of ten.

import Glibc
import Metrics
import Rollout
import Statistics

/// A value of 0...1 by its quantiles: a beta distribution of the given mean and standard deviation.
struct BetaTable: Sendable {
    private let quantiles: [Double]

    init(mean: Double, deviation: Double) {
        let t = mean * (1 - mean) / (deviation * deviation) - 1
        let (a, b) = (mean * t, (1 - mean) * t)
        // The density at the middle of each of many thin slices, summed up and inverted.
        let slices = 20_000
        var sums = [0.0]
        for i in 0..<slices {
            let x = (Double(i) + 0.5) / Double(slices)
            sums.append(sums[i] + exp((a - 1) * log(x) + (b - 1) * log1p(-x)))
        }
        var at = 0
        quantiles = (0..<1024).map { i in
            let wanted = (Double(i) + 0.5) / 1024 * sums[slices]
            while sums[at + 1] < wanted { at += 1 }
            return (Double(at) + (wanted - sums[at]) / (sums[at + 1] - sums[at])) / Double(slices)
        }
    }

    func draw(_ random: inout Seeded) -> Double { quantiles[Int(random.next() >> 54)] }
}

extension Seeded {
    /// Standard normal (Box-Muller, one of the two).
    mutating func normal() -> Double {
        (-2 * log(1 - uniform())).squareRoot() * cos(2 * Double.pi * uniform())
    }
}

/// A value; nil: missing.
typealias Draw = @Sendable (inout Seeded) -> Double?

extension Row {
    static let valueNulls: [Row] = [
        values("clicks, both 10 %, w 25 %", "0.3 %", clicks, 0.25, { $0.click(0.1) }, { $0.click(0.1) }),
        values("missing, both 2 %, w 25 %", "1 %", missing, 0.25, { $0.missing(0.02) }, { $0.missing(0.02) }),
        values(
            "confidence .80 sd .15, equal, w 50 %", "0.5 %", confidence, 0.5, beta(0.8, 0.15), beta(0.8, 0.15)
        ),
        values("cost .10 sd .12, equal, w 50 %", "0.5 %", cost, 0.5, beta(0.1, 0.12), beta(0.1, 0.12)),
        values(
            "drift of a normal value, equal, w 25 %", "0.35 %", drift(0), 0.25, { $0.normal() },
            { $0.normal() }),
        values(
            "drift from a reference of 2,000 rows, equal, w 50 %", "0 %", pinned, 0.5, { $0.normal() },
            { $0.normal() }),
        values("mean cost above .10, true .10", "1 %", budget, 0.5, beta(0.1, 0.12), beta(0.1, 0.12)),
    ]

    static let valueChanges: [Row] = [
        values(
            "clicks 10 %, -20 %, w 5 %, watched", "2845", clicks, 0.05, { $0.click(0.08) },
            { $0.click(0.1) }),
        values(
            "clicks 10 %, -50 %, w 5 %, watched", "430", clicks, 0.05, { $0.click(0.05) }, { $0.click(0.1) }),
        values("missing 1 % -> 5 %, w 5 %", "172", missing, 0.05, { $0.missing(0.05) }, { $0.missing(0.01) }),
        values("confidence .80 -> .79, w 5 %", "2840", confidence, 0.05, beta(0.79, 0.15), beta(0.8, 0.15)),
        values("confidence .80 -> .77, w 5 %", "360", confidence, 0.05, beta(0.77, 0.15), beta(0.8, 0.15)),
        values("cost .10 -> .13, w 5 %", "340", cost, 0.05, beta(0.13, 0.156), beta(0.1, 0.12)),
        values("drift by .2 sd, w 5 %", "630", drift(0), 0.05, { $0.normal() + 0.2 }, { $0.normal() }),
        values(
            "drift by .35 sd, index 0.1, w 5 %", "230", drift(0.1), 0.05, { $0.normal() + 0.35 },
            { $0.normal() }),
        values(
            "drift by .5 sd, index 0.1, w 5 %", "110", drift(0.1), 0.05, { $0.normal() + 0.5 },
            { $0.normal() }),
    ]

    private static let clicks = worse(.outcome(OutcomeMetric(metric: "clicks", windowMillis: 1000)))
    private static let missing = worse(.missing(value: "x"))
    private static let confidence = worse(.confidence(value: "x"))
    private static let cost = worse(.cost(value: "x", cap: 1))
    private static let budget = GuardrailSpec(
        name: "r", measure: .cost(value: "x", cap: nil), rule: .sequentialAbove(0.1), minEvents: 0)
    private static let pinned: GuardrailSpec = {
        var random = Seeded(4711)
        let rows = (0..<2000).map { _ in random.normal() }
        return GuardrailSpec(
            name: "r", measure: .drift(value: "x"),
            rule: .sequentialDriftFrom(DriftReference(values: rows), psi: 0), minEvents: 0)
    }()

    private static func drift(_ psi: Double) -> GuardrailSpec {
        GuardrailSpec(
            name: "r", measure: .drift(value: "x"), rule: .sequentialDrift(psi: psi), minRequests: 1)
    }

    /// Evidence alone: every effect is large enough.
    private static func worse(_ measure: GuardrailSpec.Measure) -> GuardrailSpec {
        GuardrailSpec(
            name: "r", measure: measure,
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1, materialDifference: 0), minEvents: 0)
    }

    private static func beta(_ mean: Double, _ deviation: Double) -> Draw {
        let table = BetaTable(mean: mean, deviation: deviation)
        return { table.draw(&$0) }
    }

    /// A guardrail that has seen a thousand values of stable before the rollout.
    private static func values(
        _ name: String, _ reference: String, _ spec: GuardrailSpec, _ w: Double, _ candidate: @escaping Draw,
        _ stable: @escaping Draw
    ) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
            let latency = LatencyReference(specs: [])
            var tick = ValueTick(tick: Tick(number: 0), split: PairSplit(candidatePPM: 0, stablePPM: 1))
            for _ in 0..<1000 { tick.stable.take(stable(&random)) }
            // Value rows are dear; their evidence is decided long before the errors' is.
            for request in stride(from: 0, through: requests / 10, by: 10) {
                let number = UInt64(request / 10)
                if request > 0 {
                    tick = ValueTick(tick: Tick(number: number), split: split(w))
                    for _ in 0..<10 {
                        for _ in 0..<random.geometric(w) { tick.stable.take(stable(&random)) }
                        tick.candidate.take(candidate(&random))
                    }
                }
                let readings = watch.step(
                    now: Tick(number: number + 1), reference: latency, windows: { _ in nil },
                    values: { _, _ in [tick] }, read: { _ in nil })
                if readings[0].verdict == .fail { return request }
            }
            return nil
        }
    }

    static func split(_ w: Double) -> PairSplit {
        PairSplit(candidatePPM: UInt32((w * 1e6).rounded()), stablePPM: UInt32(((1 - w) * 1e6).rounded()))
    }
}

extension ValueArm {
    fileprivate mutating func take(_ value: Double?) {
        if let value { values.append(value) } else { missing += 1 }
    }
}

extension Seeded {
    fileprivate mutating func click(_ p: Double) -> Double { chance(p) ? 1 : 0 }
    fileprivate mutating func missing(_ p: Double) -> Double? { chance(p) ? nil : 1 }
}

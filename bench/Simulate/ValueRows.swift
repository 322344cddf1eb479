// Values: feedback, confidence, cost and missing values, through the watch as control steps it, and clicks
// also through the test alone. A tick has as many of the candidate's requests as in the method's own
// simulation where that can be told from its figures (their steps); runs in which nothing is wrong take more
// of them at a time, and an even split, because values are dear: the reference has w 5 % there.
// Source: guardrails/results.md, sections 1 and 5.

import Glibc
import Metrics
import Rollout
import Statistics

/// A value; nil: missing.
typealias Draw = @Sendable (inout Seeded) -> Double?

extension Row {
    static let clickNulls: [Row] = [
        clicks("clicks against stable, both 10 %, w 5 %", .falseTrips(0.003), 0.1, 0.1, 0.05, tick: 25),
        clicks("clicks against stable, both 10 %, w 50 %", .falseTrips(0.0025), 0.1, 0.1, 0.5, tick: 25),
        clicks("clicks against stable, both 2 %, w 25 %", .falseTrips(0.003), 0.02, 0.02, 0.25, tick: 25),
    ]

    static let clickChanges: [Row] = [
        clicks("clicks 10 %, -6.5 %, w 5 %", .delay(25_975, 57_505), 0.0935, 0.1, 0.05, tick: 50),
        clicks("clicks 10 %, -6.5 %, w 25 %", .delay(32_000, 72_412), 0.0935, 0.1, 0.25, tick: 50),
        clicks("clicks 10 %, -6.5 %, w 50 %", .delay(48_100, 104_202), 0.0935, 0.1, 0.5, tick: 50),
        clicks("clicks 10 %, -20 %, w 5 %", .delay(2845, 5880), 0.08, 0.1, 0.05, tick: 10),
        clicks("clicks 10 %, -50 %, w 5 %", .delay(430, 860), 0.05, 0.1, 0.05, tick: 10),
        clicks("clicks 10 %, -100 %, w 5 %", .delay(90, 100), 0, 0.1, 0.05, tick: 10),
    ]

    static let valueNulls: [Row] = [
        null("watched clicks, both 10 %, w 25 %", 0.003, clicks, 0.25) { $0.chance(0.1) ? 1 : 0 },
        null("watched missing values, both 2 %, w 25 %", nil, missing, 0.25) { $0.chance(0.02) ? nil : 1 },
        null("confidence .80 sd .15, w 50 %", 0.005, confidence, 0.5, beta(0.8, 0.15, levels: 32)),
        null("cost .10 sd .12, w 50 %", 0.005, cost, 0.5, beta(0.1, 0.12, levels: 32)),
        null("mean cost above .10, true .10, w 50 %", nil, budget, 0.5, beta(0.1, 0.12, levels: 32)),
    ]

    static let valueChanges: [Row] = [
        delay(
            "watched clicks, -20 %, w 5 %", 2845, 5880, clicks, { $0.chance(0.08) ? 1 : 0 },
            { $0.chance(0.1) ? 1 : 0 }),
        delay(
            "watched clicks, -50 %, w 5 %", 430, 860, clicks, { $0.chance(0.05) ? 1 : 0 },
            { $0.chance(0.1) ? 1 : 0 }),
        delay(
            "watched missing values, 1 % -> 5 %, w 5 %", 172, 426, missing,
            { $0.chance(0.05) ? nil : 1 }, { $0.chance(0.01) ? nil : 1 }),
        delay(
            "confidence .80 -> .79, w 5 %", 2840, 5941, confidence, beta(0.79, 0.15), beta(0.8, 0.15),
            tick: 20),
        delay(
            "confidence .80 -> .77, w 5 %", 360, 700, confidence, beta(0.77, 0.15), beta(0.8, 0.15),
            tick: 20),
        delay(
            "confidence .80 -> .70, w 5 %", 40, 80, confidence, beta(0.7, 0.15), beta(0.8, 0.15), tick: 20),
        delay("cost .10 -> .11, w 5 %", 2200, 4701, cost, beta(0.11, 0.132), beta(0.1, 0.12), tick: 20),
        delay("cost .10 -> .13, w 5 %", 340, 700, cost, beta(0.13, 0.156), beta(0.1, 0.12), tick: 20),
        delay("cost .10 -> .20, w 5 %", 60, 100, cost, beta(0.2, 0.2), beta(0.1, 0.12), tick: 20),
    ]

    private static let clicks = worse(.feedback(FeedbackMetric(metric: "clicks", windowMillis: 1000)))
    private static let missing = worse(.missing(value: "x"))
    private static let confidence = worse(.confidence(value: "x"))
    private static let cost = worse(.cost(value: "x", cap: 1))
    private static let budget = GuardrailSpec(
        name: "r", measure: .cost(value: "x", cap: nil), rule: .sequentialAbove(0.1), minEvents: 0)

    /// Evidence alone: every effect is large enough.
    private static func worse(_ measure: GuardrailSpec.Measure) -> GuardrailSpec {
        GuardrailSpec(
            name: "r", measure: measure,
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1, materialDifference: 0), minEvents: 0)
    }

    /// Runs in which nothing is wrong take fewer different values: they cost by the value.
    private static func beta(_ mean: Double, _ deviation: Double, levels: Int = 1024) -> Draw {
        let table = QuantileTable(mean: mean, deviation: deviation, levels: levels)
        return { table.draw(&$0) }
    }

    private static func null(
        _ name: String, _ share: Double?, _ spec: GuardrailSpec, _ w: Double, _ both: @escaping Draw
    ) -> Row {
        watched(name, .falseTrips(share), spec, w, both, both, tick: 100)
    }

    private static func delay(
        _ name: String, _ median: Int, _ late: Int, _ spec: GuardrailSpec, _ candidate: @escaping Draw,
        _ stable: @escaping Draw, tick: Int = 10
    ) -> Row {
        watched(name, .delay(median, late), spec, 0.05, candidate, stable, tick: tick)
    }

    /// A guardrail that has seen a thousand values of stable before the rollout.
    static func watched(
        _ name: String, _ reference: Reference, _ spec: GuardrailSpec, _ w: Double,
        _ candidate: @escaping Draw, _ stable: @escaping Draw, tick count: Int
    ) -> Row {
        watched(name, reference, { _ in spec }, w, candidate, stable, tick: count)
    }

    /// The same with a spec of its own for every run.
    static func watched(
        _ name: String, _ reference: Reference, _ spec: @escaping @Sendable (inout Seeded) -> GuardrailSpec,
        _ w: Double, _ candidate: @escaping Draw, _ stable: @escaping Draw, tick count: Int
    ) -> Row {
        let beside = CountTable.beside(count, w)
        return Row(name: name, reference: reference, tick: count) { random, requests in
            var watch = CandidateWatch(specs: [spec(&random)], from: Tick(number: 0))
            let latency = LatencyReference(specs: [])
            var tick = ValueTick(tick: Tick(number: 0), split: PairSplit(candidatePPM: 0, stablePPM: 1))
            tick.stable.take(1000, stable, &random)
            for request in stride(from: 0, through: requests, by: count) {
                let number = UInt64(request / count)
                if request > 0 {
                    tick = ValueTick(tick: Tick(number: number), split: split(w))
                    tick.stable.take(beside.draw(&random), stable, &random)
                    tick.candidate.take(count, candidate, &random)
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

    /// MeanDifference alone, on a drop.
    private static func clicks(
        _ name: String, _ reference: Reference, _ candidate: Double, _ stable: Double, _ w: Double, tick: Int
    ) -> Row {
        let (ours, theirs) = (Binomial(candidate), Binomial(stable))
        let beside = CountTable.beside(tick, w)
        var row = Row(name: name, reference: reference, tick: tick) { random, requests in
            var test = MeanDifference(.drop, delta: 0, priorMean: stable, priorWeight: 1000)
            var epochs = EpochCount()
            while epochs.at < requests {
                let (clicks, others) = (ours.draw(&random, of: tick), beside.draw(&random))
                let otherClicks = theirs.draw(&random, of: others)
                test.add(
                    share: w,
                    [
                        .init(isCandidate: true, value: 1, count: clicks),
                        .init(isCandidate: true, value: 0, count: tick - clicks),
                        .init(isCandidate: false, value: 1, count: otherClicks),
                        .init(isCandidate: false, value: 0, count: others - otherClicks),
                    ])
                if test.wealth.maxLogE >= Wealth.atOnePercent { return epochs.at + tick }
                if epochs.pass(tick) { test.wealth.newEpoch() }
            }
            return nil
        }
        if case .delay = reference { row.requests = 300_000 }
        return row
    }
}

extension ValueArm {
    fileprivate mutating func take(_ count: Int, _ draw: Draw, _ random: inout Seeded) {
        values.reserveCapacity(count)
        for _ in 0..<count {
            if let value = draw(&random) { values.append(value) } else { missing += 1 }
        }
    }
}

// Promotion gates as control steps them: candidate requests of a stage until a candidate that is equal or
// better is promoted, and how often one exactly at its margin is.
// Source: guardrails/results.md, section 7.

import Metrics
import Rollout
import Statistics

extension Row {
    static let gateNulls: [Row] = [
        null("errors at the margin: 0.1 % + 0.5 pp, w 5 %", 0.013, errors(0.005), 0.006, 0.001, 0.05),
        null("errors at the margin: 0.1 % + 0.5 pp, w 25 %", 0.019, errors(0.005), 0.006, 0.001, 0.25),
        null("errors at the margin: 1 % + 0.5 pp, w 25 %", 0.021, errors(0.005), 0.015, 0.01, 0.25),
        null("p99 at the margin: x 1.3, w 25 %", 0.038, latency(0.99), 1.3, 1, 0.25),
        null("p95 at the margin: x 1.3, w 5 %", 0.044, latency(0.95), 1.3, 1, 0.05),
        null("clicks at the margin: 10 % - 5 %, w 50 %", 0.021, clicks, 0.095, 0.1, 0.5),
    ]

    static let gateChanges: [Row] = [
        delay("errors 0.1 %, margin 0.5 pp, w 5 %", 1540, 3140, errors(0.005), 0.001, 0.001, 0.05),
        delay("errors 0.1 %, margin 0.5 pp, w 25 %", 1600, 3270, errors(0.005), 0.001, 0.001, 0.25),
        delay("errors 1 %, margin 1 pp, w 5 %", 1580, 3460, errors(0.01), 0.01, 0.01, 0.05),
        delay("errors 1 %, margin 0.5 pp, w 25 %", 5555, 12_360, errors(0.005), 0.01, 0.01, 0.25),
        delay("errors 1 %, half of it, margin 0.5 pp, w 25 %", 1380, 2700, errors(0.005), 0.005, 0.01, 0.25),
        delay("p99, margin 30 %, w 5 %", 900, 2090, latency(0.99), 1, 1, 0.05),
        delay("p99, margin 30 %, w 25 %", 1080, 2570, latency(0.99), 1, 1, 0.25),
        delay("p95, margin 30 %, w 5 %", 238, 586, latency(0.95), 1, 1, 0.05),
        delay("p99 x 0.9, margin 30 %, w 5 %", 559, 1370, latency(0.99), 0.9, 1, 0.05),
        delay("clicks 10 %, margin 5 %, w 25 %", 36_925, 96_302, clicks, 0.1, 0.1, 0.25),
        delay("clicks 10 % and 3 % more, margin 5 %, w 25 %", 14_650, 38_910, clicks, 0.103, 0.1, 0.25),
    ]

    private static func errors(_ margin: Double) -> GateSpec {
        GateSpec(name: "g", metric: .errorRate, margin: margin)
    }

    private static func latency(_ q: Double) -> GateSpec {
        GateSpec(name: "g", metric: .latency(quantile: q), margin: 0.3)
    }

    private static let clicks = GateSpec(
        name: "g", metric: .feedback(FeedbackMetric(metric: "clicks", windowMillis: 1000)), margin: 0.05)

    /// As far as the method's simulation looked: 30,000 candidate requests, 100,000 for clicks.
    private static func null(
        _ name: String, _ share: Double, _ spec: GateSpec, _ candidate: Double, _ stable: Double, _ w: Double
    ) -> Row {
        let tick = spec.metric.valueName == nil ? 20 : 100
        var row = gate(name, .falseTrips(share), spec, candidate, stable, w, tick: tick)
        row.requests = spec.metric.valueName == nil ? 30_000 : 100_000
        row.alpha = 0.05
        return row
    }

    private static func delay(
        _ name: String, _ median: Int, _ late: Int, _ spec: GateSpec, _ candidate: Double, _ stable: Double,
        _ w: Double
    ) -> Row {
        let tick = spec.metric.valueName != nil ? 50 : median < 500 ? 2 : 10
        var row = gate(name, .delay(median, late), spec, candidate, stable, w, tick: tick)
        if spec.metric.valueName != nil { row.requests = 300_000 }
        return row
    }

    /// A gate over simulated ticks. `candidate` and `stable` are rates of failures or clicks, or how many
    /// times stable's latency.
    private static func gate(
        _ name: String, _ reference: Reference, _ spec: GateSpec, _ candidate: Double, _ stable: Double,
        _ w: Double, tick count: Int
    ) -> Row {
        let beside = CountTable.beside(count, w)
        let known = (Binomial(candidate), Binomial(stable))
        var stableRate: Double?
        if case .errorRate = spec.metric { stableRate = stable }
        return Row(name: name, reference: reference, tick: count) { [stableRate] random, requests in
            var latency = LatencyReference(specs: [], gates: [spec])
            var (ours, theirs) = known
            if case .latency(let q) = spec.metric {
                let shape = LatencyShape.lognormal
                let threshold = shape.threshold(q, &random)
                _ = latency.refresh(now: Tick(number: 0), requests: 10_000) { _ in UInt64(threshold) }
                ours = Binomial(shape.above(Double(latency.candidateThresholds[0]) / candidate))
                theirs = Binomial(shape.above(Double(latency.stableThresholds[0])))
            }
            var watch = GateWatch(specs: [spec], from: Tick(number: 0), stableErrorRate: stableRate)
            // Far enough on for everything to have settled.
            let step: UInt64 = 6
            var (number, seen) = (UInt64(0), 0)
            while seen < requests {
                let tick = Tick(number: number)
                let pair = PairTick(
                    tick: tick, split: split(w),
                    candidate: ArmTick(
                        count, bad: ours.draw(&random, of: count), latency.candidateThresholds),
                    stable: ArmTick(beside, theirs, &random, latency.stableThresholds))
                let reading = watch.step(
                    now: Tick(number: number + step), reference: latency, readings: [], guardrails: [],
                    values: { _, _ in [ValueTick(clicks: pair)] },
                    read: { $0 == tick ? pair : PairTick(tick: $0, split: nil) })[0]
                seen += count
                number += step
                if reading.verdict == .pass { return seen }
            }
            return nil
        }
    }
}

extension PairTick {
    /// A tick that says nothing.
    fileprivate init(tick: Tick, split: PairSplit?) {
        self.init(tick: tick, split: split, candidate: ArmTick(), stable: ArmTick())
    }
}

extension ArmTick {
    /// Requests of which some failed, or clicked, or were slow: the gate knows which of them it looks at.
    fileprivate init(_ count: Int, bad: Int, _ thresholds: [UInt32]) {
        self.init()
        randomised.started = UInt32(count)
        randomised.completed = UInt32(count)
        if let threshold = thresholds.first {
            self.thresholds[0] = threshold
            randomised.fast0 = UInt32(count - bad)
        } else {
            randomised.failed = UInt32(bad)
        }
    }

    fileprivate init(
        _ count: CountTable, _ bad: Binomial, _ random: inout Seeded, _ thresholds: [UInt32]
    ) {
        let count = count.draw(&random)
        self.init(count, bad: bad.draw(&random, of: count), thresholds)
    }
}

extension ValueTick {
    /// The counts of a tick as values: 1 for what is counted as failed, 0 for the rest.
    fileprivate init(clicks pair: PairTick) {
        func arm(_ counts: ArmCounts) -> ValueArm {
            let ones = Int(counts.failed)
            return ValueArm(
                values: Array(repeating: 1, count: ones)
                    + Array(repeating: 0, count: Int(counts.started) - ones))
        }
        self.init(
            tick: pair.tick, split: pair.split, candidate: arm(pair.candidate.randomised),
            stable: arm(pair.stable.randomised))
    }
}

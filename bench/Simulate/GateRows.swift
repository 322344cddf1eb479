// Promotion gates as control steps them: candidate requests of a stage until an equal candidate is promoted,
// and how often one exactly at its margin is.
// Source: guardrails/results.md, section 7.

import Metrics
import Rollout
import Statistics

extension Row {
    static let gateNulls: [Row] = [
        errors("errors at the margin: 0.1 % + 0.5 pp, w 25 %", "1.9 %", 0.006, 0.001, 0.25, alpha: 0.05),
        latency("p99 at the margin: x 1.3, w 25 %", "3.8 %", 0.99, 0.01, 0.25, alpha: 0.05),
        latency("p95 at the margin: x 1.3, w 25 %", "4.4 %", 0.95, 0.05, 0.25, alpha: 0.05),
        clicks("clicks at the margin: -5 %, w 50 %", "2.1 %", 0.095, 0.1, 0.5, alpha: 0.05),
    ]

    static let gateChanges: [Row] = [
        errors("errors 0.1 %, margin 0.5 pp, equal, w 5 %", "1540", 0.001, 0.001, 0.05),
        errors("errors 0.1 %, margin 0.5 pp, equal, w 25 %", "1600", 0.001, 0.001, 0.25),
        errors("errors 1 %, margin 0.5 pp, equal, w 25 %", "5555", 0.01, 0.01, 0.25),
        latency("p99, margin 30 %, equal, w 5 %", "900", 0.99, equal(0.99), 0.05),
        latency("p99, margin 30 %, equal, w 25 %", "1080", 0.99, equal(0.99), 0.25),
        latency("p95, margin 30 %, equal, w 5 %", "238", 0.95, equal(0.95), 0.05),
        clicks("clicks 10 %, margin 5 %, equal, w 25 %", "36925", 0.1, 0.1, 0.25),
    ]

    /// The share of an equal candidate's requests above 1.3 times stable's quantile; lognormal, sigma 0.5.
    private static func equal(_ q: Double) -> Double { q == 0.99 ? 0.0022 : 0.0150 }

    private static func errors(
        _ name: String, _ reference: String, _ candidate: Double, _ stable: Double, _ w: Double,
        alpha: Double = 0.01
    ) -> Row {
        let spec = GateSpec(name: "g", metric: .errorRate, margin: 0.005)
        return gate(name, reference, spec, w, alpha, stableRate: stable) { random, tick in
            let (ours, theirs) = tick.draw(&random, w)
            return tick.pair(
                ours, failed: random.count(ours, candidate), theirs, failed: random.count(theirs, stable), w)
        }
    }

    /// `above` is the candidate's share above 1.3 tau.
    private static func latency(
        _ name: String, _ reference: String, _ q: Double, _ above: Double, _ w: Double, alpha: Double = 0.01
    ) -> Row {
        let spec = GateSpec(name: "g", metric: .latency(quantile: q), margin: 0.3)
        return gate(name, reference, spec, w, alpha) { random, tick in
            let (ours, theirs) = tick.draw(&random, w)
            var pair = tick.pair(ours, failed: 0, theirs, failed: 0, w)
            pair.candidate.randomised.fast0 = UInt32(ours - random.count(ours, above))
            pair.stable.randomised.fast0 = UInt32(theirs - random.count(theirs, 1 - q))
            return pair
        }
    }

    private static func clicks(
        _ name: String, _ reference: String, _ candidate: Double, _ stable: Double, _ w: Double,
        alpha: Double = 0.01
    ) -> Row {
        let metric = OutcomeMetric(metric: "clicks", windowMillis: 1000)
        let spec = GateSpec(name: "g", metric: .outcome(metric), margin: 0.05)
        var row = gate(name, reference, spec, w, alpha) { random, tick in
            let (ours, theirs) = tick.draw(&random, w)
            return tick.pair(
                ours, failed: random.count(ours, candidate), theirs, failed: random.count(theirs, stable), w)
        }
        row.requests = alpha == 0.05 ? 100_000 : 300_000
        return row
    }

    /// A gate over simulated ticks; what `draw` calls failed are clicks where the gate looks at values.
    private static func gate(
        _ name: String, _ reference: String, _ spec: GateSpec, _ w: Double, _ alpha: Double,
        stableRate: Double? = nil, _ draw: @escaping @Sendable (inout Seeded, TickShape) -> PairTick
    ) -> Row {
        var row = Row(name: name, reference: reference) { random, requests in
            var latency = LatencyReference(specs: [], gates: [spec])
            _ = latency.refresh(now: Tick(number: 0), requests: 5000) { UInt64(40_000 * $0) }
            let shape = TickShape(
                ours: latency.candidateThresholds.first ?? 0, theirs: latency.stableThresholds.first ?? 0,
                candidates: spec.metric.signal == nil ? 5 : 50)
            var watch = GateWatch(specs: [spec], from: Tick(number: 0), stableErrorRate: stableRate)
            var (number, seen) = (UInt64(0), 0)
            while seen < requests {
                let pair = draw(&random, shape)
                let tick = Tick(number: number)
                // Two ticks on, so that everything has settled.
                let reading = watch.step(
                    now: Tick(number: number + 2), reference: latency, readings: [], guardrails: [],
                    values: { _, _ in [ValueTick(tick, clicks: pair)] },
                    read: { $0 == tick ? pair : nil })[0]
                seen += Int(pair.candidate.randomised.started)
                number += 2
                if reading.verdict == .pass { return seen }
            }
            return nil
        }
        row.alpha = alpha
        // As far as the reference looked.
        if alpha == 0.05 { row.requests = 30_000 }
        return row
    }
}

/// What a simulated tick has in common with the others.
struct TickShape: Sendable {
    var ours: UInt32
    var theirs: UInt32
    /// Candidate requests a tick, about.
    var candidates: Int

    /// How many requests each version gets: a fixed number in all, each dealt by chance.
    func draw(_ random: inout Seeded, _ w: Double) -> (candidate: Int, stable: Int) {
        let all = Int((Double(candidates) / w).rounded())
        let ours = random.count(all, w)
        return (ours, all - ours)
    }

    func pair(_ ours: Int, failed: Int, _ theirs: Int, failed others: Int, _ w: Double) -> PairTick {
        var pair = PairTick(
            tick: Tick(number: 0), split: Row.split(w), candidate: ArmTick(), stable: ArmTick())
        pair.candidate.randomised.started = UInt32(ours)
        pair.candidate.randomised.completed = UInt32(ours)
        pair.candidate.randomised.failed = UInt32(failed)
        pair.stable.randomised.started = UInt32(theirs)
        pair.stable.randomised.completed = UInt32(theirs)
        pair.stable.randomised.failed = UInt32(others)
        pair.candidate.thresholds[0] = self.ours
        pair.stable.thresholds[0] = self.theirs
        return pair
    }
}

extension ValueTick {
    /// The counts of a tick as values: 1 for what is counted as failed, 0 for the rest.
    fileprivate init(_ tick: Tick, clicks pair: PairTick) {
        func arm(_ counts: ArmCounts) -> ValueArm {
            let ones = Int(counts.failed)
            return ValueArm(
                values: Array(repeating: 1, count: ones)
                    + Array(repeating: 0, count: Int(counts.started) - ones))
        }
        self.init(
            tick: tick, split: pair.split, candidate: arm(pair.candidate.randomised),
            stable: arm(pair.stable.randomised))
    }
}

extension Seeded {
    /// Binomial(n, p), by the gaps between events.
    mutating func count(_ n: Int, _ p: Double) -> Int {
        guard p > 0 else { return 0 }
        var (at, events) = (geometric(p), 0)
        while at < n {
            events += 1
            at += 1 + geometric(p)
        }
        return events
    }
}

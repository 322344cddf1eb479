// Latency quantiles against stable. As in the method's own simulation the threshold is not the true quantile
// but what 10,000 of stable's requests gave, rounded up to the edge of its bin (32 to the octave), so that a
// run's shares above it are a little off.
// Source: guardrails/results.md, sections 1 and 4.

import Glibc
import Metrics
import Statistics

/// Stable's latency in microseconds: a lognormal distribution, or a mixture of two.
struct LatencyShape: Sendable {
    private let parts: [(weight: Double, median: Double, sigma: Double)]

    static let lognormal = LatencyShape(parts: [(1, 50_000, 0.5)])
    static let bimodal = LatencyShape(parts: [(0.9, 20_000, 0.3), (0.1, 200_000, 0.3)])

    /// The share of requests above a latency.
    func above(_ micros: Double) -> Double {
        parts.reduce(0) { $0 + $1.weight * FixedTests.normalTail(log(micros / $1.median) / $1.sigma) }
    }

    /// The bin's upper edge at which a share of about `1 - q` of 10,000 requests lies above.
    func threshold(_ q: Double, _ random: inout Seeded) -> Double {
        let error = (q * (1 - q) / 10_000).squareRoot()
        let share = 1 - q + error * random.normal()
        var (low, high) = (100.0, 10_000_000.0)
        for _ in 0..<50 {
            let middle = (low * high).squareRoot()
            if above(middle) > share { low = middle } else { high = middle }
        }
        let layout = LogLinearLayout(subBits: 5)
        return Double(layout.upper(layout.index(UInt64(high.rounded(.up)))))
    }
}

extension Row {
    static let latencyNulls: [Row] = [
        null("p50 against stable, lognormal, w 5 %", 0.009, .lognormal, 0.5, 0.05),
        null("p95 against stable, lognormal, w 5 %", 0.006, .lognormal, 0.95, 0.05),
        null("p99 against stable, lognormal, w 5 %", 0.006, .lognormal, 0.99, 0.05),
        null("p50 against stable, bimodal, w 5 %", 0.008, .bimodal, 0.5, 0.05),
        null("p95 against stable, bimodal, w 5 %", 0.0055, .bimodal, 0.95, 0.05),
        null("p99 against stable, bimodal, w 5 %", 0.005, .bimodal, 0.99, 0.05),
        null("p99 against stable, lognormal, w 50 %", 0.008, .lognormal, 0.99, 0.5),
    ]

    static let latencyChanges: [Row] = [
        delay("lognormal p50 x 1.1, w 5 %", 594, 1320, .lognormal, 0.5, 1.1),
        delay("lognormal p50 x 1.3, w 5 %", 78, 170, .lognormal, 0.5, 1.3),
        delay("lognormal p50 x 2, w 5 %", 15, 29, .lognormal, 0.5, 2),
        delay("lognormal p95 x 1.1, w 5 %", 1440, 3160, .lognormal, 0.95, 1.1),
        delay("lognormal p95 x 1.3, w 5 %", 139, 330, .lognormal, 0.95, 1.3),
        delay("lognormal p95 x 2, w 5 %", 13, 31, .lognormal, 0.95, 2),
        delay("lognormal p99 x 1.1, w 5 %", 3860, 8791, .lognormal, 0.99, 1.1),
        delay("lognormal p99 x 1.1, w 50 %", 7540, 17_062, .lognormal, 0.99, 1.1, 0.5),
        delay("lognormal p99 x 1.3, w 5 %", 358, 867, .lognormal, 0.99, 1.3),
        delay("lognormal p99 x 1.3, w 50 %", 817, 1810, .lognormal, 0.99, 1.3, 0.5),
        delay("lognormal p99 x 2, w 5 %", 23, 57, .lognormal, 0.99, 2),
        delay("lognormal p99 x 2, w 50 %", 70, 133, .lognormal, 0.99, 2, 0.5),
        delay("bimodal p50 x 1.1, w 5 %", 257, 542, .bimodal, 0.5, 1.1),
        delay("bimodal p50 x 1.3, w 5 %", 34, 73, .bimodal, 0.5, 1.3),
        delay("bimodal p95 x 1.1, w 5 %", 4180, 9361, .bimodal, 0.95, 1.1),
        delay("bimodal p95 x 1.3, w 5 %", 772, 1730, .bimodal, 0.95, 1.3),
        delay("bimodal p95 x 2, w 5 %", 320, 793, .bimodal, 0.95, 2),
        delay("bimodal p99 x 1.1, w 5 %", 3500, 7771, .bimodal, 0.99, 1.1),
        delay("bimodal p99 x 1.3, w 5 %", 391, 950, .bimodal, 0.99, 1.3),
        delay("bimodal p99 x 2, w 5 %", 64, 165, .bimodal, 0.99, 2),
        delay("bimodal p99 x 2, w 50 %", 174, 354, .bimodal, 0.99, 2, 0.5),
    ]

    private static func null(
        _ name: String, _ share: Double, _ shape: LatencyShape, _ q: Double, _ w: Double
    ) -> Row {
        quantile(name, .falseTrips(share), shape, q, 1, w, tick: 10)
    }

    private static func delay(
        _ name: String, _ median: Int, _ late: Int, _ shape: LatencyShape, _ q: Double, _ factor: Double,
        _ w: Double = 0.05
    ) -> Row {
        let reference = Reference.delay(median, late)
        return quantile(name, reference, shape, q, factor, w, tick: median > 1000 ? 10 : 1)
    }

    /// RelativeQuantile on a candidate that is `factor` times as slow.
    private static func quantile(
        _ name: String, _ reference: Reference, _ shape: LatencyShape, _ q: Double, _ factor: Double,
        _ w: Double, tick: Int
    ) -> Row {
        let beside = CountTable.beside(tick, w)
        return Row(name: name, reference: reference, tick: tick) { random, requests in
            let threshold = shape.threshold(q, &random)
            let (ours, theirs) = (Binomial(shape.above(threshold / factor)), Binomial(shape.above(threshold)))
            var test = RelativeQuantile(quantile: q)
            var epochs = EpochCount()
            while epochs.at < requests {
                let slow = ours.draw(&random, of: tick)
                let stable = beside.draw(&random)
                let stableSlow = theirs.draw(&random, of: stable)
                test.add(
                    share: w, candidate: .init(slow: slow, fast: tick - slow),
                    stable: .init(slow: stableSlow, fast: stable - stableSlow))
                if test.wealth.maxLogE >= Wealth.atOnePercent { return epochs.at + tick }
                if epochs.pass(tick) { test.wealth.newEpoch() }
            }
            return nil
        }
    }
}

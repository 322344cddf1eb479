// A trip takes evidence and an effect that is large enough: the two together, with the records of epochs
// that the size is estimated from, on stable's 1 % at w 5 %, ten candidate requests at a time.
// Source: guardrails/results.md, section 9, the column of the last 2, 8 and 32 epochs less three errors.

import Statistics

extension Row {
    static let sizes: [Row] = [
        size("true ratio 1.0", .falseTrips(0.003), 1),
        size("true ratio 1.1", .trips(0.013), 1.1),
        size("true ratio 1.3", .trips(0.28), 1.3),
        size("true ratio 1.5", .delay(5935, 87_630), 1.5),
        size("true ratio 2", .delay(1690, 3950), 2),
        size("true ratio 5", .delay(180, 440), 5),
        size("true ratio 5 after 50,000 healthy", .delay(590, 1010), 5, healthy: 50_000),
        size("true ratio 2 after 50,000 healthy", .delay(5770, 13_410), 2, healthy: 50_000),
    ]

    private static func size(
        _ name: String, _ reference: Reference, _ ratio: Double, healthy: Int = 0
    ) -> Row {
        let (w, tick, least) = (0.05, 10, 1.5)
        let beside = CountTable.beside(tick, w)
        let (good, bad) = (Binomial(0.01), Binomial(0.01 * ratio))
        var row = Row(name: name, reference: reference, tick: tick) { random, requests in
            var test = RelativeEvents()
            var sizes = Materiality()
            var epochs = EpochCount()
            while epochs.at < requests {
                let failed = (epochs.at < healthy ? good : bad).draw(&random, of: tick)
                let stable = beside.draw(&random)
                let stableFailed = good.draw(&random, of: stable)
                test.apply(share: w, candidate: failed, stable: stableFailed)
                sizes.add(
                    EpochCounts(
                        candidateRequests: tick, candidateEvents: failed, stableRequests: stable,
                        stableEvents: stableFailed))
                // Evidence and estimates grow at failures of the candidate alone.
                if failed > 0 {
                    test.wealth.observe(test.wealth.logE)
                    if test.wealth.maxLogE >= Wealth.atOnePercent,
                        sizes.ratioReaches(least, minEvents: 3)
                    {
                        let delay = epochs.at + tick - healthy
                        return delay > 0 ? delay : nil
                    }
                }
                if epochs.pass(tick) {
                    test.wealth.newEpoch()
                    sizes.newEpoch(startsStage: false)
                }
            }
            return nil
        }
        if healthy > 0 { row.requests = healthy + 100_000 }
        return row
    }
}

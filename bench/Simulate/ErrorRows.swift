// Error rates: candidate against stable and against a constant, looked at after every bad request. Only bad
// requests are drawn, with the number of the candidate's good ones between them: a geometric gap is what a
// coin per request comes to.
// Source: guardrails/results.md, sections 1, 2, 3, 7 and 8.

import Statistics

extension Row {
    static let errorNulls: [Row] = [
        null("errors against stable, both 0.1 %, w 5 %", 0.0053, Errors(0.001, 0.001, 0.05)),
        null("errors against stable, both 1 %, w 5 %", 0.0065, Errors(0.01, 0.01, 0.05)),
        null("errors against stable, both 1 %, w 50 %", 0.01, Errors(0.01, 0.01, 0.5)),
        null("errors against stable, both 5 %, w 5 %", 0.004, Errors(0.05, 0.05, 0.05)),
        null("errors against stable, both 1 %, ramp 1-5-25 %", 0.003, Errors(0.01, 0.01, ramp: ramp)),
        null("errors against stable, both 0.1 %, w 1 %", 0.0035, Errors(0.001, 0.001, 0.01)),
    ]

    private static let ramp = [(0, 0.01), (20_000, 0.05), (50_000, 0.25)]

    static let errorChanges: [Row] = [
        delay("errors 0.1 % -> 0.5 %, w 1 %", 1590, 4020, Errors(0.005, 0.001, 0.01)),
        delay("errors 0.1 % -> 0.5 %, w 5 %", 1685, 4130, Errors(0.005, 0.001, 0.05)),
        delay("errors 0.1 % -> 0.5 %, w 50 %", 3750, 8391, Errors(0.005, 0.001, 0.5)),
        delay("errors 0.1 % -> 1 %, w 1 %", 482, 1270, Errors(0.01, 0.001, 0.01)),
        delay("errors 0.1 % -> 1 %, w 5 %", 510, 1350, Errors(0.01, 0.001, 0.05)),
        delay("errors 0.1 % -> 1 %, w 50 %", 1320, 2791, Errors(0.01, 0.001, 0.5)),
        delay("errors 1 % -> 2 %, w 1 %", 1680, 3880, Errors(0.02, 0.01, 0.01)),
        delay("errors 1 % -> 2 %, w 5 %", 1740, 4121, Errors(0.02, 0.01, 0.05)),
        delay("errors 1 % -> 2 %, w 25 %", 2250, 4960, Errors(0.02, 0.01, 0.25)),
        delay("errors 1 % -> 2 %, w 50 %", 3375, 7690, Errors(0.02, 0.01, 0.5)),
        delay("errors 1 % -> 5 %, w 1 %", 160, 400, Errors(0.05, 0.01, 0.01)),
        delay("errors 1 % -> 5 %, w 5 %", 172, 426, Errors(0.05, 0.01, 0.05)),
        delay("errors 1 % -> 5 %, w 50 %", 390, 892, Errors(0.05, 0.01, 0.5)),
        delay("errors 0 -> 100 %, w 1 %", 2, 2, Errors(1, 0, 0.01)),
        delay("errors 0 -> 100 %, w 5 %", 3, 3, Errors(1, 0, 0.05)),
        delay("errors 0 -> 100 %, w 50 %", 10, 10, Errors(1, 0, 0.5)),
        delay("errors 0.1 % -> 100 %, w 5 %", 3, 3, Errors(1, 0.001, 0.05)),
    ]

    static let traps: [Row] = [
        delay(
            "errors 1 % -> 5 % after 50,000 healthy, w 5 %", 380, 730,
            Errors(0.05, 0.01, 0.05, healthy: 50_000)),
        delay(
            "the same without restarts", 2380, 3490,
            Errors(0.05, 0.01, 0.05, healthy: 50_000, restarts: false)),
        share("errors 1 % -> 1.1 %, rho 1", 0.34, Errors(0.011, 0.01, 0.05)),
        null("errors 1 % -> 1.1 %, rho 1.5", 0, Errors(0.011, 0.01, 0.05, rho: 1.5)),
        null("errors 1 % -> 1.5 %, rho 1.5", 0.007, Errors(0.015, 0.01, 0.05, rho: 1.5)),
        delay("errors 1 % -> 1.3 %, rho 1", 15_040, 34_025, Errors(0.013, 0.01, 0.05)),
        delay("errors 1 % -> 1.5 %, rho 1", 6050, 13_412, Errors(0.015, 0.01, 0.05)),
        delay("errors 1 % -> 2 %, rho 1.5", 8675, 19_311, Errors(0.02, 0.01, 0.05, rho: 1.5)),
        delay("errors 0.1 % -> 0.5 %, w 90 %", 21_390, 45_930, Errors(0.005, 0.001, 0.9)),
        delay("errors 1 % -> 5 %, w 90 %", 2300, 4500, Errors(0.05, 0.01, 0.9)),
        delay("errors 1 % -> 5 %, w 95 %", 4355, 8621, Errors(0.05, 0.01, 0.95)),
    ]

    static let rateNulls: [Row] = [
        null("error rate above 2 %, true 2 %", 0.006, above: 0.02, 0.02),
        null("error rate above 2 %, true 1.5 %", 0.0005, above: 0.02, 0.015),
        null("error rate above 2 %, true 1 %", 0, above: 0.02, 0.01),
        null("error rate above 0.1 %, true 0.1 %", 0.0033, above: 0.001, 0.001),
    ]

    static let rateChanges: [Row] = [
        delay("error rate above 2 %, true 3 %", 2810, 6570, above: 0.02, 0.03),
        delay("error rate above 2 %, true 5 %", 394, 919, above: 0.02, 0.05),
        delay("error rate above 2 %, true 10 %", 74, 189, above: 0.02, 0.1),
        delay("error rate above 2 %, true 100 %", 2, 2, above: 0.02, 1),
        delay("error rate above 0.1 %, true 0.2 %", 15_360, 36_351, above: 0.001, 0.002),
        delay("error rate above 0.1 %, true 0.5 %", 1550, 3980, above: 0.001, 0.005),
        delay("error rate above 1.44 %, true 5 %", 234, 579, above: 0.0144, 0.05),
    ]

    static let recoveryChecks: [Row] = [
        recovered("recovered below 2 %, true 0.1 %", 230, 390, 0.001),
        recovered("recovered below 2 %, true 1 %", 1350, 3230, 0.01),
        delay("not recovered below 2 %, true 5 %", 280, 750, above: 0.02, 0.05, Wealth.atFivePercent),
    ]

    private static func null(_ name: String, _ share: Double, _ errors: Errors) -> Row {
        Row(name: name, reference: .falseTrips(share), simulate: errors.run)
    }

    private static func share(_ name: String, _ share: Double, _ errors: Errors) -> Row {
        Row(name: name, reference: .trips(share), simulate: errors.run)
    }

    private static func delay(_ name: String, _ median: Int, _ late: Int, _ errors: Errors) -> Row {
        var row = Row(name: name, reference: .delay(median, late), simulate: errors.run)
        if errors.healthy > 0 { row.requests = 2 * errors.healthy }
        return row
    }

    private static func null(_ name: String, _ share: Double, above p0: Double, _ p: Double) -> Row {
        Row(name: name, reference: .falseTrips(share)) { rate(&$0, $1, p0, p, Wealth.atOnePercent) }
    }

    private static func delay(
        _ name: String, _ median: Int, _ late: Int, above p0: Double, _ p: Double,
        _ threshold: Double = Wealth.atOnePercent
    ) -> Row {
        Row(name: name, reference: .delay(median, late)) { rate(&$0, $1, p0, p, threshold) }
    }

    /// AbsoluteRate, upwards: evidence grows at bad requests alone.
    private static func rate(
        _ random: inout Seeded, _ requests: Int, _ p0: Double, _ p: Double, _ threshold: Double
    ) -> Int? {
        var test = AbsoluteRate(p0: p0)
        var epochs = EpochCount()
        while epochs.at < requests {
            let good = random.geometric(p)
            guard good < epochs.left(of: requests) else {
                let rest = epochs.left(of: requests)
                test.apply(bad: 0, good: rest)
                if epochs.pass(rest) { test.wealth.newEpoch() }
                continue
            }
            test.add(bad: 1, good: good)
            if test.wealth.maxLogE >= threshold { return epochs.at + good + 1 }
            if epochs.pass(good + 1) { test.wealth.newEpoch() }
        }
        return nil
    }

    /// The recovery check, at alpha 5 %: evidence grows at good requests.
    private static func recovered(_ name: String, _ median: Int, _ late: Int, _ p: Double) -> Row {
        Row(name: name, reference: .delay(median, late), tick: 10) { random, requests in
            var test = AbsoluteRate(p0: 0.02, direction: .down)
            var epochs = EpochCount()
            while epochs.at < requests {
                let bad = (0..<10).count { _ in random.chance(p) }
                test.add(bad: bad, good: 10 - bad)
                if test.wealth.maxLogE >= Wealth.atFivePercent { return epochs.at + 10 }
                if epochs.pass(10) { test.wealth.newEpoch() }
            }
            return nil
        }
    }
}

/// Candidate requests so far, and since the last epoch began.
struct EpochCount {
    private(set) var at = 0
    private var since = 0

    /// Requests until the epoch ends, or the run.
    func left(of requests: Int) -> Int { min(requests - at, BetGrid.epochRequests - since) }

    /// Counts requests; true when an epoch starts behind them.
    mutating func pass(_ requests: Int) -> Bool {
        at += requests
        since += requests
        guard since >= BetGrid.epochRequests else { return false }
        since = 0
        return true
    }

    mutating func restart() { since = 0 }
}

/// RelativeEvents on a candidate's and stable's failures.
struct Errors: Sendable {
    var candidate: Double
    var stable: Double
    /// The candidate's share from a number of its requests on.
    var ramp: [(from: Int, share: Double)]
    /// Requests in which the candidate is as good as stable, before it is not.
    var healthy = 0
    var rho = 1.0
    var restarts = true

    init(
        _ candidate: Double, _ stable: Double, _ share: Double, healthy: Int = 0, rho: Double = 1,
        restarts: Bool = true
    ) {
        self.init(candidate, stable, ramp: [(0, share)])
        (self.healthy, self.rho, self.restarts) = (healthy, rho, restarts)
    }

    init(_ candidate: Double, _ stable: Double, ramp: [(from: Int, share: Double)]) {
        (self.candidate, self.stable, self.ramp) = (candidate, stable, ramp)
    }

    /// Requests of the candidate from the change to the trip; nil also for a trip before the change.
    @Sendable func run(_ random: inout Seeded, _ requests: Int) -> Int? {
        var test = RelativeEvents(rho: rho, restarts: restarts)
        var epochs = EpochCount()
        var (stage, failures) = (0, 0)
        while epochs.at < requests {
            let w = ramp[stage].share
            let p = epochs.at < healthy ? stable : candidate
            let next = stage + 1 < ramp.count ? ramp[stage + 1].from : requests
            let end = min(epochs.left(of: requests), next - epochs.at)
            let left = epochs.at < healthy ? min(end, healthy - epochs.at) : end
            let bad = w * p + (1 - w) * stable
            // The candidate's good requests before the next failure of either.
            let good = random.geometric(bad / (bad + w * (1 - p)))
            guard good < left else {
                test.apply(share: w, candidate: 0, stable: failures)
                failures = 0
                let isStage = epochs.at + left == next && next < requests
                if epochs.pass(left) || isStage { test.wealth.newEpoch() }
                if isStage {
                    stage += 1
                    epochs.restart()
                }
                continue
            }
            guard random.chance(w * p / bad) else {
                failures += 1
                _ = epochs.pass(good)
                continue
            }
            test.add(share: w, candidate: 1, stable: failures)
            failures = 0
            if test.wealth.maxLogE >= Wealth.atOnePercent {
                let delay = epochs.at + good + 1 - healthy
                return delay > 0 ? delay : nil
            }
            if epochs.pass(good + 1) { test.wealth.newEpoch() }
        }
        return nil
    }
}

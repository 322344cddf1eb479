// The rows: what is tested, what is true, and the figure that was measured for the method.
// A figure is a share of rollouts, or a median of candidate requests.
// Requests are drawn one candidate request at a time, with the stable requests around it.

import Glibc
import Statistics

/// One row of the table.
struct Row: Sendable {
    var name: String
    /// The measured figure: a median, or a share.
    var reference: String
    /// Chance of a false trip, or of a promotion by mistake, that the row's test promises.
    var alpha = 0.01
    /// Candidate requests of a run, where the row has its own number; 0: as asked for.
    var requests = 0
    /// Candidate requests until the trip; nil when there is none.
    var simulate: @Sendable (_ random: inout Seeded, _ requests: Int) -> Int?

    init(
        name: String, reference: String,
        simulate: @escaping @Sendable (_ random: inout Seeded, _ requests: Int) -> Int?
    ) {
        self.name = name
        self.reference = reference
        self.simulate = simulate
    }

    func requestsToTrip(_ seed: UInt64, _ requests: Int) -> Int? {
        var random = Seeded(seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(name.utf8.count))
        return simulate(&random, self.requests > 0 ? self.requests : requests)
    }

    func matches(_ words: String) -> Bool { words.isEmpty || name.contains(words) }
}

/// Log evidence at alpha 1 %.
private let threshold = Wealth.logThreshold(alpha: 0.01)

extension Row {
    static let nulls: [Row] = [
        events("errors against stable, both 0.1 %, w 5 %", "0.53 %", 0.001, 0.001) { _ in 0.05 },
        events("errors against stable, both 1 %, w 5 %", "0.65 %", 0.01, 0.01) { _ in 0.05 },
        events("errors against stable, both 1 %, w 50 %", "1 %", 0.01, 0.01) { _ in 0.5 },
        events("errors against stable, both 1 %, ramp 1-5-25 %", "0.3 %", 0.01, 0.01) {
            $0 < 20_000 ? 0.01 : $0 < 50_000 ? 0.05 : 0.25
        },
        rate("error rate above 2 %, true 2 %", "0.6 %", 0.02, 0.02),
        rate("error rate above 0.1 %, true 0.1 %", "0.33 %", 0.001, 0.001),
        quantile("p50 against stable, equal, w 5 %", "0.9 %", 0.5, 0.5, 0.05, tick: 10),
        quantile("p99 against stable, equal, w 5 %", "0.6 %", 0.99, 0.01, 0.05, tick: 10),
        clicks("clicks against stable, both 10 %, w 5 %", "0.3 %", 0.1, 0.1, 0.05),
    ]

    static let changes: [Row] = [
        events("errors 0.1 % -> 0.5 %, w 5 %", "1685", 0.005, 0.001) { _ in 0.05 },
        events("errors 0.1 % -> 1 %, w 5 %", "510", 0.01, 0.001) { _ in 0.05 },
        events("errors 1 % -> 2 %, w 5 %", "1740", 0.02, 0.01) { _ in 0.05 },
        events("errors 1 % -> 5 %, w 1 %", "160", 0.05, 0.01) { _ in 0.01 },
        events("errors 1 % -> 5 %, w 5 %", "172", 0.05, 0.01) { _ in 0.05 },
        events("errors 1 % -> 5 %, w 50 %", "390", 0.05, 0.01) { _ in 0.5 },
        events("errors 0 -> 100 %, w 1 %", "2", 1, 0) { _ in 0.01 },
        events("errors 0 -> 100 %, w 5 %", "3", 1, 0) { _ in 0.05 },
        events("errors 0 -> 100 %, w 50 %", "10", 1, 0) { _ in 0.5 },
        late("errors 1 % -> 5 % after 50,000 healthy, w 5 %", "380", restarts: true),
        late("the same without restarts", "2380", restarts: false),
        rate("error rate above 2 %, true 3 %", "2810", 0.02, 0.03),
        rate("error rate above 2 %, true 5 %", "394", 0.02, 0.05),
        rate("error rate above 2 %, true 100 %", "2", 0.02, 1),
        quantile("p50 x 1.3, lognormal, w 5 %", "78", 0.5, 0.70, 0.05, tick: 1),
        quantile("p95 x 1.3, lognormal, w 5 %", "139", 0.95, 0.131, 0.05, tick: 1),
        quantile("p99 x 1.3, lognormal, w 5 %", "358", 0.99, 0.0358, 0.05, tick: 1),
        quantile("p99 x 2, lognormal, w 5 %", "23", 0.99, 0.174, 0.05, tick: 1),
        clicks("clicks 10 %, -20 %, w 5 %", "2845", 0.08, 0.1, 0.05),
        clicks("clicks 10 %, -50 %, w 5 %", "430", 0.05, 0.1, 0.05),
        recovery("recovered below 2 %, true 0.1 %", "230", 0.001),
    ]

    /// RelativeEvents; `share` by candidate requests so far.
    private static func events(
        _ name: String, _ reference: String, _ candidate: Double, _ stable: Double,
        share: @escaping @Sendable (Int) -> Double
    ) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var test = RelativeEvents()
            var (since, last) = (0, share(0))
            for request in 1...requests {
                let w = share(request)
                if w != last || since >= BetGrid.epochRequests {
                    test.wealth.newEpoch()
                    since = 0
                }
                (last, since) = (w, since + 1)
                // Stable's failures between two candidate requests: a failure comes first with odds
                // (1-w) p_s to w.
                let stops = stable > 0 ? w / (w + (1 - w) * stable) : 1
                let failures = stable > 0 ? random.geometric(stops) : 0
                let fails = random.chance(candidate)
                guard failures > 0 || fails else { continue }
                test.add(share: w, candidate: fails ? 1 : 0, stable: failures)
                if fails, test.wealth.maxLogE >= threshold { return request }
            }
            return nil
        }
    }

    private static func late(_ name: String, _ reference: String, restarts: Bool) -> Row {
        Row(name: name, reference: reference) { random, _ in
            var test = RelativeEvents(restarts: restarts)
            let (w, healthy) = (0.05, 50_000)
            for request in 1...(healthy + 50_000) {
                if request % BetGrid.epochRequests == 1, request > 1 { test.wealth.newEpoch() }
                let failures = random.geometric(w / (w + (1 - w) * 0.01))
                let fails = random.chance(request > healthy ? 0.05 : 0.01)
                if failures > 0 || fails { test.add(share: w, candidate: fails ? 1 : 0, stable: failures) }
                if request > healthy, test.wealth.maxLogE >= threshold { return request - healthy }
            }
            return nil
        }
    }

    private static func rate(
        _ name: String, _ reference: String, _ p0: Double, _ p: Double
    ) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var test = AbsoluteRate(p0: p0)
            var good = 0
            for request in 1...requests {
                if request % BetGrid.epochRequests == 1, request > 1 {
                    test.add(bad: 0, good: good)
                    good = 0
                    test.wealth.newEpoch()
                }
                guard random.chance(p) else {
                    good += 1
                    continue
                }
                test.add(bad: 1, good: good)
                good = 0
                if test.wealth.maxLogE >= threshold { return request }
            }
            return nil
        }
    }

    /// RelativeQuantile; `above` is the candidate's share above stable's quantile.
    private static func quantile(
        _ name: String, _ reference: String, _ q: Double, _ above: Double, _ w: Double, tick: Int
    ) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var test = RelativeQuantile(quantile: q)
            var (ours, theirs) = (
                RelativeQuantile.Counts(slow: 0, fast: 0), RelativeQuantile.Counts(slow: 0, fast: 0)
            )
            for request in 1...requests {
                if request % BetGrid.epochRequests == 1, request > 1 { test.wealth.newEpoch() }
                for _ in 0..<random.geometric(w) {
                    if random.chance(1 - q) { theirs.slow += 1 } else { theirs.fast += 1 }
                }
                if random.chance(above) { ours.slow += 1 } else { ours.fast += 1 }
                guard request % tick == 0 else { continue }
                test.add(share: w, candidate: ours, stable: theirs)
                (ours, theirs) = (.init(slow: 0, fast: 0), .init(slow: 0, fast: 0))
                if test.wealth.maxLogE >= threshold { return request }
            }
            return nil
        }
    }

    /// MeanDifference on a drop, ten candidate requests a tick.
    private static func clicks(
        _ name: String, _ reference: String, _ candidate: Double, _ stable: Double, _ w: Double
    ) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var test = MeanDifference(.drop, delta: 0, priorMean: stable, priorWeight: 1000)
            for request in stride(from: 10, through: requests, by: 10) {
                if request % BetGrid.epochRequests == 10, request > 10 { test.wealth.newEpoch() }
                var counts = [0, 0, 0, 0]
                for _ in 0..<10 {
                    for _ in 0..<random.geometric(w) { counts[random.chance(stable) ? 1 : 0] += 1 }
                    counts[random.chance(candidate) ? 3 : 2] += 1
                }
                test.add(
                    share: w,
                    counts.enumerated().map { i, count in
                        .init(isCandidate: i >= 2, value: i % 2 == 1 ? 1 : 0, count: count)
                    })
                if test.wealth.maxLogE >= threshold { return request }
            }
            return nil
        }
    }

    /// The recovery check, at alpha 5 %.
    private static func recovery(_ name: String, _ reference: String, _ p: Double) -> Row {
        Row(name: name, reference: reference) { random, requests in
            var test = AbsoluteRate(p0: 0.02, direction: .down)
            for request in 1...requests {
                if request % BetGrid.epochRequests == 1, request > 1 { test.wealth.newEpoch() }
                let isBad = random.chance(p)
                test.add(bad: isBad ? 1 : 0, good: isBad ? 0 : 1)
                if test.wealth.maxLogE >= Wealth.logThreshold(alpha: 0.05) { return request }
            }
            return nil
        }
    }
}

// The rows: what is tested, what is true, and the figure that was measured for the method, by the sections
// of that measurement. How a row is simulated stands in the file of its kind.
// Source: guardrails/results.md.

import Statistics

/// One row of the table.
struct Row: Sendable {
    /// What was measured for the method.
    enum Reference: Sendable {
        /// A share of runs that must not exceed alpha; nil where the method was not measured like this.
        case falseTrips(Double?)
        /// A share of runs that have reason to trip.
        case trips(Double)
        /// Candidate requests until the trip: median and 95th percentile, nil for never.
        case delay(Int, Int?)
    }

    var name: String
    var reference: Reference
    /// Chance of a false trip, or of a promotion by mistake, that the row's test promises.
    var alpha = 0.01
    /// Candidate requests of a run, where the row has its own number; 0: as asked for.
    var requests = 0
    /// Candidate requests between two looks.
    var tick = 1
    /// Candidate requests until the trip; nil when there is none.
    var simulate: @Sendable (_ random: inout Seeded, _ requests: Int) -> Int?

    func requestsToTrip(run: Int, _ requests: Int) -> Int? {
        // FNV-1a of the name, so that a row's runs do not depend on the rows around it.
        let seed = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        var random = Seeded(seed &+ UInt64(run) &* 0x2545_F491_4F6C_DD1D)
        return simulate(&random, requests)
    }

    func matches(_ words: String) -> Bool { words.isEmpty || name.contains(words) }

    /// The table, in the order of the method's.
    static let sections: [(title: String, rows: [Row])] = [
        (
            "1. False trips when nothing is wrong, over 100,000 candidate requests, alpha 1 %",
            errorNulls + rateNulls + latencyNulls + clickNulls + valueNulls
                + driftNulls
        ),
        ("2. Error rate against stable: candidate requests until the trip, median / p95", errorChanges),
        ("3. Error rate above a constant", rateChanges),
        ("4. Latency quantile against stable, thresholds from 10,000 requests", latencyChanges),
        ("5. Means: clicks, confidence, cost", clickChanges + valueChanges),
        ("6. Drift of a distribution", driftChanges),
        ("7. Promotion gates and the recovery check", gateChanges + gateNulls + recoveryChecks),
        ("8. Late regressions, tolerances and large shares", traps),
        ("9. Evidence and the size of the effect, 1.5 times stable's 1 %, w 5 %", sizes),
    ]
}

extension Wealth {
    /// Log evidence at alpha 1 %.
    static let atOnePercent = Wealth.logThreshold(alpha: 0.01)
    static let atFivePercent = Wealth.logThreshold(alpha: 0.05)
}

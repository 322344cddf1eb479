// Drift of a distribution over the deciles of a normal value: the evidence alone, which needs no number of
// requests, and the watch as control steps it, which asks for a hundred and for a distance. References are
// drawn anew for every run: with a single one all runs would share its luck.
// Source: guardrails/results.md, sections 1 and 6.

import Glibc
import Metrics
import Rollout
import Statistics

/// The bins of a value: a normal one that is shifted and scaled, over the deciles of one that is not.
private struct Deciles: Sendable {
    private let shares: CountTable

    init(shift: Double = 0, scale: Double = 1) {
        let below = Deciles.edges.map { 1 - FixedTests.normalTail(($0 - shift) / scale) } + [1]
        shares = CountTable(weights: below.indices.map { below[$0] - ($0 > 0 ? below[$0 - 1] : 0) })
    }

    /// The nine inner edges.
    static let edges: [Double] = (1...9).map { tenth in
        var (low, high) = (-10.0, 10.0)
        for _ in 0..<60 {
            let middle = 0.5 * (low + high)
            if 1 - FixedTests.normalTail(middle) < Double(tenth) / 10 { low = middle } else { high = middle }
        }
        return low
    }

    func count(_ n: Int, _ random: inout Seeded) -> [Int] {
        var counts = Array(repeating: 0, count: 10)
        add(n, to: &counts, &random)
        return counts
    }

    func add(_ n: Int, to counts: inout [Int], _ random: inout Seeded) {
        for _ in 0..<n { counts[shares.draw(&random)] += 1 }
    }

    /// A value inside a bin.
    func value(_ random: inout Seeded) -> Double {
        let bin = shares.draw(&random)
        return bin < 9 ? Deciles.edges[bin] - 1e-3 : Deciles.edges[8] + 1e-3
    }
}

extension Row {
    static let driftNulls: [Row] = [
        label("drift against stable, w 5 %", .falseTrips(0.0035), Deciles(), 0.05, tick: 50),
        pinned("drift from 2,000 rows", .falseTrips(0), Deciles(), rows: 2000, tick: 100),
        pinned("drift from 20,000 rows", .falseTrips(0.002), Deciles(), rows: 20_000, tick: 100),
        watched("watched drift against stable, w 25 %", .falseTrips(0.0035), 0, 0, 0.25, tick: 100),
        watched("watched drift from 2,000 rows, w 50 %", .falseTrips(0), rows: 2000),
    ]

    static let driftChanges: [Row] = [
        label("shift .2 sd, w 5 %", .delay(630, 1151), Deciles(shift: 0.2)),
        label("shift .35 sd, w 5 %", .delay(230, 410), Deciles(shift: 0.35)),
        label("shift .5 sd, w 5 %", .delay(110, 210), Deciles(shift: 0.5)),
        label("shift 1 sd, w 5 %", .delay(40, 60), Deciles(shift: 1)),
        label("scale x 1.3, w 5 %", .delay(280, 510), Deciles(scale: 1.3)),
        label("collapse to one bin, w 5 %", .delay(20, 20), Deciles(shift: 0.1, scale: 1e-6)),
        watched("watched, shift .2 sd, w 5 %", .delay(630, 1151), 0, 0.2, 0.05, tick: 10),
        watched(
            "watched, shift .35 sd, index 0.1, w 5 %", .delay(230, 1351), 0.1, 0.35, 0.05,
            tick: 10),
        watched(
            "watched, shift .5 sd, index 0.2, w 5 %", .delay(110, 760), 0.2, 0.5, 0.05,
            tick: 10),
        pinned("shift .2 sd from 20,000 rows", .delay(1180, 2240), Deciles(shift: 0.2), rows: 20_000),
        pinned("shift .5 sd from 20,000 rows", .delay(140, 240), Deciles(shift: 0.5), rows: 20_000),
    ]

    /// DriftLabel.
    private static func label(
        _ name: String, _ reference: Reference, _ candidate: Deciles, _ w: Double = 0.05, tick: Int = 10
    ) -> Row {
        let (stable, beside) = (Deciles(), CountTable.beside(tick, w))
        return Row(name: name, reference: reference, tick: tick) { random, requests in
            var test = DriftLabel(bins: 10)
            var epochs = EpochCount()
            while epochs.at < requests {
                test.add(
                    share: w, candidate: candidate.count(tick, &random),
                    stable: stable.count(beside.draw(&random), &random))
                if test.wealth.maxLogE >= Wealth.atOnePercent { return epochs.at + tick }
                if epochs.pass(tick) { test.newEpoch() }
            }
            return nil
        }
    }

    /// PinnedDrift with the radius that the method's figures were measured with: without the floor that
    /// guardrails have, and of a single stage, which shares its alpha with none.
    private static func pinned(
        _ name: String, _ reference: Reference, _ candidate: Deciles, rows: Int, tick: Int = 20
    ) -> Row {
        let radius = chiSquareUpperQuantile(0.001, degrees: 9) / (2 * Double(rows))
        return Row(name: name, reference: reference, tick: tick) { random, requests in
            let expected = PinnedDrift.smooth(Deciles().count(rows, &random))
            var counts = Array(repeating: 0, count: 10)
            var seen = 0
            while seen < requests {
                candidate.add(tick, to: &counts, &random)
                seen += tick
                let logE = PinnedDrift.logE(counts: counts, reference: expected, radius: radius)
                if logE >= Wealth.atOnePercent { return seen }
            }
            return nil
        }
    }

    private static func watched(
        _ name: String, _ reference: Reference, _ psi: Double, _ shift: Double, _ w: Double, tick: Int
    ) -> Row {
        let normal = QuantileTable()
        let spec = GuardrailSpec(
            name: "r", measure: .drift(value: "x"), rule: .sequentialDrift(psi: psi), minRequests: 1)
        return watched(
            name, reference, spec, w, { normal.draw(&$0) + shift }, { normal.draw(&$0) }, tick: tick)
    }

    private static func watched(_ name: String, _ reference: Reference, rows: Int) -> Row {
        let bins = Deciles()
        return watched(
            name, reference,
            { random in
                let pinned = DriftReference(edges: Deciles.edges, counts: bins.count(rows, &random))
                return GuardrailSpec(
                    name: "r", measure: .drift(value: "x"), rule: .sequentialDriftFrom(pinned, psi: 0),
                    minRequests: 1, minEvents: 0)
            }, 0.5, { bins.value(&$0) }, { bins.value(&$0) }, tick: 100)
    }
}

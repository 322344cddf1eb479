// Laws of the rules on the error budget and on the health of endpoints.

import Foundation
import Metrics
import Rollout
import Testing

@Suite struct BurnAndHealthTests {
    private static func burn(_ requests: Double? = nil) -> GuardrailSpec {
        GuardrailSpec(
            name: "b", measure: .errorRate,
            rule: .sequentialBurn(budget: 0.001, burn: 14.4, monthlyRequests: requests))
    }

    @Test("a candidate that burns the budget far too fast trips, one within it does not")
    func burning() {
        var fast = Bench(seed: 1, specs: [Self.burn()])
        let trip = fast.runUntilTrip(
            ticks: 600, candidate: Behaviours.failing(0.1), stable: Behaviours.failing(0))
        #expect(abs((trip?.trip.threshold ?? 0) - 0.0144) < 1e-12)
        var slow = Bench(seed: 2, specs: [Self.burn()])
        let none = slow.runUntilTrip(
            ticks: 600, candidate: Behaviours.failing(0.005), stable: Behaviours.failing(0))
        #expect(none == nil && slow.readings[0].verdict == .pass)
    }

    @Test("the candidate's share of the month's budget is a cap that no speed evades, and survives a restart")
    func cap() throws {
        // 2 % of 0.001 of a million requests: 20 failures.
        let spec = Self.burn(1_000_000)
        var bench = Bench(seed: 3, specs: [spec])
        bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        var failures = 0
        for tick in 0..<2000 as Range<UInt64> {
            let fails = tick % 20 == 0 && failures < 19
            if fails { failures += 1 }
            var isFirst = fails
            bench.tick(
                candidate: { _, _ in
                    defer { isFirst = false }
                    return Ending(isFailure: isFirst)
                }, stable: Behaviours.failing(0))
            if failures == 10, tick % 20 == 10 {
                let saved = try JSONDecoder.tolerant.decode(
                    CandidateWatch.Saved.self, from: JSONEncoder.tolerant.encode(bench.watch.saved))
                bench.watch = CandidateWatch(restoring: saved, specs: [spec], from: Tick(number: bench.now))
            }
        }
        #expect(bench.readings[0].verdict == .pass, "\(bench.readings[0].reason)")
        #expect(bench.readings[0].progress >= 0.9)
        var isFirst = true
        let trip = bench.runUntilTrip(
            ticks: 5,
            candidate: { _, _ in
                defer { isFirst = false }
                return Ending(isFailure: isFirst)
            }, stable: Behaviours.failing(0))
        #expect(trip != nil, "\(bench.readings[0].reason)")
        // What was used up while nobody could be moved is granted once more.
        bench.watch.forfeitProven()
        bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0))
        #expect(bench.readings[0].verdict == .pass, "\(bench.readings[0].reason)")
    }

    @Test("the industry's burn rule wants the long and the short window to burn")
    func twoWindows() {
        let spec = GuardrailSpec(
            name: "w", measure: .errorRate, rule: .windowBurn(budget: 0.01, burn: 10), windowTicks: 36_000)
        #expect(spec.windowLengths == [36_000, 3_000])
        func verdict(long: Int, short: Int) -> Verdict {
            var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
            return watch.step(
                now: Tick(number: 1), reference: LatencyReference(specs: []),
                windows: { query in
                    let failures = query.ticks == 36_000 ? long : short
                    return WindowPair(
                        candidate: WindowArm(requests: 1000, failures: failures),
                        stable: WindowArm(requests: 1000, failures: 0))
                }, read: { _ in nil })[0].verdict
        }
        #expect(verdict(long: 200, short: 200) == .fail)
        #expect(verdict(long: 200, short: 10) == .notEnoughData)
        #expect(verdict(long: 50, short: 200) == .pass)
    }

    @Test("too few healthy endpoints trip when that lasts; nobody knowing is neither pass nor fail")
    func health() {
        let spec = GuardrailSpec(
            name: "h", measure: .health, rule: .below(0.5), forTicks: 20, vetoWhenStableToo: false)
        var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
        func verdict(_ tick: UInt64, _ share: Double?) -> Verdict {
            watch.step(
                now: Tick(number: tick), reference: LatencyReference(specs: []), windows: { _ in nil },
                health: { HealthShares(candidate: share) }, read: { _ in nil })[0].verdict
        }
        #expect(verdict(1, nil) == .notEnoughData)
        #expect(verdict(2, 0.5) == .pass)
        #expect(verdict(3, 0.25) == .notEnoughData)
        #expect(verdict(22, 0.25) == .notEnoughData)
        #expect(verdict(23, 0.25) == .fail)
        #expect(verdict(24, 1) == .pass)
        #expect(verdict(25, 0.25) == .notEnoughData)
    }

    @Test("a sequential latency rule on another time than the total is refused with a sentence")
    func otherTimes() {
        var spec = GuardrailSpec(
            name: "l", measure: .latency(quantile: 0.99),
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0))
        spec.time = .upstream
        #expect(spec.problem?.contains("total time") == true)
        var window = GuardrailSpec(
            name: "l", measure: .latency(quantile: 0.99), rule: .windowAbove(300_000))
        window.time = .upstream
        #expect(window.problem == nil)
    }

    @Test("a rule that does not go with its measure is refused with a sentence")
    func misfits() {
        let misfits: [(GuardrailSpec.Measure, GuardrailSpec.Rule)] = [
            (.health, .sequentialAbove(0.5)), (.drift(value: "x"), .windowAbove(0.1)),
            (.errorRate, .sequentialBelow(0.1)), (.latency(quantile: 0.9), .below(0.5)),
            (.missing(value: "x"), .sequentialDrift(psi: 0.1)),
            (.confidence(value: "x"), .windowBurn(budget: 0.1, burn: 2)),
        ]
        for (measure, rule) in misfits {
            let spec = GuardrailSpec(name: "m", measure: measure, rule: rule)
            #expect(spec.problem?.contains("does not go with") == true)
        }
    }
}

// Rules against a constant over windows and budgets: versions that fail together are not cut, at any weight;
// a version that fails alone is, and its reason says what stable answered.

import Metrics
import Rollout
import Testing

/// Rules over windows and budgets, fed from simulated traffic.
private struct WindowBench {
    var traffic: Traffic
    private var watch: CandidateWatch
    private(set) var now: UInt64 = 1_000
    private(set) var reading: GuardrailReading?
    /// Requests and failures of both up to the end of each tick, so that a window is a difference.
    private var ended = [SIMD4<Int>(repeating: 0)]

    init(seed: UInt64, _ spec: GuardrailSpec, stable ppm: UInt32, shields: Bool) {
        traffic = Traffic(seed: seed)
        traffic.split = PairSplit(candidatePPM: 1_000_000 - ppm, stablePPM: ppm)
        traffic.requestsPerTick = 10
        traffic.rescuesAfter = shields ? 1 : nil
        watch = CandidateWatch(specs: [spec], from: Tick(number: now))
    }

    mutating func tick(candidate: Behaviour, stable: Behaviour) {
        traffic.run(now, candidate: candidate, stable: stable)
        var sum = ended[ended.count - 1]
        for request in traffic.started[now] ?? [] {
            let failed = request.ending.isFailure ? 1 : 0
            sum &+= request.isCandidate ? SIMD4(1, failed, 0, 0) : SIMD4(0, 0, 1, failed)
        }
        ended.append(sum)
        now += 1
        let (traffic, now, ended) = (traffic, now, ended)
        reading =
            watch.step(
                now: Tick(number: now), reference: LatencyReference(specs: []),
                windows: { query in
                    let counts = sum &- ended[max(0, ended.count - 1 - query.ticks)]
                    return WindowPair(
                        candidate: WindowArm(requests: counts[0], failures: counts[1]),
                        stable: WindowArm(requests: counts[2], failures: counts[3]))
                }, read: { traffic.read($0, at: now) })[0]
    }

    /// The tick of the trip; nil when there is none in so many ticks.
    mutating func runUntilTrip(_ ticks: Int, candidate: Behaviour, stable: Behaviour) -> UInt64? {
        for _ in 0..<ticks {
            tick(candidate: candidate, stable: stable)
            if reading?.verdict == .fail { return now }
        }
        return nil
    }
}

@Suite struct WindowVetoTests {
    private static func rule(
        _ name: String, _ rule: GuardrailSpec.Rule, window: Int = 100
    ) -> GuardrailSpec {
        GuardrailSpec(
            name: name, measure: .errorRate, rule: rule, windowTicks: window,
            minRequests: name == "budget" ? 1 : 10)
    }

    static let rules = [
        rule("above", .windowAbove(0.05)),
        rule("long above", .windowAbove(0.02), window: 600),
        rule("burn over windows", .windowBurn(budget: 0.01, burn: 5), window: 240),
        rule("budget", .sequentialBurn(budget: 0.001, burn: 14.4, monthlyRequests: nil)),
        // 2 % of a thousandth of a million requests: 20 failures.
        rule("budget with a cap", .sequentialBurn(budget: 0.001, burn: 14.4, monthlyRequests: 1_000_000)),
    ]

    /// Fails a share of its requests for a time, from tick 1,100 on.
    private func outage(_ share: Double, ticks: UInt64) -> Behaviour {
        { tick, random in
            Ending(isFailure: (1_100..<1_100 + ticks).contains(tick) && random.chance(share))
        }
    }

    @Test(
        "Versions that fail together are not cut, with a hold-back or without, nor when it is over",
        arguments: rules, [0, 10_000, 50_000, 500_000, 950_000] as [UInt32])
    func twins(spec: GuardrailSpec, stable: UInt32) {
        for seed in 1...2 as ClosedRange<UInt64> {
            for share in [0.5, 1] {
                var bench = WindowBench(seed: seed, spec, stable: stable, shields: true)
                let both = outage(share, ticks: 150)
                let tick = bench.runUntilTrip(700, candidate: both, stable: both)
                #expect(
                    tick == nil,
                    "seed \(seed), \(share): at \(tick ?? 0) \(bench.reading?.reason ?? "")")
            }
        }
    }

    @Test("Where nobody can say how stable is, a rule waits for a short outage to be over", arguments: rules)
    func unknown(spec: GuardrailSpec) {
        var bench = WindowBench(seed: 5, spec, stable: 0, shields: false)
        let both = outage(1, ticks: 60)
        let tick = bench.runUntilTrip(700, candidate: both, stable: both)
        #expect(tick == nil, "at \(tick ?? 0) \(bench.reading?.reason ?? "")")
        var alone = WindowBench(seed: 5, spec, stable: 0, shields: false)
        let found = alone.runUntilTrip(
            300, candidate: outage(1, ticks: 300), stable: Behaviours.failing(0))
        #expect(found.map { (1_195...1_215).contains($0) } == true, "at \(found ?? 0)")
    }

    @Test(
        "A version that fails alone is cut within seconds where it fails all, and within thirteen else",
        arguments: rules, [0, 10_000, 500_000, 950_000] as [UInt32])
    func alone(spec: GuardrailSpec, stable: UInt32) {
        for share in [0.5, 1] {
            var bench = WindowBench(seed: 9, spec, stable: stable, shields: true)
            // Stable needs some 200 requests at the candidate's bad moments, or ten seconds pass.
            let found = bench.runUntilTrip(
                400, candidate: outage(share, ticks: 400), stable: Behaviours.failing(0))
            let few: UInt64 = share == 1 && stable <= 500_000 ? 60 : 130
            #expect(
                found.map { $0 <= 1_100 + few } == true,
                "\(share): at \(found ?? 0) \(bench.reading?.reason ?? "")")
        }
    }

    @Test(
        "A rate just above the limit is found beside a stable that keeps it",
        arguments: Array(rules.prefix(3)))
    func small(spec: GuardrailSpec) {
        var bench = WindowBench(seed: 11, spec, stable: 500_000, shields: true)
        let found = bench.runUntilTrip(
            1_500, candidate: Behaviours.failing(0.08), stable: Behaviours.failing(0.002))
        #expect(found != nil, "\(bench.reading?.reason ?? "")")
    }

    @Test("A rule that is not cut for a common cause says what stable answered")
    func words() throws {
        var bench = WindowBench(seed: 3, Self.rules[0], stable: 0, shields: true)
        let both = outage(1, ticks: 300)
        for _ in 0..<130 { bench.tick(candidate: both, stable: both) }
        let reason = try #require(bench.reading?.reason)
        #expect(reason.contains("at the candidate's bad moments with shielded requests"), "\(reason)")
        #expect(reason.hasSuffix("; common cause, the candidate is not blamed"), "\(reason)")
    }

    @Test(
        "After a common outage a version that fails alone is cut, though the window still holds that outage")
    func afterwards() {
        let spec = Self.rules[1]
        var bench = WindowBench(seed: 4, spec, stable: 0, shields: true)
        let both = outage(1, ticks: 100)
        #expect(bench.runUntilTrip(400, candidate: both, stable: both) == nil)
        let found = bench.runUntilTrip(
            100, candidate: Behaviours.failing(1), stable: Behaviours.failing(0))
        #expect(found.map { $0 <= 1_430 } == true, "at \(found ?? 0) \(bench.reading?.reason ?? "")")
    }

    @Test(
        "A latency rule waits while stable is near its limit, or unknown, and trips at once where it is far")
    func latency() {
        let spec = GuardrailSpec(
            name: "p95", measure: .latency(quantile: 0.95), rule: .windowAbove(300_000), minRequests: 10)
        func trips(stable: UInt64?, later: UInt64?) -> Int? {
            var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
            for tick in 1...200 {
                let theirs = tick > 50 ? later : stable
                let pair = WindowPair(
                    candidate: WindowArm(requests: 100, failures: 0, latencyMicros: 400_000),
                    stable: WindowArm(
                        requests: theirs == nil ? 0 : 100, failures: 0, latencyMicros: theirs))
                let reading = watch.step(
                    now: Tick(number: UInt64(tick)), reference: LatencyReference(specs: []),
                    windows: { _ in pair }, read: { _ in nil })[0]
                if reading.verdict == .fail { return tick }
            }
            return nil
        }
        #expect(trips(stable: 100_000, later: 100_000) == 1)
        #expect(trips(stable: 290_000, later: 400_000) == nil)
        #expect(trips(stable: 290_000, later: 290_000) == 101)
        #expect(trips(stable: nil, later: nil) == 101)
    }
}

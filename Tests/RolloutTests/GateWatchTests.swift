// Laws of the promotion gates: what passes has been proven by the stage's own settled requests, and what
// cannot be proven is held.

import Foundation
import Metrics
import Rollout
import Testing

private let errors = GateSpec(name: "errors", metric: .errorRate, margin: 0.005)
private let tail = GateSpec(name: "tail", metric: .latency(quantile: 0.95), margin: 0.3)
private let below = GateSpec(name: "below", metric: .errorRateBelow, margin: 0.02)
private let missing = GateSpec(name: "missing", metric: .missing(value: "age"), margin: 0.05)
private let clicks = GateSpec(
    name: "clicks", metric: .feedback(FeedbackMetric(metric: "clicks", windowMillis: 1000)), margin: 0.5)

/// A stage's gates over simulated requests and values.
private struct Stage {
    var traffic: Traffic
    var values: [ValueTick] = []
    var watch: GateWatch
    let reference: LatencyReference
    var now: UInt64 = 1000
    var readings: [GateReading] = []
    var random: Seeded

    init(seed: UInt64, _ specs: [GateSpec], knowsLatency: Bool = true) {
        var made = LatencyReference(specs: [], gates: specs)
        if knowsLatency {
            _ = made.refresh(now: Tick(number: 999), requests: 10_000) { UInt64(20_000 + 20_000 * $0) }
        }
        reference = made
        random = Seeded(seed &+ 1)
        traffic = Traffic(seed: seed)
        traffic.requestsPerTick = 100
        traffic.split = PairSplit(candidatePPM: 250_000, stablePPM: 750_000)
        traffic.thresholds = (made.candidateThresholds, made.stableThresholds)
        watch = GateWatch(specs: specs, from: Tick(number: 1000))
    }

    mutating func tick(
        candidate: Behaviour, stable: Behaviour, ours: ValueOf = { _ in 1 }, theirs: ValueOf = { _ in 1 }
    ) {
        traffic.run(now, candidate: candidate, stable: stable)
        var tick = ValueTick(tick: Tick(number: now), split: traffic.split)
        for _ in 0..<100 {
            if random.chance(traffic.split?.share ?? 0) {
                tick.candidate.add(ours(&random))
            } else {
                tick.stable.add(theirs(&random))
            }
        }
        values.append(tick)
        now += 1
        step()
    }

    mutating func step() {
        let (traffic, values, now) = (traffic, values, now)
        readings = watch.step(
            now: Tick(number: now), reference: reference, readings: [], guardrails: [],
            values: { _, from in
                let before = values.lastIndex { $0.tick < from }
                return Array(values[(before.map { $0 + 1 } ?? 0)...])
            }, read: { traffic.read($0, at: now) })
    }

    /// Ticks until the gate passes; nil when it does not within so many.
    mutating func ticksToPass(
        _ ticks: Int, candidate: Behaviour, stable: Behaviour, ours: ValueOf = { _ in 1 },
        theirs: ValueOf = { _ in 1 }
    ) -> Int? {
        for i in 0..<ticks {
            tick(candidate: candidate, stable: stable, ours: ours, theirs: theirs)
            if readings.allSatisfy({ $0.verdict == .pass }) { return i }
        }
        return nil
    }
}

@Suite struct GateWatchTests {
    @Test("a sticky key's repeated failures count for the gate on errors")
    func repeatedFailures() {
        for known in [0, 40] as [UInt32] {
            var gates = GateWatch(
                specs: [GateSpec(name: "g", metric: .errorRate, margin: 0.005)], from: Tick(number: 0),
                stableErrorRate: 0.001)
            var passes = false
            for number in 1...400 as ClosedRange<UInt64> {
                let readings = gates.step(
                    now: Tick(number: number), reference: LatencyReference(specs: []), readings: [],
                    guardrails: []
                ) { tick in
                    var pair = PairTick(
                        tick: tick, split: PairSplit(candidatePPM: 500_000, stablePPM: 500_000),
                        candidate: ArmTick(), stable: ArmTick())
                    (pair.candidate.randomised.started, pair.candidate.randomised.completed) = (200, 200)
                    pair.stable.randomised = pair.candidate.randomised
                    (pair.candidate.randomised.excluded, pair.candidate.randomised.known) = (known, known)
                    return pair
                }
                passes = passes || readings[0].verdict == .pass
            }
            #expect(passes == (known == 0), "\(known) of 200 fail again")
        }
    }

    @Test("an equal candidate is proven not worse, and the gate says by what")
    func equalPasses() {
        var stage = Stage(seed: 1, [errors, tail, below, missing, clicks])
        let requests: Behaviour = { _, random in
            Ending(
                micros: UInt64(20_000 + 20_000 * random.uniform()), isFailure: random.chance(0.001))
        }
        let passed = stage.ticksToPass(
            500, candidate: requests, stable: requests, ours: Values.click(0.3), theirs: Values.click(0.3))
        #expect(passed != nil, "\(stage.readings.map(\.reason))")
        for reading in stage.readings {
            #expect(reading.progress == 1 && reading.reason.hasPrefix("proven"), "\(reading.reason)")
            #expect(reading.candidateRequests > 0 && (reading.maxLogE ?? 0) >= 2.99)
        }
    }

    @Test("a candidate beyond the margin is not promoted, whatever the metric")
    func worseHolds() {
        let cases: [(GateSpec, Behaviour, Behaviour, ValueOf, ValueOf)] = [
            (errors, Behaviours.failing(0.02), Behaviours.failing(0.001), { _ in 1 }, { _ in 1 }),
            (tail, Behaviours.slow(1.6), Behaviours.slow(1), { _ in 1 }, { _ in 1 }),
            (below, Behaviours.failing(0.04), Behaviours.failing(0.04), { _ in 1 }, { _ in 1 }),
            (missing, Behaviours.slow(1), Behaviours.slow(1), Values.missing(0.15), Values.missing(0.02)),
            (clicks, Behaviours.slow(1), Behaviours.slow(1), Values.click(0.1), Values.click(0.3)),
        ]
        for (spec, candidate, stable, ours, theirs) in cases {
            var stage = Stage(seed: 2, [spec])
            let passed = stage.ticksToPass(
                300, candidate: candidate, stable: stable, ours: ours, theirs: theirs)
            #expect(passed == nil, "\(spec.name)")
            #expect(stage.readings[0].verdict == .notEnoughData && stage.readings[0].progress < 1)
        }
    }

    @Test("a candidate at the margin is promoted by mistake in at most alpha of stages")
    func marginHolds() {
        var passes = 0
        for seed in 0..<60 as Range<UInt64> {
            var stage = Stage(seed: 100 + seed, [errors])
            let passed = stage.ticksToPass(
                80, candidate: Behaviours.failing(0.015), stable: Behaviours.failing(0.01))
            if passed != nil { passes += 1 }
        }
        // 5 % of 60 is 3; three standard errors above it.
        #expect(passes <= 8, "\(passes)")
    }

    @Test("without traffic, without a known latency and without stable's traffic nothing passes")
    func silenceHolds() {
        var empty = Stage(seed: 3, [errors, tail, below, missing, clicks])
        empty.traffic.requestsPerTick = 0
        for _ in 0..<200 {
            empty.traffic.run(empty.now, candidate: Behaviours.slow(1), stable: Behaviours.slow(1))
            empty.now += 1
            empty.step()
        }
        #expect(empty.readings.allSatisfy { $0.verdict == .notEnoughData && $0.progress < 1e-9 })
        var unknown = Stage(seed: 4, [tail], knowsLatency: false)
        let same = Behaviours.slow(1)
        #expect(unknown.ticksToPass(100, candidate: same, stable: same) == nil)
        var alone = Stage(seed: 5, [errors, tail])
        alone.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        #expect(alone.ticksToPass(100, candidate: same, stable: same) == nil)
    }

    @Test("a hanging candidate proves nothing: pending requests are never good ones")
    func hangingHolds() {
        let hangs: Behaviour = { _, _ in Ending(micros: .max) }
        var stage = Stage(seed: 6, [errors, below, tail])
        #expect(stage.ticksToPass(360, candidate: hangs, stable: Behaviours.slow(1)) == nil)
        #expect(stage.readings.allSatisfy { $0.progress < 0.5 }, "\(stage.readings.map(\.progress))")
    }

    @Test("a saved and restored stage goes on where it was")
    func restart() throws {
        let specs = [errors, tail, below, missing, clicks]
        var stage = Stage(seed: 7, specs)
        let same: Behaviour = { _, random in
            Ending(
                micros: UInt64(20_000 + 20_000 * random.uniform()), isFailure: random.chance(0.001))
        }
        for _ in 0..<20 {
            stage.tick(candidate: same, stable: same, ours: Values.click(0.3), theirs: Values.click(0.3))
        }
        let before = stage.readings
        let saved = try JSONDecoder.tolerant.decode(
            GateWatch.Saved.self, from: JSONEncoder.tolerant.encode(stage.watch.saved))
        #expect(saved == stage.watch.saved)
        let now = Tick(number: stage.now)
        stage.watch = GateWatch(restoring: saved, specs: specs, from: now, valuesFrom: { $0 })
        stage.step()
        for (now, then) in zip(stage.readings, before) {
            #expect(abs((now.maxLogE ?? 0) - (then.maxLogE ?? 0)) < 1e-9)
        }
        let passed = stage.ticksToPass(
            500, candidate: same, stable: same, ours: Values.click(0.3), theirs: Values.click(0.3))
        #expect(passed != nil)
    }

    @Test("a drift gate passes what has been looked at and has not tripped, and fails what has")
    func driftGate() {
        let gate = GateSpec(name: "g", metric: .drift(value: "score"), margin: 0)
        let rule = GuardrailSpec.drift()
        func verdict(_ verdict: Verdict, requests: Int) -> Verdict {
            let reading = GuardrailReading(
                name: rule.name, rule: "", verdict: verdict, action: .cut, progress: 0,
                candidateRequests: requests, reason: "")
            var watch = GateWatch(specs: [gate], from: Tick(number: 0))
            return watch.step(
                now: Tick(number: 1), reference: LatencyReference(specs: []), readings: [reading],
                guardrails: [rule], read: { _ in nil })[0].verdict
        }
        #expect(verdict(.pass, requests: 1000) == .pass)
        #expect(verdict(.pass, requests: 999) == .notEnoughData)
        #expect(verdict(.fail, requests: 5000) == .fail)
        var blind = GateWatch(specs: [gate], from: Tick(number: 0))
        let reading = blind.step(
            now: Tick(number: 1), reference: LatencyReference(specs: []), readings: [], guardrails: [],
            read: { _ in nil })[0]
        #expect(reading.verdict == .notEnoughData && reading.reason.contains("no drift guardrail"))
    }

    @Test("gates and guardrails share the latency slots that agree")
    func slotsAreShared() {
        let specs = GuardrailSpec.defaults(alpha: 0.01)
        let p99 = GateSpec(name: "p99", metric: .latency(quantile: 0.99), margin: 0.3)
        #expect(LatencyReference.slotsNeeded(by: specs) == 4)
        #expect(LatencyReference.slotsNeeded(by: specs, gates: [p99]) == 4)
        #expect(LatencyReference.slotsNeeded(by: specs, gates: [p99, tail]) == 5)
    }
}

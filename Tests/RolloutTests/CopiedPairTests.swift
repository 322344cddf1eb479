// A candidate that gets copies only: every copied request is seen by both versions, and the two outcomes may
// have everything or nothing to do with each other. Nothing that is wrong with both may trip, and what is
// wrong with one must, before it has a user.

import Metrics
import Rollout
import Testing

/// Pairs of one tick after the other.
private struct Pairs {
    /// How much the two sides of a pair share: nothing, some of their luck, all of it.
    enum Dependence: CaseIterable { case none, mild, full }

    var random: Seeded
    var dependence = Dependence.none
    var pairsPerTick = 50
    /// Chance of a failure, and of a request slower than the threshold, by side.
    var failing = (candidate: 0.01, stable: 0.01)
    var slow = (candidate: 0.01, stable: 0.01)
    /// Share of slow requests that are slower than 1.3 times the threshold.
    var farShare = 0.25
    /// Sides whose end nobody will know.
    var unknown = (candidate: 0.0, stable: 0.0)
    private(set) var ticks: [PairTick] = []

    init(seed: UInt64) { random = Seeded(seed) }

    /// Two events with these chances.
    private mutating func both(_ p: (candidate: Double, stable: Double)) -> (Bool, Bool) {
        let luck = random.uniform()
        let isShared = dependence == .full || dependence == .mild && random.chance(0.5)
        return (luck < p.candidate, (isShared ? luck : random.uniform()) < p.stable)
    }

    mutating func run() {
        var (ours, theirs) = (ArmCounts(), ArmCounts())
        for _ in 0..<pairsPerTick {
            let (failed, slow) = (both(failing), both(slow))
            ours.take(
                failed.0, slow.0, isFar: random.chance(farShare), isUnknown: random.chance(unknown.candidate))
            // Stable is held to the threshold itself in every slot.
            theirs.take(failed.1, slow.1, isFar: true, isUnknown: random.chance(unknown.stable))
        }
        let tick = Tick(number: UInt64(ticks.count))
        ticks.append(
            PairTick(
                tick: tick, split: PairSplit(candidatePPM: 0, stablePPM: 1_000_000),
                candidate: ArmTick(copied: ours, thresholds: Self.thresholds(1, 1.3)),
                stable: ArmTick(copied: theirs, thresholds: Self.thresholds(1, 1))))
    }

    /// Evidence and size of p50 and p99, then the gate's slot, which is that of p99's size.
    static func thresholds(_ evidence: Double, _ size: Double) -> SIMD8<UInt32> {
        var lanes = SIMD8<UInt32>()
        for (slot, factor) in [(50_000, evidence), (50_000, size), (99_000, evidence), (99_000, size)]
            .enumerated()
        { lanes[slot] = UInt32(Double(factor.0) * factor.1) }
        return lanes
    }

    func read(_ tick: Tick) -> PairTick? {
        tick.number < ticks.count ? ticks[Int(tick.number)] : nil
    }
}

extension ArmCounts {
    /// Counts one ended side: half of all are slower than the median, evenly on both sides.
    fileprivate mutating func take(_ isFailed: Bool, _ isSlow: Bool, isFar: Bool, isUnknown: Bool) {
        started += 1
        completed += 1
        if isUnknown {
            unknown += 1
        } else if isFailed {
            failed += 1
        } else {
            if !isSlow, started % 2 == 0 {
                fast0 += 1
                fast1 += 1
            }
            if !isSlow { fast2 += 1 }
            if !isSlow || !isFar { fast3 += 1 }
        }
    }
}

private let gates = [
    GateSpec(name: "errors", metric: .errorRate, margin: 0.005),
    GateSpec(name: "tail", metric: .latency(quantile: 0.99), margin: 0.3),
]

@Suite struct CopiedPairTests {
    private static func reference() -> LatencyReference {
        var reference = LatencyReference(specs: .defaults, gates: gates)
        _ = reference.refresh(now: Tick(number: 0), requests: 10_000) { UInt64(100_000 * $0) }
        return reference
    }

    /// The first tick at which a default guardrail trips, and its name.
    private static func trip(_ pairs: Pairs, ticks: Int) -> (ticks: Int, name: String)? {
        var pairs = pairs
        let reference = reference()
        var watch = CandidateWatch(specs: .defaults, from: Tick(number: 0))
        for number in 1...ticks {
            pairs.run()
            let readings = watch.step(
                now: Tick(number: UInt64(number)), reference: reference, windows: { _ in nil },
                read: pairs.read)
            if let trip = readings.first(where: { $0.verdict == .fail }) { return (number, trip.name) }
        }
        return nil
    }

    /// Gates passed after so many ticks.
    private static func passed(_ pairs: Pairs, ticks: Int) -> Set<String> {
        var pairs = pairs
        let reference = reference()
        var watch = GateWatch(specs: gates, from: Tick(number: 0), stableErrorRate: pairs.failing.stable)
        for _ in 0..<ticks { pairs.run() }
        let readings = watch.step(
            now: Tick(number: UInt64(ticks) + 400), reference: reference, readings: [], guardrails: [],
            read: {
                pairs.read($0) ?? PairTick(tick: $0, split: nil, candidate: ArmTick(), stable: ArmTick())
            })
        return Set(readings.filter { $0.verdict == .pass }.map(\.name))
    }

    @Test(
        "Equal versions: at most alpha of 600 rollouts trip, whatever the sides of a pair share",
        arguments: 0..<3)
    func falseTrips(_ dependence: Int) {
        var trips = 0
        for run in 0..<600 as Range<UInt64> {
            var pairs = Pairs(seed: UInt64(dependence) << 32 | run)
            pairs.dependence = Pairs.Dependence.allCases[dependence]
            pairs.failing = (0.02, 0.02)
            if Self.trip(pairs, ticks: 60) != nil { trips += 1 }
        }
        // At alpha = 1 % 6 of 600 are expected at most, with a standard deviation of 2.4.
        #expect(trips <= 13, "\(trips) of 600")
    }

    @Test("A candidate with more errors, or a longer tail, trips on copies alone", arguments: 0..<3)
    func regressions(_ dependence: Int) throws {
        var pairs = Pairs(seed: 7)
        pairs.dependence = Pairs.Dependence.allCases[dependence]
        pairs.failing.candidate = 0.05
        #expect(try #require(Self.trip(pairs, ticks: 100)).name == "error_rate_worse_than_stable")
        pairs.failing.candidate = 0.01
        (pairs.slow.candidate, pairs.farShare) = (0.06, 1)
        #expect(try #require(Self.trip(pairs, ticks: 200)).name == "latency_p99_worse_than_stable")
    }

    @Test("A good candidate passes gates over errors and latency on copies; a bad one passes neither")
    func gatePasses() {
        var good = Pairs(seed: 11)
        good.failing = (0.001, 0.001)
        #expect(Self.passed(good, ticks: 120) == ["errors", "tail"])
        var bad = Pairs(seed: 12)
        (bad.failing.candidate, bad.slow.candidate, bad.farShare) = (0.03, 0.03, 1)
        #expect(Self.passed(bad, ticks: 120).isEmpty)
    }

    @Test("A candidate at its margin passes a gate in at most alpha of stages", arguments: 0..<3)
    func falsePasses(_ dependence: Int) {
        var passes = 0
        for run in 0..<150 as Range<UInt64> {
            var pairs = Pairs(seed: UInt64(dependence + 10) << 32 | run)
            pairs.dependence = Pairs.Dependence.allCases[dependence]
            pairs.failing = (0.015, 0.01)
            if Self.passed(pairs, ticks: 60).contains("errors") { passes += 1 }
        }
        // At alpha = 5 % 7.5 of 150 are expected at most, with a standard deviation of 2.7.
        #expect(passes <= 15, "\(passes) of 150")
    }

    @Test("Copies whose end nobody knows neither trip a guardrail nor pass a gate")
    func unknownCopies() {
        var pairs = Pairs(seed: 13)
        pairs.unknown.candidate = 0.2
        #expect(Self.trip(pairs, ticks: 100) == nil)
        #expect(Self.passed(pairs, ticks: 120).isEmpty)
    }

    @Test("What nobody knows of stable is no evidence against the candidate, nor for it")
    func unknownPrimaries() {
        var pairs = Pairs(seed: 14)
        (pairs.failing, pairs.unknown.stable) = ((0.02, 0), 0.03)
        #expect(Self.trip(pairs, ticks: 100) == nil)
        var gated = Pairs(seed: 15)
        (gated.failing, gated.unknown.stable) = ((0.03, 0.01), 0.03)
        #expect(!Self.passed(gated, ticks: 120).contains("errors"))
    }

    @Test("With weight the coin is the evidence and copies are none; absolute rules see copies as well")
    func weights() {
        var copied = ArmCounts()
        (copied.started, copied.completed, copied.failed) = (20, 20, 20)
        var fine = ArmCounts()
        (fine.started, fine.completed) = (20, 20)
        fine.setFast([20, 20, 20, 20])
        let outage = GuardrailSpec.defaults(alpha: 0.01)[3]
        func trips(_ spec: GuardrailSpec, weightPPM: UInt32) -> Bool {
            var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
            let split = PairSplit(candidatePPM: weightPPM, stablePPM: 1_000_000 - weightPPM)
            return (1...20).contains { number in
                watch.step(
                    now: Tick(number: number), reference: Self.reference(), windows: { _ in nil },
                    read: {
                        PairTick(
                            tick: $0, split: split, candidate: ArmTick(copied: copied),
                            stable: ArmTick(randomised: fine, copied: fine))
                    }
                ).contains { $0.verdict == .fail }
            }
        }
        let worse: GuardrailSpec = [GuardrailSpec].defaults[0]
        #expect(trips(worse, weightPPM: 0))
        #expect(!trips(worse, weightPPM: 50_000))
        #expect(trips(outage, weightPPM: 0) && trips(outage, weightPPM: 50_000))
    }
}

// Nothing is wrong, and nothing may trip: the false-trip probability over a whole rollout stays below alpha,
// also under the traps that break counting by completion and reading what is in flight.

import Metrics
import Rollout
import Testing

@Suite struct NullTests {
    /// Binomial draws by skipping from success to success: cheap where p is small.
    private static func draw(_ n: Int, _ p: Double, _ random: inout Seeded) -> Int {
        guard n > 0, p > 0 else { return 0 }
        if p > 0.2 { return (0..<n).reduce(0) { sum, _ in sum + (random.uniform() < p ? 1 : 0) } }
        var count = 0
        for _ in 0..<n where random.uniform() < p { count += 1 }
        return count
    }

    /// Binomial(n, 1/2) from random bits.
    private static func half(_ n: Int, _ random: inout Seeded) -> Int {
        var (left, count) = (n, 0)
        while left > 0 {
            let bits = min(left, 64)
            count += (random.next() >> UInt64(64 - bits)).nonzeroBitCount
            left -= bits
        }
        return count
    }

    /// A tick of `n` settled requests of one version whose behaviour nobody can tell from the other's: 1 %
    /// fail, half are slower than the median, 1 % than p99, and fewer than the material thresholds.
    private static func counts(_ n: Int, _ random: inout Seeded) -> ArmCounts {
        var counts = ArmCounts()
        counts.started = UInt32(n)
        counts.completed = UInt32(n)
        let failed = draw(n, 0.01, &random)
        counts.failed = UInt32(failed)
        let ended = n - failed
        let slowMedian = half(ended, &random)
        let slowTail = draw(ended, 0.01, &random)
        let slots = [
            ended - slowMedian, ended - half(slowMedian, &random), ended - slowTail,
            ended - draw(slowTail, 0.25, &random),
        ]
        counts.setFast(slots.map { UInt32($0) })
        return counts
    }

    /// One rollout of `ticks` ticks of 400 requests, 5 % of them the candidate's.
    private static func trips(seed: UInt64, ticks: UInt64) -> Bool {
        var random = Seeded(seed)
        let specs: [GuardrailSpec] = .defaults
        var reference = LatencyReference(specs: specs)
        _ = reference.refresh(now: Tick(number: 0), requests: 5000) { UInt64(20_000 * (1 + $0)) }
        var (ours, theirs) = (SIMD8<UInt32>(), SIMD8<UInt32>())
        for slot in 0..<4 {
            ours[slot] = reference.candidateThresholds[slot]
            theirs[slot] = reference.stableThresholds[slot]
        }
        let split = PairSplit(candidatePPM: 50_000, stablePPM: 950_000)
        var watch = CandidateWatch(specs: specs, from: Tick(number: 0))
        var pairs: [PairTick] = []
        for tick in 0..<ticks {
            let n = draw(400, 0.05, &random)
            pairs.append(
                PairTick(
                    tick: Tick(number: tick), split: split,
                    candidate: ArmTick(randomised: counts(n, &random), thresholds: ours),
                    stable: ArmTick(randomised: counts(400 - n, &random), thresholds: theirs)))
            let readings = watch.step(
                now: Tick(number: tick + 1), reference: reference, windows: { _ in nil },
                read: { $0.number < pairs.count ? pairs[Int($0.number)] : nil })
            if readings.contains(where: { $0.verdict == .fail }) { return true }
        }
        return false
    }

    @Test("equal versions: at most alpha of 2,000 rollouts of 20,000 requests are cut", arguments: [1, 2])
    func falseTrips(part: UInt64) {
        let trips = (0..<1000).reduce(0) { count, run in
            count + (Self.trips(seed: part << 32 | UInt64(run), ticks: 50) ? 1 : 0)
        }
        // 1,000 runs at alpha = 1 %: 10 expected at most, standard deviation 3.1.
        #expect(trips <= 19, "part \(part): \(trips) of 1,000")
    }

    @Test("failures that come back fast in one version and time out in the other are no difference")
    func completionOrder() {
        var trips = 0
        for seed in 100..<140 as Range<UInt64> {
            var bench = Bench(seed: seed, specs: [GuardrailSpec.defaults(alpha: 0.01)[0]])
            bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
            let candidate: Behaviour = { _, random in Ending(isFailure: random.chance(0.05)) }
            let stable: Behaviour = { _, random in
                random.chance(0.05) ? Ending(micros: 10_000_000, isFailure: true) : Ending()
            }
            if bench.runUntilTrip(ticks: 150, candidate: candidate, stable: stable) != nil { trips += 1 }
        }
        #expect(trips <= 1, "\(trips) of 40")
    }

    @Test("looked at in flight, evidence is never more than what it is once everything has ended")
    func boundedByHindsight() {
        for seed in 1...6 as ClosedRange<UInt64> {
            let specs: [GuardrailSpec] = .defaults
            var bench = Bench(seed: seed, specs: specs)
            var hindsight = bench.watch
            let (candidate, stable): (Behaviour, Behaviour) = (
                { _, random in
                    Ending(
                        micros: UInt64(random.below(3_000_000)), isFailure: random.chance(0.3),
                        isExcluded: random.chance(0.05))
                },
                { _, random in Ending(micros: UInt64(random.below(2_000_000)), isFailure: random.chance(0.2))
                }
            )
            for _ in 0..<150 {
                bench.traffic.run(bench.now, candidate: candidate, stable: stable); bench.now += 1
            }
            let (traffic, reference) = (bench.traffic, bench.reference)
            for now in 1001...1200 as ClosedRange<UInt64> {
                let seen = bench.watch.step(
                    now: Tick(number: now), reference: reference, windows: { _ in nil },
                    read: { traffic.read($0, at: now) })
                let known = hindsight.step(
                    now: Tick(number: now), reference: reference, windows: { _ in nil },
                    read: { traffic.read($0, at: nil) })
                for (a, b) in zip(seen, known) where a.name.hasPrefix("error") || a.name == "outage" {
                    let excess = (a.maxLogE ?? 0) - (b.maxLogE ?? 0)
                    #expect(excess <= 1e-9, "seed \(seed), \(a.name) at \(now): \(excess)")
                }
            }
        }
    }

    @Test("when everything has ended, looking every tick has come to the same evidence as looking once")
    func replayLeavesNoTrace() {
        var bench = Bench(seed: 8)
        let mixed: Behaviour = { _, random in
            Ending(micros: UInt64(random.below(1_000_000)), isFailure: random.chance(0.1))
        }
        for _ in 0..<120 { bench.tick(candidate: mixed, stable: mixed) }
        let (traffic, reference) = (bench.traffic, bench.reference)
        var once = CandidateWatch(specs: bench.watch.specs, from: Tick(number: 1000))
        let late = Tick(number: bench.now + 50)
        func step(_ watch: inout CandidateWatch) -> [Double?] {
            watch.step(
                now: late, reference: reference, windows: { _ in nil },
                read: { traffic.read($0, at: late.number) }
            ).map(\.logE)
        }
        let (a, b) = (step(&bench.watch), step(&once))
        for (x, y) in zip(a, b) { #expect(abs((x ?? 0) - (y ?? 0)) < 1e-9) }
    }
}

// Without stable traffic, as at 100 %, rules against stable hold the candidate to what stable was in the last
// stage. What is found, what stays silent, what acquits it, and what survives a restart.

import Foundation
import Metrics
import Testing

@testable import Rollout

private let seeds: [UInt64] = [61, 62]

/// A quarter of the traffic for five minutes, then all of it.
private final class Promotion {
    var bench: Bench
    let promoted: UInt64

    init(
        seed: UInt64, _ name: String, word: GuardrailSpec.WithoutStable = .alert,
        before: Behaviour = Behaviours.failing(0.001), isShielded: Bool = false, retriesFail: Double? = nil
    ) {
        let specs = [GuardrailSpec].defaults.filter { $0.name == name }.map {
            var spec = $0
            spec.withoutStable = word
            return spec
        }
        bench = Bench(seed: seed, specs: specs)
        bench.traffic.requestsPerTick = 10
        if isShielded { bench.traffic.rescuesAfter = 1 }
        bench.traffic.retriesFail = retriesFail
        bench.traffic.split = PairSplit(candidatePPM: 250_000, stablePPM: 750_000)
        for _ in 0..<3_000 { bench.tick(candidate: before, stable: before) }
        promoted = bench.now
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
    }

    var reading: GuardrailReading? { bench.readings.first }

    /// Goes on from what is saved.
    func restart() throws {
        let saved = try JSONDecoder().decode(
            CandidateWatch.Saved.self, from: JSONEncoder().encode(bench.watch.saved))
        bench.watch = CandidateWatch(
            restoring: saved, specs: bench.watch.specs, from: Tick(number: bench.now), valuesFrom: { $0 })
    }

    func run(_ ticks: Int, _ candidate: @escaping Behaviour) {
        for _ in 0..<ticks { bench.tick(candidate: candidate, stable: candidate) }
    }

    /// Ticks until something trips; nil when nothing does.
    func trip(
        _ ticks: Int, _ candidate: @escaping Behaviour, stable: Behaviour? = nil
    ) -> (ticks: UInt64, reading: GuardrailReading)? {
        let from = bench.now
        return bench.runUntilTrip(ticks: ticks, candidate: candidate, stable: stable ?? candidate).map {
            ($0.tick - from, $0.trip)
        }
    }
}

@Suite struct PinnedStableTests {
    private static let errors = "error_rate_worse_than_stable"
    private static let latencies = ["latency_p50_worse_than_stable", "latency_p99_worse_than_stable"]

    @Test(
        "Errors at 100 % are found within two minutes by stable's rate of the last stage, and alert",
        arguments: [0.3, 0.05], seeds)
    func errors(share: Double, seed: UInt64) throws {
        let world = Promotion(seed: seed, Self.errors)
        world.run(600, Behaviours.failing(0.001))
        let fine = try #require(world.reading)
        #expect(fine.verdict == .pass && fine.isPinned && fine.asleepSince == nil, "\(fine.reason)")
        #expect(fine.pinnedUntil.map { world.promoted - $0.number < 3 } == true)
        let found = try #require(world.trip(1_200, Behaviours.failing(share)))
        #expect(found.reading.isPinned && found.reading.action == .alert)
        #expect(found.reading.candidateRequests < 12_000 && found.reading.stableRequests > 20_000)
        let (rate, limit) = (found.reading.candidate ?? 0, found.reading.threshold ?? 1)
        #expect(rate > limit && limit < 0.01, "\(found.reading.reason)")
        #expect(found.reading.reason.contains("of about its last"))
    }

    @Test("No reading passes above its own limit, on the way to its trip either", arguments: seeds)
    func neverAbove(seed: UInt64) throws {
        let world = Promotion(seed: seed, Self.errors)
        world.run(100, Behaviours.failing(0.001))
        var open = 0
        for _ in 0..<1_200 where world.reading?.verdict != .fail {
            world.run(1, Behaviours.failing(0.05))
            let reading = try #require(world.reading)
            guard let rate = reading.candidate, let limit = reading.threshold, rate > limit else { continue }
            #expect(reading.verdict != .pass, "\(reading.reason)")
            if reading.verdict == .notEnoughData { open += 1 }
        }
        #expect(open > 0 && world.reading?.verdict == .fail)
    }

    @Test("Three times the latency at 100 % is found within four minutes", arguments: latencies, seeds)
    func latency(name: String, seed: UInt64) throws {
        let world = Promotion(seed: seed, name, before: Behaviours.slow(1))
        world.run(600, Behaviours.slow(1))
        #expect(world.reading?.verdict == .pass && world.reading?.isPinned == true)
        let found = try #require(world.trip(2_400, Behaviours.slow(3)))
        #expect(found.reading.isPinned && found.reading.reason.contains("took longer than"))
    }

    @Test("As many errors, or 1.2 times as many, stay silent; 2.5 times as many are found", arguments: seeds)
    func ratios(seed: UInt64) throws {
        let world = Promotion(seed: seed, Self.errors, before: Behaviours.failing(0.05))
        #expect(world.trip(6_000, Behaviours.failing(0.05)) == nil)
        #expect(world.trip(6_000, Behaviours.failing(0.06)) == nil)
        let found = try #require(world.trip(3_000, Behaviours.failing(0.125)))
        #expect(found.reading.isPinned)
    }

    @Test("Pauses, a version a fifth slower, and single bad seconds stay silent", arguments: latencies, seeds)
    func silent(name: String, seed: UInt64) {
        let pausing: Behaviour = { tick, random in
            tick % 1_500 < 20 ? Ending(micros: 2_000_000) : Behaviours.slow(1)(tick, &random)
        }
        let world = Promotion(seed: seed, name, before: Behaviours.slow(1))
        let paused = world.trip(6_000, pausing)
        #expect(paused == nil, "\(paused?.reading.reason ?? "")")
        let slower = world.trip(3_000, Behaviours.slow(1.2))
        #expect(slower == nil, "\(slower?.reading.reason ?? "")")
        let failing = Promotion(seed: seed, Self.errors)
        let seconds: Behaviour = { tick, random in
            Ending(isFailure: tick % 600 < 10 || random.chance(0.001))
        }
        let failed = failing.trip(6_000, seconds)
        #expect(failed == nil, "\(failed?.reading.reason ?? "")")
    }

    @Test(
        "Stable that fails shielded requests as well acquits the candidate; one that answers does not",
        arguments: [0.05, 0.4], seeds)
    func veto(share: Double, seed: UInt64) throws {
        let outage: Behaviour = { tick, random in
            Ending(isFailure: random.chance((4_500..<6_500).contains(tick) ? share : 0.001))
        }
        let common = Promotion(seed: seed, Self.errors, isShielded: true)
        let shared = common.trip(3_500, outage)
        #expect(shared == nil, "\(shared?.reading.reason ?? "")")
        let alone = Promotion(seed: seed, Self.errors, isShielded: true)
        let found = try #require(alone.trip(3_500, outage, stable: Behaviours.failing(0.001)))
        #expect(found.reading.reason.contains("stable answered what it was asked again"))
    }

    @Test(
        "Requests that both fail as in the last stage do not acquit the candidate; more of them do",
        arguments: seeds)
    func usual(seed: UInt64) throws {
        let before = Behaviours.failing(0.01)
        let world = Promotion(seed: seed, Self.errors, before: before, isShielded: true, retriesFail: 1)
        // One in ten of what the candidate fails is bad in itself: that is one request in a hundred.
        world.bench.traffic.retriesFail = 0.1
        let found = try #require(world.trip(3_000, Behaviours.failing(0.1)))
        #expect(found.reading.reason.contains("stable answered what it was asked again"))
        let garbage = Promotion(seed: seed, Self.errors, before: before, isShielded: true, retriesFail: 1)
        #expect(garbage.trip(3_000, Behaviours.failing(0.1)) == nil)
    }

    @Test("Where stable's answers do not tell in ten minutes it alerts and says so, also after a restart")
    func undecided() throws {
        let world = Promotion(seed: 69, Self.errors, word: .cut, isShielded: true, retriesFail: 0)
        let found = try #require(world.trip(3_600, Behaviours.failing(0.3)))
        #expect(found.reading.action == .cut)
        // As if stable had been asked too little to tell.
        var saved = world.bench.watch.saved
        saved.guardrails[0].withoutStable?.word = .undecided
        saved.guardrails[0].withoutStable?.asked = nil
        world.bench.watch = CandidateWatch(
            restoring: saved, specs: world.bench.watch.specs, from: Tick(number: world.bench.now),
            valuesFrom: { $0 })
        world.run(100, Behaviours.failing(0.001))
        let reading = try #require(world.reading)
        #expect(reading.verdict == .fail && reading.action == .alert, "\(reading.reason)")
        #expect(reading.reason.contains("stable's state is unknown"))
        world.run(1_000, Behaviours.failing(0.3))
        #expect(world.reading?.verdict == .fail && world.reading?.action == .cut)
    }

    @Test("Few answers of stable are waited for for ten minutes, none that is asked for a minute")
    func patience() {
        func words(_ rescued: Int) -> [(tick: UInt64, word: PinnedVeto.Word)] {
            var veto = PinnedVeto()
            return (1...21_000 as ClosedRange<UInt64>).map { tick in
                if tick % 50 == 0 { veto.enter(limit: 0.001, isNewEpoch: tick % 600 == 0) }
                var pair = PairTick(
                    tick: Tick(number: tick), split: nil, candidate: ArmTick(), stable: ArmTick())
                if tick % 20 == 1 { pair.rescued = rescued }
                veto.add(5, tick % 20 == 1 ? 1 : 0, pair)
                return (tick, veto.judge(now: tick, limit: 0.001, .errorRate, isStillBad: true))
            }
        }
        let asked = words(1)
        #expect(asked[..<5_999].allSatisfy { $0.word == .waiting })
        #expect(asked[6_005].word == .undecided && asked[11_000].word == .undecided)
        #expect(asked[19_000...].contains { $0.word == .fine })
        #expect(words(0).allSatisfy { $0.word == .unasked })
    }

    @Test("A budget that lets a third of the retries through is enough to acquit", arguments: seeds)
    func budget(seed: UInt64) {
        var (veto, word) = (PinnedVeto(), PinnedVeto.Word.unasked)
        var random = Seeded(seed)
        for tick in 1...600 as ClosedRange<UInt64> {
            if tick % 50 == 0 { veto.enter(limit: 0.01, isNewEpoch: false) }
            var pair = PairTick(
                tick: Tick(number: tick), split: nil, candidate: ArmTick(), stable: ArmTick())
            for _ in 0..<2 {
                if random.chance(0.6) { pair.unrescued += 1 } else { pair.rescued += 1 }
            }
            veto.add(10, 6, pair)
            word = veto.judge(now: tick, limit: 0.01, .errorRate, isStillBad: true)
            if tick > 50 { #expect(word == .common) }
        }
    }

    @Test("Retries that did not reach stable are no word of it: it trips, unless most of them were answered")
    func unreached() {
        func word(lost: Int, failed: Int, answered: Int) -> PinnedVeto.Word {
            var (veto, word) = (PinnedVeto(), PinnedVeto.Word.unasked)
            for tick in 1...60 as ClosedRange<UInt64> {
                if tick % 50 == 0 { veto.enter(limit: 0.01, isNewEpoch: false) }
                var pair = PairTick(
                    tick: Tick(number: tick), split: nil, candidate: ArmTick(), stable: ArmTick())
                (pair.unreached, pair.unrescued, pair.rescued) = (lost, failed, answered)
                veto.add(10, 4, pair)
                word = veto.judge(now: tick, limit: 0.01, .errorRate, isStillBad: true)
            }
            return word
        }
        #expect(word(lost: 4, failed: 0, answered: 0) == .unreached)
        #expect(word(lost: 0, failed: 4, answered: 0) == .common)
        #expect(word(lost: 1, failed: 3, answered: 0) == .common)
        #expect(word(lost: 1, failed: 0, answered: 3) == .fine)
    }

    @Test("What is pinned survives a restart; where clocks do not compare, only the time is lost")
    func restart() throws {
        for isKnown in [true, false] {
            let world = Promotion(seed: 63, Self.errors)
            world.run(300, Behaviours.failing(0.001))
            let saved = try JSONDecoder().decode(
                CandidateWatch.Saved.self, from: JSONEncoder().encode(world.bench.watch.saved))
            world.bench.watch = CandidateWatch(
                restoring: saved, specs: world.bench.watch.specs, from: Tick(number: world.bench.now),
                valuesFrom: { isKnown ? $0 : nil })
            world.run(100, Behaviours.failing(0.001))
            let reading = try #require(world.reading)
            #expect(reading.isPinned && (reading.pinnedUntil != nil) == isKnown, "\(reading.reason)")
            #expect(world.trip(1_500, Behaviours.failing(0.05)) != nil)
        }
    }

    @Test("A trip and what decided it survive a restart: the page says the same, not the share of days")
    func restartAfterTrip() throws {
        let world = Promotion(seed: 67, Self.errors)
        world.run(300, Behaviours.failing(0.001))
        let found = try #require(world.trip(1_500, Behaviours.failing(0.3))).reading
        try world.restart()
        world.run(100, Behaviours.failing(0.001))
        let after = try #require(world.reading)
        #expect(after.verdict == .fail && after.isPinned && after.reason.contains("no traffic then to tell"))
        #expect(after.candidate == found.candidate && after.candidateRequests == found.candidateRequests)
        #expect((after.candidate ?? 0) > (after.threshold ?? 1), "\(after.reason)")
    }

    @Test("Stable whose errors came together in the last stage is pinned with more room")
    func bursts() throws {
        func limit(_ stable: @escaping Behaviour) throws -> Double {
            let world = Promotion(seed: 68, Self.errors, before: stable)
            world.run(100, Behaviours.failing(0.001))
            return try #require(world.reading?.threshold)
        }
        let scattered = try limit(Behaviours.failing(0.01))
        let together = try limit { tick, random in
            Ending(isFailure: random.chance(tick % 600 < 20 ? 0.3 : 0))
        }
        #expect(together > 1.3 * scattered, "\(together) and \(scattered)")
    }

    @Test("What a control arm failed before it was withdrawn widens no limit", arguments: seeds)
    func withdrawnArm(seed: UInt64) throws {
        func limit(_ arm: @escaping Behaviour) throws -> Double {
            var bench = Bench(seed: seed, specs: [GuardrailSpec].defaults.filter { $0.name == Self.errors })
            bench.traffic.requestsPerTick = 10
            let good = Behaviours.failing(0.001)
            bench.traffic.split = PairSplit(
                candidatePPM: 250_000, stablePPM: 250_000, isAgainstControl: true)
            for _ in 0..<600 { bench.tick(candidate: good, stable: arm) }
            bench.traffic.split = PairSplit(candidatePPM: 250_000, stablePPM: 750_000)
            for _ in 0..<1_200 { bench.tick(candidate: good, stable: good) }
            bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
            for _ in 0..<100 { bench.tick(candidate: good, stable: good) }
            let reading = try #require(bench.readings.first)
            #expect(reading.isPinned, "\(reading.reason)")
            return try #require(reading.threshold)
        }
        let fine = try limit(Behaviours.failing(0.001))
        let failed = try limit { tick, random in
            Ending(isFailure: tick % 200 < 100 || random.chance(0.001))
        }
        #expect(failed < 1.5 * fine, "\(failed) and \(fine)")
    }

    @Test("A rule that sleeps because too little of stable was counted says how much", arguments: seeds)
    func tooFew(seed: UInt64) throws {
        var bench = Bench(seed: seed, specs: [GuardrailSpec].defaults.filter { $0.name == Self.errors })
        let good = Behaviours.failing(0)
        bench.traffic.requestsPerTick = 10
        // Three seconds: some three requests of stable.
        bench.traffic.split = PairSplit(candidatePPM: 990_000, stablePPM: 10_000)
        for _ in 0..<30 { bench.tick(candidate: good, stable: good) }
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        for _ in 0..<100 { bench.tick(candidate: good, stable: good) }
        let reading = try #require(bench.readings.first)
        #expect(reading.asleepSince != nil && !reading.isPinned, "\(reading.reason)")
        #expect(try #require(reading.asleepKnown) < 15)
    }

    @Test("What was never compared sleeps, and so does a rule that is told to; with cut it shares its alpha")
    func words() throws {
        var bench = Bench(seed: 64, specs: [GuardrailSpec].defaults.filter { $0.name == Self.errors })
        bench.traffic.split = PairSplit(candidatePPM: 1_000_000, stablePPM: 0)
        for _ in 0..<100 { bench.tick(candidate: Behaviours.failing(0.3), stable: Behaviours.failing(0)) }
        #expect(bench.readings[0].asleepSince != nil && !bench.readings[0].isPinned)

        let sleeping = Promotion(seed: 64, Self.errors, word: .sleep)
        #expect(sleeping.trip(600, Behaviours.failing(0.3)) == nil)
        #expect(sleeping.reading?.asleepSince != nil && sleeping.reading?.isPinned == false)

        let cutting = Promotion(seed: 64, Self.errors, word: .cut)
        let found = try #require(cutting.trip(1_500, Behaviours.failing(0.3)))
        let alpha = try #require(cutting.bench.watch.specs.first).alpha
        #expect(found.reading.action == .cut && found.reading.alpha == alpha / 2)
        let half = "alpha \(Sentence.percent(alpha / 2))"
        #expect(found.reading.rule.contains(half), "\(found.reading.rule)")
    }

    @Test("Traffic whose errors triple within minutes is alerted about: nothing here tells it from the model")
    func season() throws {
        let world = Promotion(seed: 65, Self.errors, before: Behaviours.failing(0.01))
        let promoted = Double(world.promoted)
        let drifting: Behaviour = { tick, random in
            Ending(isFailure: random.chance(0.01 + 0.04 * min(1, (Double(tick) - promoted) / 3_000)))
        }
        let found = try #require(world.trip(6_000, drifting))
        #expect(found.reading.action == .alert)
    }

    @Test("Stable's traffic ends it: the ordinary comparison goes on where it was")
    func back() throws {
        let world = Promotion(seed: 66, Self.errors)
        world.run(300, Behaviours.failing(0.001))
        #expect(world.reading?.isPinned == true)
        world.bench.traffic.split = PairSplit(candidatePPM: 500_000, stablePPM: 500_000)
        world.run(100, Behaviours.failing(0))
        let reading = try #require(world.reading)
        #expect(!reading.isPinned && reading.asleepSince == nil && reading.verdict == .pass)
    }
}

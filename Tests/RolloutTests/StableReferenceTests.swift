// Which stage stable is known from without its traffic, or with very little: the one that says most, over
// short visits to other weights, thin hold-backs, restarts and changed rules.

import Foundation
import Metrics
import Statistics
import Testing

@testable import Rollout

private let seeds: [UInt64] = [71, 72]

/// A candidate at a quarter of the traffic for five minutes, with one rule.
private final class Walk {
    var bench: Bench

    init(seed: UInt64, specs: [GuardrailSpec] = Walk.errors, requests: Int = 10) {
        bench = Bench(seed: seed, specs: specs)
        bench.traffic.requestsPerTick = requests
        run(3_000, at: 250_000)
    }

    static var errors: [GuardrailSpec] {
        [GuardrailSpec].defaults.filter { $0.name == "error_rate_worse_than_stable" }
    }

    var reading: GuardrailReading? { bench.readings.first }

    func run(
        _ ticks: Int, at ppm: UInt32, _ candidate: @escaping Behaviour = Behaviours.failing(0.001),
        stable: Behaviour? = nil
    ) {
        weigh(ppm)
        for _ in 0..<ticks { bench.tick(candidate: candidate, stable: stable ?? Behaviours.failing(0.001)) }
    }

    func trip(
        _ ticks: Int, at ppm: UInt32, _ candidate: @escaping Behaviour, stable: Behaviour? = nil
    ) -> GuardrailReading? {
        weigh(ppm)
        return bench.runUntilTrip(
            ticks: ticks, candidate: candidate, stable: stable ?? Behaviours.failing(0.001))?.trip
    }

    private func weigh(_ ppm: UInt32) {
        bench.traffic.split = PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm)
    }

    /// Goes on with other rules from what is saved.
    func reload(_ specs: [GuardrailSpec]) throws {
        let saved = try JSONDecoder().decode(
            CandidateWatch.Saved.self, from: JSONEncoder().encode(bench.watch.saved))
        bench.watch = CandidateWatch(
            restoring: saved, specs: specs, from: Tick(number: bench.now), valuesFrom: { $0 })
    }
}

@Suite struct StableReferenceTests {
    @Test(
        "A short visit to another weight takes nothing away: a worse version is found by the stage before",
        arguments: [700_000, 950_000] as [UInt32], seeds)
    func shortVisit(ppm: UInt32, seed: UInt64) throws {
        let walk = Walk(seed: seed)
        walk.run(300, at: 1_000_000)
        let before = try #require(walk.reading)
        walk.run(10, at: ppm)
        walk.run(100, at: 1_000_000)
        let after = try #require(walk.reading)
        #expect(after.isPinned && after.verdict == .pass, "\(after.reason)")
        #expect(after.stableRequests == before.stableRequests && after.threshold == before.threshold)
        let found = try #require(walk.trip(1_500, at: 1_000_000, Behaviours.failing(0.05)))
        #expect(found.isPinned && found.stableRequests > 20_000)
    }

    @Test("A bake too short to know stable by leaves what the stage before has shown of it", arguments: seeds)
    func shortBake(seed: UInt64) throws {
        let walk = Walk(seed: seed)
        walk.run(30, at: 990_000)
        walk.run(100, at: 1_000_000)
        let reading = try #require(walk.reading)
        #expect(reading.isPinned && reading.stableRequests > 20_000, "\(reading.reason)")
    }

    @Test(
        "Beside a hold-back of a handful of requests a version that turns bad is found and alerted about",
        arguments: [0.3, 0.05], seeds)
    func thin(share: Double, seed: UInt64) throws {
        let walk = Walk(seed: seed, requests: 2)
        let found = try #require(walk.trip(1_800, at: 990_000, Behaviours.failing(share)))
        #expect(found.isPinned && found.action == .alert && found.ruleAction == .cut, "\(found.reason)")
        #expect(found.reason.contains("too little traffic then to tell which"), "\(found.reason)")
    }

    @Test(
        "Beside a thin hold-back equal versions stay silent and pass, also when both fail", arguments: seeds)
    func thinTwins(seed: UInt64) throws {
        let walk = Walk(seed: seed)
        #expect(walk.trip(3_000, at: 990_000, Behaviours.failing(0.001)) == nil)
        #expect(walk.reading?.verdict == .pass && (walk.reading?.stableRequests ?? 0) > 100)
        // Some of stable's few requests show the outage.
        let outage = Behaviours.failing(0.4)
        let shared = walk.trip(1_200, at: 980_000, outage, stable: outage)
        #expect(shared == nil, "\(shared?.reason ?? "")")
    }

    @Test("Once stable has enough live requests the live comparison speaks, and cuts", arguments: seeds)
    func live(seed: UInt64) throws {
        let walk = Walk(seed: seed, requests: 40)
        walk.run(200, at: 950_000)
        #expect(walk.reading?.isPinned == true)
        walk.run(800, at: 950_000)
        let reading = try #require(walk.reading)
        #expect(!reading.isPinned && reading.verdict == .pass && reading.stableRequests >= 1_000)
        let found = try #require(walk.trip(1_200, at: 950_000, Behaviours.failing(0.3)))
        #expect(!found.isPinned && found.action == .cut && found.ruleAction == nil)
    }

    @Test("A thin hold-back without any request of stable is no pass where nothing else is known")
    func nothingKnown() throws {
        var bench = Bench(seed: 73, specs: Walk.errors)
        bench.traffic.requestsPerTick = 2
        bench.traffic.split = PairSplit(candidatePPM: 999_999, stablePPM: 1)
        for _ in 0..<100 { bench.tick(candidate: Behaviours.failing(0), stable: Behaviours.failing(0)) }
        let reading = try #require(bench.readings.first)
        #expect(reading.verdict == .notEnoughData && reading.isComparison, "\(reading.reason)")
    }

    @Test("Another alpha, name, order, ratio or sticky keys lose nothing that is known of stable at 100 %")
    func reload() throws {
        let edits: [(String, (inout GuardrailSpec) -> Void)] = [
            ("alpha", { $0.alpha /= 2 }), ("name", { $0.name = "mine" }),
            (
                "ratio",
                { $0.rule = .sequentialWorseThanStable(rho: 1, materialRatio: 2, materialDifference: 0) }
            ),
            ("cut", { $0.withoutStable = .cut }), ("sticky", { $0.countsKeysOnce = true }),
        ]
        for (what, edit) in edits {
            let walk = Walk(seed: 74)
            walk.run(300, at: 1_000_000)
            let before = try #require(walk.reading)
            var specs = [GuardrailSpec].defaults.filter { $0.name == "outage" } + Walk.errors
            edit(&specs[1])
            try walk.reload(specs)
            walk.run(100, at: 1_000_000)
            let after = walk.bench.readings[1]
            #expect(after.isPinned, "\(what): \(after.reason)")
            #expect(after.stableRequests == before.stableRequests, "\(what): \(after.reason)")
            let until = try #require(after.pinnedUntil)
            #expect(until == before.pinnedUntil, "\(what)")
            #expect(walk.trip(1_500, at: 1_000_000, Behaviours.failing(0.05))?.isPinned == true, "\(what)")
        }
    }

    @Test("What is known survives a restart in a thin bake, and a second change right after it")
    func restarts() throws {
        let walk = Walk(seed: 75)
        walk.run(50, at: 990_000)
        try walk.reload(Walk.errors)
        walk.run(50, at: 990_000)
        #expect((walk.reading?.stableRequests ?? 0) > 20_000)
        var changed = Walk.errors
        changed[0].alpha /= 2
        try walk.reload(changed)
        try walk.reload(Walk.errors)
        walk.run(100, at: 1_000_000)
        #expect(walk.reading?.isPinned == true && (walk.reading?.stableRequests ?? 0) > 20_000)
    }

    @Test(
        "A trip at 100 % stands in the first reading after a restart, and a twin is not tripped by one",
        arguments: seeds)
    func tripStands(seed: UInt64) throws {
        let walk = Walk(seed: seed)
        walk.run(100, at: 1_000_000)
        let trip = try #require(walk.trip(1_500, at: 1_000_000, Behaviours.failing(0.3)))
        #expect(trip.isPinned && trip.verdict == .fail)
        try walk.reload(Walk.errors)
        walk.run(1, at: 1_000_000, Behaviours.failing(0.3))
        #expect(walk.reading?.isPinned == true && walk.reading?.verdict == .fail)
        let twin = Walk(seed: seed)
        twin.run(300, at: 1_000_000)
        try twin.reload(Walk.errors)
        twin.run(1, at: 1_000_000)
        #expect(twin.reading?.isPinned == true && twin.reading?.verdict != .fail)
    }

    @Test("What was counted by keys, of another measure or of another stable is not used")
    func unusable() throws {
        var keyed = Walk.errors[0]
        keyed.countsKeysOnce = true
        let plain = Walk.errors[0]
        #expect(plain.countsStable(as: keyed) && !keyed.countsStable(as: plain))
        let others = [GuardrailSpec].defaults.filter { $0.name != plain.name }
        #expect(others.allSatisfy { !$0.countsStable(as: plain) && !plain.countsStable(as: $0) })
        let walk = Walk(seed: 76)
        walk.run(100, at: 1_000_000)
        var saved = walk.bench.watch.saved
        saved.forgetStable()
        walk.bench.watch = CandidateWatch(
            restoring: saved, specs: Walk.errors, from: Tick(number: walk.bench.now), valuesFrom: { $0 })
        walk.run(100, at: 1_000_000)
        #expect(walk.reading?.asleepSince != nil && walk.reading?.asleepKnown == 0)
    }

    @Test("A watch that begins without stable's traffic compares by what another one knows", arguments: seeds)
    func learned(seed: UInt64) throws {
        let walk = Walk(seed: seed)
        var stage = Walk.errors[0]
        (stage.name, stage.withoutStable) = ("stage", .cut)
        var watch = CandidateWatch(specs: [stage], from: Tick(number: walk.bench.now))
        #expect(watch.rulesKnowingStable.isEmpty)
        watch.learnStable(from: walk.bench.watch)
        #expect(watch.rulesKnowingStable == ["stage"])
        walk.bench.watch = watch
        walk.run(100, at: 1_000_000)
        #expect(walk.reading?.isPinned == true && walk.reading?.verdict == .pass)
        let found = try #require(walk.trip(1_500, at: 1_000_000, Behaviours.failing(0.3)))
        #expect(found.action == .cut && found.ruleAction == nil)
    }

    @Test(
        "The stage that says most is kept, by requests alone; a newer one of ten thousand replaces it",
        arguments: [
            (1_000, 1_000, 1), (1_000, 999, 0), (15, 400, 1), (50_000, 10_000, 1), (50_000, 9_999, 0),
            (1_000, 0, 0), (0, 3, 1),
        ])
    func better(kept: Int, newer: Int, winner: Int) {
        func reference(_ requests: Int, bad: Int, effect: Double = 1) -> StableReference {
            StableReference(
                counts: EpochCounts(stableRequests: requests, stableEvents: bad), effect: effect,
                retries: Retries(), until: nil, isAgainstControl: false)
        }
        for bad in [0, min(kept, newer) / 2] {
            let pair = [reference(kept, bad: 0), reference(newer, bad: bad)]
            #expect(StableReference.better(pair[0], pair[1]) == pair[winner])
        }
        // Requests that come good or bad together are worth less.
        let together = reference(newer, bad: 0, effect: 1_000)
        if kept > newer / 1_000 {
            #expect(StableReference.better(reference(kept, bad: 0), together) != together)
        }
        #expect(StableReference.better(nil, reference(0, bad: 0)) == nil)
    }
}

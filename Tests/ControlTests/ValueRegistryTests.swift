// Laws of the registry behind value guardrails: what is handed out, when, and what it costs.

import Metrics
import Rollout
import Testing

@testable import Control

/// A model of three versions under one split, driven tick by tick.
private struct Bench {
    var values: ValueRegistry
    var now: UInt64 = 10_000
    var starts: [UInt64: ValueRegistry.Reading] = [:]
    var over: [StartSlot] = []
    static let weights: [UInt32] = [700_000, 200_000, 100_000]

    init(graceTicks: UInt64 = 0) {
        values = ValueRegistry(versions: 3, graceTicks: graceTicks, from: Tick(number: 10_000))
    }

    mutating func start(_ counts: [UInt32], weights: [UInt32]? = weights, isPending: Bool = false) {
        starts[now] = ValueRegistry.Reading(started: counts, weights: weights, isPending: isPending)
    }

    mutating func step(_ ticks: UInt64 = 1, wasQuiet: Bool = false) {
        now += ticks
        let (starts, now) = (starts, now)
        over += values.observe(now: Tick(number: now), wasQuiet: wasQuiet) {
            now - $0.number < 500 ? starts[$0.number] : nil
        }.map(\.slot)
    }

    mutating func post(
        _ metric: String, _ version: Int, at start: UInt64, after millis: UInt64 = 0, value: Double = 1,
        hash: UInt64, isRandomised: Bool = true, weight: UInt32? = nil
    ) -> ArrivalResult {
        values.count(
            metric,
            Arrival(
                version: version, start: start, delayMillis: millis, isRandomised: isRandomised,
                weightPPM: weight ?? Self.weights[version], code: ValueCounts.code(of: value), hash: hash),
            now: Tick(number: now))
    }

    mutating func ticks(_ name: String, from: UInt64 = 0) -> [ValueTick] {
        values.ticks(
            name, candidate: 1, stable: 0, from: Tick(number: from), now: Tick(number: now))
    }
}

@Suite struct ValueRegistryTests {
    @Test(
        "A slot of feedback is handed out once all its requests are older than window and grace, not before")
    func matures() {
        var bench = Bench(graceTicks: 5)
        bench.values.want("feedback:clicks@2000")
        bench.start([7, 2, 1])
        bench.step(20)
        #expect(bench.post("clicks", 1, at: 10_000, hash: 1) == .accepted)
        #expect(bench.post("clicks", 0, at: 10_000, value: 0.5, hash: 2) == .accepted)
        bench.step(14)
        #expect(bench.ticks("feedback:clicks@2000").isEmpty)
        bench.step()
        let ticks = bench.ticks("feedback:clicks@2000")
        #expect(ticks.count == 1)
        #expect(ticks.first?.tick.number == 10_000)
        #expect(ticks.first?.split == PairSplit(candidatePPM: 200_000, stablePPM: 700_000))
        #expect(ticks.first?.candidate.values.sorted() == [0, 1])
        #expect(ticks.first?.stable.values.sorted() == [0, 0, 0, 0, 0, 0, 0.5])
        #expect(bench.ticks("feedback:clicks@2000", from: 10_001).isEmpty)
    }

    @Test(
        "What is posted after the window and its grace is late, and a slot that was handed out never changes")
    func late() {
        var bench = Bench(graceTicks: 10)
        bench.values.want("feedback:clicks@1000")
        bench.start([7, 2, 1])
        bench.step(15)
        // It happened in time and is posted within the grace; or it happened too late.
        #expect(bench.post("clicks", 1, at: 10_000, after: 900, hash: 1) == .accepted)
        #expect(bench.post("clicks", 1, at: 10_000, after: 1_001, hash: 2) == .late)
        bench.step(15)
        #expect(bench.post("clicks", 1, at: 10_000, after: 900, hash: 3) == .late)
        #expect(bench.ticks("feedback:clicks@1000").first?.candidate.values.reduce(0, +) == 1)
    }

    @Test("An exchange counts once per metric, in every window that its delay fits into")
    func duplicates() {
        var bench = Bench()
        bench.values.want("feedback:clicks@1000")
        bench.values.want("feedback:clicks@5000")
        bench.values.want("feedback:buys@5000")
        bench.start([7, 2, 1])
        bench.step(5)
        #expect(bench.post("clicks", 1, at: 10_000, after: 500, hash: 1) == .accepted)
        #expect(bench.post("clicks", 1, at: 10_000, after: 500, value: 0, hash: 1) == .duplicate)
        #expect(bench.post("buys", 1, at: 10_000, after: 500, hash: 1) == .accepted)
        #expect(bench.post("clicks", 1, at: 10_000, after: 3_000, hash: 2) == .accepted)
        #expect(bench.post("views", 1, at: 10_000, hash: 1) == .late)
        bench.step(100)
        #expect(bench.ticks("feedback:clicks@1000").first?.candidate.values.reduce(0, +) == 1)
        #expect(bench.ticks("feedback:clicks@5000").first?.candidate.values.reduce(0, +) == 2)
        #expect(bench.ticks("feedback:buys@5000").first?.candidate.values.reduce(0, +) == 1)
        #expect(bench.values.metrics["clicks"]?.posted[1] == PostedMetric.Posted(count: 2, sum: 2))
    }

    @Test("Pinned requests and ids of other weights stand in the totals and are no evidence")
    func notEvidence() {
        var bench = Bench()
        bench.values.want("feedback:clicks@9000")
        bench.start([7, 2, 1])
        bench.step(5)
        #expect(bench.post("clicks", 1, at: 10_000, hash: 3, isRandomised: false) == .accepted)
        bench.step(10)
        #expect(bench.post("clicks", 1, at: 10_000, hash: 4, weight: 5) == .accepted)
        bench.step(100)
        let ticks = bench.ticks("feedback:clicks@9000")
        #expect(ticks.map { $0.candidate.values.reduce(0, +) } == [0])
        #expect(bench.values.metrics["clicks"]?.posted[1].count == 2)
    }

    @Test("A slot whose weights changed is dropped in both arms")
    func changedWeights() {
        var bench = Bench()
        bench.values.want("feedback:clicks@600000")
        #expect(StartGrid.slotTicks(6_000) == 10)
        let other: [UInt32] = [500_000, 400_000, 100_000]
        for (tick, weights) in [
            (10_002, Bench.weights), (10_015, other), (10_022, Bench.weights), (10_025, other),
        ] {
            bench.step(UInt64(tick) - bench.now)
            bench.start([7, 2, 1], weights: weights)
        }
        bench.step(20)
        bench.step(6_200, wasQuiet: true)
        let ticks = bench.ticks("feedback:clicks@600000")
        #expect(
            ticks.map(\.split) == [
                PairSplit(candidatePPM: 200_000, stablePPM: 700_000),
                PairSplit(candidatePPM: 400_000, stablePPM: 500_000), nil,
            ])
        guard ticks.count == 3 else { return }
        #expect(ticks[2].candidate.values.isEmpty && ticks[2].stable.values.isEmpty)
    }

    @Test("Ticks that the rings forgot spoil their slot, unless nothing started in them")
    func forgotten() {
        for wasQuiet in [false, true] {
            var bench = Bench()
            bench.values.want("feedback:clicks@86400000")
            bench.start([7, 2, 1])
            bench.step(20)
            bench.step(2_000, wasQuiet: wasQuiet)
            bench.step(862_480, wasQuiet: true)
            #expect(bench.ticks("feedback:clicks@86400000").map { $0.split == nil } == [!wasQuiet])
        }
    }

    @Test("A day of traffic in every tick keeps at most 2,100 slots, and ids without feedback cost nothing")
    func bounded() {
        var bench = Bench()
        bench.values.want("feedback:clicks@86400000")
        let reading = ValueRegistry.Reading(started: [70, 20, 10], weights: Bench.weights, isPending: false)
        var slots = 0
        for _ in 0..<200_000 {
            bench.now += 5
            slots +=
                bench.values.observe(now: Tick(number: bench.now), wasQuiet: false) { _ in reading }.count
        }
        #expect(bench.values.remembered == 0)
        #expect(slots > 2_300)
        #expect(bench.values.slotsKept <= 2_100)
        // Asked in time, each slot comes once.
        var from: UInt64 = 0
        var ticks = 0
        while let last = bench.ticks("feedback:clicks@86400000", from: from).last {
            ticks += bench.ticks("feedback:clicks@86400000", from: from).count
            from = last.tick.number + 1
        }
        #expect(ticks <= 10)
    }

    @Test("The memory of ids goes with their slots")
    func forgetsIDs() {
        var bench = Bench()
        bench.values.want("feedback:clicks@1000")
        bench.start([7, 2, 1])
        bench.step(5)
        for hash in 0..<1_000 as Range<UInt64> {
            #expect(bench.post("clicks", 0, at: 10_000, hash: hash << 20 | hash) == .accepted)
        }
        #expect(bench.values.remembered == 1_000)
        bench.step(30 + ValueRegistry.keepTicks)
        #expect(bench.values.remembered == 0)
    }

    @Test("A sampled tick is handed out when it is settled and the samples are drained past that moment")
    func sampled() {
        var bench = Bench()
        bench.values.want("value:score")
        bench.start([7, 2, 1], isPending: true)
        bench.step()
        bench.start([7, 2, 1])
        bench.step(15)
        bench.values.add(0.25, of: "score", version: 1, tick: Tick(number: 10_001))
        bench.values.drained(at: Tick(number: bench.now + 1))
        // The first tick is pending: the second waits for it.
        #expect(bench.ticks("value:score").isEmpty)
        bench.starts[10_000]?.isPending = false
        bench.step()
        #expect(bench.ticks("value:score").isEmpty)
        bench.values.add(nil, of: "score", version: 0, tick: Tick(number: 10_000))
        bench.values.drained(at: Tick(number: bench.now + 1))
        let ticks = bench.ticks("value:score")
        #expect(ticks.map(\.tick.number) == [10_000, 10_001])
        #expect(ticks[0].stable == ValueArm(missing: 1))
        #expect(ticks[1].candidate == ValueArm(values: [0.25]))
        bench.values.add(0.5, of: "score", version: 0, tick: Tick(number: 10_000))
        #expect(bench.values.lostValues == 1)
        #expect(bench.ticks("value:score") == ticks)
    }

    @Test("A request that never ends holds a sampled tick no longer than the deadline")
    func deadline() {
        var bench = Bench()
        bench.values.want("value:score")
        bench.start([7, 2, 1], isPending: true)
        bench.step(5)
        bench.values.add(0.25, of: "score", version: 1, tick: Tick(number: 10_000))
        for _ in 0..<ValueRegistry.deadlineTicks {
            bench.step()
            bench.values.drained(at: Tick(number: bench.now))
        }
        #expect(bench.ticks("value:score").count == 1)
    }

    @Test(
        "Rounding keeps 0, 1 and small whole numbers, is monotone, and is off by 0.4 % at most",
        arguments: [1, 2, 3] as [UInt64])
    func rounding(seed: UInt64) {
        for whole in 0...256 {
            #expect(ValueCounts.value(of: ValueCounts.code(of: Double(whole))) == Double(whole))
        }
        #expect(ValueCounts.value(of: ValueCounts.code(of: 1e300)).isFinite)
        #expect(ValueCounts.value(of: ValueCounts.code(of: -1e300)).isFinite)
        var state = seed
        var last = (0.0, 0.0)
        for _ in 0..<10_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = Double(state >> 11) * 0x1p-53
            let rounded = ValueCounts.value(of: ValueCounts.code(of: value))
            #expect(abs(rounded - value) <= value / 255)
            if value >= last.0 { #expect(rounded >= last.1) } else { #expect(rounded <= last.1) }
            last = (value, rounded)
        }
    }

    @Test(
        "Counts give back each value as often as it was posted, zeros for the rest, no more than requests"
    )
    func counts() {
        var counts = ValueCounts()
        for (version, value) in [(1, 2.0), (0, 1.0), (1, 2.0), (1, -1.0), (2, 7.0)] {
            counts.add(version: version, code: ValueCounts.code(of: value))
        }
        #expect(counts.values(version: 1, requests: 5).sorted() == [-1, 0, 0, 2, 2])
        #expect(counts.values(version: 0, requests: 1) == [1])
        #expect(counts.values(version: 3, requests: 2) == [0, 0])
        #expect(counts.values(version: 1, requests: 2).count == 2)
        #expect(counts.sum(version: 1) == 3)
        let mapped = counts.mapped { [1: 0, 2: 1][$0] }
        #expect(mapped.sum(version: 0) == 3 && mapped.sum(version: 1) == 7 && mapped.sum(version: 2) == 0)
    }

    @Test("A set of fingerprints knows what it was given, over any number of growths")
    func fingerprints() {
        var set = Fingerprints()
        let hashes = (0..<50_000 as Range<UInt64>).map { $0 &* 0x9E37_79B9_7F4A_7C15 }
        let fresh = hashes.filter { set.insert($0) }.count
        #expect(fresh > 49_990 && set.count == fresh)
        #expect(!hashes.contains { set.insert($0) })
    }

    @Test("A slot with an item that found no room is dropped in both arms")
    func full() {
        var bench = Bench()
        bench.values.want("feedback:clicks@1000")
        bench.start([7, 2, 1])
        bench.step(5)
        #expect(bench.post("clicks", 1, at: 10_000, hash: 1) == .accepted)
        bench.values.spoil(
            "clicks",
            Arrival(
                version: 0, start: 10_000, delayMillis: 0, isRandomised: true, weightPPM: 700_000, code: 0,
                hash: 2), now: Tick(number: bench.now))
        bench.step(100)
        #expect(bench.ticks("feedback:clicks@1000").map { $0.split == nil } == [true])
    }

    @Test("A registry carried over to other places keeps what it knows of each version by its name")
    func moved() {
        var bench = Bench()
        bench.values.want("feedback:clicks@1000")
        bench.values.want("value:score")
        bench.start([7, 2, 1])
        bench.step(5)
        #expect(bench.post("clicks", 1, at: 10_000, hash: 1) == .accepted)
        #expect(bench.post("clicks", 0, at: 10_000, value: 0.5, hash: 2) == .accepted)
        // The candidate goes to the front, stable to the end, the third is gone, a new one stands between.
        var values = bench.values.mapped(versions: 3) { [1: 0, 0: 2][$0] }
        _ = values.observe(now: Tick(number: 10_100), wasQuiet: true) { [starts = bench.starts] tick in
            starts[tick.number].map {
                .init(
                    started: [$0.started[1], 0, $0.started[0]], weights: [200_000, 0, 700_000],
                    isPending: false)
            }
        }
        let ticks = values.ticks(
            "feedback:clicks@1000", candidate: 0, stable: 2, from: Tick(number: 0), now: Tick(number: 10_100))
        #expect(ticks.count == 1)
        #expect(ticks.first?.candidate.values.sorted() == [0, 1])
        #expect(ticks.first?.stable.values.sorted() == [0, 0, 0, 0, 0, 0, 0.5])
        #expect(values.metrics["clicks"]?.posted.map(\.count) == [1, 0, 1])
        #expect(bench.values.mapped(versions: 3) { $0 }.slotsKept == bench.values.slotsKept)
    }

    @Test(
        "Names of values are read as they are written",
        arguments: [
            ("value:score", ValueName.sampled("score")),
            ("feedback:clicks@1800000", .feedback(metric: "clicks", windowMillis: 1_800_000)),
            ("feedback:a@b@1", .feedback(metric: "a@b", windowMillis: 1)),
        ])
    func names(name: String, value: ValueName) {
        #expect(ValueName(name) == value)
        #expect(ValueName("feedback:clicks") == nil && ValueName("clicks@1") == nil)
    }
}

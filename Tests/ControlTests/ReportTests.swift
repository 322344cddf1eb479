// Reports of cuts and the ledger over rollouts: in virtual time, over restarts, and from the files.

import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Testing

@testable import Control

@Suite struct ReportTests {
    private func healthy(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20)
        world.requests(2, 10)
    }

    private func failing(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20, failing: 10)
        world.requests(2, 10)
    }

    /// Until the candidate is cut; stable's recovery has not answered by then.
    private func untilCut(_ world: World) {
        for _ in 0..<30 where world.model.decided.cutCount == 0 { world.step { failing(world) } }
    }

    private func report(_ world: World) throws -> JSON {
        let event = try #require(world.ledger.events.last { $0.kind == .report })
        return JSON.object(event.details)
    }

    @Test("When recovery has answered, one report says when it began, what it cost and how it ended")
    func complete() throws {
        let world = try World()
        world.step(100) { healthy(world) }
        let began = world.wall + world.now.nanos / 1_000
        untilCut(world)
        #expect(world.loop.snapshot.reports.map(\.completedAt) == [nil])
        world.step(100) { world.requests(0, 100) }
        #expect(world.ledger.events.filter { $0.kind == .report }.count == 1)
        let report = try report(world)
        #expect(report["cut"]?.string == "cut-1")
        #expect(report["versions"]?[0]?.string == "v2")
        #expect(report["guardrail"]?.string == "error_rate_worse_than_stable")
        #expect(report["rule"]?.string?.isEmpty == false && report["alpha"]?.number ?? 0 > 0)
        let first = try #require(report["first_bad_at"]?.string.flatMap(Timestamp.wallMicros))
        let verdict = try #require(report["verdict_at"]?.string.flatMap(Timestamp.wallMicros))
        #expect(first >= began - 200_000 && first <= verdict)
        #expect(report["detected_ms"]?.number == Double(verdict - first) / 1_000)
        #expect(report["first_bad_or_earlier"]?.bool == false)
        #expect(report["cut_us"]?.number != nil)
        let failures = try #require(report["failures"]?.integer)
        #expect(failures > 0 && failures % 10 == 0)
        #expect(report["harmed"]?.integer == failures)
        #expect(report["requests"]?.integer ?? 0 > 2_000)
        #expect(report["recovery"]?["verdict"]?.string == "recovered")
        #expect(report["weights_before"]?["v2"]?.string == "20%")
        #expect((report["epoch_after"]?.integer ?? 0) > (report["epoch_before"]?.integer ?? 0))
        #expect(report["evidence"]?.elements.isEmpty == false)
        let last = try #require(report["last_request_at"]?.string.flatMap(Timestamp.wallMicros))
        #expect(last <= verdict + 1_000_000)
        #expect(world.loop.desk.cutTimes.count == 1)
    }

    @Test("A request that a core assigns while the cut spreads moves the time of the cut, later ones cannot")
    func timing() throws {
        let memory = Pages.allocate(bytes: VersionMeter.byteCount)
        let meter = VersionMeter(at: memory)
        var nanos: UInt64 = 1_000
        func now() -> Instant {
            nanos += 1_000
            return Instant(nanos: nanos)
        }
        meter.start(tick: Tick(number: 5), weightPPM: 1, isPinned: false)
        var timing = ReportDesk.Timing(
            model: "m", meters: [[meter]], verdict: Instant(nanos: 1_000), now: now)
        #expect((timing.since - timing.verdict).nanos == 1_000)
        timing.look(now)
        #expect((timing.since - timing.verdict).nanos == 1_000)
        meter.start(tick: Tick(number: 5), weightPPM: 1, isPinned: false)
        timing.look(now)
        let moved = (timing.since - timing.verdict).nanos
        #expect(moved > 1_000)
        timing.look(now)
        #expect((timing.since - timing.verdict).nanos == moved)
    }

    @Test("What stable served for a version without endpoints is no failure of it and harmed nobody")
    func withoutEndpoint() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        for _ in 0..<30 where world.model.decided.cutCount == 0 {
            world.step {
                failing(world)
                for _ in 0..<10 { world.model.meters[1][0].countFallback(.noEndpoint) }
            }
        }
        world.step(100) { world.requests(0, 100) }
        let report = try report(world)
        #expect(report["failures"]?.integer ?? 0 > 0)
        #expect(report["shielded"]?.integer == 0)
        #expect(report["harmed"] == report["failures"])
    }

    @Test("A cut is timed until every core obeys a plan without the version")
    func timedUntilObeyed() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        world.plane.setObeysAtOnce(false)
        untilCut(world)
        #expect(world.loop.desk.timings.count == 1)
        #expect(world.loop.desk.cutTimes.count == 0)
        world.plane.setObeysAtOnce(true)
        world.settle()
        #expect(world.loop.desk.timings.isEmpty)
        #expect(world.loop.desk.cutTimes.count == 1)
    }

    @Test("An operator who leaves the cut before recovery has answered gets a report without an answer")
    func ended() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world)
        let replies = Replies()
        world.loop.obey(
            AdminVerb(.resume, model: "m", force: true), actor: "test", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        #expect(try report(world)["recovery"] == .null)
        #expect(world.loop.snapshot.reports.last?.completedAt != nil)
    }

    @Test("A restart between cut and recovery keeps the report and its counts")
    func restart() throws {
        let first = try World()
        first.step(50) { healthy(first) }
        untilCut(first)
        let before = try #require(first.ledger.lastState?.reports?.open["m"])
        let bytes = try #require(first.ledger.lastState).encoded()
        let second = try World(saved: try SavedState.decoded(bytes, path: "rollouts.json"))
        second.step(100) { second.requests(0, 100) }
        let report = try report(second)
        #expect(report["recovery"]?["verdict"]?.string == "recovered")
        #expect(report["failures"] == .count(before.failures))
        #expect(before.failures > 0)
    }

    @Test("The ledger counts a rollout once, whatever restarts and reloads come, and its cut and times")
    func ledger() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world)
        world.step(100) { world.requests(0, 100) }
        let saved = try #require(world.ledger.lastState)
        let second = try World(saved: saved)
        second.step(5) { second.requests(0, 10) }
        for ledger in [world.loop.snapshot.ledger, second.loop.snapshot.ledger] {
            let total = try #require(ledger["total"])
            #expect(total["rollouts"]?.integer == 2)
            #expect(total["cuts"]?["error_rate_worse_than_stable"]?.integer == 1)
            #expect(total["trips"]?.integer == 1 && total["confirmed"]?.integer == 1)
            #expect(total["refuted"]?.integer == 0)
            #expect(total["detect_ms"]?["count"]?.integer == 1)
            #expect(abs((total["alpha_spent"]?.number ?? 0) - 0.02) < 1e-9)
            #expect(ledger["models"]?["m"] == total)
        }
    }

    @Test("A trip is refuted when stable did not recover, or when the version is promoted after all")
    func refuted() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world)
        world.step(100) { world.requests(0, 100, failing: 40) }
        #expect(world.model.decided.recovery == .notRecovered)
        #expect(world.loop.snapshot.ledger["total"]?["refuted"]?.integer == 1)
        // A trip that was refuted says nothing about how fast the rule finds what is there.
        #expect(world.loop.snapshot.ledger["total"]?["detect_ms"]?["count"]?.integer == 0)
        let range = try #require(world.loop.snapshot.ledger["total"]?["refuted_share"])
        #expect(range["estimate"]?.number == 1)
        #expect(range["upper"]?.number == 1 && range["lower"]?.number ?? 1 < 0.5)

        let other = try World()
        other.step(50) { healthy(other) }
        untilCut(other)
        other.step(100) { other.requests(0, 100) }
        #expect(other.loop.snapshot.ledger["total"]?["refuted"]?.integer == 0)
        let replies = Replies()
        other.loop.obey(
            AdminVerb(.promote, model: "m", version: "v2", force: true), actor: "t", reply: replies.take)
        other.settle()
        #expect(replies.last?.status == 200)
        #expect(other.loop.snapshot.ledger["total"]?["refuted"]?.integer == 1)
        #expect(other.loop.snapshot.ledger["total"]?["promotions"]?.integer == 1)
        // Confirmed by the recovery, then refuted by the promotion: not both.
        #expect(other.loop.snapshot.ledger["total"]?["confirmed"]?.integer == 0)
    }

    @Test("Without a running Weir, reports come from the journal and the ledger from the state")
    func offline() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world)
        world.step(100) { world.requests(0, 100) }
        let scratch = try Scratch()
        var journal = try Journal(opening: FileStorage(directory: scratch.path), wallMicros: 0)
        try journal.append(world.ledger.events)
        try StateDirectory(path: scratch.path).save(try #require(world.ledger.lastState))
        let found = try OfflineReports.reports(stateDir: scratch.path, model: "m", cut: "cut-1")
        #expect(found.count == 1)
        #expect(found[0]["harmed"] == (try report(world)["harmed"]))
        #expect(try OfflineReports.reports(stateDir: scratch.path, model: "m", cut: "cut-2").isEmpty)
        #expect(try OfflineReports.reports(stateDir: scratch.path, model: "other", cut: nil).isEmpty)
        #expect(try OfflineReports.ledger(stateDir: scratch.path) == world.loop.snapshot.ledger)
    }

    @Test("A ledger keeps a bounded number of times and trips, and its counts go on")
    func bounded() {
        var tally = Tally()
        for i in 1...1_000 {
            var report = RollbackReport(
                model: "m", stable: "v1",
                cut: CutRecord(
                    id: "cut-\(i)", wallMicros: 5_000_000, versions: ["v2"], guardrail: "g", actor: "weir",
                    reason: "", evidence: [], weightsBefore: [:]), epochBefore: 1, epochAfter: 2)
            report.firstBad = 4_000_000
            report.cutNanos = UInt64(i)
            tally.note(report.cut)
            tally.note(report)
        }
        #expect(tally.json["trips"]?.integer == 1_000)
        #expect(tally.json["cut_us"]?["count"]?.integer == Int64(Tally.remembered))
        #expect(tally.json["detect_ms"]?["median"]?.number == 1_000)
    }
}

@Suite struct SplitCheckTests {
    @Test(
        "A router that cheats a candidate of a third of its share is told once, and nothing is cut")
    func broken() throws {
        let world = try World()
        world.step(300) {
            world.requests(0, 70)
            world.requests(1, 13)
            world.requests(2, 10)
        }
        let told = world.ledger.events.filter { $0.kind == .sampleRatio }
        #expect(told.count == 1)
        #expect(told.first?.details.first?.value == "v2")
        #expect(world.model.decided.phase == .split)
        #expect(world.loop.snapshot.models[0].splitLogE[1] ?? 0 > 6.9)
        #expect(world.loop.snapshot.models[0].splitLogE[2] ?? 10 < 6.9)
    }

    @Test("Evidence against the split survives a restart, and what was told is not told again")
    func restart() throws {
        let cheated = { (world: World) in
            world.requests(0, 70)
            world.requests(1, 16)
            world.requests(2, 10)
        }
        let first = try World()
        var steps = 0
        while first.loop.snapshot.models[0].splitLogE[1] ?? 0 < 4, steps < 3_000 {
            first.step(1) { cheated(first) }
            steps += 1
        }
        first.step(101) { first.requests(0, 0) }
        let half = try #require(first.loop.snapshot.models[0].splitLogE[1])
        let second = try World(
            saved: try SavedState.decoded(try #require(first.ledger.lastState).encoded(), path: "state"))
        #expect(second.loop.snapshot.models[0].splitLogE[1] == half)
        second.step(steps) { cheated(second) }
        #expect(second.ledger.events.count { $0.kind == .sampleRatio } == 1)
        let third = try World(saved: try #require(second.ledger.lastState))
        third.step(300) { cheated(third) }
        #expect(!third.ledger.events.contains { $0.kind == .sampleRatio })
        #expect(third.loop.snapshot.models[0].splitLogE[1] ?? 0 > 6.9)
    }

    @Test("Random splits by the weights are never called broken", arguments: 1...20 as ClosedRange<UInt64>)
    func fair(seed: UInt64) {
        var check = SplitCheck(from: Tick(number: 1_000))
        var state = seed
        func chance() -> Double {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Double((z ^ (z >> 31)) >> 11) / 9_007_199_254_740_992
        }
        var ticks: [UInt64: PairTick] = [:]
        for number in 1_000..<4_000 as Range<UInt64> {
            let share = number < 2_000 ? 0.05 : 0.25
            var (candidate, stable) = (ArmCounts(), ArmCounts())
            for _ in 0..<20 {
                if chance() < share { candidate.started += 1 } else { stable.started += 1 }
            }
            let ppm = UInt32(share * 1e6)
            ticks[number] = PairTick(
                tick: Tick(number: number), split: PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm),
                candidate: ArmTick(randomised: candidate), stable: ArmTick(randomised: stable))
            #expect(check.step(now: Tick(number: number), candidates: [1]) { ticks[$1.number] }.isEmpty)
        }
        #expect(check.logE(1) ?? 10 < 6.9)
    }

    @Test("Sticky keys come in heaps, so their split is not checked")
    func sticky() throws {
        let world = try World(
            World.yaml.replacing("weights:", with: "sticky: { keys: [{ header: x-user }] }\n    weights:"))
        world.step(300) {
            world.requests(0, 100)
            world.requests(1, 1)
        }
        #expect(!world.ledger.events.contains { $0.kind == .sampleRatio })
    }
}

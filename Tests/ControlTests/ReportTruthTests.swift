// Reports of cuts that are not the first, of copies, and of slow requests; and what of them the ledger takes.

import Metrics
import Payload
import Rollout
import Testing

@testable import Control

@Suite struct ReportTruthTests {
    private func healthy(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20)
    }

    private func failing(_ world: World) {
        world.requests(0, 70)
        world.requests(1, 20, failing: 10)
    }

    private func untilCut(_ world: World, number: Int) {
        for _ in 0..<40 where world.model.decided.cutCount < number { world.step { failing(world) } }
    }

    @Test("The first bad request lies within this cut's exposure, whatever was bad in an earlier one")
    func exposure() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world, number: 1)
        world.step(60) { world.requests(0, 100) }
        let replies = Replies()
        world.loop.obey(AdminVerb(.resume, model: "m", force: true), actor: "t", reply: replies.take)
        world.loop.obey(
            AdminVerb(.weights, model: "m", weights: ["v2": 200_000], force: true), actor: "t",
            reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200)
        let since = world.wall + world.now.nanos / 1_000
        untilCut(world, number: 2)
        let open = try #require(world.loop.snapshot.reports.last)
        #expect(open.cut.id == "cut-2")
        #expect(try #require(open.firstBad) >= since - 200_000)
        #expect(try #require(open.firstBad) >= (try #require(open.exposedSince)))
        #expect(!open.isFirstBadBound)
    }

    @Test("What was bad from its first request on began there, unless earlier evidence was cut off")
    func fromTheFirst() throws {
        let world = try World()
        world.step(30)
        untilCut(world, number: 1)
        let report = try #require(world.loop.snapshot.reports.last)
        #expect(report.firstBad != nil && !report.isFirstBadBound && report.isSound)

        let before = try World()
        before.step(150) { healthy(before) }
        let after = try World(saved: try #require(before.ledger.lastState))
        untilCut(after, number: 1)
        let cutOff = try #require(after.loop.snapshot.reports.last)
        #expect(cutOff.firstBad != nil && cutOff.isFirstBadBound)
    }

    @Test("A rollback of a version that has no weight says nothing of an earlier cut's first bad request")
    func notOnTrial() throws {
        let world = try World()
        world.step(50) { healthy(world) }
        untilCut(world, number: 1)
        world.step(10) { world.requests(0, 100) }
        let replies = Replies()
        for verb in [
            AdminVerb(.unquarantine, model: "m", version: "v2"),
            AdminVerb(.rollback, model: "m", version: "v2"),
        ] {
            world.loop.obey(verb, actor: "t", reply: replies.take)
            world.settle()
            #expect(replies.last?.status == 200)
        }
        let open = try #require(world.loop.snapshot.reports.last)
        #expect(open.cut.id == "cut-2" && open.cut.guardrail == nil)
        #expect(open.firstBad == nil && open.exposedSince == nil && open.requests == 0)
    }

    @Test("Harmed are those who saw a failure or waited too long; who was rescued is not, nor is a copy")
    func harmed() {
        let record = CutRecord(
            id: "cut-1", wallMicros: 10, versions: ["v2"], guardrail: "g", actor: "weir", reason: "",
            evidence: [], weightsBefore: [:])
        var report = RollbackReport(
            model: "m", stable: "v1", cut: record, epochBefore: 1, epochAfter: 2)
        (report.requests, report.failures, report.shielded, report.rescued) = (100, 30, 30, 20)
        #expect(report.harmed == 10)
        // Sent again is not saved.
        #expect(report.sentence.contains("30 were sent again to stable, 20 failures ended well"))
        let page = ReportText.render(report.json)
        #expect(page.contains("shielded by stable  30 sent again, 20 failures ended well\n"), "\(page)")
        report.rescued = 30
        #expect(report.sentence.contains("30 were shielded"))
        #expect(ReportText.render(report.json).contains("shielded by stable  30\n"))
        report.rescued = 20
        report.slow = 25
        #expect(report.harmed == 35)
        (report.requests, report.failures, report.shielded, report.rescued, report.slow) = (0, 0, 0, 0, nil)
        (report.copies, report.copyFailures) = (50, 40)
        #expect(report.harmed == 0)
        #expect(report.sentence.contains("40 of 50 copies failed, which no client saw"))
    }

    private func times(_ counts: [(UInt64, UInt64)]) -> HistogramSnapshot {
        var times = HistogramSnapshot()
        for (millis, count) in counts { times.record(nanos: millis * 1_000_000, times: count) }
        return times
    }

    private func felt(
        _ candidate: [(UInt64, UInt64)], _ stable: [(UInt64, UInt64)]
    ) -> (slow: Double, isTail: Bool) {
        let limits = SlowLimit.limits(
            thresholdNanos: 45_000_000, quantile: 0.5, stable: times(stable))
        let all = limits.map { (slow: $0.felt(times(candidate)), isTail: $0.isTail) }
        return all.max { $0.slow < $1.slow } ?? (0, false)
    }

    @Test("After a cut by p50 the slow are those beyond what stable has, not beyond the half that p50 grants")
    func slowByTail() {
        let stable: [(UInt64, UInt64)] = [(40, 600), (44, 380), (50, 20)]
        // The last 40 of 97 took four times as long: the half that a median grants would hide all of them.
        let late = felt([(40, 57), (160, 40)], stable)
        #expect(late.slow > 37 && late.slow <= 40)
        // All of them a little slower than stable's slowest.
        #expect(felt([(60, 97)], stable).slow > 94)
        // Twins, and a version that is faster, harmed nobody.
        #expect(felt([(40, 600), (44, 380), (50, 20)], stable).slow == 0)
        #expect(felt([(20, 97)], stable).slow == 0)
        // A broad stable: slower than the rule's limit, and hardly anybody beyond stable's tail.
        let broad: [(UInt64, UInt64)] = [(30, 500), (60, 470), (300, 30)]
        let shifted = felt([(60, 97)], broad)
        #expect(shifted.slow > 40 && !shifted.isTail)
    }

    @Test("Where stable is hardly known, the share that the rule grants stands in for its own")
    func slowWithoutStable() {
        func limits(_ count: UInt64) -> [SlowLimit] {
            SlowLimit.limits(thresholdNanos: 45_000_000, quantile: 0.9, stable: times([(40, count)]))
        }
        #expect(limits(100).count == 2)
        let few = limits(99)
        #expect(few.count == 1 && abs(few[0].share - 0.1) < 1e-9)
        #expect(few[0].sentence == "slower than the rule's limit, 45 ms, beyond stable's own 10 %")
    }

    /// Requests of a version that are not failures and bad all the same, as cores count them.
    private func answer(_ world: World, _ version: Int, _ count: Int, bad: Int, _ event: BadEvent) {
        let meter = world.model.meters[version][0]
        world.plane.count(count)
        let weight = world.plane.last?.models[0].versions[version].weightPPM ?? 0
        for i in 0..<count {
            let isBad = i < bad
            let outcome: Outcome =
                switch event {
                case .rejected where isBad: .clientError
                case .cancelled where isBad: .clientCancel
                default: .success
                }
            meter.start(tick: world.tick, weightPPM: weight, isPinned: false)
            meter.count(outcome)
            meter.evidence.settle(
                start: world.tick, isPinned: false, outcome: outcome, events: isBad ? KeyEvents(event) : [],
                micros: 5_000, known: [])
            if outcome != .clientCancel {
                meter.countStatus(outcome == .clientError ? 404 : 200)
                meter.record(.total, nanos: 5_000_000)
            }
            if isBad, event == .empty { meter.countEmpty() }
        }
    }

    @Test(
        "What tripped is what harmed: 4xx answers, cancels and empty answers, beyond stable's share of them",
        arguments: [BadEvent.rejected, .cancelled, .empty], [0, 7])
    func harmedByEvents(event: BadEvent, ofStable: Int) throws {
        let world = try World()
        world.step(50) {
            answer(world, 0, 70, bad: ofStable, event)
            answer(world, 1, 20, bad: ofStable * 2 / 7, event)
        }
        #expect(world.model.decided.cutCount == 0)
        for _ in 0..<300 where world.model.decided.cutCount == 0 {
            world.step {
                answer(world, 0, 70, bad: ofStable, event)
                answer(world, 1, 20, bad: 18, event)
            }
        }
        let report = try #require(world.loop.snapshot.reports.last)
        #expect(report.measure == [.rejected: .rejected, .cancelled: .cancelled, .empty: .empty][event])
        let counts = world.model.meters[1].reduce(into: VersionCounts()) { $1.read(into: &$0) }
        let bad = counts[.clientError] + counts[.clientCancel] + counts.empty
        let own = Double(counts.started) * Double(ofStable) / 70
        #expect(report.failures == 0 && report.harmed > 0)
        #expect(abs(Double(report.harmed) - (Double(bad) - own)) <= 0.1 * Double(counts.started))
        let page = ReportText.render(report.json)
        #expect(page.contains("clients harmed      \(report.harmed)\n"), "\(page)")
    }

    @Test("A report waits for what is under way: whom stable still answers was not harmed, and the wait ends")
    func waits() throws {
        for isRescued in [true, false] {
            let world = try World()
            world.step(50) { healthy(world) }
            let meter = world.model.meters[1][0]
            let tick = world.tick
            for _ in 0..<5 { meter.start(tick: tick, weightPPM: 200_000, isPinned: false) }
            untilCut(world, number: 1)
            let failures = try #require(world.loop.snapshot.reports.last).failures
            for _ in 0..<300 where world.model.decided.recovery != .recovered {
                world.step { world.requests(0, 100) }
            }
            let open = try #require(world.loop.snapshot.reports.last)
            #expect(open.completedAt == nil && open.unfinished == 5)
            #expect(open.recovery?.verdict == .recovered)
            #expect(!world.ledger.events.contains { $0.kind == .report })
            guard isRescued else {
                world.step(101) { world.requests(0, 100) }
                let closed = try #require(world.loop.snapshot.reports.last)
                #expect(closed.completedAt != nil && closed.unfinished == 5)
                #expect(ReportText.render(closed.json).contains("5 had not got their answer"))
                continue
            }
            for _ in 0..<5 {
                meter.settle(start: tick, isPinned: false, outcome: .timeoutFirstByte, nanos: 1_000_000)
                meter.countShielded()
            }
            world.step { world.requests(0, 100) }
            #expect(world.loop.snapshot.reports.last?.completedAt == nil)
            for _ in 0..<5 { meter.countRescue(true) }
            world.step { world.requests(0, 100) }
            let closed = try #require(world.loop.snapshot.reports.last)
            #expect(closed.completedAt != nil && closed.unfinished == 0)
            #expect(closed.failures == failures + 5 && closed.harmed == failures)
            #expect(world.ledger.events.count { $0.kind == .report } == 1)
            #expect(closed.recovery?.verdict == .recovered)
        }
    }

    @Test("Time to detect enters the ledger from sound reports only")
    func sound() {
        func report(_ guardrail: String?, firstBad: UInt64?, isBound: Bool, _ verdict: RecoveryVerdict?)
            -> RollbackReport
        {
            let record = CutRecord(
                id: "cut-1", wallMicros: 1_000, versions: ["v2"], guardrail: guardrail, actor: "a",
                reason: "", evidence: [], weightsBefore: [:])
            var report = RollbackReport(
                model: "m", stable: "v1", cut: record, epochBefore: 1, epochAfter: 2)
            (report.firstBad, report.isFirstBadBound) = (firstBad, isBound)
            report.recovery = verdict.map {
                RecoveryReading(verdict: $0, requests: 0, events: 0, threshold: 0.1, reason: "")
            }
            return report
        }
        #expect(report("g", firstBad: 10, isBound: false, .recovered).isSound)
        #expect(report("g", firstBad: 10, isBound: false, .undecided).isSound)
        for unsound in [
            report(nil, firstBad: 10, isBound: false, .recovered),
            report("g", firstBad: nil, isBound: false, .recovered),
            report("g", firstBad: 10, isBound: true, .recovered),
            report("g", firstBad: 10, isBound: false, .notRecovered),
        ] {
            #expect(!unsound.isSound)
            var tally = Tally()
            tally.note(unsound)
            #expect(tally.json["detect_ms"]?["count"]?.integer == 0)
        }
    }

    @Test("A cut that there is not is named, with those that there are")
    func unknownCut() {
        let reports: [JSON] = [["cut": "cut-1", "model": "m"], ["cut": "cut-2", "model": "n"]]
        #expect(
            OfflineReports.unknown(cut: "cut-9", model: nil, among: reports)
                == "there is no cut cut-9: the cuts are cut-1 of m, cut-2 of n")
        #expect(
            OfflineReports.unknown(cut: "cut-9", model: "m", among: reports)
                == "there is no cut cut-9 of m: the cuts are cut-1")
        #expect(
            OfflineReports.unknown(cut: nil, model: nil, among: [])
                == "there is no report: nothing was cut")
    }

    @Test(
        "Weight that is withheld has a page under its cut's number; a cut of versions or another number none"
    )
    func withheldPage() throws {
        func status(_ versions: JSON, _ withheld: JSON) -> JSON {
            [
                "journal": ["withheld": withheld],
                "models": [
                    [
                        "name": "m", "stable": "v1",
                        "last_cut": [
                            "cut": "cut-1", "versions": versions, "at": "2026-11-30T00:00:00Z",
                            "reason": "lines are gone", "weights_before": ["v2": "60%"],
                        ],
                    ]
                ],
            ]
        }
        let held = status([], ["m"])
        let report = try #require(OfflineReports.withheld(status: held, model: nil, cut: "cut-1"))
        let page = ReportText.render(report)
        #expect(
            page.hasPrefix("cut-1 of m: no version was cut; all weight is withheld at v1\nlines are gone\n"))
        #expect(page.contains("weir resume m"))
        let over = try #require(OfflineReports.withheld(status: status([], []), model: "m", cut: "cut-1"))
        #expect(!ReportText.render(over).contains("weir resume m"))
        #expect(OfflineReports.withheld(status: held, model: nil, cut: "cut-2") == nil)
        #expect(OfflineReports.withheld(status: held, model: "n", cut: "cut-1") == nil)
        #expect(OfflineReports.withheld(status: status(["v2"], []), model: nil, cut: "cut-1") == nil)
    }

    @Test("Files that cannot be read are said to be unread, and nothing is said of changes")
    func unreadable() {
        do {
            _ = try OfflineReports.reports(stateDir: "/nonexistent", model: nil, cut: nil)
            Issue.record("read /nonexistent")
        } catch {
            #expect("\(error)".hasPrefix("the state directory cannot be read: "), "\(error)")
            #expect(!"\(error)".contains("changed"))
        }
    }
}

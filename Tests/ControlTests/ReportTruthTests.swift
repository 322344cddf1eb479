// Reports of cuts that are not the first, of copies, and of slow requests; and what of them the ledger takes.

import Metrics
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
        #expect(!open.isFirstBadBound)
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
        report.slow = 25
        #expect(report.harmed == 35)
        (report.requests, report.failures, report.shielded, report.rescued, report.slow) = (0, 0, 0, 0, nil)
        (report.copies, report.copyFailures) = (50, 40)
        #expect(report.harmed == 0)
        #expect(report.sentence.contains("40 of 50 copies failed, which no client saw"))
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
}

// The walk of a program: stages, gates, bake, promotion, holds, blackouts, dry runs and experiments.

import Rollout
import Testing

@Suite struct ProgramTests {
    @Test("A proven candidate walks from waiting over every stage and the bake to its promotion")
    func walks() {
        var driver = ProgramDriver()
        #expect(driver.state.phase == .waiting && driver.weight == 0)
        driver.tick()
        #expect(driver.state.phase == .stage && driver.weight == 10_000 && driver.events == ["stage"])
        driver.provenTick()
        #expect(driver.place == .stage(1) && driver.weight == 250_000)
        driver.provenTick()
        #expect(driver.place == .stage(1), "the approval is missing")
        #expect(driver.verb(.approve).isAccepted)
        driver.provenTick()
        #expect(driver.place == .stage(2) && driver.weight == 1_000_000)
        driver.provenTick()
        #expect(driver.state.phase == .baking && driver.weight == 950_000 && driver.events == ["baking"])
        driver.tick(seconds: 3_599, requests: 10)
        #expect(driver.state.phase == .baking)
        driver.tick(seconds: 3_600, requests: 10)
        #expect(driver.promotion?.actor == "weir" && driver.weight == 1_000_000)
    }

    @Test("Every change of weight raises the epoch, and every stage is a visit of its own")
    func epochs() {
        var driver = ProgramDriver()
        var (epochs, visits) = ([driver.state.epoch], [driver.state.climb?.visit])
        while driver.promotion == nil, epochs.count < 20 {
            driver.provenTick()
            _ = driver.verb(.approve)
            if driver.state.epoch != epochs.last { epochs.append(driver.state.epoch) }
            if driver.state.climb?.visit != visits.last { visits.append(driver.state.climb?.visit) }
        }
        #expect(epochs == [1, 2, 3, 4, 5, 6] && visits == [1, 2, 3, 4, 5])
    }

    @Test("Missing evidence holds a stage, and the sentence names what is missing")
    func missing() {
        var driver = ProgramDriver()
        driver.tick()
        #expect(
            driver.waitsFor(seconds: 18, requests: 40, keys: 3) == [
                "42 s more of 1 m", "60 more requests of 100", "7 more different keys of 10",
            ])
        for (seconds, requests, keys) in [(59, 100, 10), (60, 99, 10), (60, 100, 9)] as [(UInt64, Int, Int)] {
            driver.tick(seconds: seconds, requests: requests, keys: keys)
            #expect(driver.place == .stage(0))
        }
        driver.tick(seconds: 60, requests: 100, keys: 10)
        #expect(driver.place == .stage(1))
        #expect(
            driver.waitsFor(requests: 1) == [
                "the gate errors: not read yet", "an operator's approve of stage 2",
            ])
        #expect(driver.waitsFor().first == "1 more requests of 1", "silence is no evidence")
    }

    @Test("A stage is not left on readings of another visit, nor without its guardrails having been read")
    func otherEvidence() {
        var driver = ProgramDriver()
        driver.tick()
        let stale = StageReading(
            visit: StageVisit(rollout: "rollout-1", number: 1), watchedMicros: .max, requests: 9_999, keys: 99
        )
        let own = [VersionReadings(version: "v2", readings: [])]
        driver.step(.tick(own, recovery: nil, stage: stale, conditions: driver.conditions))
        #expect(driver.place == .stage(0))
        driver.step(.tick(own, recovery: nil, stage: nil, conditions: driver.conditions))
        #expect(driver.place == .stage(0))
        var fresh = stale
        fresh.visit = driver.state.climb?.stageVisit ?? fresh.visit
        driver.step(.tick([], recovery: nil, stage: fresh, conditions: driver.conditions))
        #expect(driver.place == .stage(0))
        driver.step(.tick(own, recovery: nil, stage: fresh, conditions: driver.conditions))
        #expect(driver.place == .stage(1))
    }

    @Test("The cool-down is for what follows a cut: a stage's own hold times its steps")
    func coolDown() {
        var driver = ProgramDriver(coolDown: 3_600_000_000)
        driver.tick()
        driver.tick(seconds: 300, requests: 100, keys: 10)
        #expect(driver.place == .stage(1))
    }

    @Test(
        "A start waits for pre-flight checks, for the end of a blackout, and for start where it is manual",
        arguments: [
            (RolloutConditions(preflight: .unknown), true, "the pre-flight checks, which have no answer yet"),
            (
                RolloutConditions(preflight: .unknown, preflightReason: "v2 at 127.0.0.1:9 is gone"), true,
                "the pre-flight checks, which have no answer yet: v2 at 127.0.0.1:9 is gone"
            ),
            (
                RolloutConditions(preflight: .failed("it says v0")), true,
                "the pre-flight checks, which fail: it says v0"
            ),
            (
                RolloutConditions(blackout: "weekend", preflight: .passed), true,
                "the end of the blackout weekend"
            ),
            (RolloutConditions(preflight: .passed), false, "an operator's start"),
        ])
    func starts(conditions: RolloutConditions, startsByItself: Bool, sentence: String) {
        var program = ProgramDriver.program
        program.startsByItself = startsByItself
        var driver = ProgramDriver(program)
        driver.conditions = conditions
        driver.provenTick()
        #expect(driver.state.phase == .waiting && driver.weight == 0 && driver.waitsFor() == [sentence])
        #expect(driver.verb(.start).isAccepted)
        driver.conditions = RolloutConditions(preflight: .passed)
        driver.provenTick()
        #expect(driver.place == .stage(0))
    }

    @Test("A guardrail that holds keeps the weights until resume, which acknowledges this trip")
    func guardrailHolds() {
        var driver = ProgramDriver()
        driver.tick()
        driver.fail(.hold)
        #expect(driver.hold?.cause == .guardrails(["latency"]) && driver.weight == 10_000)
        driver.provenTick()
        #expect(driver.hold != nil && driver.waitsFor().first?.contains("80.0 % slow") == true)
        #expect(driver.verb(.resume).isAccepted)
        driver.tick()
        #expect(driver.state.phase == .stage, "the trip was acknowledged")
        driver.guardrails[0].verdict = .pass
        driver.tick()
        driver.fail(.hold)
        #expect(driver.hold != nil, "a new trip holds again")
    }

    @Test("A deadline holds and never promotes; resume gives the same time again")
    func deadline() {
        var program = ProgramDriver.program
        program.deadlineMicros = 100_000_000
        var driver = ProgramDriver(program)
        driver.tick()
        driver.wallMicros += 100_000_000
        driver.provenTick()
        #expect(driver.hold?.cause == .deadline && driver.weight == 10_000)
        #expect(driver.hold?.reason == "the deadline of 1 m 40 s has passed in stage 1 of 3")
        #expect(driver.verb(.resume).isAccepted)
        driver.wallMicros += 99_000_000
        driver.provenTick()
        #expect(driver.place == .stage(1))
        driver.wallMicros += 1_000_000
        driver.provenTick()
        #expect(driver.hold?.cause == .deadline)
    }

    @Test("In a blackout nothing is promoted, and cuts become alerts only where it says so")
    func blackout() {
        var driver = ProgramDriver()
        driver.tick()
        driver.conditions.blackout = "weekend"
        driver.provenTick()
        #expect(driver.place == .stage(0))
        driver.conditions.blackoutAlertsOnly = true
        driver.fail(.cut)
        #expect(driver.state.phase == .stage && driver.events == ["alert"])
        driver.fail(.cut)
        #expect(driver.events == [], "once per trip")
        driver.conditions.blackout = nil
        driver.fail(.cut)
        #expect(driver.state.phase.isCut && driver.weight == 0, "the window is over and it still fails")
    }

    @Test("After the rollback window trips alert; before it they cut", arguments: [false, true])
    func rollbackWindow(isOver: Bool) {
        var program = ProgramDriver.program
        program.rollbackWindowMicros = 60_000_000
        var driver = ProgramDriver(program)
        #expect(driver.walk { if case .promoted = $0.phase { true } else { false } })
        driver.wallMicros += isOver ? 60_000_000 : 59_000_000
        driver.fail(.cut)
        #expect(driver.state.phase.isCut == !isOver && driver.events.contains(isOver ? "alert" : "cut"))
    }

    @Test("A dry rule journals what it would have done, once per trip, and changes nothing")
    func dryRule() {
        var driver = ProgramDriver()
        driver.tick()
        let before = driver.state.weights
        driver.fail(.cut, dryRun: true)
        #expect(driver.events == ["would_have"] && driver.state.weights == before)
        driver.fail(.cut, dryRun: true)
        #expect(driver.events == [] && driver.state.phase == .stage)
    }

    @Test("A dry program walks to its end without moving a weight, and is no way to promote")
    func dryProgram() {
        var program = ProgramDriver.program
        program.isDryRun = true
        var driver = ProgramDriver(program)
        let before = driver.state.weights
        var told: [String] = []
        for _ in 0..<6 {
            driver.provenTick()
            told += driver.events
            _ = driver.verb(.approve)
        }
        #expect(driver.hold?.cause == .dryRunEnded && driver.state.weights == before)
        #expect(told == Array(repeating: "would_have", count: 5) + ["held"])
        let refused = driver.verb(.promote(version: nil))
        #expect(!refused.isAccepted && refused.sentence.contains("dry run"))
        #expect(
            driver.waitsFor() == [
                "an operator's promote by force, or a config without `dry_run`: the dry run has come to its"
                    + " end"
            ])
    }

    @Test("An experiment stays at its split until its end, which holds it with a report")
    func experiment() {
        var driver = ProgramDriver(
            RolloutProgram(
                candidate: "v2", stages: [RolloutStage(weightPPM: 500_000)], endsAtMicros: 2_000_000_000))
        driver.tick()
        for _ in 0..<5 { driver.provenTick() }
        #expect(driver.state.phase == .stage && driver.weight == 500_000)
        #expect(
            driver.waitsFor(requests: 1) == ["an operator's promote: the last stage keeps 50.0 %"])
        driver.wallMicros = 2_000_000_000
        driver.provenTick()
        #expect(driver.hold?.cause == .experimentEnded && driver.weight == 500_000)
        #expect(driver.events == ["experiment_ended", "held"])
        #expect(!driver.verb(.resume).isAccepted)
        #expect(
            driver.waitsFor() == [
                "an operator's promote or rollback, or a later `ends`: the experiment has ended"
            ])
        #expect(driver.verb(.promote(version: nil)).isAccepted && driver.promotion != nil)
    }

    @Test("A rollout whose end has passed before its start does not start, and says so")
    func experimentOver() {
        var driver = ProgramDriver(
            RolloutProgram(
                candidate: "v2", stages: [RolloutStage(weightPPM: 500_000)], endsAtMicros: 1_000))
        driver.provenTick()
        #expect(driver.state.phase == .waiting && driver.weight == 0)
        #expect(
            driver.waitsFor() == [
                "a later `ends`: the configured one has passed, so the rollout does not start; change it, or"
                    + " promote by force"
            ])
    }

    @Test("One stage of 100 % with a bake is blue-green")
    func blueGreen() {
        var driver = ProgramDriver(
            RolloutProgram(
                candidate: "v2", stages: [RolloutStage(weightPPM: 1_000_000)], bakeMicros: 60_000_000))
        driver.tick()
        #expect(driver.weight == 1_000_000)
        driver.tick(requests: 1)
        driver.tick(seconds: 60, requests: 1)
        #expect(driver.promotion != nil)
    }

    @Test("A shadow stage copies and gives no weight; leaving it, or a cut in it, ends the copies")
    func shadow() {
        var program = ProgramDriver.program
        program.stages.insert(RolloutStage(weightPPM: 0, shadowPPM: 100_000), at: 0)
        for isCut in [false, true] {
            var driver = ProgramDriver(program)
            driver.tick()
            #expect(driver.actions.contains(.setShadow(VersionWeight(version: "v2", ppm: 100_000))))
            #expect(driver.weight == 0 && driver.state.phase == .stage)
            let said = driver.actions.compactMap { action -> String? in
                guard case .journal(.stage(let record)) = action else { return nil }
                return record.reason
            }
            #expect(said.first?.contains(": v2 gets copies of 10.0 % and no users, ") == true, "\(said)")
            if isCut { driver.fail(.cut) } else { driver.tick() }
            #expect(driver.actions.contains(.setShadow(nil)) && driver.state.shadow == nil)
            #expect(driver.weight == (isCut ? 0 : 10_000))
        }
    }

    @Test("A candidate that is not what it claims is cut while it has traffic")
    func identity() {
        var driver = ProgramDriver()
        driver.tick()
        driver.conditions.preflight = .unknown
        driver.tick()
        #expect(driver.state.phase == .stage, "silence is no proof")
        driver.conditions.preflight = .failed("it says v0")
        driver.tick()
        guard case .cut(let record) = driver.state.phase else {
            Issue.record("\(driver.state.phase)")
            return
        }
        #expect(record.guardrail == "preflight" && record.reason.contains("it says v0"))
    }
}

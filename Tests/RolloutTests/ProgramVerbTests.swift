// The operator's verbs over a program, and what a configuration does to one on its way.

import FoundationEssentials
import Metrics
import Rollout
import Testing

@Suite struct ProgramVerbTests {
    /// A rollout that stands in its first stage.
    private var started: ProgramDriver {
        var driver = ProgramDriver()
        driver.tick()
        return driver
    }

    /// A rollout whose candidate was cut in its first stage.
    private func cut(coolDown: UInt64 = 0) -> ProgramDriver {
        var driver = ProgramDriver(coolDown: coolDown)
        driver.tick()
        driver.fail(.cut)
        driver.guardrails = []
        return driver
    }

    @Test("Promote goes through the bake and says so; force skips it")
    func promote() {
        var driver = started
        let answer = driver.verb(.promote(version: nil))
        #expect(answer.sentence == "baking for 1 h, then promoted; force skips the bake")
        #expect(driver.state.phase == .baking && driver.weight == 950_000)
        #expect(driver.verb(.promote(version: "v2")).isAccepted && driver.state.phase == .baking)
        #expect(driver.verb(.promote(version: "v2"), force: true).isAccepted && driver.promotion != nil)
        var waiting = ProgramDriver()
        #expect(!waiting.verb(.promote(version: nil)).isAccepted && waiting.weight == 0)
    }

    @Test("Pause and hold stop the walk where it is, and resume goes on there")
    func standstill() {
        for verb in [RolloutVerb.pause, .hold] {
            var driver = started
            #expect(driver.verb(verb).isAccepted)
            driver.provenTick()
            #expect(driver.place == .stage(0) && driver.weight == 10_000)
            #expect(driver.verb(.resume).isAccepted && driver.state.phase == .stage)
            driver.provenTick()
            #expect(driver.place == .stage(1))
            _ = driver.verb(verb)
            driver.fail(.cut)
            #expect(driver.state.phase.isCut, "guardrails cut in every standstill")
        }
    }

    @Test("Skip leaves a stage without its conditions, the last one of an experiment excepted")
    func skip() {
        var driver = started
        #expect(driver.verb(.skip).isAccepted && driver.place == .stage(1))
        #expect(driver.verb(.skip).isAccepted && driver.place == .stage(2))
        #expect(driver.verb(.skip).isAccepted && driver.state.phase == .baking)
        #expect(driver.verb(.skip).isAccepted && driver.promotion != nil)
        #expect(!driver.verb(.skip).isAccepted)
        var test = ProgramDriver(
            RolloutProgram(candidate: "v2", stages: [RolloutStage(weightPPM: 500_000)]))
        test.tick()
        #expect(test.verb(.skip).sentence == "stage 1 of 1 is the last; promote gives all weight")
    }

    @Test("An approval counts for the stage in force only, and only where one is asked for")
    func approve() {
        var driver = started
        #expect(driver.verb(.approve).sentence == "stage 1 of 3 needs no approval; skip leaves it now")
        driver.provenTick()
        #expect(driver.verb(.approve).isAccepted && driver.state.climb?.isApproved == true)
        #expect(driver.verb(.approve).sentence == "already approved: stage 2 of 3")
        driver.provenTick()
        #expect(driver.state.climb?.isApproved == false && driver.place == .stage(2))
    }

    @Test("After a cut retry starts a new attempt from the first stage, and a second cut needs force")
    func retry() {
        var driver = cut(coolDown: 60_000_000)
        #expect(!driver.verb(.resume).isAccepted && !driver.verb(.start).isAccepted)
        #expect(driver.verb(.retry).sentence.hasPrefix("cooling down"))
        driver.wallMicros += 61_000_000
        #expect(driver.verb(.resume).sentence.contains("retry starts it again"))
        #expect(driver.verb(.skip).sentence == "cut-1 is latched: retry starts again")
        #expect(driver.verb(.retry).isAccepted)
        #expect(driver.state.climb?.attempt == 2 && driver.state.phase == .waiting && driver.weight == 0)
        #expect(driver.actions.contains(.clearCut(["v2"])) && driver.state.quarantined.isEmpty)
        #expect(driver.verb(.retry).isAccepted && driver.state.climb?.attempt == 2, "repeated")
        driver.tick()
        #expect(driver.place == .stage(0) && driver.weight == 10_000)
        driver.fail(.cut)
        driver.wallMicros += 61_000_000
        #expect(driver.verb(.retry).sentence == "v2 was cut 2 times; another attempt needs force")
        #expect(driver.verb(.retry, force: true).isAccepted && driver.state.climb?.attempt == 3)
    }

    @Test("A manual program starts again by retry alone")
    func retryIsAStart() {
        var program = ProgramDriver.program
        program.startsByItself = false
        var driver = ProgramDriver(program)
        _ = driver.verb(.start)
        driver.tick()
        driver.fail(.cut)
        driver.guardrails = []
        #expect(driver.verb(.retry).isAccepted)
        driver.tick()
        #expect(driver.place == .stage(0))
    }

    @Test("A cut of another candidate leaves the rollout to resume, with evidence from zero")
    func innocent() {
        var driver = started
        driver.provenTick()
        let visit = driver.state.climb?.visit ?? 0
        _ = driver.verb(.rollback(version: "v3"))
        #expect(driver.state.phase.isCut && driver.weight == 0)
        #expect(driver.verb(.resume).isAccepted && driver.place == .stage(1) && driver.weight == 250_000)
        #expect(driver.state.climb?.visit ?? 0 > visit)
    }

    @Test("Weights by hand hold the rollout; resume returns to the stage's weight and a new visit")
    func weights() {
        var driver = started
        let visit = driver.state.climb?.visit
        #expect(driver.verb(.weights(["v2": 100_000])).isAccepted)
        #expect(driver.hold?.cause == .operatorsVerb && driver.weight == 100_000)
        #expect(driver.verb(.resume).isAccepted && driver.weight == 10_000)
        #expect(driver.state.climb?.visit != visit)
    }

    @Test("While it cools down, a resume that raises the candidate's weight needs force; another does not")
    func resumeCoolingDown() {
        var driver = cut(coolDown: 60_000_000)
        #expect(driver.verb(.weights(["v2": 5_000]), force: true).isAccepted && driver.hold != nil)
        let before = driver.state
        #expect(driver.verb(.resume).sentence.hasPrefix("cooling down"))
        #expect(driver.state == before && driver.weight == 5_000)
        #expect(driver.verb(.resume, force: true).isAccepted && driver.weight == 10_000)
        for verb in [RolloutVerb.pause, .hold] {
            #expect(driver.verb(verb).isAccepted)
            #expect(driver.verb(.resume).isAccepted && driver.weight == 10_000)
        }
        _ = driver.verb(.weights(["v2": 20_000]), force: true)
        #expect(driver.verb(.resume).isAccepted && driver.weight == 10_000, "it takes weight")
        _ = driver.verb(.weights(["v2": 0]))
        driver.wallMicros += 61_000_000
        #expect(driver.verb(.resume).isAccepted && driver.weight == 10_000)
    }

    @Test("A promotion is remembered over a cut that follows it, until another verb gives it a place")
    func promotedThenCut() {
        var driver = started
        _ = driver.verb(.promote(version: nil), force: true)
        let at = driver.wallMicros
        #expect(driver.state.climb?.promotedMicros == at)
        driver.fail(.cut)
        driver.guardrails = []
        #expect(driver.state.phase.isCut && driver.state.climb?.promotedMicros == at)
        var weighed = driver
        #expect(weighed.verb(.weights(["v2": 5_000]), force: true).isAccepted)
        #expect(weighed.state.climb?.promotedMicros == nil)
        #expect(driver.verb(.retry, force: true).isAccepted)
        #expect(driver.state.climb?.promotedMicros == nil)
    }

    @Test("Verbs of a program are refused with a sentence where there is none")
    func noProgram() {
        for verb in [RolloutVerb.start, .approve, .skip, .retry, .hold] {
            var driver = Driver()
            let before = driver.state
            #expect(
                driver.verb(verb).sentence.contains("fixed weights and no rollout") && driver.state == before)
        }
    }

    // MARK: Configurations

    @Test("An edited program goes on at the same stage, with its weight as it is now")
    func edited() {
        var driver = started
        let visit = driver.state.climb?.visit
        driver.configure { $0.program?.stages[1].minRequests = 5 }
        #expect(driver.place == .stage(0) && driver.state.climb?.visit == visit, "evidence is kept")
        driver.configure { $0.program?.stages[0].weightPPM = 20_000 }
        #expect(driver.place == .stage(0) && driver.weight == 20_000)
        #expect(driver.state.climb?.visit != visit, "another weight, other evidence")
    }

    @Test("A stage that is gone holds the rollout, and resume goes on at the last that is left")
    func stageGone() {
        var driver = started
        #expect(driver.walk { $0.climb?.place == .stage(2) })
        driver.configure { $0.program?.stages.remove(at: 1) }
        #expect(driver.hold?.cause == .configuration && driver.weight == 1_000_000)
        #expect(
            driver.hold?.reason
                == "stage 3 of 3 is gone from the configuration; resume goes on at stage 2 of 2")
        #expect(driver.verb(.resume).isAccepted && driver.place == .stage(1))
    }

    @Test("Another candidate is another rollout; no program is a split as configured")
    func otherCandidate() {
        var driver = started
        driver.configure { $0.program?.candidate = "v3" }
        #expect(driver.state.phase == .waiting && driver.weight == 0)
        #expect(driver.state.climb?.id == "rollout-2" && driver.state.climb?.candidate == "v3")
        driver.configure {
            $0.program = nil
            $0.weights = ["v2": 30_000]
        }
        #expect(driver.state.phase == .split && driver.weight == 30_000 && driver.state.climb == nil)
    }

    @Test("No configuration leaves a cut, whatever program it brings")
    func cutStays() {
        var driver = cut()
        driver.configure { $0.program?.candidate = "v3" }
        driver.provenTick()
        #expect(driver.state.phase.isCut && driver.state.weights["v1"] == 1_000_000)
        #expect(driver.verb(.resume).isAccepted && driver.state.phase == .waiting)
        driver.step(
            .tick(
                [VersionReadings(version: "v3", readings: [])], recovery: nil, stage: nil,
                conditions: driver.conditions))
        #expect(driver.place == .stage(0) && driver.state.weights["v3"] == 10_000)
    }

    @Test("A promoted version that becomes stable ends its rollout, and the next one waits")
    func nextRollout() {
        var driver = started
        _ = driver.verb(.promote(version: nil), force: true)
        var next = ProgramDriver.program
        next.candidate = "v3"
        driver.step(
            .configured(RolloutSetup(stable: "v2", candidates: ["v3"], weights: [:], program: next)))
        #expect(driver.state.phase == .waiting && driver.weight == 1_000_000)
        #expect(driver.state.climb?.candidate == "v3" && driver.state.climb?.place == .before)
    }

    @Test("What was expected of an impossible program is about what is wrong with it")
    func expectations() {
        let whole = [RolloutStage(weightPPM: 1_000_000)]
        let half = [RolloutStage(weightPPM: 500_000)]
        let alone = RolloutProgram(candidate: "v2", stages: whole, holdBackPPM: 10_000)
        #expect(alone.problem == "hold_back is stable's share in a bake, and there is none")
        #expect(alone.impossibility?.expected == "`bake` with a duration, or no hold_back")
        let test = RolloutProgram(candidate: "v2", stages: half, bakeMicros: 1)
        #expect(test.impossibility?.expected.contains("a last stage with a weight of 100%") == true)
        let falling = RolloutProgram(candidate: "v2", stages: whole + half)
        #expect(falling.impossibility?.expected.contains("weights that rise") == true)
    }

    @Test(
        "What is impossible about a program is said",
        arguments: [
            ([], "a rollout needs at least one stage"),
            ([0], "stage 1 has neither weight nor shadow: nothing could be learnt in it"),
            ([20_000, 10_000], "stage 2 has less weight than the stage before it"),
            ([1_000_000, 1_000_000], "stage 1 has 100 % and is not the last one"),
            ([1_000_001], "stage 1 asks for more than 100 %"),
            ([500_000], "bake and hold_back need a last stage of 100 %"),
        ] as [([UInt32], String)])
    func problems(weights: [UInt32], sentence: String) {
        var program = ProgramDriver.program
        program.stages = weights.map { RolloutStage(weightPPM: $0) }
        #expect(program.problem == sentence)
    }

    // MARK: What a restart finds

    @Test("A state saved before programs existed still loads")
    func oldState() throws {
        let old = """
            {"phase":{"split":{}},"setup":{"stable":"v1","candidates":["v2"],"weights":{"v1":900000,\
            "v2":100000},"coolDownMicros":5},"weights":{"v1":1000000,"v2":0},"quarantined":{"v2":\
            {"cutID":"cut-1","wallMicros":7,"reason":"bad"}},"alerts":[],"cutCount":1,"epoch":4}
            """
        let state = try JSONDecoder().decode(RolloutState.self, from: Data(old.utf8))
        #expect(state.phase == .split && state.setup.program == nil && state.climb == nil)
        #expect(state.cutsByVersion == ["v2": 1] && state.rolloutCount == 0 && state.shadow == nil)
        let again = try JSONDecoder().decode(RolloutState.self, from: JSONEncoder().encode(state))
        #expect(again == state)
    }
}

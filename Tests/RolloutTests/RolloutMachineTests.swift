// The table of the rollout machine, row by row.

import Rollout
import Testing

/// A rollout being driven: state, and what the last step ordered.
struct Driver {
    var state: RolloutState
    var actions: [RolloutAction] = []
    var wallMicros: UInt64 = 1_000_000_000

    init(_ weights: [String: UInt32] = ["v2": 50_000], candidates: [String]? = nil, coolDown: UInt64 = 0) {
        state = RolloutMachine.start(
            RolloutSetup(
                stable: "v1", candidates: candidates ?? weights.keys.sorted(), weights: weights,
                coolDownMicros: coolDown))
    }

    /// nil: the wall clock.
    var steadyMicros: UInt64?

    mutating func step(_ input: RolloutInput) {
        (state, actions) = RolloutMachine.step(
            state, input, wallMicros: wallMicros, steadyMicros: steadyMicros)
    }

    mutating func verb(_ verb: RolloutVerb, force: Bool = false) -> VerbAnswer? {
        step(.verb(VerbRequest(verb: verb, actor: "ann", reason: "because", force: force)))
        return actions.compactMap { if case .answer(let answer) = $0 { answer } else { nil } }.last
    }

    mutating func readings(
        _ version: String, _ verdict: Verdict, action: GuardrailSpec.Action = .cut,
        recovery: RecoveryReading? = nil
    ) {
        let reading = GuardrailReading(
            name: "errors", rule: "error rate", verdict: verdict, action: action, progress: 1,
            reason: "candidate 12.0 % of 250 failed")
        step(.tick([VersionReadings(version: version, readings: [reading])], recovery: recovery))
    }

    mutating func configure(
        _ weights: [String: UInt32], stable: String = "v1", candidates: [String]? = nil
    ) {
        step(
            .configured(
                RolloutSetup(
                    stable: stable, candidates: candidates ?? weights.keys.sorted(), weights: weights,
                    coolDownMicros: state.setup.coolDownMicros)))
    }

    var cutRecord: CutRecord? { if case .cut(let record) = state.phase { record } else { nil } }
    var events: [String] {
        actions.compactMap { if case .journal(let event) = $0 { event.kind } else { nil } }
    }
}

extension VerbAnswer? {
    var isAccepted: Bool { if case .accepted = self { true } else { false } }
    var sentence: String {
        switch self {
        case .accepted(let text), .refused(let text): text
        case nil: ""
        }
    }
}

@Suite struct RolloutMachineTests {
    @Test("a failing guardrail cuts in the same step: bar first, then weights, journal, recovery")
    func cut() throws {
        var driver = Driver(["v2": 50_000, "v3": 10_000])
        driver.readings("v2", .fail)
        #expect(driver.state.weights == ["v1": 1_000_000, "v2": 0, "v3": 0])
        #expect(driver.actions.count == 4)
        #expect(driver.actions.first == .cut(["v2"]))
        #expect(driver.events == ["cut"])
        #expect(driver.actions.last == .startRecovery)
        let record = try #require(driver.cutRecord)
        #expect(record.id == "cut-1" && record.guardrail == "errors" && record.actor == "weir")
        #expect(record.weightsBefore == ["v1": 940_000, "v2": 50_000, "v3": 10_000])
        #expect(record.reason == "v2: error rate: candidate 12.0 % of 250 failed")
        #expect(driver.state.quarantined.keys.sorted() == ["v2"])
    }

    @Test("passes, missing data and readings of strangers change nothing")
    func quiet() {
        for (version, verdict) in [("v2", Verdict.pass), ("v2", .notEnoughData), ("v9", .fail)] {
            var driver = Driver()
            let before = driver.state
            driver.readings(version, verdict)
            #expect(driver.state == before && driver.actions.isEmpty)
        }
    }

    @Test("a cut is latched: evidence and configurations do not leave it")
    func latched() {
        var driver = Driver()
        driver.readings("v2", .fail)
        let cut = driver.state.phase
        driver.readings("v2", .pass)
        driver.configure(["v2": 200_000])
        #expect(driver.state.phase == cut)
        #expect(driver.state.weights["v2"] == 0)
        #expect(driver.events == ["configured", "overruled"])
        driver.configure(["v2": 200_000, "v3": 100_000])
        #expect(driver.state.weights == ["v1": 1_000_000, "v2": 0, "v3": 0])
    }

    @Test("resume after a cut gives the configured weights to those that were not barred")
    func resumeAfterCut() {
        var driver = Driver(["v2": 50_000, "v3": 10_000])
        driver.readings("v2", .fail)
        let answer = driver.verb(.resume)
        #expect(answer.isAccepted && answer.sentence.contains("v2 stays quarantined"))
        #expect(driver.state.phase == .split)
        #expect(driver.state.weights == ["v1": 990_000, "v2": 0, "v3": 10_000])
        #expect(driver.actions.contains(.endRecovery))
    }

    @Test("a quarantined version gets weight by unquarantine or force alone")
    func quarantine() {
        var driver = Driver()
        driver.readings("v2", .fail)
        let before = driver.state
        let answer1 = driver.verb(.weights(["v2": 10_000]))
        #expect(answer1.sentence.contains("quarantined by cut-1"))
        #expect(driver.state == before)
        let answer2 = driver.verb(.promote(version: "v2"))
        #expect(answer2.sentence.contains("use force"))
        #expect(driver.state == before)
        let answer3 = driver.verb(.unquarantine(version: "v2"))
        #expect(answer3.isAccepted)
        #expect(driver.actions.contains(.clearCut(["v2"])))
        #expect(driver.state.weights["v2"] == 0 && driver.cutRecord != nil)
        let answer4 = driver.verb(.weights(["v2": 10_000]))
        #expect(answer4.isAccepted)
        #expect(driver.state.weights["v2"] == 10_000 && driver.state.phase == .split)
        driver.readings("v2", .fail)
        #expect(driver.cutRecord?.id == "cut-2")
        let answer5 = driver.verb(.weights(["v2": 10_000]), force: true)
        #expect(answer5.isAccepted)
        #expect(driver.state.quarantined.isEmpty && driver.actions.contains(.clearCut(["v2"])))
    }

    @Test("while a cut cools down, weight needs force")
    func coolDown() {
        var driver = Driver(["v2": 50_000, "v3": 10_000], coolDown: 60_000_000)
        driver.readings("v2", .fail)
        driver.wallMicros += 30_000_000
        let answer6 = driver.verb(.resume)
        #expect(answer6.sentence.contains("cooling down for another 31 s"))
        let answer7 = driver.verb(.weights(["v3": 10_000]))
        #expect(answer7.sentence.contains("cooling down"))
        driver.wallMicros += 30_000_000
        let answer8 = driver.verb(.resume)
        #expect(answer8.isAccepted)
        driver.readings("v3", .fail)
        let answer9 = driver.verb(.promote(version: "v3"), force: true)
        #expect(answer9.isAccepted)
    }

    @Test("A cool-down lasts after a verb by force as well: the next one needs force again")
    func coolDownAfterForce() {
        var driver = Driver(["v2": 50_000, "v3": 10_000], coolDown: 60_000_000)
        driver.readings("v2", .fail)
        let forced = driver.verb(.resume, force: true)
        #expect(forced.isAccepted && driver.state.isCoolingDown(steadyMicros: driver.wallMicros))
        let raise = driver.verb(.weights(["v3": 90_000]))
        #expect(raise.sentence.contains("cooling down"))
        let lower = driver.verb(.weights(["v3": 5_000]))
        #expect(lower.isAccepted)
        driver.wallMicros += 61_000_000
        let late = driver.verb(.weights(["v3": 90_000]))
        #expect(late.isAccepted)
    }

    @Test(
        "A cool-down lasts as long as it is configured, whatever is done to the wall clock",
        arguments: [0, 900_000_000, 1_000_000_000 + 86_400_000_000, 1_000_000_000 + 366 * 86_400_000_000])
    func coolDownIsSteady(wall: UInt64) {
        var driver = Driver(["v2": 50_000, "v3": 10_000], coolDown: 60_000_000)
        driver.steadyMicros = 5_000_000
        driver.readings("v2", .fail)
        driver.wallMicros = wall
        driver.steadyMicros = 64_000_000
        let early = driver.verb(.resume)
        #expect(early.sentence.contains("cooling down for another 2 s"), "\(early.sentence)")
        driver.steadyMicros = 65_000_000
        let late = driver.verb(.resume)
        #expect(late.isAccepted)
    }

    @Test("Another process goes on with what was left of a cool-down, never with more than is configured")
    func movedCoolDown() {
        var driver = Driver(coolDown: 60_000_000)
        driver.steadyMicros = 1_000_000_000
        driver.readings("v2", .fail)
        for (old, new, left) in [
            (1_020_000_000, 7_000_000, 40_000_000), (1_000_000_000, 9_000_000_000, 60_000_000),
            (1_060_000_000, 5, 0), (1_200_000_000, 5, 0), (0, 1_000_000_000, 60_000_000),
            (1_030_000_000, .max, 0),
        ] as [(UInt64, UInt64, UInt64)] {
            var state = driver.state
            state.move(fromSteadyMicros: old, to: new)
            let until = state.coolDownUntil ?? 0
            #expect((until > new ? until - new : 0) == left, "\(old) to \(new)")
            #expect(state.isCoolingDown(steadyMicros: new) == (left > 0))
        }
    }

    @Test("guardrails cut while paused, and resume keeps the weights that were set")
    func paused() {
        var driver = Driver()
        let answer10 = driver.verb(.pause)
        #expect(answer10.isAccepted && driver.state.phase == .paused)
        let answer11 = driver.verb(.weights(["v2": 70_000]))
        #expect(answer11.isAccepted && driver.state.phase == .paused)
        let answer12 = driver.verb(.resume)
        #expect(answer12.isAccepted && driver.state.weights["v2"] == 70_000)
        let answer13 = driver.verb(.pause)
        #expect(answer13.isAccepted)
        driver.readings("v2", .fail)
        #expect(driver.cutRecord != nil)
        let answer14 = driver.verb(.pause)
        #expect(!answer14.isAccepted)
    }

    @Test("a promoted version has all weight, is guarded, and is cut back to stable")
    func promoted() {
        var driver = Driver()
        let answer15 = driver.verb(.promote(version: nil))
        #expect(answer15.isAccepted)
        #expect(driver.state.weights == ["v1": 0, "v2": 1_000_000])
        #expect(driver.events == ["promoted", "verb"])
        driver.configure(["v2": 80_000])
        #expect(driver.state.weights["v2"] == 1_000_000)
        driver.readings("v2", .fail)
        #expect(driver.state.weights == ["v1": 1_000_000, "v2": 0])
    }

    @Test("a configuration that makes the promoted version stable ends the rollout")
    func finalised() {
        var driver = Driver()
        _ = driver.verb(.promote(version: "v2"))
        driver.configure(["v3": 10_000], stable: "v2")
        #expect(driver.state.phase == .split)
        #expect(driver.state.weights == ["v2": 990_000, "v3": 10_000])
    }

    @Test("a configuration moves weights in a split, but not past a quarantine or over a verb unasked")
    func configured() {
        var driver = Driver()
        driver.configure(["v2": 200_000])
        #expect(driver.state.weights["v2"] == 200_000)
        _ = driver.verb(.weights(["v2": 300_000]))
        driver.configure(["v2": 200_000])
        #expect(driver.state.weights["v2"] == 300_000)
        driver.readings("v2", .fail)
        _ = driver.verb(.resume)
        driver.configure(["v2": 250_000, "v3": 50_000])
        #expect(driver.state.weights == ["v1": 950_000, "v2": 0, "v3": 50_000])
        #expect(driver.events == ["configured", "overruled"])
    }

    @Test("a quarantined version cannot become stable unnoticed")
    func quarantinedStable() {
        var driver = Driver()
        driver.readings("v2", .fail)
        let setup = RolloutSetup(stable: "v2", candidates: ["v3"], weights: [:])
        #expect(RolloutMachine.objection(driver.state, to: setup)?.contains("unquarantine") == true)
        #expect(RolloutMachine.objection(driver.state, to: driver.state.setup) == nil)
        driver.step(.configured(setup))
        #expect(driver.state.weights == ["v2": 1_000_000, "v3": 0])
        #expect(driver.events == ["configured", "overruled"] && driver.state.quarantined.isEmpty)
    }

    @Test("a rollback by hand bars the candidates; repeated, it changes nothing")
    func rollback() {
        var driver = Driver(["v2": 50_000, "v3": 10_000])
        let answer16 = driver.verb(.rollback(version: "v1"))
        #expect(answer16.sentence.contains("is stable"))
        let answer17 = driver.verb(.rollback(version: "v9"))
        #expect(answer17.sentence.contains("no candidate v9"))
        let answer18 = driver.verb(.rollback(version: nil))
        #expect(answer18.isAccepted)
        #expect(driver.cutRecord?.actor == "ann" && driver.cutRecord?.guardrail == nil)
        #expect(driver.state.quarantined.keys.sorted() == ["v2", "v3"])
        let before = driver.state
        let answer19 = driver.verb(.rollback(version: nil))
        #expect(answer19.sentence.hasPrefix("already cut"))
        #expect(driver.state == before)
    }

    @Test(
        "weights that do not add up, or name strangers, are refused",
        arguments: [
            ["v9": 1], ["v2": 1_000_001], ["v1": 10, "v2": 10], ["v2": UInt32.max, "v3": UInt32.max],
        ])
    func impossibleWeights(weights: [String: UInt32]) {
        var driver = Driver(["v2": 50_000, "v3": 10_000])
        let before = driver.state
        let answer20 = driver.verb(.weights(weights))
        #expect(!answer20.isAccepted)
        #expect(driver.state == before)
    }

    @Test("an alert is raised once, and again only after its guardrail has passed")
    func alerts() {
        var driver = Driver()
        driver.readings("v2", .fail, action: .alert)
        #expect(driver.events == ["alert"] && driver.state.weights["v2"] == 50_000)
        driver.readings("v2", .fail, action: .alert)
        driver.readings("v2", .notEnoughData, action: .alert)
        driver.readings("v2", .fail, action: .alert)
        #expect(driver.events.isEmpty)
        driver.readings("v2", .pass, action: .alert)
        driver.readings("v2", .fail, action: .alert)
        #expect(driver.events == ["alert"])
    }

    @Test("the recovery check's answer is noted once")
    func recovery() {
        var driver = Driver()
        driver.readings("v2", .fail)
        func reading(_ verdict: RecoveryVerdict) -> RolloutInput {
            .tick(
                [],
                recovery: RecoveryReading(
                    verdict: verdict, requests: 10, events: 0, threshold: 0.02, reason: "fine"))
        }
        driver.step(reading(.watching))
        #expect(driver.actions.isEmpty)
        driver.step(reading(.recovered))
        #expect(driver.events == ["recovery"] && driver.state.recovery == .recovered)
        driver.step(reading(.notRecovered))
        #expect(driver.actions.isEmpty && driver.state.recovery == .recovered)
    }

    @Test("a cut is not answered by what the recovery check said of an earlier one")
    func lateRecovery() {
        var driver = Driver()
        driver.readings(
            "v2", .fail,
            recovery: RecoveryReading(
                verdict: .recovered, requests: 224, events: 0, threshold: 0.02, reason: "of an earlier cut"))
        #expect(driver.events.contains("cut") && !driver.events.contains("recovery"))
        #expect(driver.state.recovery == .watching)
    }

    @Test("several candidates: the one to promote must be named")
    func ambiguous() {
        var driver = Driver(["v2": 50_000, "v3": 10_000])
        let answer21 = driver.verb(.promote(version: nil))
        #expect(answer21.sentence.contains("v2, v3"))
        let answer22 = driver.verb(.promote(version: "v1"))
        #expect(!answer22.isAccepted)
        var alone = Driver([:])
        let answer23 = alone.verb(.promote(version: nil))
        #expect(!answer23.isAccepted)
        let answer24 = alone.verb(.rollback(version: nil))
        #expect(!answer24.isAccepted)
    }
}

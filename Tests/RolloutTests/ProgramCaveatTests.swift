// Steps on readings that are not clean: trips that only alert, comparisons that are open or asleep, and what
// the line of a step says of them.

import Testing

@testable import Rollout

@Suite struct ProgramCaveatTests {
    private func reading(
        _ verdict: Verdict, _ action: GuardrailSpec.Action = .alert, rule: GuardrailSpec.Action? = nil,
        progress: Double = 0, name: String = "errors"
    ) -> GuardrailReading {
        var reading = GuardrailReading(
            name: name, rule: "error rate worse than stable", verdict: verdict, action: action,
            progress: verdict == .fail ? 1 : progress, reason: "candidate 80.0 % failed")
        (reading.ruleAction, reading.isComparison) = (rule, true)
        return reading
    }

    /// A program in which nothing has to be approved.
    private func driver(holdBackPPM: UInt32 = 50_000) -> ProgramDriver {
        ProgramDriver(
            RolloutProgram(
                candidate: "v2",
                stages: [RolloutStage(weightPPM: 250_000), RolloutStage(weightPPM: 1_000_000)],
                bakeMicros: 60_000_000, holdBackPPM: holdBackPPM))
    }

    /// The reasons of the steps in the last tick.
    private func reasons(_ driver: ProgramDriver) -> [String] {
        driver.actions.compactMap {
            switch $0 {
            case .journal(.stage(let record)), .journal(.baking(let record)): record.reason
            case .journal(.promoted(let record)): record.reason
            default: nil
            }
        }
    }

    @Test(
        "A trip of a rule that would cut or hold, and that only alerts, blocks every step; skip goes on",
        arguments: [GuardrailSpec.Action.cut, .hold])
    func downgraded(rule: GuardrailSpec.Action) {
        var driver = driver()
        driver.tick()
        for place in [Climb.Place.stage(0), .stage(1), .baking] {
            driver.guardrails = [reading(.fail, rule: rule)]
            driver.provenTick()
            #expect(driver.place == place && driver.promotion == nil)
            let waits = driver.waitsFor(seconds: 9_999, requests: 99_999)
            #expect(waits.count == 1 && waits[0].contains("the guardrail errors, which fails"), "\(waits)")
            #expect(waits.first?.contains("candidate 80.0 % failed; it only alerts") == true, "\(waits)")
            #expect(driver.verb(.skip).isAccepted)
        }
        #expect(driver.promotion?.actor == "ann")
    }

    @Test("A rule whose own action is alert holds no step, and each step's line says that it fails then")
    func ownAlert() {
        var driver = driver()
        driver.tick()
        driver.guardrails = [reading(.fail)]
        var said: [String] = []
        for _ in 0..<3 {
            driver.provenTick()
            said += reasons(driver)
        }
        #expect(driver.promotion != nil && said.count == 3)
        let words = "; failing, and only alerting: errors (candidate 80.0 % failed)"
        #expect(said.allSatisfy { $0.contains(words) }, "\(said)")
        var clean = self.driver()
        clean.tick()
        clean.guardrails = [reading(.pass)]
        clean.provenTick()
        #expect(reasons(clean).allSatisfy { $0.hasSuffix("requests") }, "\(reasons(clean))")
    }

    @Test("A comparison beyond its limit and half way to a trip holds a step; a lesser one is named by it")
    func undecided() {
        var driver = driver()
        driver.tick()
        driver.guardrails = [reading(.notEnoughData, .cut, progress: 0.93)]
        driver.provenTick()
        #expect(driver.place == .stage(0))
        let waits = driver.waitsFor(seconds: 9_999, requests: 99_999)
        #expect(waits.count == 1 && waits[0].contains("beyond its limit and not decided yet"), "\(waits)")
        driver.guardrails = [
            reading(.notEnoughData, .cut, progress: 0.2), reading(.notEnoughData, .cut, name: "p50"),
            reading(.notEnoughData, .alert, progress: 0.9, name: "mine"), reading(.pass, .cut, name: "p99"),
        ]
        driver.provenTick()
        #expect(driver.place == .stage(1))
        let said = reasons(driver)
        let words = "; undecided: mine at 90.0 % of a trip, errors at 20.0 % of a trip, p50"
        #expect(said.count == 1 && said[0].hasSuffix(words), "\(said)")
    }

    @Test("A bake waits for a first comparison until stable should have had three requests, then says so")
    func uncompared() {
        for holdBack in [0, 10_000] as [UInt32] {
            var driver = driver(holdBackPPM: holdBack)
            driver.tick()
            driver.guardrails = [reading(.notEnoughData, .cut), reading(.notEnoughData, .cut, name: "p50")]
            driver.provenTick()
            driver.provenTick()
            #expect(driver.state.phase == .baking)
            driver.tick(seconds: 60, requests: 299)
            #expect((driver.promotion == nil) == (holdBack > 0))
            if holdBack > 0 {
                let waits = driver.waitsFor(seconds: 60, requests: 299)
                #expect(waits.count == 1 && waits[0].hasPrefix("a first comparison with"), "\(waits)")
            }
            driver.tick(seconds: 60, requests: 300)
            let words = "promoted without comparison: no rule against stable has compared the two (errors: "
            #expect(driver.promotion?.reason.contains(words) == true, "\(driver.promotion?.reason ?? "")")
        }
        var compared = driver(holdBackPPM: 10_000)
        compared.tick()
        compared.guardrails = [reading(.notEnoughData, .cut), reading(.pass, .cut, name: "p50")]
        compared.provenTick()
        compared.provenTick()
        compared.tick(seconds: 60, requests: 5)
        #expect(compared.promotion?.reason == "after 1 m and 5 requests; undecided: errors")
    }
}

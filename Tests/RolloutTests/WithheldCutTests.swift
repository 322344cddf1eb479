// A cut moves users to stable. Where stable is known to have no usable endpoint it helps nobody: the machine
// says so instead, and cuts as soon as stable can take them, if the guardrail still fails.

import Metrics
import Rollout
import Testing

@Suite struct WithheldCutTests {
    private func tick(_ verdict: Verdict, isDown: Bool, action: GuardrailSpec.Action = .cut) -> RolloutInput {
        let reading = GuardrailReading(
            name: "outage", rule: "error rate", verdict: verdict, action: action, progress: 1,
            reason: "candidate 100.0 % of 250 failed")
        return .tick(
            [VersionReadings(version: "v2", readings: [reading])], recovery: nil,
            conditions: RolloutConditions(stable: isDown ? .down : .usable))
    }

    private func failing(_ conditions: RolloutConditions) -> RolloutInput {
        guard case .tick(let readings, _, _, _) = tick(.fail, isDown: true) else {
            preconditionFailure("a tick is a tick")
        }
        return .tick(readings, recovery: nil, conditions: conditions)
    }

    @Test("users without weight are not moved either: a cohort's, and those of another candidate")
    func reached() {
        var cohort = Driver(["v2": 0])
        cohort.step(failing(RolloutConditions(stable: .down, reached: ["v2"])))
        #expect(cohort.cutRecord == nil && alert(cohort) != nil)
        // A cut gives all weight to stable, whoever is to blame.
        var other = Driver(["v2": 0, "v3": 50_000])
        other.step(failing(RolloutConditions(stable: .down)))
        #expect(other.cutRecord == nil && alert(other) != nil)
        // The cohort of a version that is not cut stays where it is.
        var copies = Driver(["v2": 0, "v3": 0])
        copies.step(failing(RolloutConditions(stable: .down, reached: ["v3"])))
        #expect(copies.cutRecord?.versions == ["v2"])
    }

    @Test("while stable's checks have not decided a cut waits without a word; an operator's does not wait")
    func undecided() throws {
        var driver = Driver()
        let conditions = RolloutConditions(stable: .undecided)
        driver.step(failing(conditions))
        #expect(driver.cutRecord == nil && driver.actions.isEmpty && driver.state.alerts.isEmpty)
        let waiting = RolloutMachine.withheldCuts(
            driver.state, [try #require(readings(failing(conditions)))], conditions, steadyMicros: 0)
        #expect(waiting.map(\.version) == ["v2"])
        #expect(waiting.first?.because.contains("the checks of stable v1 have not decided yet") == true)
        driver.step(failing(RolloutConditions(stable: .down)))
        #expect(driver.cutRecord == nil && alert(driver) != nil)
        var asked = Driver()
        asked.step(failing(conditions))
        #expect(asked.verb(.rollback(version: "v2")).isAccepted && asked.cutRecord != nil)
    }

    @Test("a withheld cut of the pre-flight checks is among those that wait")
    func preflight() {
        var driver = ProgramDriver()
        let start = VerbRequest(verb: .start, actor: "ann", reason: "why", force: false)
        driver.state = RolloutMachine.step(driver.state, .verb(start), wallMicros: 20).state
        driver.tick()
        #expect(driver.state.weights["v2"] ?? 0 > 0)
        let waiting = RolloutMachine.withheldCuts(
            driver.state, [], RolloutConditions(preflight: .failed("it is v3"), stable: .down),
            steadyMicros: 0)
        #expect(waiting.map(\.version) == ["v2"] && waiting.map(\.guardrail) == ["preflight"])
    }

    private func alert(_ driver: Driver) -> String? {
        for action in driver.actions.reversed() {
            guard case .journal(.alertInstead(_, let reading, let because)) = action else { continue }
            return "\(reading.reason); \(because)"
        }
        return nil
    }

    @Test("a cut to a stable without endpoints is not made but told once, and made when stable has one again")
    func withheld() throws {
        var driver = Driver()
        driver.step(tick(.fail, isDown: true))
        #expect(driver.cutRecord == nil && driver.state.weights["v2"] == 50_000)
        let said = try #require(alert(driver))
        #expect(said.contains("would cut, but stable v1 has no usable endpoint"))
        let waiting = RolloutMachine.withheldCuts(
            driver.state, [try #require(readings(tick(.fail, isDown: true)))],
            RolloutConditions(stable: .down), steadyMicros: 0)
        #expect(waiting.map(\.version) == ["v2"] && waiting.map(\.guardrail) == ["outage"])
        for _ in 0..<20 {
            driver.step(tick(.fail, isDown: true))
            #expect(driver.actions.isEmpty)
        }
        driver.step(tick(.fail, isDown: false))
        #expect(driver.cutRecord?.versions == ["v2"] && driver.state.weights["v1"] == RolloutState.whole)
    }

    private func readings(_ input: RolloutInput) -> VersionReadings? {
        guard case .tick(let readings, _, _, _) = input else { return nil }
        return readings.first
    }

    @Test("what has passed meanwhile is not cut when stable comes back, and the next trip is told anew")
    func passed() {
        var driver = Driver()
        driver.step(tick(.fail, isDown: true))
        driver.step(tick(.pass, isDown: true))
        driver.step(tick(.pass, isDown: false))
        #expect(driver.cutRecord == nil && driver.state.alerts.isEmpty)
        driver.step(tick(.fail, isDown: true))
        #expect(alert(driver) != nil)
    }

    @Test("twins: a stable that is not known to be down gets its users, and so does an operator's rollback")
    func twins() throws {
        var known = Driver()
        known.step(tick(.fail, isDown: false))
        #expect(known.cutRecord != nil)
        var asked = Driver()
        asked.step(tick(.fail, isDown: true))
        #expect(asked.verb(.rollback(version: "v2")).isAccepted)
        #expect(asked.cutRecord != nil)
        // Nobody is moved by a cut of copies.
        var copies = Driver(["v2": 0])
        copies.step(tick(.fail, isDown: true))
        #expect(copies.cutRecord != nil)
        // What only warns does so in its own words.
        var warning = Driver()
        warning.step(tick(.fail, isDown: true, action: .alert))
        #expect(alert(warning) == nil && warning.events == ["alert"])
    }
}

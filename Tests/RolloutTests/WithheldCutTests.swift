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
            conditions: RolloutConditions(stableIsDown: isDown))
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
            RolloutConditions(stableIsDown: true), steadyMicros: 0)
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

// Weight withheld because nobody knows what was decided last: latched like a cut, and nobody is blamed.

import Rollout
import Testing

private let fixed = RolloutSetup(
    stable: "v1", candidates: ["v2", "v3"], weights: ["v2": 100_000, "v3": 50_000], coolDownMicros: 60_000_000
)

private func step(_ state: RolloutState, _ verb: RolloutVerb, force: Bool = false) -> (
    state: RolloutState, isAccepted: Bool
) {
    let request = VerbRequest(verb: verb, actor: "ann", reason: "why", force: force)
    let (next, actions) = RolloutMachine.step(state, .verb(request), wallMicros: 20)
    for case .answer(.refused) in actions { return (next, false) }
    return (next, true)
}

@Suite struct WithheldTests {
    private func withheld(_ state: RolloutState) throws -> RolloutState {
        try #require(RolloutMachine.withheld(state, reason: "lines are gone", wallMicros: 10))
    }

    @Test("From every state but a cut all weight goes to stable, and no version is blamed")
    func states() throws {
        var driver = ProgramDriver()
        driver.state = step(driver.state, .start).state
        driver.tick()
        driver.provenTick()
        let split = RolloutMachine.start(fixed)
        let states = [
            split, step(split, .pause).state, step(split, .promote(version: "v2")).state, driver.state,
            ProgramDriver().state, step(driver.state, .hold).state,
        ]
        for before in states {
            let after = try withheld(before)
            #expect(after.isWithheld && after.weights["v1"] == RolloutState.whole, "\(before.phase)")
            #expect(after.weights.values.reduce(0, +) == RolloutState.whole && after.shadow == nil)
            #expect(after.quarantined == before.quarantined && after.cutsByVersion == before.cutsByVersion)
            #expect(after.coolDownUntil == nil && after.recovery == nil && after.epoch > before.epoch)
            #expect(RolloutMachine.withheld(after, reason: "again", wallMicros: 11) == nil)
            // A config, a tick and time leave it as it is.
            let setup = before.setup
            let other = RolloutSetup(
                stable: "v1", candidates: setup.candidates, weights: ["v2": 900_000], program: setup.program)
            for input in [RolloutInput.configured(other), .tick([], recovery: nil)] {
                let next = RolloutMachine.step(after, input, wallMicros: 1_000_000_000_000).state
                #expect(next.isWithheld && next.weights["v1"] == RolloutState.whole)
            }
        }
        let cut = step(split, .rollback(version: "v2")).state
        #expect(RolloutMachine.withheld(cut, reason: "x", wallMicros: 1) == nil)
        let alone = RolloutMachine.start(RolloutSetup(stable: "v1", candidates: [], weights: [:]))
        #expect(RolloutMachine.withheld(alone, reason: "x", wallMicros: 1) == nil)
    }

    @Test("An operator's verb ends it without force: resume, weights, promote; rollback makes a cut of it")
    func verbs() throws {
        let state = try withheld(RolloutMachine.start(fixed))
        let resumed = step(state, .resume)
        #expect(resumed.isAccepted && resumed.state.phase == .split && resumed.state.weights == fixed.weights)
        let weighed = step(state, .weights(["v2": 300_000]))
        #expect(weighed.isAccepted && weighed.state.weights["v2"] == 300_000 && !weighed.state.isWithheld)
        let promoted = step(state, .promote(version: "v2"))
        #expect(promoted.isAccepted && promoted.state.weights["v2"] == RolloutState.whole)
        let rolledBack = step(state, .rollback(version: "v2"))
        #expect(rolledBack.isAccepted && !rolledBack.state.isWithheld)
        #expect(Set(rolledBack.state.quarantined.keys) == ["v2"])
    }

    @Test(
        "Resume brings back a promotion and weights that a verb had set, unless the config has changed since")
    func interrupted() throws {
        let split = RolloutMachine.start(fixed)
        let promoted = step(split, .promote(version: "v2")).state
        let again = step(try withheld(promoted), .resume)
        guard case .promoted(let record) = again.state.phase else {
            Issue.record("\(again.state.phase)")
            return
        }
        #expect(record.version == "v2" && record.actor == "ann")
        #expect(again.isAccepted && again.state.weights == promoted.weights)

        let weighed = step(split, .weights(["v2": 300_000])).state
        let held = try withheld(weighed)
        #expect(step(held, .resume).state.weights == weighed.weights)
        let other = RolloutSetup(stable: "v1", candidates: ["v2", "v3"], weights: ["v2": 700_000])
        let configured = RolloutMachine.step(held, .configured(other), wallMicros: 15).state
        #expect(step(configured, .resume).state.weights == other.weights)

        // A version that is barred, or gone, is not promoted again.
        let gone = RolloutSetup(stable: "v1", candidates: ["v3"], weights: ["v3": 10_000])
        let without = RolloutMachine.step(try withheld(promoted), .configured(gone), wallMicros: 15).state
        #expect(step(without, .resume).state.weights == gone.weights)
        let old = try withheld(split)
        #expect(step(old, .resume).state.weights == fixed.weights)
    }

    @Test("Retry starts a withheld rollout again; of one that was neither cut nor withheld it is refused")
    func retry() throws {
        var driver = ProgramDriver()
        driver.state = step(driver.state, .start).state
        driver.tick()
        #expect(!step(driver.state, .retry).isAccepted)
        let retried = step(try withheld(driver.state), .retry)
        #expect(retried.isAccepted && retried.state.phase == .waiting && !retried.state.isWithheld)
        #expect(retried.state.climb?.attempt == 2)
    }

    @Test("A staged rollout goes on by resume where it stood, with the evidence of that stage anew")
    func program() throws {
        var driver = ProgramDriver()
        driver.state = step(driver.state, .start).state
        driver.tick()
        let before = driver.state
        #expect(before.weights["v2"] == 10_000)
        let after = try withheld(before)
        let resumed = step(after, .resume)
        #expect(resumed.isAccepted && resumed.state.phase == .stage && resumed.state.weights["v2"] == 10_000)
        #expect(resumed.state.climb?.place == before.climb?.place)
        #expect(resumed.state.climb?.visit != before.climb?.visit)
    }
}

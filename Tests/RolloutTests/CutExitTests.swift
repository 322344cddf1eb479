// What a rollout that was cut waits for: the verb that works, and not the one that is refused.

import Rollout
import Testing

@Suite struct CutExitTests {
    private func inStage() -> ProgramDriver {
        var driver = ProgramDriver()
        driver.provenTick()
        return driver
    }

    private func isAccepted(_ driver: ProgramDriver, _ verb: RolloutVerb) -> Bool {
        var tried = driver
        if case .accepted? = tried.verb(verb) { return true }
        return false
    }

    @Test(
        "A cut of the candidate waits for retry, one of another version for resume; the other is refused",
        arguments: [("v2", "retry"), ("v3", "resume")])
    func named(version: String, word: String) {
        var driver = inStage()
        _ = driver.verb(.rollback(version: version))
        #expect(driver.waitsFor() == ["an operator's \(word) after cut-1"])
        #expect(isAccepted(driver, .retry) == (word == "retry"))
        #expect(isAccepted(driver, .resume) == (word == "resume"))
    }

    @Test("A candidate that was let back after its cut still takes retry; withheld weight takes either")
    func others() throws {
        var driver = inStage()
        let before = driver.state
        _ = driver.verb(.rollback(version: "v2"))
        _ = driver.verb(.unquarantine(version: "v2"))
        #expect(driver.waitsFor() == ["an operator's retry after cut-1"])
        #expect(isAccepted(driver, .retry) && !isAccepted(driver, .resume))
        driver.state = try #require(RolloutMachine.withheld(before, reason: "lines are gone", wallMicros: 10))
        #expect(
            driver.waitsFor() == [
                "an operator's resume, which goes on where it stood, or retry, which starts again,"
                    + " after cut-1"
            ])
        #expect(isAccepted(driver, .retry) && isAccepted(driver, .resume))
    }

    @Test("A group's member with fixed weights that was cut holds the others until its resume")
    func fixed() {
        let walking = inStage()
        var cut = walking
        cut.state = RolloutMachine.start(RolloutSetup(stable: "v1", candidates: ["v2"], weights: [:]))
        _ = cut.verb(.rollback(version: nil))
        let members = [("a", walking), ("b", cut)].map { name, driver in
            GroupMember(
                model: name, driver.state, [], stage: nil, conditions: driver.conditions,
                wallMicros: driver.wallMicros)
        }
        let waits = RolloutGroup.waits(of: 0, in: members, group: "g").map(\.sentence)
        #expect(waits == ["model b of group g: its fixed weights, an operator's resume after cut-1"])
        #expect(isAccepted(cut, .resume) && !isAccepted(cut, .retry))
    }
}

// A control arm beside the rest of stable: what withdraws it, what does not, and what a rollout makes of it.
// Place: `ControlWatch` fed request by request, and the machine by hand. Source: ControlWatch.swift.

import Metrics
import Testing

@testable import Rollout

@Suite struct ControlWatchTests {
    /// The first trip, in ticks from the start; the arm has a tenth of what is stable's.
    private func trip(
        seed: UInt64 = 1, ticks: UInt64 = 1_200, arm: Behaviour, rest: Behaviour = Behaviours.failing(0.02)
    ) -> (after: UInt64, trip: GuardrailReading)? {
        let start: UInt64 = 1_000
        var traffic = Traffic(seed: seed)
        traffic.split = PairSplit(candidatePPM: 100_000, stablePPM: 900_000)
        var reference = LatencyReference(specs: .defaults)
        _ = reference.refresh(now: Tick(number: start), requests: 10_000) { UInt64(20_000 + 20_000 * $0) }
        // Both are stable: counted by the same thresholds.
        traffic.thresholds = (reference.stableThresholds, reference.stableThresholds)
        var watch = ControlWatch(
            attempt: "rollout-1/1", countsKeysOnce: false, endpoints: [3, 9], from: Tick(number: start))
        for now in start..<start + ticks {
            traffic.run(now, candidate: arm, stable: rest)
            let traffic = traffic
            let found = watch.step(now: Tick(number: now + 1), reference: reference) {
                traffic.read($0, at: now + 1)
            }
            if let found { return (now + 1 - start, found) }
        }
        return nil
    }

    @Test(
        "An arm like the rest of stable stays, whatever the two fail alike",
        arguments: 1...6 as ClosedRange<UInt64>)
    func twins(_ seed: UInt64) {
        let share = [0, 0.02, 0.3][Int(seed % 3)]
        #expect(trip(seed: seed, arm: Behaviours.failing(share), rest: Behaviours.failing(share)) == nil)
        #expect(trip(seed: seed, arm: Behaviours.failing(0), rest: Behaviours.failing(share)) == nil)
    }

    @Test("An arm that fails is withdrawn, one that fails everything within two seconds")
    func fails() throws {
        let all = try #require(trip(arm: Behaviours.failing(1)))
        #expect(all.trip.name == "error_rate_worse_than_stable" && all.after <= 20, "\(all)")
        #expect(all.trip.reason.contains("control arm") && !all.trip.reason.contains("candidate"))
        // The smallest difference that is material: half as much again.
        let most = try #require(trip(ticks: 12_000, arm: Behaviours.failing(0.04)))
        #expect(most.after > all.after)
    }

    @Test(
        "An arm that answers with 404, with nothing, or to nobody in time is withdrawn",
        arguments: BadEvent.allCases)
    func events(_ event: BadEvent) throws {
        let micros: UInt64 = event == .cancelled ? 200_000 : 20_000
        let found = trip(arm: { _, _ in Ending(micros: micros, isFailure: event == .failure, event: event) })
        #expect(try #require(found).after <= 150, "\(event)")
    }

    @Test("An arm that is slower stays, which is what an arm is for; a grossly slow one is withdrawn")
    func slow() throws {
        #expect(trip(arm: Behaviours.slow(2), rest: Behaviours.slow(1)) == nil)
        let found = try #require(trip(arm: Behaviours.slow(12), rest: Behaviours.slow(1)))
        #expect(found.trip.name == "grossly_slow" && found.after < 300, "\(found)")
    }

    @Test(
        "An arm none of whose endpoints passes its checks is withdrawn, if stable's do",
        arguments: [true, false])
    func dead(isCommon: Bool) {
        let reference = LatencyReference(specs: .defaults)
        var watch = ControlWatch(
            attempt: "rollout-1/1", countsKeysOnce: false, endpoints: [1, 1], from: Tick(number: 0))
        var found: GuardrailReading?
        for now in 1...100 as ClosedRange<UInt64> where found == nil {
            let shares = HealthShares(
                candidate: 0, stable: isCommon ? 0 : 1, stablePasses: now / 5, candidateFailedAt: now)
            found = watch.step(now: Tick(number: now), reference: reference, health: { shares }) {
                PairTick(tick: $0, split: nil, candidate: ArmTick(), stable: ArmTick())
            }
        }
        #expect((found?.name == "health") == !isCommon)
    }
}

@Suite struct ControlWithdrawalTests {
    private let reading = GuardrailReading(
        name: "error_rate_worse_than_stable", rule: "error rate", verdict: .fail, action: .cut, progress: 1,
        reason: "30 % failed")

    private var failed: RolloutInput { .controlFailed(version: "v1 (control)", reading: reading) }

    @Test("A withdrawal is journaled once, gives the stage's proofs up, and ends with the attempt")
    func once() throws {
        var driver = ProgramDriver()
        driver.step(failed)
        #expect(driver.actions.isEmpty, "nobody has traffic yet")
        driver.tick()
        #expect(driver.state.phase == .stage)
        let (visit, weights) = (driver.state.climb?.visit ?? 0, driver.state.weights)
        driver.step(failed)
        let record = try #require(driver.state.climb?.controlWithdrawn)
        #expect(record.reason.contains("compared with from now on: error rate: 30 % failed"))
        #expect(driver.actions == [.journal(.controlWithdrawn(record, reading))])
        #expect(driver.state.climb?.visit == visit + 1 && driver.state.weights == weights)
        driver.step(failed)
        #expect(driver.actions.isEmpty && driver.state.climb?.visit == visit + 1)
        // A cut and another attempt: the arm has another chance.
        driver.fail(.cut)
        driver.step(failed)
        #expect(driver.actions.isEmpty)
        driver.step(.verb(VerbRequest(verb: .retry, actor: "a", reason: "", force: true)))
        #expect(driver.state.climb?.attempt == 2 && driver.state.climb?.controlWithdrawn == nil)
    }
}

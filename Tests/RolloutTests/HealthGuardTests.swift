// A version that cannot be reached while stable can: what trips, what two versions have in common, and what
// is waited for. Place: `CandidateWatch` fed with what checks say. Source: HealthGuard.swift.

import Metrics
import Testing

@testable import Rollout

@Suite struct HealthGuardTests {
    /// What checks and requests say in one tick.
    private struct Moment {
        var candidate: Double?
        var stable: Double?
        /// Whether one of stable's checks passes in this tick.
        var passes = false
        /// Stable's requests of a tick, and how many of them fail.
        var requests: UInt32 = 0
        var failed: UInt32 = 0
        /// The tick in which the candidate's last failed check began; nil: this one.
        var failedAt: UInt64?
    }

    private static let spec = GuardrailSpec.defaults(alpha: 0.01).last { $0.measure == .health }

    /// The first tick in which the default rule trips, of 400.
    private static func trip(_ moment: (UInt64) -> Moment) throws -> UInt64? {
        let spec = try #require(spec)
        var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
        var passes: UInt64 = 0
        for now in 1...400 as ClosedRange<UInt64> {
            let current = moment(now)
            if current.passes { passes += 1 }
            let shares = HealthShares(
                candidate: current.candidate, stable: current.stable, stablePasses: passes,
                candidateFailedAt: current.failedAt ?? now)
            let reading = watch.step(
                now: Tick(number: now), reference: LatencyReference(specs: []), windows: { _ in nil },
                health: { shares }
            ) { tick in
                let seen = moment(tick.number)
                var stable = ArmCounts()
                (stable.started, stable.completed, stable.failed) = (
                    seen.requests, seen.requests, seen.failed
                )
                return PairTick(
                    tick: tick, split: nil, candidate: ArmTick(), stable: ArmTick(randomised: stable))
            }[0]
            if reading.verdict == .fail { return now }
            if (current.candidate ?? 1) > 0 { #expect(reading.verdict != .fail) }
        }
        return nil
    }

    @Test("A candidate none of whose endpoints passes is cut a second after stable's next passed check")
    func dead() throws {
        // Checks of stable every half second; the candidate goes in tick 103.
        let trip = try Self.trip {
            Moment(candidate: $0 < 103 ? 1 : 0, stable: 1, passes: $0 % 5 == 0, requests: 10)
        }
        #expect(trip == 115)
    }

    @Test("One endpoint that passes is enough to be reached")
    func onePasses() throws {
        #expect(try Self.trip { _ in Moment(candidate: 0.01, stable: 1, passes: true) } == nil)
    }

    @Test("A health path that is wrong for both blames nobody, whichever is found out first")
    func wrongPath() throws {
        for lead in [0, 5, 150] as [UInt64] {
            let trip = try Self.trip {
                // Stable answers its requests; none of its checks ever passes.
                Moment(
                    candidate: $0 < 30 ? 1 : 0, stable: $0 < 30 + lead ? 1 : 0, passes: false, requests: 10)
            }
            #expect(trip == nil, "\(lead)")
        }
    }

    @Test("Versions that are dead together blame nobody, also where stable's health is not checked")
    func bothDead() throws {
        #expect(
            try Self.trip { Moment(candidate: $0 < 50 ? 1 : 0, stable: $0 < 52 ? 1 : 0, passes: $0 < 50) }
                == nil)
        let unchecked = try Self.trip {
            Moment(candidate: $0 < 50 ? 1 : 0, requests: 10, failed: $0 < 50 ? 0 : 10)
        }
        #expect(unchecked == nil)
        // Its checks still pass and its answers do not.
        let failing = try Self.trip {
            Moment(
                candidate: $0 < 50 ? 1 : 0, stable: 1, passes: $0 % 5 == 0, requests: 10,
                failed: $0 < 50 ? 0 : 10)
        }
        #expect(failing == nil)
    }

    @Test(
        "Versions that come back together blame nobody, though one is found back first",
        arguments: [true, false])
    func backTogether(isStableChecked: Bool) throws {
        // Both are away from 50 to 120. The candidate's checks begin in 45, 95 and 145.
        func moment(_ now: UInt64, isBack: Bool) -> Moment {
            let isAway = (50..<120).contains(now)
            return Moment(
                candidate: (95..<145).contains(now) || now >= 145 && !isBack ? 0 : 1,
                stable: isStableChecked ? (isAway ? 0 : 1) : nil, passes: !isAway && now % 5 == 0,
                requests: 10, failed: isAway ? 10 : 0, failedAt: now < 145 ? 95 : now / 50 * 50 - 5)
        }
        #expect(try Self.trip { moment($0, isBack: true) } == nil)
        // One that stays away is found by its next check.
        #expect(try Self.trip { moment($0, isBack: false) } ?? .max <= 160)
    }

    @Test("Of a stable that nobody checks its requests tell; where it has none the rule waits ten seconds")
    func unchecked() throws {
        #expect(try Self.trip { Moment(candidate: $0 < 50 ? 1 : 0, requests: 10) } == 61)
        #expect(try Self.trip { Moment(candidate: $0 < 50 ? 1 : 0) } == 160)
    }

    @Test("Checks that fail for less than the rule's time, and a candidate nobody checks, trip nothing")
    func flap() throws {
        #expect(
            try Self.trip { Moment(candidate: $0 % 20 < 9 ? 0 : 1, stable: 1, passes: true, requests: 10) }
                == nil)
        #expect(try Self.trip { _ in Moment(stable: 1, passes: true, requests: 10) } == nil)
    }
}

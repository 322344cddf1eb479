// Whether stable can take the users of a version that is cut, and whom a cut would move. Where every endpoint
// of stable fails its checks a cut helps nobody. The same holds until the checks have decided after a start
// or a reload: the process may have begun while stable was down.
// Place: asked every tick, before anything is judged. Invariant: an endpoint that nobody checks is usable,
// and checks that never decide hold a cut up for a minute at most.

import Config
import Metrics
import Proxy
import Rollout

extension WatchedModel {
    /// The longest that a cut waits for the first verdict of checks: a minute.
    private static let awaitedTicksMax: UInt64 = 600
    /// Ticks whose requests say whether users reach a version: 10 s.
    private static let reachedTicks: UInt64 = 100

    /// When checks that begin now have decided: as many in a row as take an endpoint out.
    static func stableAwaitedUntil(_ version: VersionConfig, from now: Tick) -> Tick? {
        guard let check = version.healthCheck, !version.endpoints.isEmpty else { return nil }
        let (nanos, overflow) = check.interval.nanos.multipliedReportingOverflow(
            by: UInt64(check.unhealthyThreshold))
        let ticks = overflow ? .max : nanos / (Tick.micros * 1_000)
        let timeout = check.timeout.nanos / (Tick.micros * 1_000)
        return Tick(number: now.number + 1 + min(awaitedTicksMax, min(ticks, awaitedTicksMax) + timeout))
    }

    /// Looks whether stable can take users. What was proven while it could not is given up when it can
    /// again, and rules over windows begin theirs anew: it is of a time when nothing was done about it. What
    /// goes on, an outage, trips at once all the same.
    /// - Parameter verdict: what checks have said of an endpoint; nil: nothing yet.
    mutating func lookAtStable(_ now: Tick, verdict: (EndpointSlot) -> Bool?) {
        let before = stableUse
        lastLooked = now
        stableUse = checkedUse(now, verdict)
        // Retries that find nobody there know better than the lack of a check, or than one of another port.
        if stableUse == .usable, rescues.unreached(now) != nil { stableUse = .unreached }
        guard before != .usable, stableUse == .usable else { return }
        for version in watches.keys { watches[version]?.forfeitProven() }
        stage?.forfeitProven()
        controlWatch?.forfeitProven()
        figures.forgetRules()
    }

    private func checkedUse(_ now: Tick, _ verdict: (EndpointSlot) -> Bool?) -> StableUse {
        guard let stableAwaitedUntil else { return .usable }
        let verdicts = endpointSlots[stable].map(verdict)
        if verdicts.contains(true) { return .usable }
        if verdicts.allSatisfy({ $0 == false }) { return .down }
        return now < stableAwaitedUntil ? .undecided : .usable
    }

    /// The candidate whose requests do not reach stable when they are sent again.
    var lostVersion: String? { rescues.unreached(lastLooked).map { name($0.version) } }

    /// Candidates that users reach without weight: by a cohort, or lately because callers ask for them.
    func reached(_ now: Tick) -> Set<String> {
        Set(
            config.candidates.filter { name in
                config.cohorts.contains { $0.version == name } || wasReached(name, now)
            })
    }

    /// Whether requests of users were assigned to it lately, by whatever rule.
    func wasReached(_ name: String, _ now: Tick) -> Bool {
        guard let version = config.index(of: name) else { return false }
        return (0...min(Self.reachedTicks, now.number)).contains { back in
            let bucket = VersionMeter.evidence(meters[version], at: Tick(number: now.number - back))
            return bucket.map { $0.randomised.started + $0.pinned.started > 0 } ?? false
        }
    }
}

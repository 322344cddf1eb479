// Whom a version is compared with: all of stable, or the control arm while that has requests. Copies have
// none, so a shadow stage compares with stable's own answers to the same requests.
// The arm is held against the rest of stable in its turn; one that is worse is withdrawn (`ControlWatch`).
// Place: asked for every tick of evidence, so that each is compared with the arm that was in force in it.
// Invariant: only the candidate that walks has a control arm; every other one is compared with stable.

import Metrics
import Rollout

extension WatchedModel {
    /// Requests of the control arm from which on latency is judged by its own times.
    private static let controlRequestsMin: UInt64 = 1_000

    /// - Parameter inForce: the split of the tick; nil: it changed in it.
    func opponent(of version: Int, _ inForce: SplitInForce?) -> Int {
        guard let control, version == controlled else { return stable }
        return (inForce?.weights[control]).map { $0 > 0 } ?? true ? control : stable
    }

    /// As of the tick before `now`.
    func opponent(of version: Int, now: Tick) -> Int {
        guard control != nil else { return stable }
        return opponent(of: version, history.split(at: Tick(number: now.number - min(now.number, 1))))
    }

    /// What the control arm answers in, when it has answered enough: a small cold arm is another one than
    /// all of stable, and a threshold far from its own times would show little.
    func latencyOfControl(_ now: Tick) -> HistogramSnapshot? {
        guard let control, let controlled, opponent(of: controlled, now: now) == control,
            let recent = figures.recentControl?.latency, recent.count >= Self.controlRequestsMin
        else { return nil }
        // A grossly slow arm must not be the measure of what is gross: it is found by stable's. Its tail is
        // the first to show it.
        let isGross = [0.5, 0.99].contains { quantile in
            let theirs = figures.recent?.latency.quantile(quantile).map { Double($0) } ?? .infinity
            return Double(recent.quantile(quantile) ?? 0) > LatencyReference.grossMedians * theirs
        }
        return isGross ? nil : recent
    }

    /// Begins to watch the arm of the attempt under way, drops what is over. A restart begins anew: what that
    /// costs is another chance to withdraw an arm that is fine.
    mutating func alignControl(_ now: Tick) {
        guard let control, let climb = decided.climb, climb.place != .before, isOnItsWay,
            climb.controlWithdrawn == nil
        else {
            controlWatch = nil
            controlTrip = nil
            return
        }
        let attempt = "\(climb.id)/\(climb.attempt)"
        guard controlWatch?.attempt != attempt else { return }
        controlWatch = ControlWatch(
            attempt: attempt, countsKeysOnce: !config.stickyKeys.isEmpty,
            endpoints: [control, stable].map { config.versions[$0].endpoints.count },
            from: Tick(number: now.number + 1))
    }

    /// Holds the arm against the rest of stable.
    mutating func stepControl(_ now: Tick, _ health: HealthShares) {
        guard let control, var watch = controlWatch else { return }
        let found = watch.step(now: now, reference: reference, health: { health }) {
            pair(control, at: $0, now: now)
        }
        controlWatch = watch
        controlTrip = found
    }

    /// Puts into the reason of a trip what "stable" stands for in it.
    func tellOpponent(_ other: Int, _ found: inout [GuardrailReading]) {
        guard other == control else { return }
        for i in found.indices where found[i].verdict == .fail && found[i].stable != nil {
            found[i].reason += "; stable stands for its control arm"
        }
    }
}

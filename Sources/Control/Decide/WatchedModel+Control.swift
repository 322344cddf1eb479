// Whom a version is compared with: all of stable, or the control arm while that has requests. Copies have
// none, so a shadow stage compares with stable's own answers to the same requests.
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
        return recent
    }

    /// Puts into the reason of a trip what "stable" stands for in it.
    func tellOpponent(_ other: Int, _ found: inout [GuardrailReading]) {
        guard other == control else { return }
        for i in found.indices where found[i].verdict == .fail && found[i].stable != nil {
            found[i].reason += "; stable stands for its control arm"
        }
    }
}

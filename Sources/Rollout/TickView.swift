// One tick as a guardrail sees it: which of its requests are decided, what they came to, and what may be
// assumed of the rest so that the evidence is never larger than it will be once everything is known.
//
//   measure    against     a tick is settled when                  before that
//   events     stable      nothing is pending in either arm, or    after the lag: pending candidate requests
//                          at the deadline (pending = failed,      are good, pending stable requests are bad
//                          a response on its way = good, one
//                          that was not written yet = neither)
//   errors     a constant  no candidate request is pending, or     at once: pending is good
//                          at the deadline (pending = good)
//   latency    either      the age of all its requests has passed  hidden: at the threshold's age a request
//                          the tick's thresholds                   that has not ended is slow; one that waits
//                                                                  to be written is neither slow nor fast
//   latency    stable, by  as errors against stable                as errors: pending candidate requests are
//              keys once                                           fast, pending stable requests are slow
//
// Events are failures, answers that are not 2xx, cancels, empty answers. A request that failed has every
// event and is slow, or fast errors would improve the rest. Ages are counted from a tick's end, so they are
// those of its youngest request. Source: guardrails/statistics.md, section 2.

import Metrics
import Statistics

/// The decided part of a tick.
struct TickView: Sendable {
    enum State: Sendable {
        /// Counts for good.
        case settled
        /// Bounds that may be looked at but not kept.
        case open
        /// Too young to say anything.
        case hidden
        /// Says nothing, now or later.
        case dropped
    }

    /// One arm's requests.
    struct Arm: Sendable {
        var bad = 0
        var good = 0
    }

    var state: State
    /// The candidate's share at assignment; nil for rules against a constant.
    var share: Double?
    var split: PairSplit?
    var candidate = Arm()
    var stable = Arm()
    /// Events of sticky keys that had had one before, once per key and minute: news of a change.
    var candidateAgain = 0
    var stableAgain = 0
    /// All of a sticky key's events but its first in the rollout.
    var candidateKnown = 0
    var stableKnown = 0
    /// Requests in `candidate.good` that have not ended.
    var pendingAsGood = 0
    /// What the size of the effect is estimated from.
    var size = EpochCounts()
    /// The candidate's requests, which make epochs.
    var started = 0
    /// What the candidate's users got; of errors against a constant only.
    var loss = Loss()

    /// Unsettled requests of this age are decided: 30 s.
    static let deadlineTicks: UInt64 = 300
    /// Ticks after its end in which a tick may still be written by a core that was held up.
    static let graceTicks: UInt64 = 1

    static let dropped = TickView(state: .dropped)
    static let hidden = TickView(state: .hidden)
}

extension TickView {
    /// Bad events of a kind against stable. A failure counts as one of any kind, so that the answers of one
    /// arm do not look worse while the other fails; the size of the effect is that of the kind alone.
    /// - Parameters:
    ///   - age: whole ticks since the tick's end.
    ///   - lag: stable's p99 in ticks.
    static func events(_ event: BadEvent, _ pair: PairTick, age: UInt64, lag: UInt64) -> TickView {
        guard let split = pair.split, let share = split.share else { return .dropped }
        let (candidate, stable) = (pair.candidate.randomised, pair.stable.randomised)
        let atDeadline = age >= deadlineTicks
        let isSettled = atDeadline || (age >= graceTicks && candidate.pending == 0 && stable.pending == 0)
        guard isSettled || age >= lag else { return .hidden }
        var view = TickView(state: isSettled ? .settled : .open, share: share, split: split)
        view.candidate = Arm(ended: candidate, event)
        view.stable = Arm(ended: stable, event)
        view.candidate.bad += atDeadline ? Int(candidate.silent) : 0
        view.stable.bad += Int(atDeadline ? stable.silent : stable.pending)
        if atDeadline {
            view.candidate.good += Int(candidate.begun)
            view.stable.good += Int(stable.begun)
        }
        let (ours, theirs) = (candidate[event], stable[event])
        (view.candidateAgain, view.stableAgain) = (Int(ours.renewed), Int(theirs.renewed))
        (view.candidateKnown, view.stableKnown) = (Int(ours.known), Int(theirs.known))
        view.started = Int(candidate.started)
        // The size is an estimate and no bound: what is in flight is in neither arm.
        guard event == .failure else {
            view.size = EpochCounts(
                Arm(alone: candidate, event, atDeadline: atDeadline),
                Arm(alone: stable, event, atDeadline: atDeadline))
            return view
        }
        let inFlight = atDeadline ? 0 : Int(stable.pending)
        view.size = EpochCounts(
            Arm(bad: view.candidate.bad + view.candidateAgain, good: view.candidate.good),
            Arm(bad: view.stable.bad - inFlight + view.stableAgain, good: view.stable.good))
        return view
    }

    /// Errors against a constant; pinned requests and copies count as well, and of a sticky key's failures
    /// one a minute. Guardrails show stable's beside them, and wait for its slow ones.
    /// - Parameter slot: of stable's median latency.
    static func errors(
        _ pair: PairTick, age: UInt64, for side: BetSide = .worse, slot: Int? = nil
    ) -> TickView {
        let (candidate, stable) = (pair.candidate.answered(for: side), pair.stable.all)
        let atDeadline = age >= deadlineTicks
        let isAwaited = candidate.pending > 0 || (side == .worse && stable.pending > 0)
        let isSettled = atDeadline || (age >= graceTicks && !isAwaited)
        var view = TickView(state: isSettled ? .settled : .open, split: pair.split)
        view.candidate.bad = Int(candidate.failed) + Int(candidate.renewed)
        view.pendingAsGood = Int(candidate.pending)
        view.candidate.good = candidate.answered - Int(candidate.failed) + view.pendingAsGood
        view.stable.bad = Int(stable.failed) + Int(stable.renewed) + (atDeadline ? Int(stable.silent) : 0)
        view.stable.good = stable.answered - Int(stable.failed)
        view.loss = Loss(pair.candidate, slot: slot, isFinal: isSettled)
        view.size = EpochCounts(view.candidate, view.stable)
        view.started = Int(candidate.started)
        return view
    }

    /// Latency against stable: the slot of the evidence, and that of the effect's size.
    static func latency(
        _ pair: PairTick, age: UInt64, rho: Double, evidence: Int, size: Int
    ) -> TickView {
        guard let split = pair.split, let share = split.share else { return .dropped }
        let (candidate, stable) = (pair.candidate, pair.stable)
        guard let slowest = pair.slowest(rho: rho, evidence: evidence, size: size),
            let settled = isDecided(slowest, age: age)
        else { return .dropped }
        guard settled else { return .hidden }
        var view = TickView(state: .settled, share: share, split: split)
        view.candidate = Arm(candidate.randomised, slot: evidence)
        view.stable = Arm(stable.randomised, slot: evidence)
        view.size = EpochCounts(Arm(candidate.randomised, slot: size), view.stable)
        view.started = Int(candidate.randomised.started)
        return view
    }

    /// Latency against stable where a sticky key's slow requests count once. Whether a slow request is its
    /// key's first is known when it ends, so nothing is decided by age: what is pending counts as for errors.
    static func slowKeys(
        _ pair: PairTick, age: UInt64, lag: UInt64, rho: Double, evidence: Int, size: Int
    ) -> TickView {
        guard let split = pair.split, let share = split.share,
            let slowest = pair.slowest(rho: rho, evidence: evidence, size: size),
            isDecided(slowest, age: age) != nil
        else { return .dropped }
        let (candidate, stable) = (pair.candidate.randomised, pair.stable.randomised)
        let atDeadline = age >= deadlineTicks
        let isSettled = atDeadline || (age >= graceTicks && candidate.pending == 0 && stable.pending == 0)
        guard isSettled || age >= lag else { return .hidden }
        var view = TickView(state: isSettled ? .settled : .open, share: share, split: split)
        let late = atDeadline ? Int(candidate.pending - candidate.unwritten) : 0
        let lateOfStable = Int(atDeadline ? stable.pending - stable.unwritten : stable.pending)
        view.candidate = Arm(ended: candidate, slot: evidence, slow: late)
        view.stable = Arm(ended: stable, slot: evidence, slow: lateOfStable)
        view.size = EpochCounts(
            Arm(ended: candidate, slot: size, slow: late),
            Arm(ended: stable, slot: size, slow: atDeadline ? lateOfStable : 0))
        view.started = Int(candidate.started)
        return view
    }

    /// Cancels against stable for the fast path: decided when nearly all of either arm's requests have ended,
    /// the candidate's others taken for good and stable's, failed ones too, for cancelled.
    static func cancels(_ pair: PairTick, age: UInt64) -> TickView {
        guard let split = pair.split, let share = split.share else { return .dropped }
        let (candidate, stable) = (pair.candidate.randomised, pair.stable.randomised)
        let isNearlyAll = [candidate, stable].allSatisfy { 10 * UInt64($0.pending) <= UInt64($0.started) }
        guard age >= deadlineTicks || (age >= graceTicks && isNearlyAll) else { return .hidden }
        var view = TickView(state: .settled, share: share, split: split)
        view.candidate.bad = Int(candidate.cancelled)
        view.candidate.good = candidate.ended(.cancelled) - view.candidate.bad + Int(candidate.pending)
        view.stable.bad = Int(stable.cancelled) + stable.failures + Int(stable.pending)
        view.stable.good = max(0, stable.ended(.cancelled) - Int(stable.cancelled) - stable.failures)
        view.started = Int(candidate.started)
        return view
    }

    /// Latency against a constant; pinned requests and copies count as well.
    static func latency(_ pair: PairTick, age: UInt64, micros: UInt32, slot: Int) -> TickView {
        let (candidate, stable) = (pair.candidate, pair.stable)
        let counts = candidate.answered(for: .worse)
        if counts.started > 0, candidate.thresholds[slot] != micros { return .dropped }
        guard let settled = isDecided(micros, age: age) else { return .dropped }
        guard settled else { return .hidden }
        var view = TickView(state: .settled, split: pair.split)
        view.candidate = Arm(counts, slot: slot)
        if stable.thresholds[slot] == micros { view.stable = Arm(stable.all, slot: slot) }
        view.size = EpochCounts(view.candidate, view.stable)
        view.started = Int(counts.started)
        return view
    }

    /// Whether all requests are older than the threshold; nil when it is beyond the deadline, so that no
    /// request is ever watched long enough.
    private static func isDecided(_ threshold: UInt32, age: UInt64) -> Bool? {
        let ticks = LatencyReference.ticks(UInt64(threshold))
        guard ticks <= deadlineTicks else { return nil }
        return age >= max(ticks, graceTicks)
    }
}

extension PairTick {
    /// The largest threshold that a rule against stable needs the tick's requests to have passed; nil where
    /// the arms were not counted by thresholds that belong together.
    fileprivate func slowest(rho: Double, evidence: Int, size: Int) -> UInt32? {
        let (ours, theirs) = (candidate.thresholds[evidence], stable.thresholds[evidence])
        if candidate.randomised.started > 0, stable.randomised.started > 0 {
            guard theirs > 0, ours == LatencyReference.threshold(rho, of: theirs) else { return nil }
        }
        if candidate.randomised.started > 0, ours == 0 { return nil }
        if stable.randomised.started > 0, theirs == 0 { return nil }
        return max(ours, theirs, candidate.thresholds[size])
    }
}

extension TickView.Arm {
    /// Requests of an age beyond the slot's threshold: all that were not fast are slow, but those that their
    /// version has not got yet.
    init(_ counts: ArmCounts, slot: Int) {
        good = Int(counts.fast(slot))
        bad = counts.slow(slot)
    }

    /// Requests that have ended, and `slow` others.
    init(ended counts: ArmCounts, slot: Int, slow: Int) {
        good = Int(counts.fast(slot))
        bad = max(0, counts.answered - good) + Int(counts.late[slot]) + slow
    }

    /// Requests that have ended: first events of their keys, and requests without one.
    init(ended counts: ArmCounts, _ event: BadEvent) {
        let events = counts[event]
        bad = Int(events.first)
        good = max(0, counts.ended(event) - bad - Int(events.known))
    }

    /// All requests of a kind of event, without failures, and all others.
    init(alone counts: ArmCounts, _ event: BadEvent, atDeadline: Bool) {
        bad = Int(counts.alone(event))
        good = max(0, counts.ended(event) - bad) + (atDeadline ? Int(counts.pending) : 0)
    }
}

extension EpochCounts {
    init(_ candidate: TickView.Arm, _ stable: TickView.Arm) {
        self.init(
            candidateRequests: candidate.bad + candidate.good, candidateEvents: candidate.bad,
            stableRequests: stable.bad + stable.good, stableEvents: stable.bad)
    }
}

extension ArmCounts {
    /// All failures, a sticky key's repeated ones as well.
    var failures: Int { Int(failed) + Int(known) }

    /// Requests that were not within the slot's threshold, given that all are older than it: also those that
    /// their clients cancelled later than that.
    func slow(_ slot: Int) -> Int {
        max(0, Int(started) - Int(excluded) - Int(unwritten) - Int(fast(slot))) + Int(late[slot])
    }

    /// Requests whose end says whether they had the event: of cancelled ones only that they were cancelled.
    func ended(_ event: BadEvent) -> Int {
        answered + Int(known) + (event == .cancelled ? Int(cancelled) : 0)
    }

    /// Requests with an outcome that says something about the version.
    var answered: Int { max(0, Int(completed) - Int(excluded)) }
}

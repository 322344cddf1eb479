// The common-cause guard of a comparison with stable as it was: stable has no requests of its own, but with a
// shield it is asked again for those that the candidate failed. Whether it fails these as well is counted
// over the slots in which the candidate broke its limit, as far back as the evidence reaches.
//
//   f of the candidate's requests fail, p of stable's n answers      answer
//   nobody is asked: no shield, or for a minute too few retries      unasked: it trips
//   p reaches f / 2                                                  common: the evidence is forfeited
//   p is below f / 2, and n kl(p, f / 2) >= 5                        fine: it trips
//   most of what it is asked does not reach it                       unreached: it trips
//   else, for ten minutes                                            waiting
//   else, after that, and the candidate is still bad                 undecided: it alerts and does no more
//
// It can wait so long because most of what the candidate fails is then answered by stable. How long it takes
// to tell is a matter of traffic: ten failures that stable would share, which are 10 / f of the candidate's.
// Three nats, as for a moment's outage, are too few where both go on failing: over half an hour at 2 % a run
// of 300 answers without a failure comes in one of six, one of 500 in one of three hundred.
//
// Requests that are bad in themselves fail at both and say nothing about either; they are taken off f and p.
// How many there are is known from the retries of the last stage; where those were too few, from nothing up
// to stable's own rate there, and of the two bounds each answer takes the one that makes it harder to give.
// Invariant: the guard only delays a trip or forfeits it. Source: guardrails/dependence.md, section 2.

import Metrics
import Statistics

/// Stable's answers to what the candidate fails while stable has no traffic.
struct PinnedVeto: Sendable {
    /// What is known of stable while the candidate is bad.
    enum Word: String, Sendable, Hashable, Codable {
        /// Stable was not asked.
        case unasked
        case fine
        case common
        case waiting
        /// It was asked long enough, and its answers decide nothing.
        case undecided
        /// It was asked and could not be reached: no word will come. Whether a cut helps is control's matter.
        case unreached
    }

    /// The share of requests that both versions fail, between two bounds.
    struct Usual: Sendable, Hashable, Codable {
        var least = 0.0
        var most = 0.0
        /// Whether stable was asked at all in the last stage.
        var isShielded = false

        /// Requests of the candidate that make the last stage's retries enough.
        private static let requestsMin = 1_000

        init() {}

        /// - Parameter isOfEvents: whether the candidate's events are what stable is asked again for.
        init(stage: EpochCounts, _ retries: Retries, isOfEvents: Bool) {
            func share(_ events: Double, of requests: Int) -> Double {
                min(1, events / Double(max(1, requests)))
            }
            let known = retries.rescued + retries.unrescued
            isShielded = known > 0
            // Of slow ones that do not fail the retries say nothing.
            guard isOfEvents else { return }
            most = share(Double(stage.stableEvents) + 0.5, of: stage.stableRequests)
            let (requests, events) = (stage.candidateRequests, stage.candidateEvents)
            guard requests >= Usual.requestsMin, events == 0 || 2 * known >= events else { return }
            let unrescued = Double(retries.unrescued) * Double(max(events, 1)) / Double(max(known, 1))
            // Where there was none, there may have been half a one.
            most = min(most, share(unrescued + 0.5, of: requests))
            least = min(most, share(unrescued, of: requests))
        }
    }

    /// Nats by which stable must be proven to fail less than half as often.
    private static let nats = 5.0
    /// Ticks to wait at most: ten minutes; where stable is asked about less than half of the failures, a
    /// minute, twice as long as an answer of stable may take.
    private static let waitTicks: UInt64 = 6_000
    private static let fewTicks: UInt64 = 600
    /// Retries that did not reach stable, at least.
    private static let unreachedMin = 5
    private static let never = UInt64.max

    var usual = Usual()
    /// Of the slots before this one in which the candidate broke its limit, and of this one.
    private(set) var past = PinnedStable.Recent()
    private var slot = PinnedStable.Recent()
    /// The tick since which it waits; `never` where it does not.
    private var since = PinnedVeto.never

    init(usual: Usual = Usual(), past: PinnedStable.Recent = PinnedStable.Recent()) {
        (self.usual, self.past) = (usual, past)
    }

    mutating func add(_ requests: Int, _ events: Int, _ pair: PairTick) { slot.add(requests, events, pair) }

    /// Ends a slot; with an epoch what lies back counts half, but for evidence that waits.
    mutating func enter(limit: Double, isNewEpoch: Bool) {
        past = asked(limit)
        slot = PinnedStable.Recent()
        if isNewEpoch, since == PinnedVeto.never { past.fade() }
    }

    private func asked(_ limit: Double) -> PinnedStable.Recent {
        guard Double(slot.events) > limit * Double(slot.requests) else { return past }
        var all = past
        all += slot
        return all
    }

    /// Asks about stable, where there is evidence to trip on.
    /// - Parameters:
    ///   - limit: what the candidate is held to, 0..<1.
    ///   - isStillBad: whether the candidate's last requests break it.
    mutating func judge(
        now: UInt64, limit: Double, _ measure: GuardrailSpec.Measure, isStillBad: Bool
    ) -> Word {
        let all = asked(limit)
        let (known, events) = (Int(all.rescued) + Int(all.unrescued), Int(all.events))
        let isMostlyAsked = known > 0 && 2 * known >= events
        let isAsked: Bool =
            switch measure.event {
            case .failure: known > 0 || all.unreached != nil || usual.isShielded
            // Of answers that are no failures nobody is asked again.
            case .rejected, .cancelled, .empty: false
            // Failures are slow.
            case nil: isMostlyAsked
            }
        guard isAsked else { return .unasked }
        if let (p, half, _) = rates(all, usual.most), p > 0, p >= half { return end(.common) }
        if let (p, half, n) = rates(all, usual.least), p < half,
            n * FixedTests.divergence(p, half) >= PinnedVeto.nats
        {
            return end(.fine)
        }
        let lost = Int(all.unreached ?? 0)
        if lost >= PinnedVeto.unreachedMin, lost > known, 2 * (lost + known) >= events {
            return end(.unreached)
        }
        since = min(since, now)
        let wait = isMostlyAsked ? PinnedVeto.waitTicks : PinnedVeto.fewTicks
        guard now - since >= wait else { return .waiting }
        guard isStillBad else { return end(.common) }
        return isMostlyAsked ? .undecided : .unasked
    }

    /// Stable can be reached again: what it was not asked before says nothing from now on.
    mutating func forgetUnreached() {
        past.unreached = nil
        slot.unreached = nil
    }

    private mutating func end(_ word: Word) -> Word {
        since = PinnedVeto.never
        return word
    }

    /// Stable's share of what it is asked, half the candidate's, and of how many answers: without requests
    /// that are bad in themselves. Nil where nothing is left.
    private func rates(
        _ all: PinnedStable.Recent, _ usual: Double
    ) -> (p: Double, half: Double, n: Double)? {
        let (requests, events) = (Double(all.requests), Double(all.events))
        let known = Double(all.rescued) + Double(all.unrescued)
        guard requests > 0, events > usual * requests, known > 0 else { return nil }
        let bad = usual * requests * known / events
        let half = (events / requests - usual) / 2
        guard known > bad, half > 0, half < 1 else { return nil }
        return (max(0, Double(all.unrescued) - bad) / (known - bad), half, known - bad)
    }
}

/// Stable's answers to shielded requests of a stage, in half the space.
struct Retries: Sendable, Hashable, Codable {
    private var good: UInt32 = 0
    private var bad: UInt32 = 0

    var rescued: Int { Int(good) }
    var unrescued: Int { Int(bad) }

    mutating func add(rescued: Int, unrescued: Int) {
        guard rescued > 0 || unrescued > 0 else { return }
        good = UInt32(clamping: self.rescued + rescued)
        bad = UInt32(clamping: self.unrescued + unrescued)
    }
}

extension PinnedStable {
    /// The candidate's last requests, and stable's answers to what it failed of them.
    struct Recent: Sendable, Hashable, Codable {
        var requests: UInt32 = 0
        var events: UInt32 = 0
        var rescued: UInt32 = 0
        var unrescued: UInt32 = 0
        /// Nil: none, and in states of earlier releases.
        var unreached: UInt32?

        mutating func add(_ requests: Int, _ events: Int, _ pair: PairTick) {
            add(requests, events, pair.rescued, pair.unrescued)
            if pair.unreached > 0 { unreached = UInt32(clamping: Int(unreached ?? 0) + pair.unreached) }
        }

        mutating func add(_ requests: Int, _ events: Int) { add(requests, events, 0, 0) }

        static func += (a: inout Recent, b: Recent) {
            a.add(Int(b.requests), Int(b.events), Int(b.rescued), Int(b.unrescued))
            if let more = b.unreached { a.unreached = UInt32(clamping: Int(a.unreached ?? 0) + Int(more)) }
        }

        private mutating func add(_ requests: Int, _ events: Int, _ rescued: Int, _ unrescued: Int) {
            func add(_ count: inout UInt32, _ more: Int) { count = UInt32(clamping: Int(count) + more) }
            add(&self.requests, requests)
            add(&self.events, events)
            add(&self.rescued, rescued)
            add(&self.unrescued, unrescued)
        }

        mutating func fade() {
            (requests, events) = (requests / 2, events / 2)
            (rescued, unrescued) = (rescued / 2, unrescued / 2)
            unreached = unreached.map { $0 / 2 }
        }
    }
}

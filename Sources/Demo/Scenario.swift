// What goes wrong with the candidate in a demo, and what Weir should make of it. A scenario is a fault that
// is switched on once, a few seconds into the demo.
// Invariant: stable is as well at the end as at the start in every scenario; a bad candidate must be cut, a
// healthy one must not.

import Platform

/// A way for a candidate to go bad, or not to.
package enum Scenario: String, Sendable, Hashable, CaseIterable {
    /// A share of its answers are errors.
    case errors
    /// Both versions fail now and then, and the candidate a little more often.
    case trickle
    /// It answers correctly and late.
    case slow
    /// Its slowest answers get slower, and its median stays.
    case tail
    /// A share of its requests are never answered, while its health check stays green.
    case hang
    /// Errors in bursts, with good spells in between.
    case flaky
    /// Its answers are whole and in time, and users click on fewer of them.
    case clicks
    /// Its scores move.
    case drift
    /// Nothing goes wrong; nothing may be cut.
    case healthy
    /// Nothing goes wrong, and the candidate walks through the stages of a rollout to all traffic.
    case walk

    /// What it is about, for a list of them.
    package var abstract: String {
        switch self {
        case .errors: "30 % of its answers are errors"
        case .trickle: "3 % of its answers are errors, 1 % of stable's"
        case .slow: "it answers 200 ms later"
        case .tail: "its p99 is 1.3 times stable's, its median the same"
        case .hang: "20 % of its requests are never answered"
        case .flaky: "half of its answers are errors, in bursts"
        case .clicks: "users click on 18 % of its answers, on 30 % of stable's"
        case .drift: "its scores rise by a fifth of their range"
        case .healthy: "nothing goes wrong, and nothing may be cut"
        case .walk: "nothing goes wrong: it walks 1, 5, 25, 100 % by its gates"
        }
    }

    /// What is injected when the candidate goes bad.
    var fault: Fault {
        switch self {
        case .errors: Fault(errorPPM: 300_000)
        case .trickle: Fault(errorPPM: 30_000)
        case .slow: Fault(addedDelay: .millis(200))
        case .tail: Fault(heavyDelay: .millis(328))
        case .hang: Fault(hangPPM: 200_000)
        case .flaky:
            Fault(errorPPM: 500_000, burst: Fault.Burst(period: .millis(2_000), length: .millis(400)))
        case .clicks: Fault(isDull: true)
        case .drift: Fault(scorePPM: 200_000)
        case .healthy, .walk: .none
        }
    }

    /// What is wrong with both versions all the time.
    var usual: Fault { self == .trickle ? Fault(errorPPM: 10_000) : .none }

    /// What a model that is well takes: p50 74 ms, p99 152 ms. For the tail every twentieth request is
    /// heavy, and p99 is 1.09 s. Much shorter times would measure the pauses of a busy machine instead.
    var serviceTime: ServiceTime {
        let isHeavy = self == .tail
        return ServiceTime(
            fixed: .millis(60), meanOfRest: .millis(20), heavyPPM: isHeavy ? 50_000 : 0,
            heavyExtra: isHeavy ? .seconds(1) : .zero)
    }

    /// How many values the first score of an answer takes.
    var scoreLevels: Int { self == .drift ? 256 : 1 }

    /// How often users click on a version's answers, parts per million, before and after it goes bad; nil
    /// when nobody asks.
    var clicks: (wellPPM: UInt64, badPPM: UInt64)? { self == .clicks ? (300_000, 180_000) : nil }

    /// Whether Weir should cut.
    var isBad: Bool { self != .healthy && self != .walk }

    /// Whether Weir should promote.
    var isPromoted: Bool { self == .walk }

    /// How the name of the guardrail begins that should cut; nil: any of them.
    var rule: String? {
        switch self {
        case .errors, .slow, .hang, .flaky, .healthy, .walk: nil
        case .trickle: "error_rate"
        case .tail: "latency_p99"
        case .clicks: "feedback_clicks"
        case .drift: "drift_score"
        }
    }

    /// What happens to the candidate, in words.
    var sentence: String {
        switch self {
        case .errors: "30 % of the candidate's answers are errors from now on"
        case .trickle: "3 % of the candidate's answers are errors from now on, 1 % of stable's as before"
        case .slow: "the candidate takes 200 ms longer from now on"
        case .tail: "the candidate's p99 is 1.3 times what it was from now on, its median stays"
        case .hang: "20 % of the candidate's requests are never answered from now on"
        case .flaky: "half of the candidate's answers are errors in 0.4 s of every 2 s from now on"
        case .clicks:
            "users click on 18 % of the candidate's answers from now on, on 30 % of stable's as before"
        case .drift: "the candidate's scores are higher by a fifth of their range from now on"
        case .healthy: "the candidate stays well"
        case .walk: "the candidate stays well, and gets more users with every stage"
        }
    }
}

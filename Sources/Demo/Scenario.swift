// What goes wrong with the candidate in a demo, and what Weir should make of it. A scenario is a fault that
// is switched on once, a few seconds into the demo.
// Invariant: stable is well in every scenario; a bad candidate must be cut, a healthy one must not.

import Platform

/// A way for a candidate to go bad, or not to.
public enum Scenario: String, Sendable, Hashable, CaseIterable {
    /// A share of its answers are errors.
    case errors
    /// It answers correctly and late.
    case slow
    /// A share of its requests are never answered, while its health check stays green.
    case hang
    /// Errors in bursts, with good spells in between.
    case flaky
    /// Nothing goes wrong; nothing may be cut.
    case healthy
    /// Nothing goes wrong, and the candidate walks through the stages of a rollout to all traffic.
    case walk

    /// What is injected when the candidate goes bad.
    var fault: Fault {
        switch self {
        case .errors: Fault(errorPPM: 300_000)
        case .slow: Fault(addedDelay: .millis(40))
        case .hang: Fault(hangPPM: 200_000)
        case .flaky:
            Fault(errorPPM: 500_000, burst: Fault.Burst(period: .millis(2_000), length: .millis(400)))
        case .healthy, .walk: .none
        }
    }

    /// Whether Weir should cut.
    var isBad: Bool { self != .healthy && self != .walk }

    /// Whether Weir should promote.
    var isPromoted: Bool { self == .walk }

    /// What happens to the candidate, in words.
    var sentence: String {
        switch self {
        case .errors: "30 % of the candidate's answers are errors from now on"
        case .slow: "the candidate takes 40 ms longer from now on"
        case .hang: "20 % of the candidate's requests are never answered from now on"
        case .flaky: "half of the candidate's answers are errors in 0.4 s of every 2 s from now on"
        case .healthy: "the candidate stays well"
        case .walk: "the candidate stays well, and gets more users with every stage"
        }
    }
}

// Ticks that compare nothing, because too much of an arm was not sent to its version. What is not sent is
// excluded request by request, so it blames nobody; but what is left of such a tick is no longer what the
// coin drew: the requests that came before a version lost its last endpoint, or found a place while most did
// not. So the whole tick is left out, in both arms, for evidence, gates and the size of the effect alike.
//
//   not sent for want of      voids a tick for    because
//   a usable endpoint         guardrails, gates   stable has to ask endpoints that fail their checks and a
//                                                 candidate need not: only one arm's failures would show
//   a place (overloaded)      gates               what found a place met a version at its limit, in either
//                                                 arm; that says enough to cut, and nothing in its favour. If
//                                                 it voided guardrails, a version that hangs would hide
//                                                 behind its own limit
//
// Valid: whether a request is sent is decided by what Weir knows when it is assigned, before anything is
// known of what it would come to, and a tick is left out in both arms or in none. Rules against a constant
// compare nothing and keep their ticks. That a version cannot be reached at all is the health rule's matter.
// Source: guardrails/statistics.md, section 2.

import Metrics

extension PairTick {
    /// Whether too much of either arm was not sent for the tick to compare them. Asked of the tick as
    /// `compared` gives it.
    func isVoid(for side: BetSide) -> Bool {
        candidate.randomised.isVoid(for: side) || stable.randomised.isVoid(for: side)
    }
}

extension ArmCounts {
    /// One request in so many that was not sent is within what chance leaves out; more, and at least one,
    /// voids a tick.
    private static let sentPerUnsent: UInt64 = 20

    fileprivate func isVoid(for side: BetSide) -> Bool {
        let lost =
            switch side {
            case .worse: unsent - min(overloaded, unsent)
            case .notWorse: unsent
            }
        return lost > 0 && UInt64(lost) * ArmCounts.sentPerUnsent > UInt64(started)
    }
}

// The section `drain`: how a process that is told to end takes leave of its clients.
// Place: one line in the document's reader; used by `RunCommand`.
// Invariant: the delay is shorter than the deadline.

import Platform

/// Both times count from the signal.
package struct DrainConfig: Sendable, Hashable, CustomStringConvertible {
    /// How long new connections are still taken while readiness says 503, so that load balancers look first.
    package var delay = Interval.zero
    /// When what is still open is cut.
    package var deadline = Interval.seconds(25)

    package init(delay: Interval = .zero, deadline: Interval = .seconds(25)) {
        self.delay = delay
        self.deadline = deadline
    }

    package var description: String { "delay \(Notation.text(delay)), deadline \(Notation.text(deadline))" }
}

extension Kind where Value == DrainConfig {
    static var drain: Kind {
        .section("a mapping with delay or deadline") { section in
            var drain = DrainConfig()
            drain.delay = section.value("delay", .duration(.zero...(.days(1))), or: drain.delay)
            drain.deadline = section.value("deadline", .duration(.zero...(.days(1))), or: drain.deadline)
            if drain.delay > .zero, drain.delay >= drain.deadline {
                section.reading.report(
                    section.place, "delay \(Notation.text(drain.delay)) leaves no time before the deadline:",
                    value: Notation.text(drain.deadline),
                    expected: "a deadline longer than the delay; both count from the signal")
            }
            return drain
        }
    }
}

// How an embedded model server misbehaves, and how long its model takes when it is well. Values that are
// switched while the server runs.
// Invariant: shares are parts per million of inference requests; health checks never see a fault, because
// the failures worth a guardrail are those that a health check does not notice.

import Platform

/// What is wrong with a model.
package struct Fault: Sendable, Hashable {
    /// Requests that get a 500.
    package var errorPPM: UInt32
    /// Requests that are never answered.
    package var hangPPM: UInt32
    /// Added to every request's service time.
    package var addedDelay: Interval
    /// Added to a heavy request's service time only: the tail grows and the median stays.
    package var heavyDelay: Interval
    /// What every score is raised by, parts per million of the range of scores.
    package var scorePPM: UInt32
    /// The answers are in time and well-formed, and people like them less. No byte shows it; the server only
    /// counts the requests.
    package var isDull: Bool
    /// Errors come only in the first `burst.length` of every `burst.period`; nil: at any time.
    package var burst: Burst?

    /// Bad spells that come and go.
    package struct Burst: Sendable, Hashable {
        package var period: Interval
        package var length: Interval
        package init(period: Interval, length: Interval) {
            precondition(period.nanos > 0, "a period")
            self.period = period
            self.length = length
        }
    }

    package init(
        errorPPM: UInt32 = 0, hangPPM: UInt32 = 0, addedDelay: Interval = .zero, heavyDelay: Interval = .zero,
        scorePPM: UInt32 = 0, isDull: Bool = false, burst: Burst? = nil
    ) {
        self.errorPPM = errorPPM
        self.hangPPM = hangPPM
        self.addedDelay = addedDelay
        self.heavyDelay = heavyDelay
        self.scorePPM = scorePPM
        self.isDull = isDull
        self.burst = burst
    }

    /// A model that is well.
    package static let none = Fault()

    /// Whether users of the model get errors from it.
    var isHarmful: Bool { errorPPM > 0 || hangPPM > 0 }

    /// Whether errors and hangs are due at a moment.
    func isActive(at now: Instant) -> Bool {
        guard let burst else { return true }
        return now.nanos % burst.period.nanos < burst.length.nanos
    }
}

/// How long a healthy model takes: a fixed part and an exponentially distributed one, and for a share of
/// heavy requests (long inputs, cold caches) a part more, which makes the tail.
package struct ServiceTime: Sendable, Hashable {
    package var fixed: Interval
    package var meanOfRest: Interval
    package var heavyPPM: UInt32
    package var heavyExtra: Interval

    package init(
        fixed: Interval, meanOfRest: Interval, heavyPPM: UInt32 = 0, heavyExtra: Interval = .zero
    ) {
        self.fixed = fixed
        self.meanOfRest = meanOfRest
        self.heavyPPM = heavyPPM
        self.heavyExtra = heavyExtra
    }

    /// Answers at once: the origin of a benchmark.
    package static let immediate = ServiceTime(fixed: .zero, meanOfRest: .zero)
}

// How long an endpoint is left alone after failing real requests: twice as long as the last time, and one
// doubling less for every `time` that it has been back in service since. A server that was restarted twice
// last week is not punished for it today.
// Place: called by `Core.judge` on the failure that ejects; nothing happens on the way of good requests.
// Source: the ejection multiplier of Envoy's outlier detection, which falls by one per healthy interval.

import Platform

extension EndpointState {
    /// Ejects the endpoint at `now`, for `time` doubled by the ejections that are not forgiven yet, at most
    /// `timeMax`.
    ///
    /// - Parameter passes: how many checks it has passed; the next one ends the ejection.
    mutating func eject(_ plan: EjectionPlan, at now: Instant, passes: UInt32 = 0) {
        if now > ejectedUntil, ejections > 0 {
            let served = (now - ejectedUntil).nanos / max(1, plan.time.nanos)
            ejections -= Int32(min(UInt64(ejections), served))
        }
        let wanted = plan.time.nanos.multipliedReportingOverflow(by: 1 << UInt64(min(ejections, 16)))
        let nanos = wanted.overflow ? plan.timeMax.nanos : min(wanted.partialValue, plan.timeMax.nanos)
        ejectedUntil = now + Interval(nanos: nanos)
        ejectedAt = now
        passesAtEjection = passes
        returnedAt = ejectedUntil
        ejections = min(ejections + 1, 16)
        failuresInRow = 0
        isSick = true
    }

    /// Ends the ejection before its time, because the endpoint has shown that it serves.
    mutating func readmit(at now: Instant) {
        ejectedUntil = now
        returnedAt = now
        failuresInRow = 0
    }

    /// Forgets what real requests said of it.
    mutating func forgive() {
        ejections = 0
        failuresInRow = 0
        hasFailedLast = false
        isSick = false
        ejectedUntil = Instant(nanos: 0)
    }
}

// One moment of a demo, as the views show it: plain values, so that a view is a function from a sample to
// text and can be tested without a terminal.
// Place: made by DemoRun from what Weir and the load say; drawn by LiveView and LineLog.

import Platform

/// What there is to see at one moment.
struct Sample: Sendable {
    /// Since the load began.
    var elapsed: Interval
    var versions: [VersionLine]
    var guardrails: [GuardrailLine]
    /// Requests that users made so far, and how many failed for them.
    var requests: UInt64
    var userErrors: UInt64
    /// How many would have failed had stable answered everything; 0 where stable never fails.
    var errorsOfStableAlone: UInt64 = 0

    /// A version's figures over the last seconds.
    struct VersionLine: Sendable, Hashable {
        var name: String
        var role: String
        var weightPPM: UInt32
        var perSecond: Double
        var p50Micros: UInt64?
        var p99Micros: UInt64?
        /// Share of its requests that failed, 0…1; nil without requests.
        var errorShare: Double?
    }

    /// A guardrail and how far it is from a trip.
    struct GuardrailLine: Sendable, Hashable {
        var name: String
        /// 0…1; 1 is a trip.
        var progress: Double
        /// `pass`, `fail` or `not enough data`.
        var verdict: String
        var reason: String
    }
}

/// Something worth a line of its own.
struct DemoEvent: Sendable, Hashable {
    /// Since the load began.
    var at: Interval
    var text: String
}

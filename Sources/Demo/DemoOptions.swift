// What a person can say to `weir demo`. The command line is parsed by the executable; this is its meaning,
// with the bounds that the parser checks before it makes one.
// Invariant: every option has a value that makes a good demo, so that none is needed.

import Platform

/// The options of `weir demo`.
package struct DemoOptions: Sendable, Hashable {
    /// What goes wrong.
    package var scenario: Scenario
    /// How long it runs at most; a demo that has shown its cut ends a little after it.
    package var duration: Interval
    /// Requests per second.
    package var rate: Double
    package var output: Output

    /// How a demo reports.
    package enum Output: String, Sendable, Hashable, CaseIterable {
        /// A live view on a terminal, lines elsewhere, and a summary in words.
        case text
        /// One JSON object on standard output at the end and nothing else.
        case json
    }

    /// The shortest demo: a candidate needs some good seconds before it goes bad, and some to be caught.
    package static let durationMin = Interval.seconds(10)
    /// The bounds of `rate`: fewer requests are too little evidence for a demo's length, more are too many
    /// for one load thread beside the rest.
    package static let rates = 200.0...20_000.0

    /// - Precondition: `duration` is at least `durationMin` and `rate` lies in `rates`.
    package init(
        scenario: Scenario = .errors, duration: Interval = .seconds(30), rate: Double = 1_000,
        output: Output = .text
    ) {
        precondition(duration >= Self.durationMin && duration < .seconds(86_400), "10 s to a day")
        precondition(Self.rates.contains(rate), "200 to 20,000 requests per second")
        self.scenario = scenario
        self.duration = duration
        self.rate = rate
        self.output = output
    }
}

// The demo where no terminal is: a line a second, and a line for every event, in the order in which they
// happened. Plain text, so that a log file of it can be read and searched.
// Invariant: every line begins with the seconds since the load began.

import Platform

/// Turns samples and events into lines.
struct LineLog {
    private var toldEvents = 0
    private var nextSample = Interval.zero

    /// The lines that are due: events not yet told, and a sample once a second.
    mutating func lines(_ sample: Sample, _ events: [DemoEvent]) -> [String] {
        var lines = events[toldEvents...].map { Self.stamp($0.at) + "  " + $0.text }
        toldEvents = events.count
        if sample.elapsed >= nextSample {
            nextSample = Interval.seconds(sample.elapsed.nanos / 1_000_000_000 + 1)
            lines.append(Self.line(sample))
        }
        return lines
    }

    static func line(_ sample: Sample) -> String {
        let versions = sample.versions.map { version in
            "\(version.name) \(Figures.percent(Double(version.weightPPM) / 1e6)), "
                + "\(Figures.fixed(version.perSecond, decimals: 0))/s, "
                + "p50 \(version.p50Micros.map(Figures.micros) ?? "-"), "
                + "p99 \(version.p99Micros.map(Figures.micros) ?? "-"), "
                + "errors \(version.errorShare.map(Figures.percent) ?? "-")"
        }
        let nearest = sample.guardrails.max { $0.progress < $1.progress }
        let guardrail = nearest.map {
            " | nearest to a trip: \($0.name) \(Figures.fixed($0.progress * 100, decimals: 0)) %"
        }
        return stamp(sample.elapsed) + "  " + versions.joined(separator: " | ") + (guardrail ?? "")
            + " | user errors \(sample.userErrors)"
    }

    private static func stamp(_ at: Interval) -> String { Figures.right(Figures.seconds(at), 8) }
}

// Which requests a client felt as slow, for reports of cuts for latency. A time and the share of stable's
// requests that take longer anyway; what a cut version had beyond that share was slow because of it.
//
// Theory: a version that turns four times slower in its last third is within the half that a median grants,
// so what the rule grants says nothing of clients. What stable has beyond the same time does. Two times are
// looked at, the rule's own and stable's p99; the one that finds more requests is shown with its figures.
// Invariant: fixed when the cut is decided, so that what the cut does to stable changes no count.

import Metrics
import Payload

/// A time that a client feels, and how often stable takes longer.
package struct SlowLimit: Sendable, Equatable, Codable {
    package var nanos: UInt64
    /// Of stable's requests.
    package var share: Double
    /// Whether it is stable's own p99; else it is the rule's.
    package var isTail: Bool

    /// Below so many requests stable has no tail to compare with.
    static let stableRequestsMin: UInt64 = 100

    /// - Parameters:
    ///   - thresholdNanos: what the rule held the version to.
    ///   - quantile: of the rule; grants its share where stable is not known.
    ///   - stable: its times up to the cut.
    static func limits(
        thresholdNanos: UInt64, quantile: Double, stable: HistogramSnapshot
    ) -> [SlowLimit] {
        guard stable.count >= stableRequestsMin, let tail = stable.quantileNanos(0.99) else {
            return [SlowLimit(nanos: thresholdNanos, share: 1 - quantile, isTail: false)]
        }
        return [(thresholdNanos, false), (tail, true)].map { nanos, isTail in
            SlowLimit(nanos: nanos, share: beyond(nanos, stable) / Double(stable.count), isTail: isTail)
        }
    }

    /// How many of a version's requests took longer, beyond stable's share.
    func felt(_ times: HistogramSnapshot) -> Double {
        max(0, Self.beyond(nanos, times) - share * Double(times.count))
    }

    private static func beyond(_ nanos: UInt64, _ times: HistogramSnapshot) -> Double {
        Double(times.count - times.countAtMost(nanos: nanos))
    }

    /// As in `slower than stable's p99, 51.6 ms, beyond stable's own 1 %`.
    var sentence: String {
        let micros = (Double(nanos) / 100_000).rounded() / 10
        let percent = (share * 1_000).rounded() / 10
        return "slower than \(isTail ? "stable's p99" : "the rule's limit"), \(JSON.number(micros).text) ms, "
            + "beyond stable's own \(JSON.number(percent).text) %"
    }
}

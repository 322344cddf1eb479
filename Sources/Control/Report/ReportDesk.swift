// Where reports and the ledger are kept while Weir runs, with the cuts that are being timed and the counts
// from before candidates came under trial.
// How a cut is timed: control takes the instant of the verdict, flips the switch, and then reads how many
// requests the cut versions were assigned in all, again and again, until every core obeys a plan without
// them. The first reading after which the number never grew again comes after the last assignment, so the
// time up to it is an upper bound, and nothing is added to the way of a request.
// Invariant: everything is bounded: one open report per model, `completeMax` complete ones per model.

import Metrics
import Platform
import Rollout

/// Reports and ledgers.
struct ReportDesk {
    /// What a restart must know of it.
    struct Saved: Sendable, Equatable, Codable {
        var open: [String: RollbackReport] = [:]
        var complete: [String: [RollbackReport]] = [:]
        var tallies: [String: Tally] = [:]
    }

    /// A cut whose last assignment is being looked for.
    struct Timing {
        var model: String
        /// By version, then by core.
        var meters: [[VersionMeter]]
        var verdict: Instant
        var started: UInt64
        /// When that number was read first.
        var since: Instant

        init(model: String, meters: [[VersionMeter]], verdict: Instant, now: () -> Instant) {
            (self.model, self.meters, self.verdict) = (model, meters, verdict)
            started = Self.started(meters)
            // Read after the number: whatever it holds happened before.
            since = now()
        }

        mutating func look(_ now: () -> Instant) {
            let count = Self.started(meters)
            guard count != started else { return }
            (started, since) = (count, now())
        }

        static func started(_ meters: [[VersionMeter]]) -> UInt64 {
            meters.reduce(0) { $1.reduce($0) { $0 &+ $1.started } }
        }
    }

    /// A candidate's counts when it came under trial.
    struct Exposure {
        var since: UInt64
        /// The tick of that moment.
        var tick: Tick
        var counts: VersionCounts
        var times: HistogramSnapshot
        /// Whether it was under trial before this process, whose evidence is not kept.
        var isOlder = false
        /// Of a version that was cut because its clients left without an answer.
        var left: Left?
    }

    /// Who left a version without an answer, as of its cut.
    struct Left {
        /// Since it began.
        var before: UInt64
        /// All cancels ever: those that come later were under way.
        var cancels: UInt64
    }

    var saved = Saved()
    var timings: [Timing] = []
    /// Until when an answered report waits for the end of its versions' requests, by model. A restart has
    /// nothing to wait for.
    var closing: [String: Instant] = [:]
    /// By model, then by version.
    var exposures: [String: [String: Exposure]] = [:]
    /// The same of candidates that nothing exposes: as of when that was seen, until a caller asks for one.
    var unexposed: [String: [String: Exposure]] = [:]
    /// Times of cuts, since the start.
    var cutTimes = HistogramSnapshot()

    /// Complete reports that are kept per model.
    static let completeMax = 4

    /// Every report there is, oldest first, the open ones last.
    var reports: [RollbackReport] {
        let complete = saved.complete.values.flatMap { $0 }
        return (complete + saved.open.values).sorted { $0.cut.wallMicros < $1.cut.wallMicros }
    }

    /// Closes a model's open report.
    mutating func complete(_ model: String, at wallMicros: UInt64, _ recovery: RecoveryReading?)
        -> RollbackReport?
    {
        guard var report = saved.open.removeValue(forKey: model) else { return nil }
        report.recovery = recovery
        report.completedAt = wallMicros
        saved.complete[model, default: []].append(report)
        if let count = saved.complete[model]?.count, count > Self.completeMax {
            saved.complete[model]?.removeFirst(count - Self.completeMax)
        }
        saved.tallies[model, default: Tally()].note(report)
        return report
    }
}

// The feedback log's start: what earlier processes logged is read before anything is served, and from then on
// accepted feedback is written beside the control loop.
// Invariant: a log that cannot be read or written stops no start; feedback is then kept in memory only, and
// every answer to POST /feedback says so.

import Control
import Metrics
import Platform

extension Sidecar {
    /// Reads the log and starts its thread.
    /// - Returns: what was logged, oldest first.
    func startFeedback() throws(SystemFailure) -> [FeedbackRecord] {
        let wallMicros = Clock.wallMicros()
        var files = FeedbackFiles(directory: directory.path + "/feedback")
        var records: [FeedbackRecord] = []
        do throws(SystemFailure) {
            try files.adopt(from: directory.path + "/outcomes")
            let torn = try files.load(keepUntil: wallMicros + longestFeedbackMicros) { records.append($0) }
            if torn > 0 {
                log.warning("the feedback log had \(torn) torn bytes at the ends of its files, left out")
            }
        } catch {
            log.error("the feedback log cannot be read: \(error); feedback starts anew")
        }
        let anchor = ClockAnchor(
            tick: Tick(monotonicNanos: Clock.now().nanos).number, wallMicros: wallMicros)
        try feedback.start(files, anchor: anchor)
        return records
    }

    /// How long anything in the log can matter.
    private var longestFeedbackMicros: UInt64 {
        var millis = config.feedback.window.millis
        for name in config.models.flatMap(\.valueNames) {
            if case .feedback(_, let window) = ValueName(name) { millis = max(millis, window) }
        }
        return (millis + config.feedback.grace.millis) * 1_000 + AcceptedFeedback.marginMicros
    }
}

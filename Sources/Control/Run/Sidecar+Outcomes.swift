// The outcome log's start: what earlier processes logged is read before anything is served, and from then on
// accepted outcomes are written beside the control loop.
// Invariant: a log that cannot be read or written stops no start; outcomes are then kept in memory only, and
// every answer to POST /outcomes says so.

import Metrics
import Platform

extension Sidecar {
    /// Reads the log and starts its thread.
    /// - Returns: what was logged, oldest first.
    func startOutcomes() throws(SystemFailure) -> [OutcomeRecord] {
        let wallMicros = Clock.wallMicros()
        var files = OutcomeFiles(directory: directory.path + "/outcomes")
        var records: [OutcomeRecord] = []
        do throws(SystemFailure) {
            let torn = try files.load(keepUntil: wallMicros + longestOutcomeMicros) { records.append($0) }
            if torn > 0 {
                log.warning("the outcome log had \(torn) torn bytes at the ends of its files, left out")
            }
        } catch {
            log.error("the outcome log cannot be read: \(error); outcomes start anew")
        }
        let anchor = ClockAnchor(
            tick: Tick(monotonicNanos: Clock.now().nanos).number, wallMicros: wallMicros)
        try outcomes.start(files, anchor: anchor)
        return records
    }

    /// How long anything in the log can matter.
    private var longestOutcomeMicros: UInt64 {
        var millis = config.outcomes.window.millis
        for signal in config.models.flatMap(\.signals) {
            if case .outcome(_, let window) = Signal(signal) { millis = max(millis, window) }
        }
        return (millis + config.outcomes.grace.millis) * 1_000 + AcceptedOutcomes.marginMicros
    }
}

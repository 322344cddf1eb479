// Since when rules against stable sleep, by the wall clock: Rollout knows ticks only.
// Place: after every step of a model's watches.
// Invariant: the pages show the readings as they are.

import Metrics
import Rollout

extension WatchedModel {
    /// Puts the time into the reasons of rules that sleep.
    mutating func tellSleep(_ all: inout [VersionReadings]) {
        for i in all.indices {
            guard let version = config.index(of: all[i].version) else { continue }
            for j in all[i].readings.indices {
                guard let tick = all[i].readings[j].asleepSince else { continue }
                all[i].readings[j].reason = "asleep: no stable traffic since \(clock.text(of: tick))"
            }
            readings[version] = all[i].readings
        }
    }
}

extension ClockAnchor {
    /// A tick of this clock as a time of the day.
    fileprivate func text(of tick: Tick) -> String {
        let (later, isLater) = tick.number.subtractingReportingOverflow(self.tick)
        let micros =
            isLater
            ? wallMicros - min(wallMicros, (self.tick - tick.number) * Tick.micros)
            : wallMicros + later * Tick.micros
        return Timestamp.text(wallMicros: micros)
    }
}

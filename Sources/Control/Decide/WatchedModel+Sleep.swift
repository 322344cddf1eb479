// Since when rules against stable have had no traffic of stable, by the wall clock, and whom those compare
// with that go on: Rollout knows ticks and roles only.
// Place: after every step of a model's watches.
// Invariant: the pages show the readings as they are.

import Metrics
import Payload
import Rollout

extension WatchedModel {
    /// Puts names and times into the reasons of rules without stable's traffic.
    mutating func tellSleep(_ all: inout [VersionReadings]) {
        for i in all.indices {
            guard let version = config.index(of: all[i].version) else { continue }
            for j in all[i].readings.indices {
                let reading = all[i].readings[j]
                if let tick = reading.asleepSince {
                    let from = reading.isAsleepLonger ? "since before the watch began at" : "since"
                    all[i].readings[j].reason =
                        "asleep: no stable traffic \(from) \(clock.text(of: tick))"
                        + known(reading.asleepKnown)
                } else if reading.isPinned {
                    let time = reading.pinnedUntil.map { "until \(clock.text(of: $0))" }
                    let until = time ?? "before a restart"
                    all[i].readings[j].reason =
                        "pinned: compared with \(name(stable)) as it was \(until): \(reading.reason)"
                }
            }
            readings[version] = all[i].readings
        }
    }

    /// Why a rule that could compare with stable as it was does not.
    private func known(_ requests: Int?) -> String {
        guard let requests else { return "" }
        guard requests > 0 else {
            return "; nothing to compare with: none of \(name(stable))'s requests counted since the rule, or"
                + " the last stage that both had, began"
        }
        return "; too few to compare with stable as it was: \(requests) of"
            + " \(name(stable))'s requests counted in a stage that both had"
    }

    /// The rules that know stable well enough to go on without its traffic, of the version with most weight.
    var rulesKnowingStable: Set<String> {
        let most = watches.max {
            decided.weights[name($0.key)] ?? 0 < decided.weights[name($1.key)] ?? 0
        }
        return most?.value.rulesKnowingStable ?? []
    }

    /// Whether stable has lost its traffic and is known: then what a candidate is held to stays as it is.
    func isStablePinned(_ now: Tick) -> Bool {
        guard !reference.stableThresholds.contains(0), now.number > 0 else { return false }
        guard let weights = history.split(at: Tick(number: now.number - 1))?.weights else { return false }
        // A control arm may have all that was left for stable.
        return weights[stable] == 0 && (control.map { weights[$0] == 0 } ?? true)
    }
}

extension WatchedModel {
    /// A tick as a time of the day.
    func text(of tick: Tick) -> String { clock.text(of: tick) }
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

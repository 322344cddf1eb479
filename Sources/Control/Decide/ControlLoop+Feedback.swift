// Feedback in the control loop: each item goes to the values of its model, and what was accepted goes to the
// log before the client is told. The loop waits for nothing: without room in the log nothing is accepted.
// Invariant: an item counts exactly if its record has been handed to the log.

import Config
import Metrics
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// Counts the feedback of one request, logs it and answers.
    package func accept(_ batch: FeedbackBatch, reply: @escaping @Sendable (AdminResponse) -> Void) {
        if let store = feedback.store, !store.hasRoom {
            return reply(FeedbackTally.busy("the disk is too slow"))
        }
        feedback.clock.record(monotonicNanos: now.nanos, wallMicros: wallMicros)
        var tally = FeedbackTally()
        var accepted = AcceptedFeedback(room: feedback.config.rememberedMax - rememberedFeedback)
        for (index, item) in batch.items.enumerated() {
            switch item {
            case .refused(let result, let reason):
                feedback.count(result)
                tally.add(result, index: index, reason: reason)
            case .feedback(let item):
                let (result, reason) = accept(item, &accepted)
                tally.add(result, index: index, reason: reason)
            }
        }
        let told = tally
        guard let store = feedback.store, !accepted.isEmpty else {
            return reply(told.response(isDurable: accepted.isEmpty))
        }
        store.enqueue(
            FeedbackEntry(
                bytes: accepted.bytes, expiresAt: wallMicros + accepted.longestMicros(feedback.config)
            ) {
                reply(told.response(isDurable: $0))
            })
    }

    /// Items that are remembered.
    private var rememberedFeedback: Int {
        models.reduce(0) { $0 + ($1.values.isUsed ? $1.values.remembered : 0) }
    }

    private func accept(
        _ item: PostedFeedback, _ accepted: inout AcceptedFeedback
    ) -> (FeedbackResult, String) {
        guard let place = feedback.place(of: item.id.version) else {
            feedback.count(.unknownVersion)
            return (.unknownVersion, "the id's version is not in the config")
        }
        let result = accept(item, at: place, &accepted)
        let isKnown = models[place.model].values.metrics[item.metric] != nil
        feedback.count(
            result.0, model: models[place.model].config.name, metric: isKnown ? item.metric : "")
        return result
    }

    private func accept(
        _ item: PostedFeedback, at place: FeedbackRegistry.Place, _ accepted: inout AcceptedFeedback
    ) -> (FeedbackResult, String) {
        let now = Tick(monotonicNanos: now.nanos)
        let happened = item.wallMicros ?? wallMicros
        guard let start = feedback.clock.tick(wallMillis: item.id.startMillis),
            start <= Int64(clamping: now.number) + 10, happened <= wallMicros + FeedbackRegistry.skewMicros
        else { return (.future, "it lies in the future of this machine's clock") }
        guard start >= 0 else { return (.late, "its exchange is older than this machine's uptime") }
        guard models[place.model].wantMetric(item.metric, feedback.config) else {
            return (.full, "the model has \(FeedbackRegistry.freeMetricsMax) metrics that no rule names")
        }
        let arrival = Arrival(
            version: place.version, start: min(UInt64(start), now.number),
            delayMillis: happened / 1_000 - min(happened / 1_000, item.id.startMillis),
            isRandomised: !item.id.isPinned, weightPPM: item.id.weightPPM,
            code: ValueCounts.code(of: item.value), hash: item.id.hash)
        guard accepted.room > 0 else {
            models[place.model].values.spoil(item.metric, arrival, now: now)
            return (
                .full,
                "\(feedback.config.rememberedMax) items are remembered, as many as remembered_max allows"
            )
        }
        switch models[place.model].values.count(item.metric, arrival, now: now) {
        case .duplicate: return (.duplicate, "")
        case .late: return (.late, "its attribution window is over")
        case .accepted: break
        }
        accepted.add(
            arrival, of: item.id.version, model: models[place.model].config.name, metric: item.metric,
            windowMillis: models[place.model].values.metrics[item.metric]?.windows.last?.windowMillis ?? 0)
        return (.accepted, "")
    }

    /// Writes slots that a model has finished counting.
    func logStarts(_ i: Int) {
        let slots = models[i].takeClosedSlots()
        guard let store = feedback.store, !slots.isEmpty, store.hasRoom else { return }
        var bytes: [UInt8] = []
        var ticks: UInt64 = 0
        for (slotTicks, slot) in slots {
            FeedbackRecord.starts(
                model: models[i].config.name, slotTicks: slotTicks, models[i].named(slot)
            ).write(to: &bytes)
            ticks = max(ticks, models[i].values.longestWindowTicks(slotTicks: slotTicks))
        }
        let kept = (ticks + feedback.graceTicks) * Tick.micros + AcceptedFeedback.marginMicros
        store.enqueue(FeedbackEntry(bytes: bytes, expiresAt: wallMicros + kept))
    }

    /// Counts what earlier processes have logged, in the order of the log.
    func replayFeedback(_ records: [FeedbackRecord]) {
        feedback.clock.record(monotonicNanos: now.nanos, wallMicros: wallMicros)
        let here = ClockAnchor(tick: Tick(monotonicNanos: now.nanos).number, wallMicros: wallMicros)
        var shift: Int64 = 0
        var room = feedback.config.rememberedMax
        for record in records {
            switch record {
            case .clock(let anchor): shift = anchor.shift(to: here)
            case .starts(let model, let slotTicks, let slot):
                guard let i = indexByName[model] else { continue }
                models[i].replay(slotTicks: slotTicks, slot, shift: shift)
            case .feedback(let model, let metric, _, let entries):
                guard let i = indexByName[model], models[i].wantMetric(metric, feedback.config) else {
                    continue
                }
                for entry in entries.prefix(room) {
                    guard let place = feedback.place(of: entry.version), place.model == i,
                        let start = Int64(clamping: entry.start).shifted(by: shift)
                    else { continue }
                    let arrival = Arrival(
                        version: place.version, start: start, delayMillis: UInt64(entry.delayMillis),
                        isRandomised: entry.isRandomised, weightPPM: entry.weightPPM, code: entry.code,
                        hash: UInt64(entry.hash))
                    // It was in time when it came.
                    let then = Tick(number: start + arrival.delayMillis / 100)
                    if models[i].values.count(metric, arrival, now: then) == .accepted { room -= 1 }
                }
            }
        }
    }
}

extension Int64 {
    /// A tick of another clock as one of ours; nil: before this machine ran.
    fileprivate func shifted(by shift: Int64) -> UInt64? { UInt64(exactly: self &+ shift) }
}

extension WatchedModel {
    /// Whether the metric is kept; one that no rule names begins to be, while there is room for it.
    mutating func wantMetric(_ metric: String, _ config: FeedbackConfig) -> Bool {
        if values.metrics[metric] != nil { return true }
        guard values.metrics.count < ruledMetrics + FeedbackRegistry.freeMetricsMax else { return false }
        values.want("feedback:\(metric)@\(config.window.millis)")
        return true
    }

    /// A slot under the names of its versions.
    func named(_ slot: StartSlot) -> FeedbackRecord.NamedSlot {
        FeedbackRecord.NamedSlot(
            first: slot.first, end: slot.end, isSpoiled: slot.weights == nil,
            versions: slot.started.indices.map { version in
                FeedbackRecord.NamedSlot.Version(
                    version: ExchangeID.versionHash(model: config.name, version: name(version)),
                    started: slot.started[version], weightPPM: slot.weights?[version] ?? 0)
            })
    }

    /// Puts a logged slot back. A version that is gone takes its share of the weight along.
    mutating func replay(slotTicks: UInt64, _ slot: FeedbackRecord.NamedSlot, shift: Int64) {
        guard let first = Int64(clamping: slot.first).shifted(by: shift),
            let end = Int64(clamping: slot.end).shifted(by: shift)
        else { return }
        var started = Array(repeating: UInt32(0), count: config.versions.count)
        var weights = started
        for version in config.versions.indices {
            let hash = ExchangeID.versionHash(model: config.name, version: name(version))
            guard let kept = slot.versions.first(where: { $0.version == hash }) else { continue }
            started[version] = kept.started
            weights[version] = kept.weightPPM
        }
        values.restore(
            slotTicks: slotTicks,
            StartSlot(first: first, end: end, started: started, weights: slot.isSpoiled ? nil : weights))
    }
}

/// What of one request is to be logged, by model and metric.
package struct AcceptedFeedback {
    private struct Key: Hashable {
        var model: String
        var metric: String
        var windowMillis: UInt64
    }

    /// Files are kept a while longer than they matter.
    package static let marginMicros: UInt64 = 600_000_000

    /// Items that may still be accepted.
    private(set) var room: Int
    private var entries: [Key: [FeedbackRecord.Entry]] = [:]

    init(room: Int) { self.room = room }

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(
        _ arrival: Arrival, of version: UInt32, model: String, metric: String, windowMillis: UInt64
    ) {
        room -= 1
        entries[Key(model: model, metric: metric, windowMillis: windowMillis), default: []].append(
            FeedbackRecord.Entry(
                version: version, start: arrival.start, delayMillis: UInt32(clamping: arrival.delayMillis),
                weightPPM: arrival.weightPPM, code: arrival.code,
                hash: UInt32(truncatingIfNeeded: arrival.hash), isRandomised: arrival.isRandomised))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for (key, entries) in entries {
            FeedbackRecord.feedback(
                model: key.model, metric: key.metric, windowMillis: key.windowMillis, entries
            ).write(to: &bytes)
        }
        return bytes
    }

    func longestMicros(_ config: FeedbackConfig) -> UInt64 {
        let window = entries.keys.map(\.windowMillis).max() ?? 0
        return window * 1_000 + config.grace.micros + Self.marginMicros
    }
}

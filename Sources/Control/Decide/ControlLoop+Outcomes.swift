// Posted outcomes in the control loop: each goes to the book of its model, and what was accepted goes to the
// log before the client is told. The loop waits for nothing: without room in the log nothing is taken.
// Invariant: an outcome counts in a book exactly if its record has been handed to the log.

import Metrics
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// Takes the outcomes of one request.
    func take(_ batch: OutcomeBatch, reply: @escaping @Sendable (AdminResponse) -> Void) {
        if let store = outcomes.store, !store.hasRoom {
            return reply(OutcomeTally.busy("the disk is too slow"))
        }
        outcomes.clock.note(monotonicNanos: now.nanos, wallMicros: wallMicros)
        var tally = OutcomeTally()
        var accepted = AcceptedOutcomes(room: outcomes.config.rememberedMax - rememberedOutcomes)
        for (index, item) in batch.items.enumerated() {
            switch item {
            case .refused(let result, let reason):
                outcomes.count(result)
                tally.add(result, index: index, reason: reason)
            case .outcome(let outcome):
                let (result, reason) = post(outcome, &accepted)
                tally.add(result, index: index, reason: reason)
            }
        }
        let told = tally
        guard let store = outcomes.store, !accepted.isEmpty else {
            return reply(told.response(isDurable: accepted.isEmpty))
        }
        store.post(
            OutcomeEntry(
                bytes: accepted.bytes, expiresAt: wallMicros + accepted.longestMicros(outcomes.config)
            ) {
                reply(told.response(isDurable: $0))
            })
    }

    /// Outcomes that the books remember.
    private var rememberedOutcomes: Int {
        models.reduce(0) { $0 + ($1.book.isUsed ? $1.book.remembered : 0) }
    }

    private func post(_ outcome: PostedOutcome, _ accepted: inout AcceptedOutcomes) -> (OutcomeResult, String)
    {
        guard let place = outcomes.place(of: outcome.id.version) else {
            outcomes.count(.unknownVersion)
            return (.unknownVersion, "the id's version is not in the config")
        }
        let result = post(outcome, at: place, &accepted)
        let isKnown = models[place.model].book.metrics[outcome.metric] != nil
        outcomes.count(
            result.0, model: models[place.model].config.name, metric: isKnown ? outcome.metric : "")
        return result
    }

    private func post(
        _ outcome: PostedOutcome, at place: OutcomeDesk.Place, _ accepted: inout AcceptedOutcomes
    ) -> (OutcomeResult, String) {
        let now = Tick(monotonicNanos: now.nanos)
        let happened = outcome.wallMicros ?? wallMicros
        guard let start = outcomes.clock.tick(wallMillis: outcome.id.startMillis),
            start <= Int64(clamping: now.number) + 10, happened <= wallMicros + OutcomeDesk.skewMicros
        else { return (.future, "it lies in the future of this machine's clock") }
        guard start >= 0 else { return (.late, "its exchange is older than this machine's uptime") }
        guard models[place.model].wantMetric(outcome.metric, outcomes.config) else {
            return (.full, "the model has \(OutcomeDesk.freeMetricsMax) metrics that no rule names")
        }
        let arrival = Arrival(
            version: place.version, start: min(UInt64(start), now.number),
            delayMillis: happened / 1_000 - min(happened / 1_000, outcome.id.startMillis),
            isRandomised: !outcome.id.isPinned, weightPPM: outcome.id.weightPPM,
            code: ValueCounts.code(of: outcome.value), hash: outcome.id.hash)
        guard accepted.room > 0 else {
            models[place.model].book.spoil(outcome.metric, arrival, now: now)
            return (.full, "\(outcomes.config.rememberedMax) outcomes are remembered, remembered_max")
        }
        switch models[place.model].book.post(outcome.metric, arrival, now: now) {
        case .duplicate: return (.duplicate, "")
        case .late: return (.late, "its attribution window is over")
        case .accepted: break
        }
        accepted.add(
            arrival, of: outcome.id.version, model: models[place.model].config.name, metric: outcome.metric,
            windowMillis: models[place.model].book.metrics[outcome.metric]?.lanes.last?.windowMillis ?? 0)
        return (.accepted, "")
    }

    /// Writes slots that a model has finished counting.
    func logStarts(_ i: Int) {
        let slots = models[i].takeClosedSlots()
        guard let store = outcomes.store, !slots.isEmpty, store.hasRoom else { return }
        var bytes: [UInt8] = []
        var ticks: UInt64 = 0
        for (slotTicks, slot) in slots {
            OutcomeRecord.starts(
                model: models[i].config.name, slotTicks: slotTicks, models[i].named(slot)
            ).write(to: &bytes)
            ticks = max(ticks, models[i].book.longestWindowTicks(slotTicks: slotTicks))
        }
        let kept = (ticks + outcomes.graceTicks) * Tick.micros + AcceptedOutcomes.marginMicros
        store.post(OutcomeEntry(bytes: bytes, expiresAt: wallMicros + kept))
    }

    /// Takes back what earlier processes have logged, in their order.
    func replayOutcomes() {
        outcomes.clock.note(monotonicNanos: now.nanos, wallMicros: wallMicros)
        let here = ClockAnchor(tick: Tick(monotonicNanos: now.nanos).number, wallMicros: wallMicros)
        var shift: Int64 = 0
        var room = outcomes.config.rememberedMax
        for record in outcomes.restored {
            switch record {
            case .clock(let anchor): shift = anchor.shift(to: here)
            case .starts(let model, let slotTicks, let slot):
                guard let i = indexByName[model] else { continue }
                models[i].replay(slotTicks: slotTicks, slot, shift: shift)
            case .outcomes(let model, let metric, _, let entries):
                guard let i = indexByName[model], models[i].wantMetric(metric, outcomes.config) else {
                    continue
                }
                for entry in entries.prefix(room) {
                    guard let place = outcomes.place(of: entry.version), place.model == i,
                        let start = Int64(clamping: entry.start).shifted(by: shift)
                    else { continue }
                    let arrival = Arrival(
                        version: place.version, start: start, delayMillis: UInt64(entry.delayMillis),
                        isRandomised: entry.isRandomised, weightPPM: entry.weightPPM, code: entry.code,
                        hash: UInt64(entry.hash))
                    // It was in time when it came.
                    let then = Tick(number: start + arrival.delayMillis / 100)
                    if models[i].book.post(metric, arrival, now: then) == .accepted { room -= 1 }
                }
            }
        }
        outcomes.restored = []
    }
}

extension Int64 {
    /// A tick of another clock as one of ours; nil: before this machine ran.
    fileprivate func shifted(by shift: Int64) -> UInt64? { UInt64(exactly: self &+ shift) }
}

extension WatchedModel {
    /// Whether the metric is kept; one that no rule names begins to be, while there is room for it.
    mutating func wantMetric(_ metric: String, _ config: OutcomesConfig) -> Bool {
        if book.metrics[metric] != nil { return true }
        guard book.metrics.count < ruledMetrics + OutcomeDesk.freeMetricsMax else { return false }
        book.want("outcome:\(metric)@\(config.window.millis)")
        return true
    }

    /// A slot under the names of its versions.
    func named(_ slot: StartSlot) -> OutcomeRecord.NamedSlot {
        OutcomeRecord.NamedSlot(
            first: slot.first, end: slot.end, isSpoiled: slot.weights == nil,
            versions: slot.started.indices.map { version in
                OutcomeRecord.NamedSlot.Version(
                    version: ExchangeID.versionHash(model: config.name, version: name(version)),
                    started: slot.started[version], weightPPM: slot.weights?[version] ?? 0)
            })
    }

    /// Puts a logged slot back. A version that is gone takes its share of the weight along.
    mutating func replay(slotTicks: UInt64, _ slot: OutcomeRecord.NamedSlot, shift: Int64) {
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
        book.restore(
            slotTicks: slotTicks,
            StartSlot(first: first, end: end, started: started, weights: slot.isSpoiled ? nil : weights))
    }
}

/// What of one request is to be logged, by model and metric.
struct AcceptedOutcomes {
    private struct Key: Hashable {
        var model: String
        var metric: String
        var windowMillis: UInt64
    }

    /// Files are kept a while longer than they matter.
    static let marginMicros: UInt64 = 600_000_000

    /// Outcomes that may still be accepted.
    private(set) var room: Int
    private var entries: [Key: [OutcomeRecord.Entry]] = [:]

    init(room: Int) { self.room = room }

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(
        _ arrival: Arrival, of version: UInt32, model: String, metric: String, windowMillis: UInt64
    ) {
        room -= 1
        entries[Key(model: model, metric: metric, windowMillis: windowMillis), default: []].append(
            OutcomeRecord.Entry(
                version: version, start: arrival.start, delayMillis: UInt32(clamping: arrival.delayMillis),
                weightPPM: arrival.weightPPM, code: arrival.code,
                hash: UInt32(truncatingIfNeeded: arrival.hash), isRandomised: arrival.isRandomised))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for (key, entries) in entries {
            OutcomeRecord.outcomes(
                model: key.model, metric: key.metric, windowMillis: key.windowMillis, entries
            ).write(to: &bytes)
        }
        return bytes
    }

    func longestMicros(_ config: OutcomesConfig) -> UInt64 {
        let window = entries.keys.map(\.windowMillis).max() ?? 0
        return window * 1_000 + config.grace.micros + Self.marginMicros
    }
}

// What stable made of the requests that candidates failed, by tick: the counters of the cores, read once a
// step. At a weight of 100 % these are nearly all that is known of stable at the moments at which the
// candidate is bad.
// Place: kept by `WatchedModel`, handed to guardrails with each `PairTick`.
// Invariant: holds the ticks that a guard may look back to, and only those in which there was something.

import Logging
import Metrics
import Payload
import Rollout

/// Stable's answers to shielded requests.
struct RescueRecord: Sendable {
    private struct Count {
        var rescued: UInt64 = 0
        var unrescued: UInt64 = 0
        var unreached: UInt64 = 0

        var isNothing: Bool { rescued == 0 && unrescued == 0 && unreached == 0 }
    }

    /// Retries in a row that did not reach stable, which answered nothing meanwhile.
    struct Lost: Sendable {
        var since: Tick
        var last: Tick
        var retries: UInt64
        /// Whose, by index.
        var version: Int
        /// What stable had answered of its own requests when they began.
        fileprivate var answers: UInt64
    }

    /// The totals of the last look, by version; nothing before the first.
    private var totals: [Count] = []
    /// By tick, then by version.
    private var ticks: [UInt64: [Count]] = [:]
    private var lost: Lost?

    /// Retries that say that stable is gone, and ticks between the first and the last of them: 2 s.
    private static let lostMin: UInt64 = 5
    private static let lostTicks: UInt64 = 20
    /// Ticks after which they say nothing of now: a minute.
    private static let lostKept: UInt64 = 600

    /// The retries that say that stable cannot be reached; nil where none do.
    func unreached(_ now: Tick) -> Lost? {
        guard let lost, lost.retries >= Self.lostMin, now.number - lost.last.number <= Self.lostKept,
            lost.last.number - lost.since.number >= Self.lostTicks
        else { return nil }
        return lost
    }

    /// Reads the counters: what came since the last look belongs to the tick that has just ended.
    mutating func observe(_ meters: [[VersionMeter]], stable: Int, at now: Tick) {
        let fresh = meters.map { cores in
            cores.reduce(into: Count()) { sum, core in
                let found = core.rescues
                sum.rescued &+= found.rescued
                sum.unrescued &+= found.unrescued
                sum.unreached &+= found.unreached
            }
        }
        defer { totals = fresh }
        if !ticks.isEmpty {
            let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets))
            ticks = ticks.filter { $0.key >= oldest }
        }
        guard totals.count == fresh.count, now.number > 0 else { return }
        let new = zip(fresh, totals).map {
            Count(
                rescued: $0.rescued &- $1.rescued, unrescued: $0.unrescued &- $1.unrescued,
                unreached: $0.unreached &- $1.unreached)
        }
        if new.contains(where: { !$0.isNothing }) { ticks[now.number - 1] = new }
        look(new, meters[stable], at: now)
    }

    private mutating func look(_ new: [Count], _ stable: [VersionMeter], at now: Tick) {
        let retries = new.reduce(0) { $0 &+ $1.unreached }
        guard lost != nil || retries > 0 else { return }
        let answers = stable.reduce(into: VersionCounts()) { $1.read(into: &$0) }.answers
        let hasAnswered = new.contains { $0.rescued > 0 || $0.unrescued > 0 }
        if hasAnswered || lost.map({ answers > $0.answers }) ?? false { lost = nil }
        guard retries > 0, !hasAnswered else { return }
        let version = new.indices.max { new[$0].unreached < new[$1].unreached } ?? 0
        var run = lost ?? Lost(since: now, last: now, retries: 0, version: version, answers: answers)
        if now.number - run.last.number > Self.lostKept { (run.since, run.retries) = (now, 0) }
        (run.last, run.version) = (now, version)
        run.retries &+= retries
        lost = run
    }

    func counts(_ version: Int, at tick: Tick) -> (rescued: Int, unrescued: Int, unreached: Int) {
        guard !ticks.isEmpty, let found = ticks[tick.number], version < found.count else { return (0, 0, 0) }
        let count = found[version]
        return (
            Int(clamping: count.rescued), Int(clamping: count.unrescued), Int(clamping: count.unreached)
        )
    }
}

extension VersionCounts {
    /// Requests that the version answered, whatever the answer was.
    fileprivate var answers: UInt64 {
        self[.success] &+ self[.clientError] &+ self[.upstreamError] &+ self[.grpcError]
    }
}

extension WatchedModel {
    /// That neither a candidate nor stable answers some requests, as a sentence; nil: stable is reached, or
    /// nobody asked.
    var unreachedSentence: String? {
        guard stableUse == .unreached, let lost = rescues.unreached(lastLooked) else { return nil }
        return "stable \(name(stable)) cannot be reached: none of \(lost.retries) requests that"
            + " \(name(lost.version)) failed and that were sent again to it since \(text(of: lost.since))"
            + " found anybody there, so neither answers them"
    }
}

extension ControlLoop {
    /// Ticks in which it is not said again: a minute, for a stable that comes and goes.
    private static let toldTicks: UInt64 = 600

    /// Says once that stable cannot be reached, and when it can be again.
    func tellReach(_ i: Int, before: StableUse) {
        let (model, use) = (models[i].config.name, models[i].stableUse)
        guard before != use else { return }
        if before == .unreached, use == .usable {
            log.notice(
                "stable \(models[i].config.stable) is reached again, or no longer asked",
                metadata: ["model": "\(model)"])
        }
        let isTold = models[i].toldUnreached.map { lastTick.number - $0.number < Self.toldTicks } ?? false
        guard !isTold, let sentence = models[i].unreachedSentence else { return }
        models[i].toldUnreached = lastTick
        log.critical("\(sentence)", metadata: ["model": "\(model)"])
        let told = addressed(
            JournalEvent(
                at: wallMicros, .alert, model: model,
                reason: "\(sentence); a cut would help nobody while that lasts",
                details: [.init("version", .string(models[i].lostVersion ?? ""))]), i, models[i].decided)
        note([told])
        _ = announce([told])
    }
}

// Whether a model's users are served at all, whoever answers them. Guardrails compare a candidate with stable
// and blame nobody where both fail; that users then get nothing but errors is said here.
// Place: stepped by control after a model's guardrails. It alerts and cuts nothing.
// Invariant: what a user got counts, not what an attempt came to: a failure that stable mended is none.
//
//   one second's requests                           the state
//   19 of 20 failed, or more                        a run begins or goes on; ten failures that last two
//                                                   seconds or more: not served
//   fewer                                           a run that was not told ends
//   most answered, three answers or more in a row   served again
//   none                                            stays: nothing is known

import Logging
import Metrics
import Payload
import Rollout

/// Whether users of a model are served.
package struct ServiceWatch: Sendable {
    /// Requests that ended, by the version that they were assigned to.
    package struct Count: Sendable, Equatable {
        /// Answered with 2xx, 3xx or 4xx, to the end.
        var well: UInt64 = 0
        /// Answered with 5xx, broken off, or left by their clients.
        package var failed: UInt64 = 0

        package var all: UInt64 { well &+ failed }

        fileprivate static func += (a: inout Count, b: Count) {
            a.well &+= b.well
            a.failed &+= b.failed
        }
    }

    /// Requests that failed nearly all.
    package struct Run: Sendable, Equatable {
        /// The tick in which it was first seen.
        var since: Tick
        var versions: [Count]

        package var all: Count { versions.reduce(into: Count()) { $0 += $1 } }
    }

    /// What is said once.
    enum Change: Sendable, Equatable {
        case unserved(Run)
        case served
    }

    private enum State: Sendable {
        case served
        case failing(Run)
        /// - Parameter answers: good ones since the last second that failed.
        case unserved(Run, answers: UInt64)
    }

    private var state = State.served
    /// The counts of the last look, by version, and when that was; nil before the first.
    private var last: (counts: [Count], at: Tick)?

    private static let ticksPerLook: UInt64 = 10
    private static let failuresMin: UInt64 = 10
    private static let ticksMin: UInt64 = 20
    private static let answersMin: UInt64 = 3

    /// The requests that nobody answered well; nil while users are served.
    var run: Run? { if case .unserved(let run, _) = state { run } else { nil } }

    /// Goes on under another config, whose versions are others.
    mutating func forgetCounts() {
        last = nil
        guard case .unserved(let run, _) = state else { return state = .served }
        state = .unserved(run, answers: 0)
    }

    /// Looks once a second.
    /// - Parameter meters: by version, then by core.
    mutating func observe(_ meters: [[VersionMeter]], at now: Tick) -> Change? {
        if let last, now.number < last.at.number + Self.ticksPerLook { return nil }
        let counts = meters.map(Count.init)
        defer { last = (counts, now) }
        guard let last, last.counts.count == counts.count else { return nil }
        return take(zip(counts, last.counts).map { $0.since($1) }, from: last.at, at: now)
    }

    private mutating func take(_ fresh: [Count], from: Tick, at now: Tick) -> Change? {
        let all = fresh.reduce(into: Count()) { $0 += $1 }
        guard all.all > 0 else { return nil }
        let hasFailed = all.well * 20 <= all.all
        switch state {
        case .served:
            if hasFailed { state = .failing(Run(since: from, versions: fresh)) }
        case .failing(let run):
            guard hasFailed else {
                state = .served
                return nil
            }
            let longer = run.adding(fresh)
            let isLong = now.number - longer.since.number >= Self.ticksMin
            guard isLong, longer.all.failed >= Self.failuresMin else {
                state = .failing(longer)
                return nil
            }
            state = .unserved(longer, answers: 0)
            return .unserved(longer)
        case .unserved(let run, let answers):
            guard all.well >= all.failed else {
                state = .unserved(run.adding(fresh), answers: 0)
                return nil
            }
            guard answers &+ all.well >= Self.answersMin else {
                state = .unserved(run, answers: answers &+ all.well)
                return nil
            }
            state = .served
            return .served
        }
        return nil
    }
}

extension ServiceWatch.Run {
    fileprivate func adding(_ fresh: [ServiceWatch.Count]) -> ServiceWatch.Run {
        guard fresh.count == versions.count else {
            return ServiceWatch.Run(since: since, versions: fresh)
        }
        var longer = self
        for i in fresh.indices { longer.versions[i] += fresh[i] }
        return longer
    }
}

extension ServiceWatch.Count {
    /// What users of one version got so far.
    fileprivate init(_ meters: [VersionMeter]) {
        let counts = meters.reduce(into: VersionCounts()) { $1.read(into: &$0) }
        // An answer that broke off has the status that it began with.
        let broken = counts[.cutMidStream] &+ counts[.grpcError]
        let answered = counts.statuses[0] &+ counts.statuses[1] &+ counts.statuses[2]
        well = answered > broken ? answered &- broken : 0
        failed = counts.statuses[3] &+ broken &+ counts[.clientCancel]
    }

    /// Counts are read one after the other, so that one may seem to shrink.
    fileprivate func since(_ earlier: ServiceWatch.Count) -> ServiceWatch.Count {
        ServiceWatch.Count(
            well: well > earlier.well ? well &- earlier.well : 0,
            failed: failed > earlier.failed ? failed &- earlier.failed : 0)
    }
}

extension WatchedModel {
    /// How many of which version's requests failed since when, as a sentence.
    func sentence(_ run: ServiceWatch.Run) -> String {
        let parts = zip(config.versions, run.versions).filter { $1.all > 0 }.map { version, count in
            "\(count.failed) of \(count.all) requests for \(version.name)"
        }
        return parts.joined(separator: " and ")
            + " since \(text(of: run.since)) ended with 5xx or without an answer"
    }
}

extension ControlLoop {
    /// Says when a model's users are not served any more, and when they are again.
    func watchService(_ i: Int) {
        guard let change = models[i].service.observe(models[i].meters, at: lastTick) else { return }
        let model = models[i].config.name
        var event = JournalEvent(
            at: wallMicros, .served, model: model, reason: "users are served again: most requests end well")
        if case .unserved(let run) = change {
            let known = zip(models[i].config.versions, run.versions).filter { $1.all > 0 }.map(\.0.name)
            event = JournalEvent(
                at: wallMicros, .unserved, model: model,
                reason:
                    "users are not served: \(models[i].sentence(run));"
                    + " no version is blamed for what all fail",
                details: [
                    .init("versions", .array(known.map(JSON.string))),
                    .init("requests", .count(run.all.all)), .init("failed", .count(run.all.failed)),
                ])
        }
        log.log(
            level: change == .served ? .notice : .critical, "\(event.reason)",
            metadata: ["model": "\(model)"])
        let told = addressed(event, i, models[i].decided)
        note([told])
        _ = announce([told])
    }
}

// All actions: a lane each, told of decisions by the control loop, which never waits for one.
// Place: `ControlLoop` asks who is owed a notice, journals their names with the decision, and posts it; the
// sidecar adopts the lanes of each config and ends them.
// Invariant: a name in the journal's `actions` is owed the notice until a line says that it was done or given
// up; so what a kill -9 interrupts is found by the next process. At least once, and in order.

import Config
import Control
import Logging
import Platform
import Synchronization

/// The actions of a sidecar.
final class ActionQueue: NoticeSink {
    /// At shutdown, the time that notices never tried have for their one attempt.
    static let endsWithin = Interval.seconds(3)

    private let lanes = Mutex<[ActionLane]>([])
    /// Lanes whose action left the config.
    private let leaving = Mutex<[ActionLane]>([])
    private let journal: @Sendable ([JournalEvent]) -> Void
    private let log: Logger

    /// - Parameter journal: takes lines for the journal, from any thread, without waiting.
    init(log: Logger, journal: @escaping @Sendable ([JournalEvent]) -> Void) {
        self.log = log
        self.journal = { [log] events in
            for event in events {
                log.log(
                    level: event.kind == .actionDone ? .info : .warning,
                    "\(event.kind.rawValue): \(event.reason)",
                    metadata: event.metadata)
            }
            journal(events)
        }
    }

    /// The actions of a config: lanes with a known name stay, with what waits in them.
    func adopt(_ actions: [ActionConfig]) {
        let known = lanes.withLock { $0 }
        var next: [ActionLane] = []
        for action in actions {
            if let lane = known.first(where: { $0.config.name == action.name }) {
                if lane.config != action { lane.change(to: action) }
                next.append(lane)
                continue
            }
            do throws(SystemFailure) {
                let lane = try ActionLane(action, seed: Entropy.word(), journal: journal)
                try lane.start()
                next.append(lane)
            } catch {
                log.error("action \(action.name) has no thread and is told of nothing: \(error)")
            }
        }
        let gone = known.filter { lane in !next.contains { $0 === lane } }
        lanes.withLock { $0 = next }
        for lane in gone { lane.end(by: Clock.now(), isDropped: true) }
        leaving.withLock { leaving in leaving = leaving.filter { !$0.isOver } + gone }
    }

    /// The names of the actions that are to be told.
    func owed(_ notice: Notice) -> [String] {
        lanes.withLock { $0 }.filter { $0.config.wants(notice) }.map(\.config.name)
    }

    /// Tells every action that wants to know; never waits.
    func post(_ notice: Notice) {
        for lane in lanes.withLock({ $0 }) where lane.config.wants(notice) { lane.post(notice) }
    }

    /// Takes over what an earlier process owed, before anything new is posted.
    func recover(_ owed: [OwedNotice]) {
        let lanes = lanes.withLock { $0 }
        for one in owed {
            guard let lane = lanes.first(where: { $0.config.name == one.action }) else { continue }
            lane.post(one.notice, isOwed: true)
        }
    }

    /// What each action has done and has to do, in the order of the config.
    var status: [ActionStatus] { lanes.withLock { $0 }.map(\.status) }

    /// Ends all threads, within `endsWithin` and a little; one that hangs in the resolver is left behind.
    func stop() {
        let deadline = Clock.now() + Self.endsWithin
        let all = lanes.withLock { $0 } + leaving.withLock { $0 }
        for lane in all { lane.end(by: deadline, isDropped: false) }
        guard var poller = try? Poller(eventsMax: 1) else { return }
        while all.contains(where: { !$0.isOver }), Clock.now() < deadline + .seconds(3) {
            _ = poller.wait(timeoutMillis: 5)
        }
    }
}

extension JournalEvent {
    /// Model, action and delivery, for the process's log.
    fileprivate var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["model": "\(model ?? "")"]
        for detail in details where ["action", "delivery", "attempt"].contains(detail.name) {
            metadata[detail.name] = "\(detail.value.string ?? detail.value.text)"
        }
        return metadata
    }
}

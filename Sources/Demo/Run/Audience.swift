// Users who click on answers. The load shows them each answer's id; they click on some, a moment later, and
// what they did is posted to Weir as a web page's backend would: in batches, by id, with the time of the
// click, over HTTP on the admin listener.
// Place: `see` is called on the load's thread; draws and posts have a thread of their own, because posting
// waits.
// Invariant: bounded; what finds no room is lost for both versions alike, and counted.

import Control
import Load
import Platform
import Sidecar
import Synchronization

/// The users of a demo about clicks.
final class Audience: Sendable {
    private struct Answer: Sendable {
        var id: ExchangeID
        var isCandidate: Bool
        var at: Instant
    }

    private struct Click {
        var id: ExchangeID
        var due: Instant
    }

    private final class Shared: Sendable {
        let answers = Mutex<[Answer]>([])
        let isSpoiled = Atomic<Bool>(false)
        let isStopping = Atomic<Bool>(false)
        let posted = Atomic<UInt64>(0)
        let accepted = Atomic<UInt64>(0)
        let lost = Atomic<UInt64>(0)
    }

    /// From an answer to its click: a moment to look, well within the guardrail's window.
    private static let delayMillis = 200...1_000 as ClosedRange<UInt64>
    /// Between two posts.
    private static let paceMillis: Int32 = 250
    /// Clicks in a post: what POST /feedback takes at once.
    private static let batchMax = 10_000

    private let shared = Shared()
    private let waitingMax: Int
    private let thread: Thread

    /// - Parameters:
    ///   - clicks: shares of answers that are clicked on, parts per million.
    ///   - admin: where clicks are posted.
    ///   - waitingMax: answers that wait to be looked at, and clicks that wait to be made.
    init(
        _ clicks: (wellPPM: UInt64, badPPM: UInt64), _ admin: AdminClient, waitingMax: Int = 65_536
    ) throws(SystemFailure) {
        self.waitingMax = waitingMax
        let shared = shared
        thread = try Thread.spawn(name: "audience") {
            do throws(SystemFailure) {
                try Self.run(shared, clicks, admin, waitingMax)
            } catch {
                preconditionFailure("\(error)")
            }
        }
    }

    /// Shows an answer to its user.
    func see(_ id: ExchangeID, isCandidate: Bool) {
        let answer = Answer(id: id, isCandidate: isCandidate, at: Clock.now())
        let hasRoom = shared.answers.withLock { answers in
            guard answers.count < waitingMax else { return false }
            answers.append(answer)
            return true
        }
        if !hasRoom { shared.lost.add(1, ordering: .relaxed) }
    }

    /// Users like the candidate's answers less from now on.
    func spoil() { shared.isSpoiled.store(true, ordering: .relaxed) }

    /// Makes the clicks that are due and ends; those of the future are never made.
    func stop() {
        shared.isStopping.store(true, ordering: .relaxed)
        thread.join()
    }

    /// Clicks that were posted, and those of them that Weir accepted.
    var counts: (posted: UInt64, accepted: UInt64) {
        (shared.posted.load(ordering: .relaxed), shared.accepted.load(ordering: .relaxed))
    }

    /// Answers that nobody looked at, and clicks that nobody made, for want of room.
    var lost: UInt64 { shared.lost.load(ordering: .relaxed) }

    // MARK: On its thread

    private static func run(
        _ shared: Shared, _ clicks: (wellPPM: UInt64, badPPM: UInt64), _ admin: AdminClient,
        _ waitingMax: Int
    ) throws(SystemFailure) {
        var clock = try Poller(eventsMax: 1)
        var random = Random64(seed: 3)
        var waiting: [Click] = []
        while !shared.isStopping.load(ordering: .relaxed) {
            _ = clock.wait(timeoutMillis: paceMillis)
            let isSpoiled = shared.isSpoiled.load(ordering: .relaxed)
            let answers = shared.answers.withLock { answers in
                defer { answers.removeAll(keepingCapacity: true) }
                return answers
            }
            for answer in answers {
                let share = answer.isCandidate && isSpoiled ? clicks.badPPM : clicks.wellPPM
                let delay =
                    delayMillis.lowerBound + random.below(delayMillis.upperBound - delayMillis.lowerBound)
                guard random.below(1_000_000) < share else { continue }
                if waiting.count < waitingMax {
                    waiting.append(Click(id: answer.id, due: answer.at + .millis(delay)))
                } else {
                    shared.lost.add(1, ordering: .relaxed)
                }
            }
            post(&waiting, shared, admin)
        }
    }

    /// Posts the clicks that are due.
    private static func post(_ waiting: inout [Click], _ shared: Shared, _ admin: AdminClient) {
        let (now, wallMicros) = (Clock.now(), Clock.wallMicros())
        // The first ones are to be posted; what is too many for a post goes into the next one.
        let end = min(waiting.partition { $0.due > now }, batchMax)
        let due = waiting[..<end]
        guard !due.isEmpty else { return }
        let lines: [String] = due.map { click in
            let millis = (wallMicros - (now - click.due).nanos / 1_000) / 1_000
            return "{\"id\":\"\(click.id.text)\",\"metric\":\"\(DemoConfig.metric)\",\"value\":1,"
                + "\"time\":\(millis)}\n"
        }
        shared.posted.add(UInt64(due.count))
        waiting.removeFirst(end)
        guard let answer = try? admin.post(feedback: Array(lines.joined().utf8)), answer.isSuccess else {
            return
        }
        shared.accepted.add(UInt64(answer.json?["accepted"]?.integer ?? 0))
    }
}

// How the threads of a test tell each other what has happened: an eventfd to block on, with a deadline.
// Place: between a scripted origin and the test that judges it. No sleeps: whoever waits blocks on a
// descriptor.
// Invariant: what was added before a signal is seen by whoever the signal woke.

import Glibc
import Platform
import Synchronization

extension Interval {
    /// How long a test waits for what has to come: only against hanging, so longer than any machine is busy.
    static let patience = Interval.seconds(60)
}

/// A door that stays open once opened.
final class Gate: Sendable {
    private let wakeup: Wakeup

    init() throws { wakeup = try Wakeup() }

    func open() { wakeup.signal() }

    /// Waits until the gate is open.
    func pass(within patience: Interval = .patience) throws {
        var watch = pollfd(fd: wakeup.descriptor.raw, events: Int16(POLLIN), revents: 0)
        guard poll(&watch, 1, Int32(clamping: patience.millis)) > 0 else {
            throw PeerFailure.late("a gate", sofar: "")
        }
    }
}

/// What a thread noted, in order, for others to wait for and read.
final class Notes<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let wakeup: Wakeup

    init() throws { wakeup = try Wakeup() }

    func add(_ value: Value) {
        values.withLock { $0.append(value) }
        wakeup.signal()
    }

    var all: [Value] { values.withLock { $0 } }
    var count: Int { values.withLock { $0.count } }

    /// Waits until there are `count` notes and returns them all.
    @discardableResult
    func wait(for count: Int, within patience: Interval = .patience) throws -> [Value] {
        let deadline = Clock.now() + patience
        while true {
            let now = all
            if now.count >= count { return now }
            let left = deadline - Clock.now()
            guard left > .zero else { throw PeerFailure.late("note \(count)", sofar: "\(now.count) notes") }
            var watch = pollfd(fd: wakeup.descriptor.raw, events: Int16(POLLIN), revents: 0)
            // Drained before the notes are read again: an addition in between signals anew.
            if poll(&watch, 1, Int32(clamping: left.millis + 1)) > 0 { wakeup.drain() }
        }
    }
}

/// Judges what has to happen within a limit where a machine that is busy with others may be too slow for it:
/// the limit is four times as long each time, until the body could judge.
/// - Parameter body: gets the limit; false: the machine was too slow to judge anything.
func calmly(from limit: Interval, _ body: (Interval) throws -> Bool) throws {
    for factor: UInt64 in [1, 4, 16, 64] where try body(.micros(limit.micros * factor)) { return }
    throw PeerFailure.late("a machine that is quick enough", sofar: "")
}

/// Waits for a counter of another thread to come to what it must: looks again every few milliseconds.
func eventually(_ what: String, within patience: Interval = .patience, _ holds: () -> Bool) throws {
    let deadline = Clock.now() + patience
    while !holds() {
        guard Clock.now() < deadline else { throw PeerFailure.late(what, sofar: "") }
        _ = poll(nil, 0, 2)
    }
}

// The pace of a lane: a thread that does what has come due, sleeps until the next thing is, and wakes when
// it is told. Actions and sources have a lane each, so that one that hangs delays no other.
// Invariant: the wakeup is drained before the lane looks at what is due, so nothing said to it is slept over.

import Platform

/// What a lane has done, and wants of its thread.
enum LaneStep {
    /// Something; more may be due.
    case again
    /// Nothing is due before the instant; `.never`: until told.
    case wait(Instant)
    /// The thread is to end.
    case end
}

/// Sleeps between a lane's steps. Confined to the lane's thread once that runs.
final class LanePace {
    private var poller: Poller

    /// - Parameter name: whose lane it is, for a failure's text.
    init(_ wakeup: borrowing Wakeup, of name: String) throws(SystemFailure) {
        poller = try Poller(eventsMax: 1)
        if let errno = poller.add(wakeup.descriptor, token: Token(bits: 0), interest: .readable) {
            throw SystemFailure(operation: "watch the wakeup of \(name)", errno: errno)
        }
    }

    /// Takes steps until one says that it was the last.
    func run(_ wakeup: borrowing Wakeup, _ step: (Instant) -> LaneStep) {
        while true {
            wakeup.drain()
            let now = Clock.now()
            switch step(now) {
            case .again: continue
            case .wait(let until):
                let millis = until == .never ? -1 : Int32(clamping: (until - now).millis + 1)
                _ = poller.wait(timeoutMillis: millis)
            case .end: return
            }
        }
    }
}

// What becomes of the requests of an embedded model server: after how long which reply, or none. The draws
// are here, apart from sockets and time, so that their shares and quantiles can be checked by the million.
// Invariant: one source of random numbers, so that a seed repeats a server; a server without service time and
// faults draws nothing.
// Source: von Neumann, Various techniques used in connection with random digits (1951), for the exponential.

import Platform

/// Draws the fates of requests. Owner: one server loop.
struct Fates {
    let serviceTime: ServiceTime
    /// What is always wrong, a little: a real model fails now and then.
    let usual: Fault
    /// Replies to choose from; see `Replies`.
    let scoreLevels: Int
    private(set) var fault: Fault
    /// Whether something is wrong beyond the usual.
    private(set) var isFaulty = false
    private var isImmediate: Bool
    private var random: Random64

    /// - Parameter scoreLevels: at least 1.
    init(_ serviceTime: ServiceTime, usual: Fault = .none, scoreLevels: Int = 1, seed: UInt64) {
        precondition(scoreLevels > 0, "a reply")
        self.serviceTime = serviceTime
        self.usual = usual
        self.scoreLevels = scoreLevels
        fault = usual
        isImmediate = serviceTime == .immediate && usual == .none && scoreLevels == 1
        random = Random64(seed: seed)
    }

    mutating func inject(_ fault: Fault) {
        self.fault = fault
        isFaulty = fault != usual
        isImmediate = serviceTime == .immediate && fault == .none && scoreLevels == 1
    }

    /// The next request's reply and how long it takes, or nil when it is never answered.
    mutating func next() -> (reply: Replies.Index, delay: Interval)? {
        if isImmediate { return (.inference(0), .zero) }
        var delay = serviceTime.fixed + fault.addedDelay
        delay = delay + Interval(nanos: UInt64(Double(serviceTime.meanOfRest.nanos) * exponential()))
        if serviceTime.heavyPPM > 0, random.below(1_000_000) < serviceTime.heavyPPM {
            delay = delay + serviceTime.heavyExtra + fault.heavyDelay
        }
        if fault.errorPPM > 0 || fault.hangPPM > 0, fault.isActive(at: Clock.now()) {
            let draw = random.below(1_000_000)
            if draw < fault.hangPPM { return nil }
            if draw < UInt64(fault.hangPPM) + UInt64(fault.errorPPM) { return (.failure, delay) }
        }
        return (.inference(scoreLevel()), delay)
    }

    /// The sum of two even draws, a triangle over the levels, and the fault's shift.
    private mutating func scoreLevel() -> Int {
        guard scoreLevels > 1 else { return 0 }
        let half = UInt64(scoreLevels / 2)
        let level =
            Int(random.below(half) + random.below(half)) + scoreLevels * Int(fault.scorePPM) / 1_000_000
        return min(level, scoreLevels - 1)
    }

    /// An exponentially distributed number with mean 1, by von Neumann's comparison method: no logarithm, a
    /// handful of draws.
    private mutating func exponential() -> Double {
        var whole = 0.0
        while true {
            let first = random.unit()
            var last = first
            var run = 1
            while true {
                let next = random.unit()
                if next >= last { break }
                last = next
                run += 1
            }
            if run % 2 == 1 { return whole + first }
            whole += 1
        }
    }
}

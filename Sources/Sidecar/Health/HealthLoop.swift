// The health checks' loop: timers start probes, the poller moves them on, timers end them. An answer's head
// decides; its body is read to its end, so that the server's log stays quiet, and no longer than until the
// next probe is due: probes begin an interval apart, whatever a server does with its connections.
// Owner: its thread. Invariant: a target has at most one probe; a probe holds one of `probesMax` buffers,
// which are reserved once.

import Config
import Control
import Platform
import Wire

/// What runs on the health checks' thread.
final class HealthLoop {
    private enum Kind: UInt8 { case mailbox, probe }

    /// One endpoint under check.
    private struct Watched {
        var target: HealthTarget
        var request: [UInt8]
        var streak = HealthStreak()
        /// It has yet to be asked for the first time.
        var isNew = true
        var probe: Int?
        /// When the last probe started.
        var began = Instant(nanos: 0)
        /// When the next probe starts.
        var due: Instant
    }

    private static let restBytes = 4 << 10
    private let checker: HealthChecker
    private var poller: Poller
    private var parser: HeadParser
    /// Bytes of a probe's buffer: a head, and what comes with its end.
    private let answerBytesMax: Int
    private var watched: [Watched] = []
    private var probes: [Probe?]
    private let buffers: UnsafeMutableRawPointer
    private var generation: UInt32 = 0
    private var timers: TimerWheel
    private var random = Random64(seed: Entropy.word())
    /// Targets whose time came while all places were taken.
    private var waiting: [Int] = []

    init(_ checker: HealthChecker, _ poller: consuming Poller) {
        self.checker = checker
        self.poller = poller
        parser = HeadParser(limits: checker.heads)
        answerBytesMax = checker.heads.headBytesMax + Self.restBytes
        probes = Array(repeating: nil, count: HealthChecker.probesMax)
        // Touched only as probes run.
        buffers = Pages.allocate(bytes: HealthChecker.probesMax * answerBytesMax)
        timers = TimerWheel(capacity: 1 << 20, start: Clock.now())
    }

    deinit { Pages.release(buffers, bytes: HealthChecker.probesMax * answerBytesMax) }

    func watch() throws(SystemFailure) {
        let token = Token(kind: Kind.mailbox.rawValue, generation: 0, slot: 0)
        if let errno = poller.add(checker.targets.wakeup.descriptor, token: token, interest: .readable) {
            throw SystemFailure(operation: "watch the health checks' mailbox", errno: errno)
        }
    }

    func run() {
        while !checker.stopping.load(ordering: .acquiring) {
            let count = poller.wait(timeoutMillis: timers.timeoutMillis(now: Clock.now()))
            for i in 0..<count {
                let (token, _) = poller[i]
                switch Kind(rawValue: token.kind) {
                case .mailbox: checker.targets.wakeup.drain()
                case .probe: advance(token)
                case .none: break
                }
            }
            while let next = checker.targets.take() { replace(next) }
            timers.advance(to: Clock.now())
            while let id = timers.popExpired() { expire(Int(id)) }
        }
    }

    private func replace(_ next: [HealthTarget]) {
        for (i, old) in watched.enumerated() {
            timers.cancel(UInt32(i))
            if let probe = old.probe { probes[probe] = nil }
        }
        let before = Dictionary(
            watched.map { ($0.target.slot, $0) }, uniquingKeysWith: { first, _ in first })
        waiting = []
        watched = []
        let now = Clock.now()
        for target in next.prefix(1 << 20) {
            // A new endpoint serves from its first passed check on: it is asked at once.
            var entry = Watched(target: target, request: target.request, due: now)
            if let old = before[target.slot], old.target.address == target.address {
                entry.streak = old.streak
                entry.isNew = false
                if old.probe == nil { entry.due = min(old.due, now + spread(target)) }
            } else {
                // A slot may have been another endpoint's.
                checker.plane.forgetHealth(target.slot)
            }
            watched.append(entry)
            timers.schedule(UInt32(watched.count - 1), at: entry.due)
        }
        let kept = Set(next.map(\.slot))
        for slot in before.keys where !kept.contains(slot) { checker.plane.forgetHealth(slot) }
    }

    /// Somewhere inside the first interval.
    private func spread(_ target: HealthTarget) -> Interval {
        Interval(nanos: random.below(max(1, target.check.interval.nanos)))
    }

    /// The next interval, 10 % longer or shorter, so that checks of one interval drift apart.
    private func jittered(_ interval: Interval) -> Interval {
        Interval(nanos: interval.nanos / 10 * 9 + random.below(max(1, interval.nanos / 5)))
    }

    private func expire(_ i: Int) {
        guard watched.indices.contains(i) else { return }
        if let p = watched[i].probe, let probe = probes[p] {
            guard probe.stage != .closing else { return end(probe, at: p) }
            return conclude(
                p, isGood: false, "no answer in \(Notation.text(watched[i].target.check.timeout))")
        }
        start(i)
    }

    private func start(_ i: Int) {
        guard let p = probes.firstIndex(where: { $0 == nil }) else {
            waiting.append(i)
            return
        }
        let now = Clock.now()
        let target = watched[i].target
        // Endpoints that came together are first asked together and then spread.
        watched[i].due = now + (watched[i].isNew ? spread(target) : jittered(target.check.interval))
        watched[i].isNew = false
        watched[i].began = now
        guard let address = RawAddress(target.address) else {
            return settle(i, isGood: false, "its address is too long")
        }
        generation &+= 1
        switch Socket.connect(address) {
        case .connected(let descriptor): admit(i, p, descriptor, .sending, now)
        case .inProgress(let descriptor): admit(i, p, descriptor, .connecting, now)
        case .failed(let errno): settle(i, isGood: false, "connect: \(errno.name)")
        }
    }

    private func admit(
        _ i: Int, _ p: Int, _ descriptor: consuming Descriptor, _ stage: Probe.Stage, _ now: Instant
    ) {
        let probe = Probe(target: i, generation: generation & Token.generationMask, descriptor, stage)
        let token = Token(kind: Kind.probe.rawValue, generation: generation, slot: UInt32(p))
        guard
            poller.add(probe.descriptor, token: token, interest: [.readable, .writable, .peerClosed]) == nil
        else { return settle(i, isGood: false, "the poller is full") }
        probes[p] = probe
        watched[i].probe = p
        timers.schedule(UInt32(i), at: now + watched[i].target.check.timeout)
        if stage == .sending { send(probe, p) }
    }

    private func advance(_ token: Token) {
        let p = Int(token.slot)
        guard probes.indices.contains(p), let probe = probes[p], probe.generation == token.generation else {
            return
        }
        switch probe.stage {
        case .connecting:
            if let errno = Socket.pendingError(of: probe.descriptor) {
                return conclude(p, isGood: false, "connect: \(errno.name)")
            }
            probe.stage = .sending
            send(probe, p)
        case .sending: send(probe, p)
        case .reading: read(probe, p)
        case .closing: drop(probe, p)
        }
    }

    private func send(_ probe: Probe, _ p: Int) {
        let request = watched[probe.target].request
        while probe.sent < request.count {
            switch request[probe.sent...].withUnsafeBytes({ probe.descriptor.send($0) }) {
            case .moved(let count): probe.sent += count
            case .wouldBlock: return
            case .closed: return conclude(p, isGood: false, "closed before the request was sent")
            case .failed(let errno): return conclude(p, isGood: false, "send: \(errno.name)")
            }
        }
        probe.stage = .reading
        read(probe, p)
    }

    private func read(_ probe: Probe, _ p: Int) {
        let buffer = UnsafeMutableRawBufferPointer(
            start: buffers + p * answerBytesMax, count: answerBytesMax)
        while true {
            guard probe.count < buffer.count else {
                // The parser refuses a longer head; interim ones before it count too.
                return conclude(p, isGood: false, tooLarge)
            }
            // In bounds: `count` is below the buffer's size.
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[probe.count...])
            switch probe.descriptor.receive(into: rest) {
            case .moved(let count): probe.count += count
            case .wouldBlock: return
            case .closed: return conclude(p, isGood: false, "closed without an answer")
            case .failed(let errno): return conclude(p, isGood: false, "receive: \(errno.name)")
            }
            if judge(probe, p, UnsafeRawBufferPointer(buffer)) { return }
        }
    }

    /// Whether the answer's head is complete; then the probe is decided.
    private func judge(_ probe: Probe, _ p: Int, _ buffer: UnsafeRawBufferPointer) -> Bool {
        var from = 0
        while true {
            let answer = UnsafeRawBufferPointer(rebasing: buffer[from..<probe.count])
            switch parser.response(answer.bytes, scanned: from == 0 ? probe.scanned : 0, to: .get) {
            case .needMore(let scanned):
                probe.scanned = from == 0 ? scanned : 0
                return false
            case .refused(let refusal):
                conclude(p, isGood: false, Self.words(refusal, tooLarge))
                return true
            case .complete(let head) where head.isInterim:
                from += head.byteCount
            case .complete(let head):
                let isGood = watched[probe.target].target.check.statuses.contains(head.status)
                let body = UnsafeRawBufferPointer(rebasing: answer[head.byteCount...])
                conclude(p, isGood: isGood, "status \(head.status)", rest: BodyRest(head.framing, body))
                return true
            }
        }
    }

    /// A head over the bounds is HTTP all the same: it is told apart as the data plane does it.
    private static func words(_ refusal: Refusal, _ tooLarge: String) -> String {
        refusal.cause.exceedsHeadBounds
            ? "\(tooLarge): \(refusal.cause.label)" : "its answer is not HTTP: \(refusal.cause.label)"
    }

    private var tooLarge: String {
        let (bytes, fields) = (checker.heads.headBytesMax, checker.heads.fieldsMax)
        return "the head of its answer is over \(Notation.text(bytes: bytes)) or \(fields) fields "
            + "(limits.response_head_bytes_max, limits.response_fields_max)"
    }

    /// Decides a probe and ends it, unless it is a good answer of whose body `rest` bytes have yet to come.
    private func conclude(_ p: Int, isGood: Bool, _ reason: String, rest: BodyRest = .none) {
        guard let probe = probes[p] else { return }
        note(probe.target, isGood: isGood, reason)
        guard isGood, !rest.isComplete else { return end(probe, at: p) }
        probe.stage = .closing
        probe.rest = rest
        timers.schedule(UInt32(probe.target), at: watched[probe.target].due)
        drop(probe, p)
    }

    private func drop(_ probe: Probe, _ p: Int) {
        let buffer = UnsafeMutableRawBufferPointer(
            start: buffers + p * answerBytesMax, count: answerBytesMax)
        // A body longer than this is not worth waiting for.
        for _ in 0..<8 {
            switch probe.descriptor.receive(into: buffer) {
            case .moved(let count):
                // In bounds: as many bytes as were just read.
                probe.rest.advance(over: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                if probe.rest.isComplete { return end(probe, at: p) }
            case .wouldBlock: return
            case .closed, .failed: return end(probe, at: p)
            }
        }
        end(probe, at: p)
    }

    private func end(_ probe: Probe, at p: Int) {
        probes[p] = nil
        watched[probe.target].probe = nil
        schedule(probe.target)
        if !waiting.isEmpty { start(waiting.removeFirst()) }
    }

    private func settle(_ i: Int, isGood: Bool, _ reason: String) {
        note(i, isGood: isGood, reason)
        schedule(i)
    }

    private func schedule(_ i: Int) {
        timers.schedule(UInt32(i), at: watched[i].due)
    }

    private func note(_ i: Int, isGood: Bool, _ reason: String) {
        let target = watched[i].target
        let change = watched[i].streak.take(isGood: isGood, target.check)
        switch watched[i].streak.state {
        case .healthy where isGood: checker.plane.setHealthy(target.slot, true)
        case .unhealthy where change == .failed: checker.plane.setHealthy(target.slot, false)
        case .unchecked, .healthy, .unhealthy: break
        }
        if !isGood, watched[i].streak.state == .unhealthy { checker.failed(target.slot, watched[i].began) }
        switch change {
        case .none, .admitted: break
        case .recovered, .failed:
            checker.report(
                HealthTransition(
                    slot: target.slot, address: target.address, model: target.model, version: target.version,
                    isHealthy: isGood, reason: reason))
        }
    }
}

// The embedded model server's loop: accept, read a request, decide its fate, answer when it is due. One
// thread, one poller, edge-triggered; nothing is allocated per request, so that it can stand at the origin of
// a benchmark without being what is measured.
// Invariant: one request at a time per connection; the bytes of the next wait in the receive buffer.
// Source: RFC 9112 sections 2, 6, 9.

import Platform
import Synchronization
import Wire

/// The server. Owner: its thread.
struct ServerLoop: ~Copyable {
    static let connectionsMax = 8_192
    static let bufferBytes = 16 << 10
    private static let listenerKind: UInt8 = 1
    private static let mailboxKind: UInt8 = 2
    private static let connectionKind: UInt8 = 3

    let listener: Descriptor
    let commands: Mailbox<ModelServer.Command>
    let counters: ModelServer.Counters
    let serviceTime: ServiceTime
    var poller: Poller
    var connections: Slab<ServerConnection>
    var due = DueQueue(capacity: 1024)
    var parser: HeadParser
    var random: Random64
    let replies: UnsafeReplies
    let buffers: UnsafeMutableRawPointer
    var fault = Fault.none
    private var acceptIsPaused = false
    private var isStopping = false

    init(
        _ listener: consuming Descriptor, _ commands: Mailbox<ModelServer.Command>,
        _ counters: ModelServer.Counters, _ replies: Replies, _ serviceTime: ServiceTime, seed: UInt64
    ) throws(SystemFailure) {
        let poller = try Poller(eventsMax: 256)
        self.listener = listener
        self.commands = commands
        self.counters = counters
        self.serviceTime = serviceTime
        self.poller = poller
        connections = Slab(capacity: Self.connectionsMax)
        parser = HeadParser()
        random = Random64(seed: seed)
        self.replies = UnsafeReplies(replies)
        buffers = Pages.allocate(bytes: Self.connectionsMax * Self.bufferBytes)
    }

    deinit {
        Pages.release(buffers, bytes: Self.connectionsMax * Self.bufferBytes)
        replies.deallocate()
    }

    /// Serves until a stop is commanded.
    mutating func run() {
        _ = poller.add(
            listener, token: Token(kind: Self.listenerKind, generation: 0, slot: 0), interest: .readable)
        _ = poller.add(
            commands.wakeup.descriptor, token: Token(kind: Self.mailboxKind, generation: 0, slot: 0),
            interest: .readable)
        while !isStopping {
            let count =
                due.next == .never ? poller.wait(timeoutMillis: -1) : poller.wait(until: due.next)
            for i in 0..<count {
                let event = poller[i]
                switch event.token.kind {
                case Self.listenerKind: accept()
                case Self.mailboxKind: obey()
                default: handle(event.token, event.readiness)
                }
            }
            guard due.next != .never else { continue }
            let now = Clock.now()
            while let entry = due.pop(dueAt: now) {
                if connections.isLive(entry.slot, generation: entry.generation) { answer(entry.slot) }
            }
        }
    }

    private mutating func obey() {
        commands.wakeup.drain()
        while let command = commands.take() {
            switch command {
            case .inject(let fault): self.fault = fault
            case .stop: isStopping = true
            }
        }
    }

    private mutating func accept() {
        while true {
            guard !connections.isFull else {
                acceptIsPaused = true
                return
            }
            switch Socket.accept(listener) {
            case .connection(let socket, _): register(socket)
            case .wouldBlock: return
            case .failed(let errno):
                if errno.isOutOfDescriptors {
                    acceptIsPaused = true
                    return
                }
            }
        }
    }

    private mutating func register(_ socket: consuming Descriptor) {
        guard let slot = connections.insert(ServerConnection(socket)) else { return }
        let token = Token(kind: Self.connectionKind, generation: connections.generation(slot), slot: slot)
        let failure = poller.add(
            connections.pointer(slot).pointee.socket, token: token,
            interest: [.readable, .writable, .peerClosed])
        if failure != nil { close(slot) }
    }

    mutating func close(_ slot: UInt32) {
        connections.remove(slot)
        if acceptIsPaused {
            acceptIsPaused = false
            accept()
        }
    }

    private mutating func handle(_ token: Token, _ readiness: Readiness) {
        guard connections.isLive(token.slot, generation: token.generation) else { return }
        let slot = token.slot
        if case .writing = connections.pointer(slot).pointee.phase, readiness.contains(.writable) {
            write(slot)
            guard connections.isLive(slot, generation: token.generation) else { return }
        }
        read(slot, readiness)
    }

    /// When the answer to a request is due, or nil when it never is; counts the request.
    mutating func fate() -> (reply: Replies.Kind, delay: Interval)? {
        counters.requests.store(counters.requests.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        if serviceTime == .immediate, fault == .none { return (.inference, .zero) }
        let now = Clock.now()
        var delay = serviceTime.fixed + fault.addedDelay
        delay = delay + Interval(nanos: UInt64(Double(serviceTime.meanOfRest.nanos) * exponential()))
        guard fault != .none else { return (.inference, delay) }
        counters.whileFaulty.store(counters.whileFaulty.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        guard fault.isActive(at: now) else { return (.inference, delay) }
        let draw = random.below(1_000_000)
        if draw < fault.hangPPM { return nil }
        return (draw < UInt64(fault.hangPPM) + UInt64(fault.errorPPM) ? .failure : .inference, delay)
    }

    /// An exponentially distributed number with mean 1, by von Neumann's comparison method (1951): no
    /// logarithm, a handful of draws.
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

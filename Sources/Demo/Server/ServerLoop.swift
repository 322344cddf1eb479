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
    var poller: Poller
    var connections: Slab<ServerConnection>
    var due = DueQueue(capacity: 1024)
    var parser: HeadParser
    var fates: Fates
    let replies: UnsafeReplies
    let buffers: UnsafeMutableRawPointer
    private var acceptIsPaused = false
    private var isStopping = false

    init(
        _ listener: consuming Descriptor, _ commands: Mailbox<ModelServer.Command>,
        _ counters: ModelServer.Counters, _ replies: Replies, _ fates: Fates
    ) throws(SystemFailure) {
        let poller = try Poller(eventsMax: 256)
        self.listener = listener
        self.commands = commands
        self.counters = counters
        self.poller = poller
        connections = Slab(capacity: Self.connectionsMax)
        parser = HeadParser()
        self.fates = fates
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
            case .inject(let fault): fates.inject(fault)
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
        let token = Token(
            kind: Self.connectionKind, generation: connections.generation(slot), slot: slot.index)
        let failure = poller.add(
            connections.pointer(slot).pointee.socket, token: token,
            interest: [.readable, .writable, .peerClosed])
        if failure != nil { close(slot) }
    }

    mutating func close(_ slot: Slot<ServerConnection>) {
        connections.remove(slot)
        if acceptIsPaused {
            acceptIsPaused = false
            accept()
        }
    }

    private mutating func handle(_ token: Token, _ readiness: Readiness) {
        guard let slot = connections.slot(of: token) else { return }
        if case .writing = connections.pointer(slot).pointee.phase, readiness.contains(.writable) {
            write(slot)
            guard connections.isLive(slot, generation: token.generation) else { return }
        }
        read(slot, readiness)
    }

    /// When the answer to a request is due, or nil when it never is; counts the request.
    mutating func fate() -> (reply: Replies.Index, delay: Interval)? {
        counters.requests.add(1)
        if fates.isFaulty { counters.whileFaulty.add(1) }
        let fate = fates.next()
        if let fate, fate.reply == .failure { counters.failures.add(1) }
        return fate
    }
}

extension Atomic where Value == UInt64 {
    /// Adds as the only writer: a load and a store, no locked instruction.
    borrowing func add(_ count: UInt64) {
        store(load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }
}

// The admin thread's loop: accept, read, route, write, time out. Owner: the admin thread.
// Invariant: a connection handles one request at a time; its next one waits in the reader until the answer is
// written, so a client that pipelines without reading fills only the kernel's buffers.

import Platform
import Wire

/// One client of the admin API.
final class AdminConnection {
    enum State {
        /// Between requests, or inside one.
        case reading
        /// The controller owes the answer.
        case waiting(isHead: Bool, keepsAlive: Bool)
        /// `output` from `written` on is due to the client.
        case writing(keepsAlive: Bool)
        /// The last answer is written; what still comes is dropped.
        case lingering
    }

    let descriptor: Descriptor
    let token: Token
    let peer: AdminPeer
    var reader = AdminReader()
    var state = State.reading
    var output: [UInt8] = []
    var written = 0
    var deadline: Instant
    /// No more bytes will come.
    var isEnded = false

    init(_ descriptor: consuming Descriptor, _ token: Token, _ peer: AdminPeer, deadline: Instant) {
        self.descriptor = descriptor
        self.token = token
        self.peer = peer
        self.deadline = deadline
    }
}

/// What runs on the admin thread.
final class AdminLoop {
    private enum Kind: UInt8 { case listener, mailbox, connection }

    private let server: AdminServer
    private let listener: Descriptor
    private let handlers: AdminHandlers
    private var poller: Poller
    private var parser = HeadParser(limits: AdminReader.limits)
    private var connections: [AdminConnection?]
    private var generation: UInt32 = 0
    private var scratch = [UInt8](repeating: 0, count: 16 << 10)
    private let localHost: String?

    init(
        _ server: AdminServer, _ listener: consuming Descriptor, _ handlers: AdminHandlers,
        _ poller: consuming Poller
    ) {
        self.server = server
        self.listener = listener
        self.handlers = handlers
        self.poller = poller
        connections = Array(repeating: nil, count: AdminServer.connectionsMax)
        if case .ip(let address, _) = server.address { localHost = "\(address)" } else { localHost = nil }
    }

    func watch() throws(SystemFailure) {
        let tokens = [Kind.listener, .mailbox].map { Token(kind: $0.rawValue, generation: 0, slot: 0) }
        let failed =
            poller.add(listener, token: tokens[0], interest: .readable)
            ?? poller.add(server.replies.wakeup.descriptor, token: tokens[1], interest: .readable)
        if let errno = failed { throw SystemFailure(operation: "watch the admin listener", errno: errno) }
    }

    func run() {
        while !server.stopping.load(ordering: .acquiring) {
            let count = poller.wait(timeoutMillis: timeoutMillis(Clock.now()))
            for i in 0..<count {
                let (token, _) = poller[i]
                switch Kind(rawValue: token.kind) {
                case .listener: accept()
                case .mailbox: server.replies.wakeup.drain()
                case .connection: if let connection = find(token) { advance(connection) }
                case .none: break
                }
            }
            while let reply = server.replies.take() { take(reply) }
            expire(Clock.now())
        }
    }

    private func find(_ token: Token) -> AdminConnection? {
        let slot = Int(token.slot)
        guard connections.indices.contains(slot), let connection = connections[slot],
            connection.token == token
        else { return nil }
        return connection
    }

    private func accept() {
        while true {
            switch Socket.accept(listener) {
            case .connection(let descriptor, let address): admit(descriptor, address)
            case .wouldBlock: return
            // Out of descriptors: the clients wait in the backlog until the next one connects.
            case .failed: return
            }
        }
    }

    /// A full house closes the newcomer at once.
    private func admit(_ descriptor: consuming Descriptor, _ address: IPAddress) {
        guard let slot = connections.firstIndex(where: { $0 == nil }) else { return }
        generation &+= 1
        let token = Token(kind: Kind.connection.rawValue, generation: generation, slot: UInt32(slot))
        let peer: AdminPeer
        if localHost == nil {
            let who = Socket.peerCredentials(of: descriptor).map { "uid \($0.uid) pid \($0.pid)" }
            peer = AdminPeer(description: who ?? "unix socket", isUnixSocket: true, localHost: nil)
        } else {
            peer = AdminPeer(description: "\(address)", isUnixSocket: false, localHost: local(descriptor))
        }
        let connection = AdminConnection(
            descriptor, token, peer, deadline: Clock.now() + server.times.request)
        guard poller.add(connection.descriptor, token: token, interest: [.readable, .writable]) == nil else {
            return
        }
        connections[slot] = connection
        advance(connection)
    }

    private func local(_ descriptor: borrowing Descriptor) -> String? {
        guard case .ip(let address, _) = Socket.localAddress(of: descriptor) else { return nil }
        return "\(address)"
    }

    private func close(_ connection: AdminConnection) {
        connections[Int(connection.token.slot)] = nil
    }

    /// Does what can be done now: writes what is due, reads what is there, answers what is complete.
    private func advance(_ connection: AdminConnection) {
        var steps = 0
        while connections[Int(connection.token.slot)] === connection {
            steps += 1
            guard steps <= Self.stepsPerTurnMax else { return yield(connection) }
            switch connection.state {
            case .waiting: return
            case .writing(let keepsAlive):
                guard flush(connection) else { return }
                guard keepsAlive else {
                    finish(connection)
                    continue
                }
                connection.state = .reading
                connection.deadline = Clock.now() + server.times.idle
            case .reading:
                guard step(connection) else { return }
            case .lingering:
                guard drop(connection) else { return }
            }
        }
    }

    /// Steps of one connection before the others get a turn.
    private static let stepsPerTurnMax = 256

    /// Comes back in the next turn: arming again reports what is ready already.
    private func yield(_ connection: AdminConnection) {
        let failed = poller.change(
            connection.descriptor, token: connection.token, interest: [.readable, .writable])
        if failed != nil { close(connection) }
    }

    /// One request, or one read; false when the connection waits or is gone.
    private func step(_ connection: AdminConnection) -> Bool {
        switch connection.reader.next(&parser, peer: connection.peer) {
        case .needMore: return read(connection)
        case .sendContinue:
            connection.output += AdminResponse.continueBytes
            _ = flush(connection)
            return true
        case .refused(let response):
            answer(connection, response, isHead: false, keepsAlive: false)
            return true
        case .request(let request, let keepsAlive):
            dispatch(connection, request, keepsAlive: keepsAlive)
            return true
        }
    }

    private func read(_ connection: AdminConnection) -> Bool {
        if connection.isEnded {
            close(connection)
            return false
        }
        let wasIdle = !connection.reader.isInRequest
        let transfer = scratch.withUnsafeMutableBytes { connection.descriptor.receive(into: $0) }
        switch transfer {
        case .moved(let count):
            connection.reader.take(scratch[..<count])
            if wasIdle { connection.deadline = Clock.now() + server.times.request }
            return true
        case .wouldBlock: return false
        // The client may have shut its side after a request that is complete in the reader.
        case .closed:
            connection.isEnded = true
            return true
        case .failed:
            close(connection)
            return false
        }
    }

    private func dispatch(_ connection: AdminConnection, _ request: AdminRequest, keepsAlive: Bool) {
        let isHead = request.method == "HEAD"
        let token = connection.token
        let reply: AdminReturn = { [replies = server.replies] rendering in
            // Full only when the admin thread has ended.
            _ = replies.post(AdminReply(connection: token, rendering: rendering))
        }
        switch AdminRoutes.errand(request) {
        case .answer(let response): answer(connection, response, isHead: isHead, keepsAlive: keepsAlive)
        case .liveness: answer(connection, .text(200, "alive"), isHead: isHead, keepsAlive: keepsAlive)
        case .readiness: answer(connection, handlers.readiness(), isHead: isHead, keepsAlive: keepsAlive)
        case .metrics(let accept):
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.metrics(accept, reply)
        case .status:
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.status(reply)
        case .reports:
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.reports(reply)
        case .ledger:
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.ledger(reply)
        case .verb(let verb):
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.verb(verb, connection.peer.description, reply)
        case .outcomes(let body, let isLines):
            wait(connection, isHead: isHead, keepsAlive: keepsAlive)
            handlers.outcomes(body, isLines, reply)
        }
    }

    private func wait(_ connection: AdminConnection, isHead: Bool, keepsAlive: Bool) {
        connection.state = .waiting(isHead: isHead, keepsAlive: keepsAlive)
        connection.deadline = Clock.now() + server.times.reply
    }

    private func answer(
        _ connection: AdminConnection, _ response: AdminResponse, isHead: Bool, keepsAlive: Bool
    ) {
        connection.output += response.bytes(toHead: isHead, keepsAlive: keepsAlive)
        connection.state = .writing(keepsAlive: keepsAlive)
        connection.deadline = Clock.now() + server.times.write
    }

    private func take(_ reply: AdminReply) {
        guard let connection = find(reply.connection),
            case .waiting(let isHead, let keepsAlive) = connection.state
        else { return }
        answer(connection, reply.rendering(), isHead: isHead, keepsAlive: keepsAlive)
        advance(connection)
    }

    /// Writes what is due; true when nothing is left.
    private func flush(_ connection: AdminConnection) -> Bool {
        while connection.written < connection.output.count {
            let transfer = connection.output[connection.written...].withUnsafeBytes {
                connection.descriptor.send($0)
            }
            switch transfer {
            case .moved(let count): connection.written += count
            case .wouldBlock: return false
            case .closed, .failed:
                close(connection)
                return false
            }
        }
        connection.output.removeAll(keepingCapacity: connection.output.count < 64 << 10)
        connection.written = 0
        return true
    }

    /// Ends a connection after its last answer: the client gets the bytes before the close.
    private func finish(_ connection: AdminConnection) {
        connection.descriptor.shutdownWrite()
        guard !connection.isEnded else { return close(connection) }
        connection.state = .lingering
        connection.deadline = Clock.now() + server.times.linger
    }

    /// Reads and forgets; false when there is nothing now or the connection is gone.
    private func drop(_ connection: AdminConnection) -> Bool {
        switch scratch.withUnsafeMutableBytes({ connection.descriptor.receive(into: $0) }) {
        case .moved: return true
        case .wouldBlock: return false
        case .closed, .failed:
            close(connection)
            return false
        }
    }

    private func expire(_ now: Instant) {
        for case .some(let connection) in connections where connection.deadline <= now {
            switch connection.state {
            case .waiting(let isHead, _):
                let late = AdminResponse.refusal(
                    504, "the controller did not answer in \(Notation.text(server.times.reply))")
                answer(connection, late, isHead: isHead, keepsAlive: false)
                advance(connection)
            case .reading where connection.reader.isInRequest:
                answer(
                    connection,
                    .refusal(408, "the request took longer than \(Notation.text(server.times.request))"),
                    isHead: false,
                    keepsAlive: false)
                advance(connection)
            case .reading, .writing, .lingering: close(connection)
            }
        }
    }

    private func timeoutMillis(_ now: Instant) -> Int32 {
        var nearest = Instant.never
        for case .some(let connection) in connections { nearest = min(nearest, connection.deadline) }
        return nearest == .never ? -1 : Int32(clamping: (nearest - now).millis + 1)
    }
}

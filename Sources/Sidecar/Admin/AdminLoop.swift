// The admin thread's loop: accept, read, route, write, time out. Owner: the admin thread.
//
// Theory: the verbs are the emergency brake, so no stranger may hold them up. A full house makes room for a
// newcomer (AdminLoop+Room.swift), and a turn does a bounded amount of work for each connection and renders
// one page at most, so that a verb waits for one page and not for all that were asked for.
// Invariant: a connection handles one request at a time; its next one waits in the reader until the answer is
// written, so a client that pipelines without reading fills only the kernel's buffers.

import Config
import Control
import Platform
import Wire

/// What runs on the admin thread.
final class AdminLoop {
    private enum Kind: UInt8 { case listener, mailbox, connection }

    /// Requests, or reads, of one connection before the others get a turn.
    private static let stepsPerTurnMax = 16
    /// Bytes of an answer written to one connection before the others get a turn.
    private static let bytesPerTurnMax = 1 << 20
    /// Connections accepted before those that are there get a turn.
    private static let acceptsPerTurnMax = 16
    /// Answers owed by the controller at a time, verbs aside: more would stand in its mailbox before a verb.
    private static let errandsMax = 8

    let server: AdminServer
    private let listener: Descriptor
    private let handlers: AdminHandlers
    private var poller: Poller
    private var parser = HeadParser(limits: AdminReader.limits)
    var connections: [AdminConnection?]
    private var generation: UInt32 = 0
    private var scratch = [UInt8](repeating: 0, count: 16 << 10)
    private let localHost: String?
    /// Somebody may wait at the listener, whose edge has been seen.
    private var isAcceptDue = false
    /// Not before: a failure or a full house put accepting off.
    private var acceptAgainAt = Instant.never
    /// Accepted, and without a place so far.
    private var newcomer: Newcomer?
    /// Requests that are not verbs and have not been handed on, oldest first.
    private var errands: [(connection: Token, errand: AdminErrand)] = []
    /// Connections whose errand is with the controller.
    private var errandsUnderWay: Set<Token> = []
    /// Pages to be rendered, oldest first.
    private var pages: [AdminReply] = []

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
                case .listener: isAcceptDue = true
                case .mailbox: server.replies.wakeup.drain()
                case .connection: if let connection = find(token) { advance(connection) }
                case .none: break
                }
            }
            takeReplies()
            runErrand()
            renderPage()
            accept(Clock.now())
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

    // MARK: Accepting

    private func accept(_ now: Instant) {
        if acceptAgainAt <= now {
            acceptAgainAt = .never
            isAcceptDue = true
        }
        guard isAcceptDue, acceptAgainAt == .never else { return }
        for _ in 0..<Self.acceptsPerTurnMax {
            if newcomer == nil {
                switch Socket.accept(listener) {
                case .connection(let descriptor, let address): newcomer = Newcomer(descriptor, address)
                case .wouldBlock:
                    isAcceptDue = false
                    return
                case .failed:
                    // Out of descriptors, say: the clients wait in the backlog.
                    acceptAgainAt = now + .millis(100)
                    return
                }
            }
            switch makeRoom(now) {
            case .place(let slot): seat(in: slot, now)
            case .noneBefore(let later):
                acceptAgainAt = later
                return
            }
        }
    }

    private func seat(in slot: Int, _ now: Instant) {
        guard let arrived = newcomer.take(), let descriptor = arrived.descriptor.take() else { return }
        generation &+= 1
        let token = Token(kind: Kind.connection.rawValue, generation: generation, slot: UInt32(slot))
        let peer: AdminPeer
        if localHost == nil {
            let who = Socket.peerCredentials(of: descriptor).map { "uid \($0.uid) pid \($0.pid)" }
            peer = AdminPeer(description: who ?? "unix socket", isUnixSocket: true, localHost: nil)
        } else {
            let host = local(descriptor)
            peer = AdminPeer(description: "\(arrived.address)", isUnixSocket: false, localHost: host)
        }
        let connection = AdminConnection(
            descriptor, token, peer, now: now, deadline: now + server.times.request)
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

    func close(_ connection: AdminConnection) {
        connections[Int(connection.token.slot)] = nil
    }

    // MARK: One connection

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
                connection.idleSince = Clock.now()
                connection.deadline = connection.idleSince + server.times.idle
            case .reading:
                guard step(connection) else { return }
            case .lingering:
                guard drop(connection) else { return }
            }
        }
    }

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
        let errand = AdminRoutes.errand(request)
        switch errand {
        case .answer(let response): answer(connection, response, isHead: isHead, keepsAlive: keepsAlive)
        case .liveness: answer(connection, .text(200, "alive"), isHead: isHead, keepsAlive: keepsAlive)
        case .readiness: answer(connection, handlers.readiness(), isHead: isHead, keepsAlive: keepsAlive)
        case .metrics, .status, .reports, .ledger, .feedback:
            wait(connection, .waiting(isHead: isHead, keepsAlive: keepsAlive, isVerb: false))
            errands.append((connection.token, errand))
        case .verb(let verb):
            wait(connection, .waiting(isHead: isHead, keepsAlive: keepsAlive, isVerb: true))
            handlers.verb(verb, connection.peer.description, replying(to: connection.token, isVerb: true))
        }
    }

    private func replying(to token: Token, isVerb: Bool) -> AdminReturn {
        { [replies = server.replies] rendering in
            // Full only when the admin thread has ended.
            _ = replies.post(AdminReply(connection: token, isVerb: isVerb, rendering: rendering))
        }
    }

    private func wait(_ connection: AdminConnection, _ state: AdminConnection.State) {
        connection.state = state
        connection.busySince = Clock.now()
        connection.deadline = connection.busySince + server.times.reply
    }

    private func answer(
        _ connection: AdminConnection, _ response: AdminResponse, isHead: Bool, keepsAlive: Bool
    ) {
        connection.output += response.bytes(toHead: isHead, keepsAlive: keepsAlive)
        connection.state = .writing(keepsAlive: keepsAlive)
        connection.busySince = Clock.now()
        connection.deadline = connection.busySince + server.times.write
    }

    // MARK: What the controller owes

    /// Hands on the oldest errand that somebody still waits for.
    private func runErrand() {
        while errandsUnderWay.count < Self.errandsMax, !errands.isEmpty {
            let (token, errand) = errands.removeFirst()
            guard let connection = find(token), case .waiting = connection.state else { continue }
            errandsUnderWay.insert(token)
            let reply = replying(to: token, isVerb: false)
            switch errand {
            case .metrics(let accept): handlers.metrics(accept, reply)
            case .status: handlers.status(reply)
            case .reports: handlers.reports(reply)
            case .ledger: handlers.ledger(reply)
            case .feedback(let body, let isLines): handlers.feedback(body, isLines, reply)
            case .answer, .liveness, .readiness, .verb: preconditionFailure("answered where it came in")
            }
            return
        }
    }

    private func takeReplies() {
        for _ in 0..<AdminServer.connectionsMax {
            guard let reply = server.replies.take() else { return }
            if reply.isVerb {
                take(reply)
            } else {
                errandsUnderWay.remove(reply.connection)
                pages.append(reply)
            }
        }
        // More may wait, and their signal is gone.
        server.replies.wakeup.signal()
    }

    /// Renders the oldest page that somebody still waits for.
    private func renderPage() {
        while !pages.isEmpty {
            let reply = pages.removeFirst()
            guard find(reply.connection) != nil else { continue }
            return take(reply)
        }
    }

    private func take(_ reply: AdminReply) {
        guard let connection = find(reply.connection),
            case .waiting(let isHead, let keepsAlive, _) = connection.state
        else { return }
        answer(connection, reply.rendering(), isHead: isHead, keepsAlive: keepsAlive)
        advance(connection)
    }

    // MARK: Writing and ending

    /// Writes what is due; true when nothing is left.
    func flush(_ connection: AdminConnection) -> Bool {
        var left = Self.bytesPerTurnMax
        while connection.written < connection.output.count {
            guard left > 0 else {
                yield(connection)
                return false
            }
            let transfer = connection.output[connection.written...].prefix(left).withUnsafeBytes {
                connection.descriptor.send($0)
            }
            switch transfer {
            case .moved(let count):
                connection.written += count
                connection.busySince = Clock.now()
                left -= count
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
            case .waiting(let isHead, _, _):
                errandsUnderWay.remove(connection.token)
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
        let isErrandDue = !errands.isEmpty && errandsUnderWay.count < Self.errandsMax
        if isErrandDue || !pages.isEmpty || isAcceptDue && acceptAgainAt == .never { return 0 }
        var nearest = acceptAgainAt
        for case .some(let connection) in connections { nearest = min(nearest, connection.deadline) }
        guard nearest != .never else { return -1 }
        return nearest <= now ? 0 : Int32(clamping: (nearest - now).millis + 1)
    }
}

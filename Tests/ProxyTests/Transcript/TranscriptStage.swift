// A data plane between one client and scripted model servers, all played by one thread: so that what each
// side sees depends on the data plane alone, never on which thread was quicker.
// Place: TranscriptTests plays one case after the other on a stage and records what it returns.
// Invariant: a case is over when its client has seen the end and every server's connection either lies
// between two requests or has ended.

import Glibc
import Metrics
import Platform

@testable import Proxy

/// What a server answers to one request.
struct ScriptedAnswer {
    var bytes: [UInt8]
    /// The server ends its side after it.
    var closes: Bool
}

/// What was seen in one case.
struct Played {
    var client: [UInt8] = []
    var ending = ""
    /// By server, and there in the order in which the requests began: on a new connection or not, the bytes,
    /// and whether the connection ended.
    var servers: [(server: Int, isNew: Bool, bytes: [UInt8], isEnded: Bool)] = []
}

/// A data plane with its servers.
final class TranscriptStage {
    let plane: Plane
    private let listeners: [WatchedListener]
    private var connections: [Connection] = []
    /// Requests that servers have seen whole in this case, for scripts that depend on it.
    private var attempts: [Int]

    private final class Connection {
        let socket: WatchedSocket
        let server: Int
        var isNew = true
        /// Bytes of this case that belong to requests already answered.
        var answered = 0
        /// The end is waited for: nothing more is to come on this connection.
        var isLast = false
        /// Its place among the connections that were used in this case.
        var order: Int?

        init(_ socket: WatchedSocket, _ server: Int) {
            self.socket = socket
            self.server = server
        }

        var isAtRest: Bool {
            socket.ending != nil || !isLast && answered == socket.received.count
        }
    }

    /// - Parameter plan: makes the model from the servers' addresses.
    init(servers: Int, limits: Limits = .patient, _ plan: ([SocketAddress]) -> ModelPlan) throws {
        listeners = try (0..<servers).map { _ in try WatchedListener() }
        attempts = Array(repeating: 0, count: servers)
        plane = try Plane([plan(listeners.map(\.address))], limits: limits)
    }

    /// Plays one request.
    ///
    /// - Parameters:
    ///   - blocker: a client whose request takes the only place first, and is answered once this one waits.
    ///   - answer: what a server answers to the attempt of that number; nil: nothing, and it closes.
    func play(
        _ request: [UInt8], method: String, occupiedBy blocker: WatchedSocket? = nil,
        answer: (_ server: Int, _ attempt: Int) -> ScriptedAnswer?
    ) throws -> Played {
        begin()
        var held: Connection?
        if let blocker {
            blocker.send(Array("GET /blocker HTTP/1.1\r\nhost: m\r\n\r\n".utf8))
            try run("the request that takes the only place", [blocker]) {
                held = self.connections.first { requestEnd($0.socket.received[...]) != nil }
                return held != nil
            }
        }
        let client = try WatchedSocket(to: plane.data.addresses[0])
        client.send(request)
        if let held, let blocker {
            try run("the request that waits", [client, blocker]) {
                client.ending != nil || isResponseWhole(client.received[...], to: method)
                    || self.plane.core[.exchanges] == 2
            }
            _ = held.socket.takeReceived()
            held.socket.send(Array("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".utf8))
        }
        try run("the end of a case", blocker.map { [client, $0] } ?? [client]) {
            for connection in self.connections { self.serve(connection, answer) }
            if !client.isFinished, isResponseWhole(client.received[...], to: method) { client.finish() }
            if let blocker, !blocker.isFinished, isResponseWhole(blocker.received[...], to: "GET") {
                blocker.finish()
            }
            return client.ending != nil && (blocker == nil || blocker?.ending != nil)
                && self.connections.allSatisfy(\.isAtRest)
        }
        return end(client)
    }

    private func begin() {
        attempts = attempts.map { _ in 0 }
        connections.removeAll { $0.socket.ending != nil }
        for connection in connections {
            _ = connection.socket.takeReceived()
            connection.isNew = false
            connection.answered = 0
            connection.order = nil
        }
    }

    private func serve(
        _ connection: Connection, _ answer: (_ server: Int, _ attempt: Int) -> ScriptedAnswer?
    ) {
        let rest = connection.socket.received[connection.answered...]
        guard !connection.isLast, !rest.isEmpty else { return }
        if connection.order == nil {
            connection.order = (connections.compactMap(\.order).max() ?? -1) + 1
        }
        guard let end = requestEnd(rest) else { return }
        connection.answered = end
        let answer = answer(connection.server, attempts[connection.server])
        attempts[connection.server] += 1
        let isEarly = String(decoding: rest, as: UTF8.self).contains("9223372036854775807")
        connection.isLast = answer?.closes ?? true || isEarly
        connection.socket.send(
            answer?.bytes ?? [], thenFinishes: connection.isLast && answer?.isTunnel != true)
    }

    private func end(_ client: WatchedSocket) -> Played {
        var played = Played()
        played.client = client.received
        played.ending = client.ending?.rawValue ?? "open"
        let used = connections.compactMap { one in one.order.map { (one, one.server, $0) } }
        for (connection, server, _) in used.sorted(by: { ($0.1, $0.2) < ($1.1, $1.2) }) {
            played.servers.append(
                (server, connection.isNew, connection.socket.received, connection.isLast))
        }
        return played
    }

    /// Moves bytes until the condition holds.
    private func run(_ what: String, _ clients: [WatchedSocket], _ isOver: () -> Bool) throws {
        let deadline = Clock.now() + .patience
        while true {
            for client in clients { client.move() }
            for (server, listener) in listeners.enumerated() {
                while let socket = listener.accept() { connections.append(Connection(socket, server)) }
            }
            for connection in connections { connection.socket.move() }
            if isOver() { return }
            guard Clock.now() < deadline else {
                throw PeerFailure.late(what, sofar: String(decoding: clients[0].received, as: UTF8.self))
            }
            let sockets = clients + connections.map(\.socket)
            var watches = sockets.map { pollfd(fd: $0.raw, events: $0.events, revents: 0) }
            watches += listeners.map { pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0) }
            // A condition may be about a counter, which wakes nobody: hence the short wait.
            _ = poll(&watches, nfds_t(watches.count), 5)
        }
    }
}

extension ScriptedAnswer {
    /// It switches protocols: what follows goes both ways until the client ends.
    var isTunnel: Bool { String(decoding: bytes.prefix(12), as: UTF8.self) == "HTTP/1.1 101" }
}

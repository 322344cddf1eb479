// A model server that plays a script: a listener on loopback, a thread for each connection, and on it a
// closure that reads and writes exactly what the test is about.
// Place: behind the data plane. Port 0; ends with `stop` or with its last reference.
// Invariant: after `stop` no thread of it runs and no connection of it is open.

import Glibc
import Platform
import Synchronization

/// A scripted server.
final class Origin: Sendable {
    /// Plays one connection; its end, or an error, closes it. The number counts connections from 0.
    typealias Script = @Sendable (Peer, Int) throws -> Void

    let address: SocketAddress
    private let stage: Stage
    private let thread: Thread

    init(on place: SocketAddress = .loopback, _ script: @escaping Script) throws {
        let listener = try Socket.listen(place, reusePort: false)
        guard let bound = Socket.localAddress(of: listener) else { throw PeerFailure.odd("no address") }
        address = bound
        let stage = try Stage(script)
        self.stage = stage
        let number = listener.release()
        thread = try Thread.spawn(name: "origin") { stage.serve(Descriptor(adopting: number)) }
    }

    deinit { stop() }

    /// Whole requests that scripts have read.
    var seen: Notes<Message> { stage.seen }
    /// Numbers of the connections taken so far.
    var connections: Notes<Int> { stage.accepted }

    /// Cuts every connection and waits for the threads.
    func stop() {
        stage.ending.signal()
        thread.join()
    }
}

/// What the threads of an origin share.
private final class Stage: Sendable {
    let script: Origin.Script
    let seen: Notes<Message>
    let accepted: Notes<Int>
    let ending: Wakeup

    init(_ script: @escaping Origin.Script) throws {
        self.script = script
        seen = try Notes()
        accepted = try Notes()
        ending = try Wakeup()
    }

    /// The accepting thread: until the end, then waits for the others.
    func serve(_ listener: consuming Descriptor) {
        var players: [Thread] = []
        while wait(listener.raw) {
            while case .connection(let socket, _) = Socket.accept(listener) {
                let index = players.count
                let number = socket.release()
                let player = try? Thread.spawn(name: "origin-\(index)") { [self] in play(number, index) }
                guard let player else { preconditionFailure("a thread for a connection") }
                players.append(player)
            }
        }
        for player in players { player.join() }
    }

    /// False: it is over.
    private func wait(_ listener: Int32) -> Bool {
        var watch = (
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
            pollfd(fd: ending.descriptor.raw, events: Int16(POLLIN), revents: 0)
        )
        _ = withUnsafeMutableBytes(of: &watch) { both in
            poll(both.assumingMemoryBound(to: pollfd.self).baseAddress, 2, -1)
        }
        return watch.1.revents == 0
    }

    private func play(_ number: Int32, _ index: Int) {
        let peer = Peer(Descriptor(adopting: number))
        peer.cutoff = ending.descriptor.raw
        peer.notes = seen
        peer.number = index
        accepted.add(index)
        // An error is the end of the connection, as it is for any server.
        try? script(peer, index)
        peer.close()
    }
}

// MARK: - Common scripts

extension Origin {
    /// Answers every request on a kept-alive connection.
    static func answering(
        on place: SocketAddress = .loopback, _ answer: @escaping @Sendable (Message) -> String
    ) throws -> Origin {
        try Origin(on: place) { peer, _ in
            while let request = try peer.request() { try peer.send(answer(request)) }
        }
    }

    /// Answers 200 with its name as the body.
    static func named(_ name: String, on place: SocketAddress = .loopback) throws -> Origin {
        try answering(on: place) { _ in ok(name) }
    }

    /// Answers `/endless` with a body that never ends, and anything else with 200.
    static func endless() throws -> Origin {
        let block = [UInt8](repeating: 0x62, count: 1 << 20)
        return try Origin { peer, _ in
            while let request = try peer.request() {
                guard request.target == "/endless" else {
                    try peer.send(ok("served"))
                    continue
                }
                try peer.send("HTTP/1.1 200 OK\r\n\r\n")
                while true { try peer.send(block) }
            }
        }
    }
}

/// A 200 with a length.
func ok(_ body: String = "", _ fields: String...) -> String { reply(200, body, fields) }

/// A response with a length.
func reply(_ status: Int, _ body: String = "", _ fields: [String] = []) -> String {
    let lines = fields.map { $0 + "\r\n" }.joined()
    return "HTTP/1.1 \(status) Status\r\ncontent-length: \(body.utf8.count)\r\n\(lines)\r\n\(body)"
}

/// An address that refuses connections as long as this lives: bound, not listening.
final class RefusingAddress {
    let address: SocketAddress
    private let number: Int32

    init() throws {
        let number = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, size) == 0 }
        }
        let socket = Descriptor(adopting: dup(number))
        guard isBound, let bound = Socket.localAddress(of: socket) else { throw PeerFailure.odd("bind") }
        address = bound
        self.number = number
    }

    deinit { Glibc.close(number) }
}

extension SocketAddress {
    /// Any free port of 127.0.0.1.
    static var loopback: SocketAddress { .ip(IPAddress(ipv4: 0x7F00_0001), port: 0) }
}

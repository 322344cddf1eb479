// One end of a connection that a transcript is made of: keeps every byte that came and how the other side
// ended. Nothing here blocks: the stage polls all its sockets and moves whatever can be moved.
// Invariant: `received` is what came, in order, and only grows until it is taken.

import Glibc
import Platform

/// A socket whose bytes are recorded.
final class WatchedSocket {
    private var socket: Descriptor?
    /// The socket's number; -1 once it is closed.
    private(set) var raw: Int32
    private(set) var received: [UInt8] = []
    /// How the other side ended, once it has.
    private(set) var ending: Ending?
    private var unsent: ArraySlice<UInt8> = []
    private var finishes = false
    private(set) var isFinished = false

    enum Ending: String { case closed, reset }

    init(_ socket: consuming Descriptor) {
        raw = socket.raw
        self.socket = Optional(consume socket)
    }

    /// Connects; what is sent waits until the connection stands.
    convenience init(to address: SocketAddress) throws {
        guard let target = RawAddress(address) else { throw PeerFailure.odd("address \(address)") }
        switch Socket.connect(target) {
        case .connected(let socket): self.init(socket)
        case .inProgress(let socket): self.init(socket)
        case .failed(let errno): throw PeerFailure.failed(errno)
        }
    }

    /// What to wait for.
    var events: Int16 { Int16(ending == nil ? POLLIN : 0) | Int16(unsent.isEmpty ? 0 : POLLOUT) }

    /// Sends everything as room comes; then, where it is to be finished, ends this side.
    func send(_ bytes: [UInt8], thenFinishes: Bool = false) {
        unsent += bytes
        finishes = finishes || thenFinishes
        push()
    }

    /// No more bytes from here once those are sent that wait.
    func finish() { send([], thenFinishes: true) }

    /// Moves what can be moved now.
    func move() {
        push()
        var scratch = [UInt8](repeating: 0, count: 64 << 10)
        while ending == nil {
            switch scratch.withUnsafeMutableBytes({ room in socket?.receive(into: room) ?? .closed }) {
            case .moved(let count): received += scratch[..<count]
            case .wouldBlock: return
            case .closed: end(.closed)
            case .failed: end(.reset)
            }
        }
    }

    private func push() {
        while !unsent.isEmpty,
            case .moved(let count) = unsent.withUnsafeBytes({ socket?.send($0) ?? .closed })
        {
            unsent = unsent.dropFirst(count)
        }
        if unsent.isEmpty, finishes, !isFinished {
            socket?.shutdownWrite()
            isFinished = true
        }
    }

    /// The other side has ended: so does this one.
    private func end(_ ending: Ending) {
        self.ending = ending
        unsent = []
        socket = nil
        raw = -1
    }

    /// Forgets what came until now; returns it.
    func takeReceived() -> [UInt8] {
        defer { received = [] }
        return received
    }
}

/// A listening socket on a port of the kernel's choice.
final class WatchedListener {
    private let socket: Descriptor
    let address: SocketAddress
    var raw: Int32 { socket.raw }

    init() throws {
        socket = try Socket.listen(.loopback, reusePort: false)
        guard let bound = Socket.localAddress(of: socket) else { throw PeerFailure.odd("no address") }
        address = bound
    }

    /// The next connection that waits, if one does.
    func accept() -> WatchedSocket? {
        guard case .connection(let socket, _) = Socket.accept(socket) else { return nil }
        return WatchedSocket(socket)
    }
}

// A server that answers whatever it reads with the same bytes, in pieces of a given size: each piece is sent
// with a system call of its own, so that a reader meets the cuts.
// Place: the far end in the tests of the load generator. One thread; ended by its mailbox.

import Platform

/// A listener on loopback with one scripted answer.
final class ScriptedServer: Sendable {
    let address: SocketAddress
    private let ending: Mailbox<Bool>
    private let thread: Thread

    init(_ answer: [UInt8], pieceBytes: Int, closes: Bool) throws(SystemFailure) {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        guard let bound = Socket.localAddress(of: listener) else { preconditionFailure("a bound socket") }
        let ending = try Mailbox<Bool>(capacity: 1)
        let number = listener.release()
        address = bound
        self.ending = ending
        thread = try Thread.spawn(name: "scripted") {
            Self.serve(Descriptor(adopting: number), ending, answer, pieceBytes, closes)
        }
    }

    func stop() {
        _ = ending.post(true)
        thread.join()
    }

    private struct Client: ~Copyable {
        let socket: Descriptor
    }

    private static func serve(
        _ listener: consuming Descriptor, _ ending: Mailbox<Bool>, _ answer: [UInt8], _ pieceBytes: Int,
        _ closes: Bool
    ) {
        guard var poller = try? Poller(eventsMax: 16) else { preconditionFailure("a poller") }
        var clients = Slab<Client>(capacity: 256)
        _ = poller.add(ending.wakeup.descriptor, token: Token(bits: .max), interest: .readable)
        _ = poller.add(listener, token: Token(bits: .max - 1), interest: .readable)
        while ending.take() == nil {
            for i in 0..<poller.wait(timeoutMillis: -1) {
                let token = poller[i].token
                if token.bits == .max - 1 {
                    accept(listener, &poller, &clients)
                } else if token.bits != .max, let slot = clients.slot(of: token) {
                    answerOnce(slot, &clients, answer, pieceBytes, closes)
                }
            }
        }
    }

    private static func accept(
        _ listener: borrowing Descriptor, _ poller: inout Poller, _ clients: inout Slab<Client>
    ) {
        while case .connection(let socket, _) = Socket.accept(listener) {
            guard let slot = clients.insert(Client(socket: socket)) else { return }
            let token = Token(kind: 0, generation: clients.generation(slot), slot: slot.index)
            _ = poller.add(clients.pointer(slot).pointee.socket, token: token, interest: .readable)
        }
    }

    private static func answerOnce(
        _ slot: Slot<Client>, _ clients: inout Slab<Client>, _ answer: [UInt8], _ pieceBytes: Int,
        _ closes: Bool
    ) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 1)
        defer { room.deallocate() }
        switch clients.pointer(slot).pointee.socket.receive(into: room) {
        case .moved: break
        case .wouldBlock: return
        case .closed, .failed: return clients.remove(slot)
        }
        answer.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let end = pieceBytes < bytes.count - sent ? sent + pieceBytes : bytes.count
                _ = clients.pointer(slot).pointee.socket.send(
                    UnsafeRawBufferPointer(rebasing: bytes[sent..<end]))
                sent = end
            }
        }
        if closes { clients.remove(slot) }
    }
}

// A server on a thread of its own that answers by path: a status line for each that it knows, 404 for the
// rest.

import Glibc
import Platform
import Synchronization

@testable import Control

final class PathServer: Sendable {
    let address: SocketAddress
    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    init(_ answers: [String: String]) throws {
        let listener = try Socket.listen(.ip(.loopback, port: 0), reusePort: false)
        guard let bound = Socket.localAddress(of: listener) else {
            throw SystemFailure(operation: "listen", errno: Errno(code: EINVAL))
        }
        address = bound
        let number = listener.release()
        let started = try Thread.spawn(name: "path-server") { [self] in
            let listener = Descriptor(adopting: number)
            while !stopping.load(ordering: .acquiring) {
                var waiting = pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0)
                guard poll(&waiting, 1, 20) == 1 else { continue }
                guard case .connection(let socket, _) = Socket.accept(listener) else { continue }
                let words = readHead(socket.raw).split(separator: " ")
                let status = words.count > 1 ? answers[String(words[1])] : nil
                let head = "HTTP/1.1 \(status ?? "404 Not Found")\r\nconnection: close\r\n"
                let answer = Array((head + "content-length: 2\r\n\r\n{}").utf8)
                _ = send(socket.raw, answer, answer.count, Int32(MSG_NOSIGNAL))
            }
        }
        thread.withLock { $0 = started }
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        thread.withLock { $0.take() }?.join()
    }
}

/// What a client sends up to the end of its head, or until it says nothing for a minute.
func readHead(_ socket: Int32) -> String {
    var seen: [UInt8] = []
    while !String(decoding: seen, as: UTF8.self).contains("\r\n\r\n") {
        var piece = [UInt8](repeating: 0, count: 4_096)
        var readable = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, 60_000) == 1 else { break }
        let got = recv(socket, &piece, piece.count, 0)
        guard got > 0 else { break }
        seen += piece[..<got]
    }
    return String(decoding: seen, as: UTF8.self)
}

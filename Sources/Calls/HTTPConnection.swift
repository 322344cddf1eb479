// A blocking connection over a non-blocking socket: every wait ends at a deadline or when the caller is
// cancelled. TLS lies between through memory, so that one pump serves both kinds.
// Place: used by `HTTPClient` for one exchange; owner: the calling thread.
// Invariant: `deadline` is looked at before every wait, so a peer that drips bytes gains no time.

import Platform

/// One connection to a server.
final class HTTPConnection {
    let origin: String
    /// The next wait ends here.
    var deadline: Instant
    private let socket: Descriptor
    private var poller: Poller
    private var session: TLSSession?
    private let isCancelled: @Sendable () -> Bool

    /// Connects; returns when the connection stands.
    init(
        _ address: SocketAddress, origin: String, until deadline: Instant,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(HTTPFailure) {
        self.origin = origin
        self.deadline = deadline
        self.isCancelled = isCancelled
        func failed(_ reason: String) -> HTTPFailure {
            HTTPFailure(stage: .connect, origin: origin, reason: reason)
        }
        guard let raw = RawAddress(address) else { throw failed("has an address that no socket takes") }
        do throws(SystemFailure) {
            poller = try Poller(eventsMax: 1)
        } catch {
            throw failed("cannot be called: \(error)")
        }
        switch Socket.connect(raw) {
        case .failed(let errno): throw failed("does not take the connection at \(address): \(errno)")
        case .connected(let made): socket = made
        case .inProgress(let made): socket = made
        }
        let interest: Readiness = [.readable, .writable, .peerClosed]
        if let errno = poller.add(socket, token: Token(bits: 0), interest: interest) {
            throw failed("cannot be watched: \(errno)")
        }
        // The first event says that the connection stands or has failed.
        do throws(HTTPFailure) {
            try wait("take the connection at \(address)")
        } catch {
            var late = error
            if late.stage == .timeout { late.stage = .connect }
            throw late
        }
        if let errno = Socket.pendingError(of: socket) {
            throw failed("does not take the connection at \(address): \(errno)")
        }
    }

    /// Shakes hands; returns when the server has proven that it is `host`.
    func secure(host: String, caFile: String?, until deadline: Instant) throws(HTTPFailure) {
        self.deadline = deadline
        do throws(TLSProblem) {
            session = try TLSSession(host: host, caFile: caFile)
        } catch {
            throw failure(.tls, error.reason)
        }
        while true {
            let step = session?.handshake() ?? .done
            try flush()
            switch step {
            case .done: return
            case .wantsBytes:
                guard try fill() else {
                    throw failure(.tls, "closed the connection during the TLS handshake")
                }
            case .failed(let problem): throw failure(.tls, problem.reason)
            }
        }
    }

    /// Sends all bytes.
    /// - Returns: why it could not; reading may still find an answer.
    func write(_ bytes: [UInt8]) -> HTTPFailure? {
        do throws(HTTPFailure) {
            switch session?.write(bytes) {
            case nil: try send(bytes)
            case true: try flush()
            case false: return failure(.send, "cannot be sent to: its TLS session broke")
            }
            return nil
        } catch {
            return error
        }
    }

    /// The next bytes; empty at the end. A TLS session that ends without saying so is a failure: what came
    /// may have been cut by somebody else.
    func read() throws(HTTPFailure) -> [UInt8] {
        while true {
            switch session?.read() {
            case nil: return try receive() ?? []
            case .bytes(let bytes): return bytes
            case .end: return []
            case .wantsBytes:
                try flush()
                guard try fill() else {
                    throw failure(.receive, "closed the connection without ending its TLS session")
                }
            case .failed(let problem): throw failure(.receive, problem.reason)
            }
        }
    }

    // MARK: The pump

    /// Sends what TLS has written.
    private func flush() throws(HTTPFailure) {
        while let bytes = session?.takeOutput() { try send(bytes) }
    }

    /// Gives TLS what has arrived; false at the end.
    private func fill() throws(HTTPFailure) -> Bool {
        guard let bytes = try receive() else { return false }
        session?.putInput(bytes)
        return true
    }

    private func send(_ bytes: [UInt8]) throws(HTTPFailure) {
        var sent = 0
        while sent < bytes.count {
            switch bytes[sent...].withUnsafeBytes({ socket.send($0) }) {
            case .moved(let count): sent += count
            case .wouldBlock: try wait("read the request")
            case .closed: throw failure(.send, "closed the connection before it had the request")
            case .failed(let errno): throw failure(.send, "broke the connection: \(errno)")
            }
        }
    }

    private func receive() throws(HTTPFailure) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            switch piece.withUnsafeMutableBytes({ socket.receive(into: $0) }) {
            case .moved(let count): return Array(piece[..<count])
            case .wouldBlock: try wait("answer")
            case .closed: return nil
            case .failed(let errno): throw failure(.receive, "broke the connection: \(errno)")
            }
        }
    }

    /// Waits for the socket, in pieces of 100 ms, so that a cancelled call ends soon.
    private func wait(_ verb: String) throws(HTTPFailure) {
        while true {
            if isCancelled() { throw failure(.cancelled, "was given up: Weir stops") }
            let now = Clock.now()
            guard now < deadline else { throw failure(.timeout, "does not \(verb) in time") }
            let millis = min((deadline - now).millis + 1, 100)
            if poller.wait(timeoutMillis: Int32(millis)) > 0 { return }
        }
    }

    func failure(_ stage: HTTPFailure.Stage, _ reason: String) -> HTTPFailure {
        HTTPFailure(stage: stage, origin: origin, reason: reason)
    }
}

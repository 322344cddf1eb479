// One end of a connection in the hands of a test: sends exact bytes, reads exact bytes, ends as it is told.
// Every call blocks on the socket until it is done or its deadline passes, so no test sleeps to be right.
// Place: the raw client before a data plane, and the socket inside a scripted origin.
// Invariant: bytes read and not asked for yet stay in `buffer`, in order. Confined to one thread.

import Glibc
import Platform

/// What went wrong on a test's connection.
enum PeerFailure: Error, CustomStringConvertible {
    /// The deadline passed; what had been read by then.
    case late(String, sofar: String)
    /// The other side ended before it had said what was waited for.
    case ended(sofar: String)
    case failed(Errno)
    /// The bytes were not the message that was expected.
    case odd(String)

    var description: String {
        switch self {
        case .late(let what, let sofar): "too late for \(what) after <\(sofar.suffix(300))>"
        case .ended(let sofar): "the other side ended after <\(sofar.suffix(300))>"
        case .failed(let errno): "failed with \(errno)"
        case .odd(let what): "odd: \(what)"
        }
    }
}

/// One end of a connection.
final class Peer {
    private var socket: Descriptor?
    /// The socket's number; -1 once closed.
    private var raw: Int32
    private(set) var buffer: [UInt8] = []
    private var isEnded = false
    /// Where requests read by `request()` are noted.
    var notes: Notes<Message>?
    /// Its number among the connections of its origin.
    var number = 0
    /// How long one call may take.
    var patience = Interval.patience
    /// A descriptor that becomes readable when this end is to give up; an origin's, else none.
    var cutoff: Int32 = -1
    private var scratch = [UInt8](repeating: 0, count: 64 << 10)

    init(_ socket: consuming Descriptor) {
        raw = socket.raw
        self.socket = Optional(consume socket)
    }

    /// Connects, waiting until the connection stands.
    convenience init(to address: SocketAddress, receiveBytes: Int32? = nil) throws {
        guard let target = RawAddress(address) else { throw PeerFailure.odd("address \(address)") }
        switch Socket.connect(target) {
        case .connected(let socket):
            self.init(socket)
        case .inProgress(let socket):
            var watch = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
            guard poll(&watch, 1, Int32(clamping: Interval.patience.millis)) > 0 else {
                throw PeerFailure.late("a connection", sofar: "")
            }
            if let errno = Socket.pendingError(of: socket) { throw PeerFailure.failed(errno) }
            self.init(socket)
        case .failed(let errno):
            throw PeerFailure.failed(errno)
        }
        if let receiveBytes {
            var value = receiveBytes
            setsockopt(raw, SOL_SOCKET, SO_RCVBUF, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Waits until the socket is ready for `events`.
    private func block(_ events: Int32, _ what: String, until deadline: Instant? = nil) throws {
        let end = deadline ?? Clock.now() + patience
        while true {
            let left = end - Clock.now()
            guard left > .zero, raw >= 0 else {
                throw PeerFailure.late(what, sofar: text(buffer))
            }
            var watch = (
                pollfd(fd: raw, events: Int16(events), revents: 0),
                pollfd(fd: cutoff, events: Int16(POLLIN), revents: 0)
            )
            let count = withUnsafeMutableBytes(of: &watch) { both in
                poll(
                    both.assumingMemoryBound(to: pollfd.self).baseAddress, 2, Int32(clamping: left.millis + 1)
                )
            }
            if watch.1.revents != 0 { throw PeerFailure.ended(sofar: text(buffer)) }
            if count > 0 { return }
        }
    }

    // MARK: Sending

    /// Sends everything, waiting for room.
    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            switch push(bytes[sent...]) {
            case .moved(let count): sent += count
            case .wouldBlock: try block(POLLOUT, "room to send")
            case .closed: throw PeerFailure.ended(sofar: text(buffer))
            case .failed(let errno): throw PeerFailure.failed(errno)
            }
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends each byte with a call of its own.
    func drip(_ text: String) throws {
        for byte in text.utf8 { try send([byte]) }
    }

    /// Sends the bytes over and over as long as there is room, until none has come for `stillness` or `most`
    /// have gone out; returns how many did.
    func pour(_ bytes: [UInt8], upTo most: Int, stillness: Interval = .millis(150)) throws -> Int {
        var sent = 0
        while sent < most {
            let from = sent % bytes.count
            switch push(bytes[from..<min(bytes.count, from + most - sent)]) {
            case .moved(let count):
                sent += count
            case .wouldBlock:
                do { try block(POLLOUT, "room", until: Clock.now() + stillness) } catch { return sent }
            case .closed:
                throw PeerFailure.ended(sofar: "")
            case .failed(let errno):
                throw PeerFailure.failed(errno)
            }
        }
        return sent
    }

    private func push(_ bytes: ArraySlice<UInt8>) -> Transfer {
        bytes.withUnsafeBytes { bytes in
            socket?.send(bytes) ?? .closed
        }
    }

    /// No more bytes from here; reading goes on.
    func finish() {
        socket?.shutdownWrite()
    }

    /// Neither reads nor writes, until the origin stops.
    func hold() {
        var watch = pollfd(fd: cutoff, events: Int16(POLLIN), revents: 0)
        _ = poll(&watch, 1, Int32(clamping: patience.millis))
    }

    /// Closes; a reset where input was unread.
    func close() {
        socket = nil
        raw = -1
    }

    /// Closes with a reset.
    func reset() {
        socket?.resetOnClose()
        close()
    }

    // MARK: Reading

    /// Reads once more into the buffer; false at the end. A reset throws.
    func more(_ what: String, until deadline: Instant? = nil) throws -> Bool {
        if isEnded { return false }
        let end = deadline ?? Clock.now() + patience
        while true {
            let transfer = scratch.withUnsafeMutableBytes { room -> Transfer in
                socket?.receive(into: room) ?? .closed
            }
            switch transfer {
            case .moved(let count):
                buffer.append(contentsOf: scratch[..<count])
                return true
            case .wouldBlock:
                try block(POLLIN, what, until: end)
            case .closed:
                isEnded = true
                return false
            case .failed(let errno):
                throw PeerFailure.failed(errno)
            }
        }
    }

    /// Takes bytes up to and including the mark.
    func take(through mark: String) throws -> String {
        let bytes = Array(mark.utf8)
        let deadline = Clock.now() + patience
        var from = 0
        while true {
            if let end = find(bytes, from: from) {
                return text(drop(end))
            }
            from = max(0, buffer.count - bytes.count)
            guard try more("<\(mark)>", until: deadline) else {
                throw PeerFailure.ended(sofar: text(buffer))
            }
        }
    }

    private func find(_ mark: [UInt8], from: Int) -> Int? {
        guard buffer.count >= mark.count else { return nil }
        var i = from
        while i + mark.count <= buffer.count {
            if buffer[i] == mark[0], buffer[i..<i + mark.count].elementsEqual(mark) { return i + mark.count }
            i += 1
        }
        return nil
    }

    private func drop(_ count: Int) -> [UInt8] {
        let bytes = Array(buffer[..<count])
        buffer.removeFirst(count)
        return bytes
    }

    /// Takes exactly so many bytes.
    func take(_ count: Int) throws -> [UInt8] {
        let deadline = Clock.now() + patience
        while buffer.count < count {
            guard try more("\(count) bytes", until: deadline) else {
                throw PeerFailure.ended(sofar: text(buffer))
            }
        }
        return drop(count)
    }

    /// Reads and forgets exactly so many bytes; no buffer grows with them.
    func discard(_ count: Int) throws {
        var left = count
        while left > 0 {
            if buffer.isEmpty {
                guard try more("\(left) bytes") else { throw PeerFailure.ended(sofar: "") }
            }
            let some = min(left, buffer.count)
            if some == buffer.count {
                buffer.removeAll(keepingCapacity: true)
            } else {
                buffer.removeFirst(some)
            }
            left -= some
        }
    }

    /// Everything up to the other side's orderly end. A reset throws.
    func takeAll() throws -> [UInt8] {
        let deadline = Clock.now() + patience
        while try more("the end", until: deadline) {}
        return drop(buffer.count)
    }

    /// Waits for the other side's end and drops what comes before.
    func end() throws -> Ending {
        let deadline = Clock.now() + patience
        do {
            while try more("the end", until: deadline) { buffer.removeAll(keepingCapacity: true) }
            return .orderly
        } catch PeerFailure.failed(let errno) where errno == .connectionReset || errno == .brokenPipe {
            return .reset
        }
    }

    /// Whether nothing can be read now.
    var isQuiet: Bool {
        guard buffer.isEmpty, raw >= 0 else { return false }
        var watch = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        return poll(&watch, 1, 0) == 0
    }

    enum Ending: Equatable { case orderly, reset }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

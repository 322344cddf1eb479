// The other end of the admin API, for the command line: one request, one answer, blocking, with a deadline.
// Invariant: an answer is whole or it is no answer; a body shorter than its Content-Length counts as cut.
// Source: RFC 9112; the parser is Wire's.

import Glibc
import Payload
import Platform
import Wire

/// An answer of the admin API.
public struct AdminAnswer: Sendable {
    public var status: Int
    public var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    /// The body's beginning on one line: whoever listens at the address may have written it.
    public var excerpt: String { ForeignText.line(bytes: body, bytesMax: 1_024) }
    /// The body as JSON; nil when it is none.
    public var json: JSON? { try? JSON(parsing: body) }
    public var isSuccess: Bool { (200..<300).contains(status) }
}

/// Why there is no answer; the description says what to do.
public struct AdminUnreachable: Error, Sendable, CustomStringConvertible {
    public var address: SocketAddress
    public var reason: String

    public var description: String {
        "no answer from the admin API at \(address): \(reason). Is weir running? "
            + "Name its address with --admin, or its config with --config."
    }
}

/// Calls the admin API of a running Weir.
public struct AdminClient: Sendable {
    public let address: SocketAddress
    private let timeout: Interval
    static let answerBytesMax = 256 << 20

    public init(_ address: SocketAddress, timeout: Interval = .seconds(35)) {
        self.address = address
        self.timeout = timeout
    }

    /// - Parameter text: as `127.0.0.1:9902`, `[::1]:9902` or `unix:/run/weir.sock`; nil when it is none.
    public init?(at text: String) {
        guard let address = SocketAddress(text) else { return nil }
        self.init(address)
    }

    public func get(_ path: String) throws(AdminUnreachable) -> AdminAnswer {
        try call("GET \(path) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", body: [])
    }

    /// POST /verbs/<word>.
    public func send(_ verb: AdminVerb) throws(AdminUnreachable) -> AdminAnswer {
        let body = Array(verb.json.text.utf8)
        return try call(
            "POST /verbs/\(verb.word.rawValue) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                + "content-type: application/json\r\ncontent-length: \(body.count)\r\n\r\n", body: body)
    }

    /// POST /outcomes, one JSON object per line.
    public func post(outcomes lines: [UInt8]) throws(AdminUnreachable) -> AdminAnswer {
        try call(
            "POST \(AdminRoutes.outcomes) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                + "content-type: application/x-ndjson\r\ncontent-length: \(lines.count)\r\n\r\n",
            body: lines)
    }

    private func call(_ head: String, body: [UInt8]) throws(AdminUnreachable) -> AdminAnswer {
        let exchange: AdminExchange
        do throws(SystemFailure) {
            exchange = AdminExchange(Array(head.utf8) + body, try Poller(eventsMax: 4), Clock.now() + timeout)
        } catch {
            throw AdminUnreachable(address: address, reason: "\(error)")
        }
        guard let raw = RawAddress(address) else {
            throw AdminUnreachable(address: address, reason: "the path is too long for a socket")
        }
        switch exchange.run(raw) {
        case .success(let answer): return answer
        case .failure(let failure): throw AdminUnreachable(address: address, reason: failure.reason)
        }
    }
}

/// One exchange under way.
private final class AdminExchange {
    struct Failure: Error { var reason: String }

    private let request: [UInt8]
    private var poller: Poller
    private let deadline: Instant
    private var answer: [UInt8] = []

    init(_ request: [UInt8], _ poller: consuming Poller, _ deadline: Instant) {
        self.request = request
        self.poller = poller
        self.deadline = deadline
    }

    func run(_ address: RawAddress) -> Result<AdminAnswer, Failure> {
        switch Socket.connect(address) {
        case .failed(let errno): return .failure(Failure(reason: "\(errno.name) (\(errno))"))
        case .connected(let descriptor): return talk(descriptor)
        case .inProgress(let descriptor): return talk(descriptor)
        }
    }

    private func talk(_ descriptor: borrowing Descriptor) -> Result<AdminAnswer, Failure> {
        if let errno = poller.add(descriptor, token: Token(bits: 0), interest: [.readable, .writable]) {
            return .failure(Failure(reason: errno.name))
        }
        var sent = 0
        while sent < request.count {
            switch request[sent...].withUnsafeBytes({ descriptor.send($0) }) {
            case .moved(let count): sent += count
            case .wouldBlock: guard wait() else { return late }
            case .closed: return .failure(Failure(reason: "it closed the connection"))
            case .failed(let errno) where errno.code == ENOTCONN: guard wait() else { return late }
            case .failed(let errno): return .failure(Failure(reason: "\(errno.name) (\(errno))"))
            }
            if sent == 0, let errno = Socket.pendingError(of: descriptor) {
                return .failure(Failure(reason: "\(errno.name) (\(errno))"))
            }
        }
        return receive(descriptor)
    }

    private var late: Result<AdminAnswer, Failure> { .failure(Failure(reason: "it does not answer in time")) }

    private func receive(_ descriptor: borrowing Descriptor) -> Result<AdminAnswer, Failure> {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while answer.count < AdminClient.answerBytesMax {
            switch piece.withUnsafeMutableBytes({ descriptor.receive(into: $0) }) {
            case .moved(let count): answer += piece[..<count]
            case .wouldBlock: guard wait() else { return late }
            case .closed: return parse()
            case .failed(let errno): return .failure(Failure(reason: "\(errno.name) (\(errno))"))
            }
        }
        return .failure(Failure(reason: "its answer is longer than 256 MiB"))
    }

    private func wait() -> Bool {
        let now = Clock.now()
        guard now < deadline else { return false }
        return poller.wait(timeoutMillis: Int32(clamping: (deadline - now).millis + 1)) >= 0
    }

    private func parse() -> Result<AdminAnswer, Failure> {
        var parser = HeadParser(limits: AdminReader.limits)
        var rest = answer[...]
        while true {
            let bytes = Array(rest)
            switch parser.response(bytes.span.bytes, scanned: 0, to: .get) {
            case .complete(let head) where head.isInterim: rest = rest.dropFirst(head.byteCount)
            case .complete(let head):
                let body = Array(bytes[head.byteCount...])
                if case .length(let count) = head.framing, body.count != Int(count) {
                    return .failure(Failure(reason: "its answer was cut"))
                }
                return .success(AdminAnswer(status: Int(head.status), body: body))
            case .needMore, .refused: return .failure(Failure(reason: "its answer is not HTTP"))
            }
        }
    }
}

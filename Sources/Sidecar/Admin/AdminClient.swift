// The other end of the admin API, for the command line: one request, one answer, blocking, with a deadline.
// Invariant: an answer is whole or it is no answer; a body shorter than its Content-Length counts as cut.
// Source: RFC 9112; the parser is Wire's.

import Config
import Control
import Glibc
import Payload
import Platform
import Wire

/// An answer of the admin API.
package struct AdminAnswer: Sendable {
    package var status: Int
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    /// The body's beginning on one line: whoever listens at the address may have written it.
    package var excerpt: String { ForeignText.line(bytes: body, bytesMax: 1_024) }
    /// The body as JSON; nil when it is none.
    package var json: JSON? { try? JSON(parsing: body) }
    package var isSuccess: Bool { (200..<300).contains(status) }
}

/// Why there is no answer; the description says what happened and what to do.
package struct AdminUnreachable: Error, Sendable, CustomStringConvertible {
    var address: SocketAddress
    var reason: String
    /// What the caller may do about it.
    var advice: String
    /// Where the address is from; nil: the caller knows.
    var origin: String?

    package var description: String {
        let from = origin.map { " The address is \($0)." } ?? ""
        return "no answer from the admin API at \(address): \(reason). \(advice)\(from)"
    }

    static let isItRunning =
        "Is weir running? Name its address with --admin, or its config with --config."
    /// Where it may have been obeyed all the same.
    static let tryAgain =
        "Try again; `weir status` and `weir audit show` say whether the last try was obeyed."
}

/// Calls the admin API of a running Weir.
package struct AdminClient: Sendable {
    let address: SocketAddress
    private let timeout: Interval
    private var origin: String?
    static let answerBytesMax = 256 << 20

    package init(_ address: SocketAddress, timeout: Interval = .seconds(35)) {
        self.address = address
        self.timeout = timeout
    }

    package init(_ place: AdminPlace) {
        self.init(place.address)
        origin = place.origin
    }

    /// - Parameter text: as `127.0.0.1:9902`, `[::1]:9902` or `unix:/run/weir.sock`; nil when it is none.
    package init?(at text: String) {
        guard let address = SocketAddress(text) else { return nil }
        self.init(address)
    }

    package func get(_ path: String) throws(AdminUnreachable) -> AdminAnswer {
        try call("GET \(path) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", body: [])
    }

    /// POST /verbs/<word>.
    package func send(_ verb: AdminVerb) throws(AdminUnreachable) -> AdminAnswer {
        let body = Array(verb.json.text.utf8)
        return try call(
            "POST /verbs/\(verb.word.rawValue) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                + "content-type: application/json\r\ncontent-length: \(body.count)\r\n\r\n", body: body)
    }

    /// POST /feedback, one JSON object per line.
    package func post(feedback lines: [UInt8]) throws(AdminUnreachable) -> AdminAnswer {
        try call(
            "POST \(AdminRoutes.feedback) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                + "content-type: application/x-ndjson\r\ncontent-length: \(lines.count)\r\n\r\n",
            body: lines)
    }

    private func call(_ head: String, body: [UInt8]) throws(AdminUnreachable) -> AdminAnswer {
        let exchange: AdminExchange
        do throws(SystemFailure) {
            exchange = AdminExchange(Array(head.utf8) + body, try Poller(eventsMax: 4), timeout)
        } catch {
            let failure = AdminFailure(error.errno, "cannot be called: \(error)")
            throw unreachable(failure.reason, failure.advice)
        }
        guard let raw = RawAddress(address) else {
            throw unreachable("the path is too long for a socket", "Use a shorter one.")
        }
        switch exchange.run(raw) {
        case .success(let answer): return answer
        case .failure(let failure): throw unreachable(failure.reason, failure.advice)
        }
    }

    private func unreachable(_ reason: String, _ advice: String) -> AdminUnreachable {
        AdminUnreachable(address: address, reason: reason, advice: advice, origin: origin)
    }
}

/// Why an exchange came to nothing.
private struct AdminFailure: Error {
    var reason: String
    var advice: String

    init(_ reason: String, _ advice: String) {
        self.reason = reason
        self.advice = advice
    }

    /// - Parameter what: what failed, as "it does not take the connection".
    init(_ errno: Errno, _ what: String) {
        reason = what
        switch errno.code {
        case EMFILE, ENFILE:
            advice =
                "This command has no file descriptor left (ulimit -n is \(ProcessUsage.descriptorsMax)): "
                + "raise it or close what holds them."
        case EACCES, EPERM:
            advice = "The socket is its owner's alone: run this command as the user that weir runs as."
        case ENOENT: advice = "There is no socket at that path. " + AdminUnreachable.isItRunning
        case ECONNREFUSED: advice = "Nobody listens there. " + AdminUnreachable.isItRunning
        case ECONNRESET, EPIPE: advice = AdminUnreachable.tryAgain
        default: advice = AdminUnreachable.isItRunning
        }
    }
}

/// One exchange under way.
private final class AdminExchange {
    private typealias Outcome = Result<AdminAnswer, AdminFailure>

    private let request: [UInt8]
    private var poller: Poller
    private let timeout: Interval
    private let deadline: Instant
    private var answer: [UInt8] = []

    init(_ request: [UInt8], _ poller: consuming Poller, _ timeout: Interval) {
        self.request = request
        self.poller = poller
        self.timeout = timeout
        deadline = Clock.now() + timeout
    }

    func run(_ address: RawAddress) -> Result<AdminAnswer, AdminFailure> {
        while true {
            switch Socket.connect(address) {
            case .connected(let descriptor): return talk(descriptor)
            case .inProgress(let descriptor): return talk(descriptor)
            // A Unix socket whose backlog is full says so instead of letting us wait.
            case .failed(let errno) where errno == .wouldBlock:
                guard wait(millisMax: 10) else {
                    return .failure(
                        AdminFailure(
                            "it has not taken the connection in \(Notation.text(timeout))",
                            "More clients wait there than weir gets to. Try again."))
                }
            case .failed(let errno): return .failure(AdminFailure(errno, "\(errno.name) (\(errno))"))
            }
        }
    }

    private func talk(_ descriptor: borrowing Descriptor) -> Outcome {
        if let errno = poller.add(descriptor, token: Token(bits: 0), interest: [.readable, .writable]) {
            return .failure(AdminFailure(errno, errno.name))
        }
        var sent = 0
        while sent < request.count {
            switch request[sent...].withUnsafeBytes({ descriptor.send($0) }) {
            case .moved(let count): sent += count
            case .wouldBlock: guard wait() else { return late(sent) }
            // It may have said why before it closed.
            case .closed: return receive(descriptor)
            case .failed(let errno) where errno.code == ENOTCONN: guard wait() else { return late(sent) }
            case .failed(let errno) where errno.code == EPIPE || errno.code == ECONNRESET:
                return receive(descriptor)
            case .failed(let errno): return .failure(AdminFailure(errno, "\(errno.name) (\(errno))"))
            }
            if sent == 0, let errno = Socket.pendingError(of: descriptor) {
                return .failure(AdminFailure(errno, "\(errno.name) (\(errno))"))
            }
        }
        return receive(descriptor)
    }

    private func late(_ sent: Int) -> Outcome {
        let did = sent == 0 ? "taken the connection" : answer.isEmpty ? "answered" : "finished its answer"
        return .failure(
            AdminFailure("it has not \(did) in \(Notation.text(timeout))", AdminUnreachable.tryAgain))
    }

    private func receive(_ descriptor: borrowing Descriptor) -> Outcome {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while answer.count < AdminClient.answerBytesMax {
            switch piece.withUnsafeMutableBytes({ descriptor.receive(into: $0) }) {
            case .moved(let count): answer += piece[..<count]
            case .wouldBlock: guard wait() else { return late(request.count) }
            case .closed: return parse()
            // A whole answer may stand before the reset.
            case .failed(let errno):
                let parsed = parse()
                if case .success = parsed { return parsed }
                return .failure(AdminFailure(errno, "it broke the connection, \(errno.name) (\(errno))"))
            }
        }
        return .failure(AdminFailure("its answer is longer than 256 MiB", "Ask for one model at a time."))
    }

    private func wait(millisMax: Int32 = .max) -> Bool {
        let now = Clock.now()
        guard now < deadline else { return false }
        let millis = min(millisMax, Int32(clamping: (deadline - now).millis + 1))
        return poller.wait(timeoutMillis: millis) >= 0
    }

    private func parse() -> Outcome {
        guard !answer.isEmpty else {
            return .failure(
                AdminFailure("it closed the connection without an answer", AdminUnreachable.tryAgain))
        }
        var parser = HeadParser(limits: AdminReader.limits)
        var rest = answer[...]
        while true {
            let bytes = Array(rest)
            switch parser.response(bytes.span.bytes, scanned: 0, to: .get) {
            case .complete(let head) where head.isInterim: rest = rest.dropFirst(head.byteCount)
            case .complete(let head):
                let body = Array(bytes[head.byteCount...])
                if case .length(let count) = head.framing, body.count != Int(count) {
                    return .failure(
                        AdminFailure(
                            "its answer ended after \(body.count) of \(count) bytes",
                            AdminUnreachable.tryAgain))
                }
                return .success(AdminAnswer(status: Int(head.status), body: body))
            case .needMore:
                return .failure(
                    AdminFailure("its answer ended in the middle of its head", AdminUnreachable.tryAgain))
            case .refused:
                return .failure(
                    AdminFailure(
                        "what answers there is not HTTP/1.1: it says '\(Self.shown(answer))'",
                        "Another program listens at that address. " + AdminUnreachable.isItRunning))
            }
        }
    }

    /// The beginning of foreign bytes, safe for a terminal.
    private static func shown(_ bytes: [UInt8]) -> String {
        String(
            decoding: bytes.prefix(40).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") },
            as: UTF8.self)
    }
}

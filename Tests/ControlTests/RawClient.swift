// A client that sends bytes as they are, for tests of servers; and a server that answers as it is told.

import Platform
import Synchronization
import Testing

@testable import Control

/// How long a test waits for what has to come: only against hanging, so longer than any machine is busy.
let patienceSeconds: UInt64 = 120

/// One connection with a deadline on every wait.
final class RawClient {
    private let descriptor: Descriptor
    private var poller: Poller
    private let deadline: Instant
    /// The peer ended with a reset.
    private(set) var wasReset = false

    init(_ address: SocketAddress, seconds: UInt64 = patienceSeconds) throws {
        let raw = try #require(RawAddress(address))
        poller = try Poller(eventsMax: 1)
        deadline = Clock.now() + .seconds(seconds)
        switch Socket.connect(raw) {
        case .connected(let made): descriptor = made
        case .inProgress(let made): descriptor = made
        case .failed(let errno): throw SystemFailure(operation: "connect \(address)", errno: errno)
        }
        _ = poller.add(descriptor, token: Token(bits: 0), interest: [.readable, .writable, .peerClosed])
    }

    private func wait() -> Bool {
        let now = Clock.now()
        guard now < deadline else { return false }
        _ = poller.wait(timeoutMillis: Int32(clamping: (deadline - now).millis + 1))
        return true
    }

    /// Sends all; false when the peer has closed.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            switch bytes[sent...].withUnsafeBytes({ descriptor.send($0) }) {
            case .moved(let count): sent += count
            case .wouldBlock: if !wait() { return false }
            case .closed: return false
            case .failed(let errno):
                // Not connected yet.
                guard errno.code == 107, wait() else { return false }
            }
        }
        return true
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Sends what the socket takes at once, and forgets the rest.
    func sendNow(_ text: String) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { return }
        _ = bytes.withUnsafeBytes { descriptor.send($0) }
    }

    /// Says that nothing more comes.
    func finish() { descriptor.shutdownWrite() }

    /// Reads until the peer closes, or until `isEnough`.
    func receive(until isEnough: (String) -> Bool = { _ in false }) -> String {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            switch piece.withUnsafeMutableBytes({ descriptor.receive(into: $0) }) {
            case .moved(let count): all += piece[..<count]
            case .wouldBlock: if !wait() { return String(decoding: all, as: UTF8.self) + "(timeout)" }
            case .closed: return String(decoding: all, as: UTF8.self)
            case .failed(let errno):
                wasReset = errno == .connectionReset
                guard errno.code == 107, wait() else { return String(decoding: all, as: UTF8.self) }
            }
            let text = String(decoding: all, as: UTF8.self)
            if isEnough(text) { return text }
        }
    }
}

/// A server on loopback whose answer a test changes while it runs.
final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        case bytes(String)
        /// As above, and keeps the connection open.
        case kept(String)
        /// Accepts and says nothing until `release`.
        case silence
    }

    let address: SocketAddress
    private let answer: Mutex<Answer>
    private let isStopping = Atomic<Bool>(false)
    private let served = Atomic<Int>(0)
    private let asked = Atomic<Int>(0)
    private let released = Mutex<String?>(nil)
    private let thread = Mutex<Thread?>(nil)

    init(_ first: Answer) throws {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        address = Socket.localAddress(of: listener) ?? .unix(path: "")
        answer = Mutex(first)
        let loop = try ScriptedLoop(self, listener)
        let started = try Thread.spawn(name: "scripted") { loop.run() }
        thread.withLock { $0 = started }
    }

    /// Answers those that were met with silence, at the next look.
    func release(_ text: String) { released.withLock { $0 = text } }

    func set(_ next: Answer) { answer.withLock { $0 = next } }
    /// Connections, with those that are kept warm and carry nothing.
    var count: Int { served.load(ordering: .acquiring) }
    /// Connections that a request came on; those that come while the answer is silence are not read.
    var requestCount: Int { asked.load(ordering: .acquiring) }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    /// The server's thread. A connection is answered when its first bytes come; those that are kept warm and
    /// carry nothing hold nobody up.
    private final class ScriptedLoop {
        private let server: ScriptedServer
        private let listener: Descriptor
        private var poller: Poller
        /// Connections that wait for their first bytes.
        private var waiting: Set<Int32> = []
        /// Answered ones, until the client has closed: closing on unread bytes would reset the answer away.
        private var ending: Set<Int32> = []
        private var silent: [Int32] = []

        init(_ server: ScriptedServer, _ listener: consuming Descriptor) throws {
            self.server = server
            self.listener = listener
            poller = try Poller(eventsMax: 64)
        }

        func run() {
            _ = poller.add(listener, token: Token(bits: .max), interest: .readable)
            while !server.isStopping.load(ordering: .acquiring) {
                for i in 0..<poller.wait(timeoutMillis: 5) {
                    let token = poller[i].token
                    if token.bits == .max { accept() } else { serve(Int32(token.bits)) }
                }
                if let text = server.released.withLock({ $0.take() }) { release(text) }
            }
            for raw in silent + waiting + ending { _ = Descriptor(adopting: raw) }
        }

        private func accept() {
            while case .connection(let client, _) = Socket.accept(listener) {
                server.served.wrappingAdd(1, ordering: .releasing)
                let raw = client.raw
                if case .silence = server.answer.withLock({ $0 }) {
                    silent.append(client.release())
                    continue
                }
                _ = poller.add(client, token: Token(bits: UInt64(raw)), interest: [.readable, .peerClosed])
                waiting.insert(client.release())
            }
        }

        private func release(_ text: String) {
            for raw in silent {
                let client = Descriptor(adopting: raw)
                _ = Array(text.utf8).withUnsafeBytes { client.send($0) }
            }
            silent = []
        }

        private func serve(_ raw: Int32) {
            guard waiting.contains(raw) || ending.contains(raw) else { return }
            let client = Descriptor(adopting: raw)
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                switch piece.withUnsafeMutableBytes({ client.receive(into: $0) }) {
                case .moved:
                    guard waiting.remove(raw) != nil else { continue }
                    server.asked.wrappingAdd(1, ordering: .releasing)
                    guard answer(client) else { return silent.append(client.release()) }
                    client.shutdownWrite()
                    ending.insert(raw)
                case .wouldBlock:
                    _ = client.release()
                    return
                case .closed, .failed:
                    waiting.remove(raw)
                    ending.remove(raw)
                    return
                }
            }
        }

        /// False: the connection is kept open.
        private func answer(_ client: borrowing Descriptor) -> Bool {
            switch server.answer.withLock({ $0 }) {
            case .silence: return false
            case .bytes(let text):
                _ = Array(text.utf8).withUnsafeBytes { client.send($0) }
                return true
            case .kept(let text):
                _ = Array(text.utf8).withUnsafeBytes { client.send($0) }
                return false
            }
        }
    }
}

/// Looks every few milliseconds until something holds; false when it never did.
func eventually(seconds: UInt64 = patienceSeconds, _ holds: () throws -> Bool) rethrows -> Bool {
    let deadline = Clock.now() + .seconds(seconds)
    guard var poller = try? Poller(eventsMax: 1) else { return false }
    while Clock.now() < deadline {
        if try holds() { return true }
        _ = poller.wait(timeoutMillis: 5)
    }
    return try holds()
}

/// Judges what has to happen within a limit where a machine that is busy with others may be too slow for it:
/// the limit is four times as long each time, until the body could judge.
/// - Parameter body: gets the limit; false: the machine was too slow to judge anything.
func calmly(from limit: Interval, _ body: (Interval) throws -> Bool) throws {
    for factor: UInt64 in [1, 4, 16, 64] where try body(.micros(limit.micros * factor)) { return }
    Issue.record("the machine is too slow for \(limit.micros * 64) us")
}

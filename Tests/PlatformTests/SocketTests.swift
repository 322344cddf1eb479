// Laws of sockets over loopback and Unix paths, the failing ones included: what a person reads when a port
// is taken, a path is too long, or nobody listens. Every port is the kernel's choice (port 0), and every
// path lies in a directory of its own.

import Glibc
import Platform
import Testing

/// Waits until a descriptor is readable, 10 s at most.
func waitReadable(_ descriptor: borrowing Descriptor) throws {
    var poller = try Poller(eventsMax: 1)
    _ = poller.add(descriptor, token: Token(kind: 0, generation: 0, slot: 0), interest: .readable)
    let count = poller.wait(timeoutMillis: 60_000)
    try #require(count == 1)
}

/// A connected client, whether or not the connection was immediate.
func connected(to address: SocketAddress) throws -> Descriptor {
    let raw = try #require(RawAddress(address))
    switch Socket.connect(raw) {
    case .connected(let socket): return socket
    case .inProgress(let socket):
        var poller = try Poller(eventsMax: 1)
        _ = poller.add(socket, token: Token(kind: 0, generation: 0, slot: 0), interest: .writable)
        let count = poller.wait(timeoutMillis: 60_000)
        try #require(count == 1)
        if let errno = Socket.pendingError(of: socket) { throw errno }
        return socket
    case .failed(let errno): throw errno
    }
}

/// The next client of a listener and its address.
func accepted(from listener: borrowing Descriptor) throws -> Descriptor {
    try waitReadable(listener)
    switch Socket.accept(listener) {
    case .connection(let socket, _): return socket
    case .wouldBlock: throw Errno(code: EAGAIN)
    case .failed(let errno): throw errno
    }
}

/// A client and a server connected over IPv4 loopback.
struct TCPPair: ~Copyable {
    let client: Descriptor
    let server: Descriptor

    init() throws {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0))
        let bound = Socket.localAddress(of: listener)
        let first = try connected(to: try #require(bound))
        let second = try accepted(from: listener)
        client = first
        server = second
    }

    /// Closes the client and gives the server out.
    consuming func closingClient() throws -> Descriptor { server }
}

/// A directory that goes with its files.
struct TemporaryDirectory: ~Copyable {
    let path: String

    init() throws {
        let template = "/tmp/weir-test-\(String(Entropy.word(), radix: 36))"
        try File.makeDirectory(template)
        path = template
    }

    deinit {
        for entry in (try? File.list(path)) ?? [] { unlink("\(path)/\(entry.name)") }
        rmdir(path)
    }
}

private let loopback = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 0)

private func refusal(_ attempt: () throws(SystemFailure) -> Void) -> SystemFailure? {
    do {
        try attempt()
        return nil
    } catch {
        return error
    }
}

@Suite struct SocketTests {
    @Test("Bytes pass both ways over loopback", arguments: ["127.0.0.1:0", "[::1]:0"])
    func roundTrip(address: String) throws {
        let listener = try Socket.listen(try #require(SocketAddress(address)))
        let bound = Socket.localAddress(of: listener)
        let client = try connected(to: try #require(bound))
        try waitReadable(listener)
        guard case .connection(let server, let peer) = Socket.accept(listener) else {
            Issue.record("nobody was accepted")
            return
        }
        #expect("\(peer)" == (address.hasPrefix("[") ? "::1" : "127.0.0.1"))
        let sent = client.sent([1, 2, 3])
        #expect(sent == .moved(3))
        try waitReadable(server)
        let got = server.received(16)
        #expect(got.bytes == [1, 2, 3])
        guard case .wouldBlock = Socket.accept(listener) else {
            Issue.record("nobody else waits")
            return
        }
    }

    @Test("An accepted connection has TCP_NODELAY from its listener, and so has a connecting one")
    func noDelay() throws {
        let pair = try TCPPair()
        for raw in [pair.client.raw, pair.server.raw] {
            var value: Int32 = 0
            var length = socklen_t(4)
            getsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length)
            #expect(value != 0)
        }
    }

    @Test("Every socket closes on exec and never blocks")
    func flags() throws {
        let listener = try Socket.listen(loopback)
        let pair = try TCPPair()
        for raw in [listener.raw, pair.client.raw, pair.server.raw] {
            #expect(fcntl(raw, F_GETFD) & FD_CLOEXEC != 0)
            #expect(fcntl(raw, F_GETFL) & O_NONBLOCK != 0)
        }
    }

    @Test("A client that is accepted and dropped sees the end, so no descriptor leaks from the answer")
    func dropped() throws {
        let listener = try Socket.listen(loopback)
        let bound = Socket.localAddress(of: listener)
        let client = try connected(to: try #require(bound))
        try waitReadable(listener)
        switch Socket.accept(listener) {
        case .connection(let server, _): server.setNoDelay()
        case .wouldBlock: Issue.record("a client waits")
        case .failed(let errno): Issue.record(errno)
        }
        try waitReadable(client)
        let end = client.received(1)
        #expect(end.transfer == .closed)
    }

    @Test("Several cores can listen on one port")
    func reusePort() throws {
        let first = try Socket.listen(loopback)
        let bound = Socket.localAddress(of: first)
        let address = try #require(bound)
        let second = try Socket.listen(address)
        let same = Socket.localAddress(of: second)
        #expect(same == address)
    }

    @Test("A taken port is refused with the address and the reason")
    func takenPort() throws {
        let first = try Socket.listen(loopback)
        let bound = Socket.localAddress(of: first)
        let address = try #require(bound)
        let failure = refusal { () throws(SystemFailure) in _ = try Socket.listen(address, reusePort: false) }
        #expect(failure?.errno == .addressInUse)
        #expect(failure?.description == "bind \(address): EADDRINUSE (Address already in use)")
    }

    @Test("A connection that nobody accepts is refused")
    func connectRefused() throws {
        let address: SocketAddress
        do {
            let listener = try Socket.listen(loopback, reusePort: false)
            let bound = Socket.localAddress(of: listener)
            address = try #require(bound)
        }
        #expect(throws: Errno.connectionRefused) { _ = try connected(to: address).raw }
    }

    @Test("A Unix path longer than the kernel's 107 bytes is refused before the kernel would cut it")
    func longPath() throws {
        let fits = "/tmp/" + String(repeating: "x", count: 102)
        #expect(RawAddress(.unix(path: fits)) != nil)
        let path = fits + "x"
        #expect(RawAddress(.unix(path: path)) == nil)
        let failure = refusal { () throws(SystemFailure) in _ = try Socket.listen(.unix(path: path)) }
        #expect(failure?.description == "bind unix:\(path): ENAMETOOLONG (File name too long)")
    }

    @Test("A Unix socket works, knows its path, and says who called")
    func unix() throws {
        let directory = try TemporaryDirectory()
        let address = SocketAddress.unix(path: directory.path + "/s")
        let listener = try Socket.listen(address)
        let bound = Socket.localAddress(of: listener)
        #expect(bound == address)
        let client = try connected(to: address)
        let server = try accepted(from: listener)
        let caller = Socket.peerCredentials(of: server)
        #expect(caller?.pid == getpid() && caller?.uid == getuid() && caller?.gid == getgid())
        _ = client.sent([5])
        let got = server.received(4)
        #expect(got.bytes == [5])
        unlink(directory.path + "/s")
    }

    @Test("A TCP peer has no credentials")
    func noCredentials() throws {
        let pair = try TCPPair()
        let caller = Socket.peerCredentials(of: pair.server)
        #expect(caller == nil)
    }

    @Test("A stale Unix socket is replaced, a live one and any other file are left alone")
    func staleUnix() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        defer { unlink(path) }
        do { _ = try Socket.listen(.unix(path: path)) }
        let listener = try Socket.listen(.unix(path: path))
        let live = refusal { () throws(SystemFailure) in _ = try Socket.listen(.unix(path: path)) }
        #expect(live?.errno == .addressInUse)
        _ = try connected(to: .unix(path: path))
        _ = try accepted(from: listener)
        let file = directory.path + "/file"
        try File.replace(file, with: "precious".utf8)
        let other = refusal { () throws(SystemFailure) in _ = try Socket.listen(.unix(path: file)) }
        #expect(other?.description == "bind unix:\(file): EADDRINUSE (Address already in use)")
        let content = try File.readAll(file, bytesMax: 100)
        #expect(content == Array("precious".utf8))
    }

    @Test("A full backlog on a Unix socket fails at once instead of waiting")
    func fullBacklog() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        defer { unlink(path) }
        let listener = try Socket.listen(.unix(path: path), backlog: 1)
        let raw = try #require(RawAddress(.unix(path: path)))
        var held: [Int32] = []
        defer { for number in held { close(number) } }
        var failure: Errno?
        while failure == nil && held.count < 100 {
            switch Socket.connect(raw) {
            case .connected(let socket): held.append(socket.release())
            case .inProgress(let socket): held.append(socket.release())
            case .failed(let errno): failure = errno
            }
        }
        #expect(failure?.code == EAGAIN)
        #expect(listener.raw >= 0)
    }

    @Test("A number resolves to itself and a name through the system")
    func resolve() throws {
        let number = try Socket.resolve(host: "10.1.2.3", port: 80)
        #expect(number == [.ip(IPAddress(ipv4: 0x0A01_0203), port: 80)])
        let names = try Socket.resolve(host: "localhost", port: 81)
        #expect(names.contains { ["127.0.0.1:81", "[::1]:81"].contains("\($0)") })
        #expect(Set(names).count == names.count)
    }

    @Test("A name that does not resolve says so", arguments: ["", "no such host", "a\0b"])
    func unresolved(host: String) {
        #expect(throws: ResolveFailure.self) { _ = try Socket.resolve(host: host, port: 80) }
    }
}

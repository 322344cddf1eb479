// Laws of descriptors and transfers: ownership, and what each answer of the kernel becomes. Whether a
// descriptor was closed is asked of its peer, never of its number, which another test may have been given
// meanwhile.

import Glibc
import Platform
import Testing

/// Whether a descriptor number is open in this process. Only of use for numbers that the test itself holds.
func isOpen(_ raw: Int32) -> Bool { fcntl(raw, F_GETFD) >= 0 }

/// Two connected stream sockets, non-blocking.
struct Pair: ~Copyable {
    let a: Descriptor
    let b: Descriptor

    init() {
        let ends = Self.numbers()
        a = Descriptor(adopting: ends.0)
        b = Descriptor(adopting: ends.1)
    }

    /// The two ends as bare numbers, for the caller to adopt or close.
    static func numbers() -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0, &ends) == 0)
        return (ends[0], ends[1])
    }
}

extension Descriptor {
    /// Receives at most `count` bytes. Shortens the array in place: an optimised build of Swift 6.3 frees a
    /// copy `Array(bytes[..<n])` while it is being filled, where the caller then ignores it.
    func received(_ count: Int) -> (transfer: Transfer, bytes: [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: count)
        let transfer = bytes.withUnsafeMutableBytes { receive(into: $0) }
        guard case .moved(let n) = transfer else { return (transfer, []) }
        bytes.removeLast(count - n)
        return (transfer, bytes)
    }

    func sent(_ bytes: [UInt8]) -> Transfer { bytes.withUnsafeBytes { send($0) } }
}

@Suite struct DescriptorTests {
    @Test("A descriptor that goes closes: its peer sees the end")
    func closes() throws {
        let pair = Pair()
        do {
            let copy = try pair.a.duplicate()
            _ = copy.sent([1])
        }
        let first = pair.b.received(8)
        #expect(first.bytes == [1])
        let second = pair.b.received(8)
        #expect(second.transfer == .wouldBlock, "the original is still open")
        pair.a.shutdownWrite()
        let third = pair.b.received(8)
        #expect(third.transfer == .closed)
    }

    @Test("A released descriptor stays open and is the receiver's to close")
    func release() throws {
        let pair = Pair()
        let number = try pair.a.duplicate().release()
        #expect(isOpen(number))
        let adopted = Descriptor(adopting: number)
        let transfer = adopted.sent([9])
        #expect(transfer == .moved(1))
    }

    @Test("Nothing to read is wouldBlock, and so is a full socket")
    func wouldBlock() {
        let pair = Pair()
        let empty = pair.a.received(1)
        #expect(empty.transfer == .wouldBlock)
        let chunk = [UInt8](repeating: 0, count: 64 << 10)
        var last = Transfer.moved(0)
        for _ in 0..<10_000 {
            last = pair.a.sent(chunk)
            if last == .wouldBlock { break }
        }
        #expect(last == .wouldBlock)
    }

    @Test("A send to a peer that is gone fails with EPIPE and raises no signal")
    func brokenPipe() {
        let pair = Pair()
        let a = pair.a.raw
        let failure = lonely(pair)
        #expect(failure == .failed(.brokenPipe), "descriptor \(a)")
    }

    private func lonely(_ pair: consuming Pair) -> Transfer {
        shutdown(pair.b.raw, Int32(SHUT_RD))
        return pair.a.sent([1])
    }

    @Test("A peek leaves the bytes where they are")
    func peek() {
        let pair = Pair()
        _ = pair.a.sent([1, 2, 3])
        var room: [UInt8] = [0]
        let peeked = room.withUnsafeMutableBytes { pair.b.peek(into: $0) }
        #expect(peeked == .moved(1))
        let rest = pair.b.received(8)
        #expect(rest.bytes == [1, 2, 3])
    }

    @Test("A reset on close reaches the peer as ECONNRESET")
    func reset() throws {
        let connection = try TCPPair()
        connection.client.resetOnClose()
        let server = try connection.closingClient()
        try waitReadable(server)
        let end = server.received(8)
        #expect(end.transfer == .failed(.connectionReset))
    }

    @Test("Errors print their symbol and their meaning")
    func text() {
        #expect(Errno.connectionRefused.name == "ECONNREFUSED")
        #expect("\(Errno.connectionRefused)" == "Connection refused")
        #expect(Errno(code: 99_999).name == "errno 99999")
        let failure = SystemFailure(operation: "bind 127.0.0.1:80", errno: Errno(code: EACCES))
        #expect("\(failure)" == "bind 127.0.0.1:80: EACCES (Permission denied)")
    }
}

// A pipe. Between two sockets it is the hose of splice(2): bytes go from one to the other as pages of the
// kernel and never enter this process, which halves the cost of a large body.
// Invariant: both ends close on exec. What was filled in comes out in order, or goes with the pipe: there is
// no way to empty one but into a socket. Source: splice(2), pipe(7).

import CLinux
import Glibc

/// Both ends of a pipe. Owner: whoever holds the value.
public struct Pipe: ~Copyable {
    public let reading: Descriptor
    public let writing: Descriptor

    public init() throws(SystemFailure) {
        var ends: [Int32] = [-1, -1]
        _ = try check(weir_pipe(&ends), "make a pipe")
        reading = Descriptor(adopting: ends[0])
        writing = Descriptor(adopting: ends[1])
    }

    /// A pipe that holds `room` bytes if the kernel allows, less otherwise, and whose calls never wait. The
    /// calling thread takes no SIGPIPE from then on: sending to a socket that is closed is an errno.
    public init(room: Int) throws(SystemFailure) {
        try self.init()
        _ = weir_unblock(reading.raw)
        _ = weir_unblock(writing.raw)
        _ = weir_pipe_room(writing.raw, Int32(clamping: room))
        weir_block_broken_pipe()
    }

    /// Takes what a socket has received, `count` bytes at most. `wouldBlock` when it has nothing now, or when
    /// the pipe is full; a short count says nothing about what the socket still has.
    /// - Precondition: the socket is non-blocking, and `count` is positive.
    @inlinable public func fill(from socket: borrowing Descriptor, upTo count: Int) -> Transfer {
        precondition(count > 0, "nothing could not be told from an end")
        return Transfer(received: weir_splice(socket.raw, writing.raw, count))
    }

    /// Sends `count` bytes that the pipe holds. A short count means that the socket takes no more now, or
    /// only that one call did not do it all: call again until `wouldBlock`.
    /// - Precondition: the socket is non-blocking, and the pipe holds `count` bytes, at least one.
    @inlinable public func drain(into socket: borrowing Descriptor, _ count: Int) -> Transfer {
        precondition(count > 0, "an empty pipe would look blocked")
        return Transfer(sent: weir_splice(reading.raw, socket.raw, count))
    }
}

// A file descriptor as a value that is owned in one place and closes when it goes. It may be a stored
// property of the connection structs in a slab; `Optional.take()` swaps it out. Every transfer is one
// system call (EINTR is retried inside CLinux) and reports what happened as a `Transfer`, never by throwing.

import CLinux
import Glibc

/// An open file descriptor. Owner: whoever holds the value. Closed when the value ends.
@frozen public struct Descriptor: ~Copyable, Sendable {
    /// The number, for diagnostics and for calls that this module does not wrap; never to be closed.
    public let raw: Int32

    /// Takes over a descriptor that nobody else will close.
    @inlinable public init(adopting raw: Int32) {
        precondition(raw >= 0, "a descriptor is not negative")
        self.raw = raw
    }

    @inlinable deinit { _ = weir_close(raw) }

    /// Gives the number away without closing it, for an exec or a hand-over.
    @inlinable public consuming func release() -> Int32 {
        let number = raw
        discard self
        return number
    }
}

/// What one call that moves bytes did.
@frozen public enum Transfer: Equatable, Sendable {
    /// So many bytes went through; for a read, at least one.
    case moved(Int)
    /// Nothing now; the poller will report when it is worth another try.
    case wouldBlock
    /// A read met the end: the peer has finished sending.
    case closed
    case failed(Errno)

    @inlinable init(received result: Int) {
        if result > 0 {
            self = .moved(result)
        } else if result == 0 {
            self = .closed
        } else {
            self.init(failure: result)
        }
    }

    @inlinable init(sent result: Int) {
        if result >= 0 {
            self = .moved(result)
        } else {
            self.init(failure: result)
        }
    }

    @inlinable init(failure result: Int) {
        let code = Int32(truncatingIfNeeded: 0 &- result)
        self = code == EAGAIN ? .wouldBlock : .failed(Errno(code: code))
    }
}

extension Descriptor {
    /// recv(2), never waiting. A short count means that the socket is drained for now.
    /// - Precondition: `bytes` is not empty, or an end could not be told from nothing.
    @inlinable public func receive(into bytes: UnsafeMutableRawBufferPointer) -> Transfer {
        precondition(bytes.count > 0, "receive needs room")
        return Transfer(received: weir_recv(raw, bytes.baseAddress, bytes.count))
    }

    /// recv(2) that leaves the bytes in the socket: tells a live idle connection (`wouldBlock`) from one
    /// that its peer has closed.
    @inlinable public func peek(into bytes: UnsafeMutableRawBufferPointer) -> Transfer {
        precondition(bytes.count > 0, "peek needs room")
        return Transfer(received: weir_peek(raw, bytes.baseAddress, bytes.count))
    }

    /// Two stretches as one message (sendmsg(2)), otherwise as `send`: the first one's bytes go first.
    @inlinable public func send(
        _ first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer
    ) -> Transfer {
        Transfer(
            sent: weir_send_two(raw, first.baseAddress, first.count, second.baseAddress, second.count))
    }

    /// send(2), never waiting and never raising SIGPIPE.
    /// - Parameter more: another send follows at once (MSG_MORE); the kernel may hold a partial segment back.
    @inlinable public func send(_ bytes: UnsafeRawBufferPointer, more: Bool = false) -> Transfer {
        Transfer(sent: weir_send(raw, bytes.baseAddress, bytes.count, more ? 1 : 0))
    }

    /// sendmsg(2) over several pieces: one call for bytes that do not lie together.
    @inlinable public func send(
        pieces: UnsafeMutableBufferPointer<iovec>, more: Bool = false
    ) -> Transfer {
        Transfer(sent: weir_send_pieces(raw, pieces.baseAddress, pieces.count, more ? 1 : 0))
    }

    /// read(2), for files and pipes. Waits where the descriptor is blocking.
    @inlinable public func read(into bytes: UnsafeMutableRawBufferPointer) -> Transfer {
        precondition(bytes.count > 0, "read needs room")
        return Transfer(received: weir_read(raw, bytes.baseAddress, bytes.count))
    }

    /// write(2), for files and pipes. Waits where the descriptor is blocking.
    @inlinable public func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        Transfer(sent: weir_write(raw, bytes.baseAddress, bytes.count))
    }

    /// Says "no more bytes from me" and keeps reading (shutdown(2), SHUT_WR).
    @inlinable public func shutdownWrite() { _ = weir_shutdown_write(raw) }

    /// Sends small segments at once (TCP_NODELAY); without effect on a Unix socket.
    @inlinable public func setNoDelay() { _ = weir_no_delay(raw) }

    /// Makes the close that ends this value a reset: the peer learns that the stream was cut.
    @inlinable public func resetOnClose() { _ = weir_reset_on_close(raw) }

    /// A second descriptor for the same open file, as for the listeners of several cores on a Unix socket.
    public func duplicate() throws(SystemFailure) -> Descriptor {
        Descriptor(adopting: try check(weir_duplicate(raw), "duplicate a descriptor"))
    }
}

// Stream sockets: listen, accept, connect. All are non-blocking and close on exec. What happens on the
// request path returns a value; what happens at start-up throws with the address in its text.
// Source: socket(7), tcp(7), unix(7).

import CLinux
import Glibc

/// One call of `Socket.accept`.
@frozen public enum Accepted: ~Copyable {
    /// A client and its address; `IPAddress.none` on a Unix socket.
    case connection(Descriptor, IPAddress)
    case wouldBlock
    /// Nothing was accepted. When `Errno.isOutOfDescriptors`, the client still waits: pause, do not spin.
    case failed(Errno)
}

/// One call of `Socket.connect`.
@frozen public enum Connecting: ~Copyable {
    case connected(Descriptor)
    /// Writable will be reported when it is decided; then ask `Socket.pendingError`.
    case inProgress(Descriptor)
    case failed(Errno)
}

/// The calls that make sockets.
public enum Socket {
    /// Opens a listener. Port 0 takes a free port, see `localAddress`. `[::]` takes IPv4 clients as well.
    /// Accepted TCP connections have TCP_NODELAY set, inherited from here. A Unix path at which a socket
    /// lies that nobody listens on is replaced; any other file there is left alone and fails the bind.
    /// - Parameters:
    ///   - backlog: clients that the kernel holds until they are accepted; capped by net.core.somaxconn.
    ///   - reusePort: lets several cores bind the same port, each with its own queue. It also lets a second
    ///     process of the same user in, so a start-up that wants to know binds once without it first.
    ///   - mode: rights of a Unix socket's file from its first instant, less the umask; nil: all rights.
    public static func listen(
        _ address: SocketAddress, backlog: Int32 = 4096, reusePort: Bool = true, mode: UInt32? = nil
    ) throws(SystemFailure) -> Descriptor {
        let operation = "bind \(address)"
        guard let raw = RawAddress(address) else {
            throw SystemFailure(operation: operation, errno: .nameTooLong)
        }
        let socket = Descriptor(adopting: try check(weir_socket(raw.family), "socket for \(address)"))
        if raw.family != AF_UNIX {
            _ = try check(weir_set_option(socket.raw, SOL_SOCKET, SO_REUSEADDR, 1), operation)
            if reusePort {
                _ = try check(weir_set_option(socket.raw, SOL_SOCKET, SO_REUSEPORT, 1), operation)
            }
            if raw.family == AF_INET6 {
                _ = weir_set_option(socket.raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0)
            }
            socket.setNoDelay()
        }
        if let mode, raw.family == AF_UNIX { _ = try check(weir_set_mode(socket.raw, mode), operation) }
        var storage = raw.storage
        var bound = weir_bind(socket.raw, &storage, raw.length)
        if bound == 0 &- EADDRINUSE, case .unix(let path) = address, isStale(path, raw) {
            _ = weir_unlink(path)
            bound = weir_bind(socket.raw, &storage, raw.length)
        }
        _ = try check(bound, operation)
        _ = try check(weir_listen(socket.raw, backlog), "listen on \(address)")
        return socket
    }

    /// Whether a socket file lies at `path` that refuses connections: its process is gone.
    private static func isStale(_ path: String, _ raw: RawAddress) -> Bool {
        var status = stat()
        guard weir_stat_path(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        switch connect(raw) {
        case .failed(let errno): return errno == .connectionRefused
        case .connected: return false
        case .inProgress: return false
        }
    }

    /// The address that a socket is bound to, with the port that the kernel chose.
    public static func localAddress(of socket: borrowing Descriptor) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard weir_local_address(socket.raw, &storage, &length) == 0 else { return nil }
        return SocketAddress(storage, length: length)
    }

    /// Takes the next waiting client, non-blocking and close-on-exec.
    @inlinable public static func accept(_ listener: borrowing Descriptor) -> Accepted {
        var storage = sockaddr_storage()
        var length = socklen_t(0)
        let result = weir_accept(listener.raw, &storage, &length)
        guard result >= 0 else {
            return result == 0 &- EAGAIN ? .wouldBlock : .failed(Errno(negated: result))
        }
        return .connection(Descriptor(adopting: result), IPAddress(storage))
    }

    /// Starts a connection; TCP_NODELAY is set. A Unix socket connects at once or fails, with EAGAIN when
    /// the listener's backlog is full.
    @inlinable public static func connect(_ address: RawAddress) -> Connecting {
        let made = weir_socket(address.family)
        guard made >= 0 else { return .failed(Errno(negated: made)) }
        let socket = Descriptor(adopting: made)
        if address.family != AF_UNIX { socket.setNoDelay() }
        let length = address.length
        let result = withUnsafePointer(to: address.storage) { weir_connect(made, $0, length) }
        if result == 0 { return .connected(socket) }
        if result == 0 &- EINPROGRESS || result == 0 &- EINTR { return .inProgress(socket) }
        return .failed(Errno(negated: result))
    }

    /// The error that ended a connection attempt or a connection (SO_ERROR); asking clears it.
    @inlinable public static func pendingError(of socket: borrowing Descriptor) -> Errno? {
        let result = weir_get_option(socket.raw, SOL_SOCKET, SO_ERROR)
        if result == 0 { return nil }
        return result > 0 ? Errno(code: result) : Errno(negated: result)
    }

    /// Who opened the other end of a Unix socket, as the kernel saw it at connect time (SO_PEERCRED).
    public static func peerCredentials(
        of socket: borrowing Descriptor
    ) -> (pid: Int32, uid: UInt32, gid: UInt32)? {
        var credentials = weir_credentials()
        // A TCP socket answers too, with pid 0 and uid -1.
        guard weir_peer_credentials(socket.raw, &credentials) == 0, credentials.pid > 0 else { return nil }
        return (credentials.pid, credentials.uid, credentials.gid)
    }
}

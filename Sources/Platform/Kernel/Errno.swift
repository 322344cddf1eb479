// Errors of the environment as values. Hot paths hand out an `Errno` inside a result; what runs at
// start-up throws a `SystemFailure`, which names the operation and its object for a person to read.
// Invariant: a code is positive; results of CLinux carry it negated.

import CLinux
import Glibc

/// An error number of the kernel.
@frozen public struct Errno: Error, Hashable, Sendable {
    public let code: Int32

    @inlinable public init(code: Int32) { self.code = code }

    /// The error behind a result of CLinux, whose failures are negated error numbers.
    @inlinable init(negated result: Int32) { code = 0 &- result }

    @inlinable public static var brokenPipe: Errno { Errno(code: EPIPE) }
    @inlinable public static var connectionRefused: Errno { Errno(code: ECONNREFUSED) }
    @inlinable public static var connectionReset: Errno { Errno(code: ECONNRESET) }
    @inlinable public static var timedOut: Errno { Errno(code: ETIMEDOUT) }
    @inlinable public static var addressInUse: Errno { Errno(code: EADDRINUSE) }
    @inlinable public static var nameTooLong: Errno { Errno(code: ENAMETOOLONG) }
    @inlinable public static var noSuchFile: Errno { Errno(code: ENOENT) }
    @inlinable public static var exists: Errno { Errno(code: EEXIST) }
    @inlinable public static var isLink: Errno { Errno(code: ELOOP) }
    @inlinable public static var notPermitted: Errno { Errno(code: EPERM) }
    @inlinable public static var wouldBlock: Errno { Errno(code: EAGAIN) }
    @inlinable public static var fileTooLarge: Errno { Errno(code: EFBIG) }

    /// Whether the process or the system has no descriptor left: accepting must pause, not spin.
    @inlinable public var isOutOfDescriptors: Bool {
        code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM
    }

    /// Whether the disk, or the user's share of it, is full.
    @inlinable public var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }

    /// Whether the kernel, or what stands in its place, has no such call for such a descriptor.
    @inlinable public var isUnsupported: Bool {
        code == EINVAL || code == ENOSYS || code == EPERM || code == EOPNOTSUPP
    }

    /// The symbol, as in `ECONNREFUSED`.
    public var name: String {
        guard let text = strerrorname_np(code) else { return "errno \(code)" }
        return String(cString: text)
    }
}

extension Errno: CustomStringConvertible {
    /// The meaning in words, as in `Connection refused`; never localised.
    public var description: String {
        guard let text = strerrordesc_np(code) else { return "Unknown error \(code)" }
        return String(cString: text)
    }
}

/// A system call that failed, with what it was to do.
public struct SystemFailure: Error, Sendable, Equatable {
    /// The verb and its object, as in `bind 127.0.0.1:80`.
    public let operation: String
    public let errno: Errno

    public init(operation: String, errno: Errno) {
        self.operation = operation
        self.errno = errno
    }
}

extension SystemFailure: CustomStringConvertible {
    /// As in `bind 127.0.0.1:80: EACCES (Permission denied)`.
    public var description: String { "\(operation): \(errno.name) (\(errno))" }
}

/// Turns a failed result of CLinux into a `SystemFailure`; passes a good one on.
func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(SystemFailure) -> Int32 {
    guard result < 0 else { return result }
    throw SystemFailure(operation: operation(), errno: Errno(negated: result))
}

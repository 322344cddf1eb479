// A child process with pipes to it, started without a shell: posix_spawn(3) with a clean signal state and a
// process group of its own, so that it and whatever it starts can be ended together.
//
// Invariant: the pipes' own ends close on exec, so no other child holds them open; the child is reaped by
// whoever holds the value, and by nobody else. Not for a core: spawning takes milliseconds.

import CLinux
import Glibc

/// A running child process. Owner: one thread of Control.
public struct Child: ~Copyable {
    /// The process, and the process group it leads.
    public let pid: Int32
    /// Write end of its standard input, non-blocking.
    public private(set) var input: Descriptor?
    /// Read end of its standard output and standard error, non-blocking.
    public let output: Descriptor
    private var status: ChildStatus?

    /// Starts `arguments[0]`, a path. The calling thread, which will write to the child, takes no SIGPIPE
    /// from then on.
    /// - Parameter environment: as `NAME=value`; nothing is inherited.
    public init(_ arguments: [String], environment: [String]) throws(SystemFailure) {
        precondition(!arguments.isEmpty, "a program to start")
        weir_block_broken_pipe()
        let inward = try Pipe()
        let outward = try Pipe()
        var raw: pid_t = 0
        let code = Self.withStrings(arguments) { argv in
            Self.withStrings(environment) { envp in
                weir_spawn(argv, envp, inward.reading.raw, outward.writing.raw, &raw)
            }
        }
        guard code == 0 else {
            throw SystemFailure(operation: "start \(arguments[0])", errno: Errno(code: code))
        }
        pid = raw
        _ = weir_unblock(inward.writing.raw)
        _ = weir_unblock(outward.reading.raw)
        input = Optional(inward.writing)
        output = outward.reading
        status = nil
    }

    /// The strings as a C array that ends with NULL, valid during the call. A NUL ends a string early.
    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("it holds at least the NULL") }
            return body(start)
        }
    }

    /// Says that no more input comes.
    public mutating func closeInput() { input = nil }

    /// How it ended; nil while it runs. Never waits.
    public mutating func poll() -> ChildStatus? {
        if let status { return status }
        var word: Int32 = 0
        switch weir_reap(pid, &word) {
        case 0: return nil
        case pid: status = ChildStatus(word: word)
        // Reaped by somebody else: it has ended, how is not known.
        default: status = .exited(-1)
        }
        return status
    }

    /// Sends a signal to its whole process group; without effect once that is gone.
    public func signalGroup(_ number: Int32) { _ = kill(0 &- pid, number) }
}

/// How a child ended.
public enum ChildStatus: Equatable, Sendable {
    /// By itself, with this code.
    case exited(Int32)
    case signalled(Int32)

    init(word: Int32) {
        // As WIFEXITED, WEXITSTATUS and WTERMSIG read a wait status on Linux.
        let signal = word & 0x7F
        self = signal == 0 ? .exited((word >> 8) & 0xFF) : .signalled(signal)
    }
}

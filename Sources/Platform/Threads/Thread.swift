// Threads of the kernel, without the Swift concurrency runtime: a core is built inside its body and
// nothing non-Sendable crosses. The body runs on no actor and must not come from main.swift, whose
// closures inherit the main actor.

import CLinux
import Glibc
import Synchronization

/// A running thread. Joined by whoever started it; let go without a join, it ends on its own.
public final class Thread: Sendable {
    private let handle: pthread_t
    private let isJoined = Mutex(false)

    private init(_ handle: pthread_t) { self.handle = handle }

    deinit { isJoined.withLock { if !$0 { pthread_detach(handle) } } }

    /// Starts a thread.
    /// - Parameters:
    ///   - name: for ps, top and perf; the kernel keeps 15 bytes.
    ///   - body: runs on the new thread, which ends with it. Signals blocked by the caller are blocked there.
    public static func spawn(
        name: String, _ body: sending @escaping () -> Void
    ) throws(SystemFailure) -> Thread {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemFailure(operation: "start thread \(name)", errno: Errno(code: code))
        }
        return Thread(handle)
    }

    /// Waits until the body has returned. Any number of calls, from any thread but this one itself.
    public func join() {
        isJoined.withLock { joined in
            if !joined { pthread_join(handle, nil) }
            joined = true
        }
    }

    /// Ties the calling thread to the `index`-th of the CPUs that it may use, counted around. A failure
    /// changes nothing: the scheduler goes on placing the thread.
    public static func pin(toCPU index: Int) {
        precondition(index >= 0, "CPUs are counted from 0")
        _ = weir_pin(Int32(truncatingIfNeeded: index & 0xFFFF))
    }

    /// What crosses to the new thread: one reference, taken up exactly once.
    private final class Start {
        let name: String
        let body: () -> Void

        init(name: String, body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }

        func run() {
            weir_name_thread(name)
            body()
        }
    }
}

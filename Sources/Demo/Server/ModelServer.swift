// An embedded model server as its owner sees it: an address, a switch for faults, counters, an end. The
// server itself is a ServerLoop on a thread of its own, which nothing else touches.
// Place: both versions of `weir demo`, and the origin of the benchmarks.
// Invariant: counters have one writer, the loop; commands go through the mailbox.

import Platform
import Synchronization

/// A model server on a thread, answering HTTP/1.1 in the shape of the V2 inference protocol.
package final class ModelServer: Sendable {
    /// What crosses to the loop.
    enum Command: Sendable {
        case inject(Fault)
        case stop
    }

    /// What the loop counts, one writer.
    final class Counters: Sendable {
        let requests = Atomic<UInt64>(0)
        let whileFaulty = Atomic<UInt64>(0)
        let failures = Atomic<UInt64>(0)
    }

    /// Where it listens; the port is the kernel's choice when 0 was asked for.
    package let address: SocketAddress
    private let commands: Mailbox<Command>
    private let counters: Counters
    private let thread: Thread

    /// Starts the server.
    /// - Parameters:
    ///   - address: loopback and port 0 in a demo.
    ///   - version: named in the replies.
    ///   - usual: what is wrong from the start and counts as well.
    ///   - scoreLevels: how many values the first score of an answer takes; 1: it is always the same.
    ///   - cpu: ties the thread to a CPU, for benchmarks.
    package init(
        _ address: SocketAddress, model: String, version: String, serviceTime: ServiceTime,
        usual: Fault = .none, scoreLevels: Int = 1, seed: UInt64, cpu: Int? = nil
    ) throws(SystemFailure) {
        let listener = try Socket.listen(address, reusePort: false)
        guard let bound = Socket.localAddress(of: listener) else {
            throw SystemFailure(operation: "name of \(address)", errno: .noSuchFile)
        }
        let commands = try Mailbox<Command>(capacity: 64)
        let counters = Counters()
        let replies = Replies(model: model, version: version, scoreLevels: scoreLevels)
        let fates = Fates(serviceTime, usual: usual, scoreLevels: scoreLevels, seed: seed)
        let number = listener.release()
        self.address = bound
        self.commands = commands
        self.counters = counters
        thread = try Thread.spawn(name: "model-\(version)") {
            if let cpu { Thread.pin(toCPU: cpu) }
            do throws(SystemFailure) {
                var loop = try ServerLoop(
                    Descriptor(adopting: number), commands, counters, replies, fates)
                loop.run()
            } catch {
                preconditionFailure("\(error)")
            }
        }
    }

    /// Switches to another fault, from the next request on.
    package func inject(_ fault: Fault) { _ = commands.post(.inject(fault)) }

    /// Inference requests received so far.
    package var requests: UInt64 { counters.requests.load(ordering: .relaxed) }

    /// Inference requests that it answered with an error.
    package var failures: UInt64 { counters.failures.load(ordering: .relaxed) }

    /// Inference requests received while something beyond the usual was wrong.
    package var requestsWhileFaulty: UInt64 { counters.whileFaulty.load(ordering: .relaxed) }

    /// Ends the server and its connections.
    package func stop() {
        // The mailbox holds 64 and the loop takes all of them every turn.
        _ = commands.post(.stop)
        thread.join()
    }
}

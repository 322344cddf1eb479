// The admin API's server: one thread, one poller, a bounded number of connections. It parses, routes and
// answers; what an answer says comes from the handlers, some at once (probes, metrics), some later (status
// and verbs, from the controller through a mailbox).

import Control
import Glibc
import Platform
import Synchronization

/// Makes an answer. Runs on the admin thread, so that a long page delays no decision.
typealias AdminRendering = @Sendable () -> AdminResponse
/// Where an answer goes, from any thread, once.
typealias AdminReturn = @Sendable (@escaping AdminRendering) -> Void

/// Where the admin API's answers come from. All are called on the admin thread.
struct AdminHandlers: Sendable {
    var readiness: @Sendable () -> AdminResponse
    var metrics: @Sendable (_ accept: String?, @escaping AdminReturn) -> Void
    var status: @Sendable (@escaping AdminReturn) -> Void
    var reports: @Sendable (@escaping AdminReturn) -> Void
    var ledger: @Sendable (@escaping AdminReturn) -> Void
    /// The second argument says who asks, as far as the connection shows.
    var verb: @Sendable (AdminVerb, String, @escaping AdminReturn) -> Void
    /// A body, and whether it is one JSON object per line.
    var feedback: @Sendable ([UInt8], Bool, @escaping AdminReturn) -> Void = { _, _, answer in
        answer { .refusal(503, "this Weir takes no feedback") }
    }
}

/// An answer that came later.
struct AdminReply: Sendable {
    var connection: Token
    /// Whether a person's verb was asked for; everything else may wait for it.
    var isVerb: Bool
    var rendering: AdminRendering
}

/// The time limits of admin connections.
struct AdminTimes: Sendable {
    /// From the first byte of a request to its last.
    var request = Interval.seconds(10)
    /// For the client to read an answer.
    var write = Interval.seconds(10)
    var idle = Interval.seconds(60)
    /// For the client to close after an answer that ends the connection; until then what it still sends is
    /// read and dropped, because closing on unread bytes would reset the answer away.
    var linger = Interval.seconds(1)
    /// For the controller to answer.
    var reply = Interval.seconds(30)
    /// For a new connection to send its request before it can be made to leave for another one.
    var grace = Interval.millis(50)
}

/// The admin API behind one listener.
final class AdminServer: Sendable {
    static let connectionsMax = 64
    /// Clients that the kernel holds while the loop is busy.
    static let backlog: Int32 = 1_024
    /// The bound address, port resolved.
    let address: SocketAddress
    let times: AdminTimes
    let replies: Mailbox<AdminReply>
    let stopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)
    private let listener: Mutex<Descriptor?>

    /// Binds. A Unix socket is for the owner only (mode 600); its folder is made when it is missing, so that
    /// others may see the socket and nobody else may change it (mode 755).
    init(_ address: SocketAddress, times: AdminTimes = AdminTimes()) throws(SystemFailure) {
        self.times = times
        replies = try Mailbox(capacity: 4 * Self.connectionsMax)
        if case .unix(let path) = address {
            try File.makeDirectory(File.directory(of: path), mode: 0o755)
        }
        let bound = try Socket.listen(address, backlog: Self.backlog, reusePort: false, mode: 0o600)
        self.address = Socket.localAddress(of: bound) ?? address
        listener = Mutex(consume bound)
    }

    func start(_ handlers: AdminHandlers) throws(SystemFailure) {
        let taken = listener.withLock { $0.take() }
        guard let taken else { preconditionFailure("an admin server starts once") }
        let loop = AdminLoop(self, taken, handlers, try Poller(eventsMax: 64))
        try loop.watch()
        let started = try Thread.spawn(name: "weir-admin") { loop.run() }
        thread.withLock { $0 = started }
    }

    /// Closes every connection and ends the thread; a Unix socket's file goes.
    func stop() {
        stopping.store(true, ordering: .releasing)
        replies.wakeup.signal()
        let running = thread.withLock { $0.take() }
        running?.join()
        if case .unix(let path) = address { _ = try? File.remove(path) }
    }
}

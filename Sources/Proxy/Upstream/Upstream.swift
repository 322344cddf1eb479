// A connection to a model server: connecting, idle in its endpoint's pool, or busy with one exchange or one
// shadow copy. The pool is a list through the slots themselves, newest first.
//
// Invariant: `exchange` and `shadow` are never both set; both are clear exactly when the connection is idle.

import Platform

/// What a connection to a model server is doing.
enum UpstreamPhase: UInt8 {
    case connecting
    case idle
    case busy
}

/// A connection to a model server.
struct Upstream: ~Copyable {
    var descriptor: Descriptor
    let endpoint: Slot<EndpointState>
    var exchange: Slot<Exchange> = .none
    var shadow: Slot<ShadowCopy> = .none
    var poolNext: Slot<Upstream> = .none
    var poolPrevious: Slot<Upstream> = .none
    var scanned: UInt32 = 0
    /// Part of a response head, or body that the client could not take yet.
    var input = ByteQueue()
    /// Request bytes that the server has not taken yet.
    var output = ByteQueue()
    var deadline: Instant = .never
    /// Since when it lies in the pool; while it connects, since when it does.
    var idleSince: Instant
    var phase: UpstreamPhase
    let isShadow: Bool
    let isUnix: Bool
    var isReadable = true
    /// Writability is registered (always on TCP, after a short write on Unix sockets).
    var watchesWrites: Bool
    var isPeerDone = false
    var isResumed = false
    /// Stands in the line of those who wait for buffers.
    var isStarved = false
    /// The socket takes bytes again; those that are held go out when the connection's turn comes.
    var isFlushable = false
    /// Its last slice was a large one: its events wait behind those of others (Limits, `heavyBytes`).
    var isHeavy = false
    /// Sending failed; what the server said before may still be in the socket.
    var isWriteDead = false
    /// Request bytes were lost for want of buffers.
    var isOutOfBuffers = false

    init(
        descriptor: consuming Descriptor, endpoint: Slot<EndpointState>, phase: UpstreamPhase, isShadow: Bool,
        isUnix: Bool, openedAt: Instant
    ) {
        self.descriptor = descriptor
        self.endpoint = endpoint
        self.phase = phase
        idleSince = openedAt
        self.isShadow = isShadow
        self.isUnix = isUnix
        watchesWrites = !isUnix
    }
}

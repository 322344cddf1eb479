// Every bound of the data plane, in one place, each with the answer that is given when it is reached and
// the sum that justifies it. Sizes are per core unless a name says otherwise. Invariant: nothing in Proxy
// grows with what a peer does beyond a number that stands here.

import Platform
import Wire

/// The bounds of the data plane. Defaults suit a sidecar; `limits:` in the config changes the first group.
public struct Limits: Sendable, Hashable {
    /// Client connections. Full: the idlest closes for a new one; where all are in use, accepting pauses (the
    /// kernel's backlog holds the rest). Lowered at the start to what RLIMIT_NOFILE leaves, as the next.
    public var downstreamsMax = 16_384
    /// Upstream connections, shadow ones included. Full: the idlest pooled one closes; where all are in
    /// use, 503 `upstream_connections_exhausted`.
    public var upstreamsMax = 8_192
    /// Exchanges in progress. Full: 503 `exchanges_exhausted`.
    public var exchangesMax = 16_384
    /// Shadow copies in progress. Full: the copy is dropped, `weir_shadow_dropped_total{reason="in_flight"}`.
    public var shadowsMax = 1_024
    /// Blocks of `blockBytes` for bytes that one read or write could not finish: 64 MiB. Who gives way, by
    /// what is free: below 1/2 shadows are dropped and reads shrink, below 3/8 requests are no longer kept
    /// for a retry nor in a waiting line, below 1/4 who has taken none of its bytes for `stallMax` is cut,
    /// below 1/8 after `stallShort`, below 1/16 reads stop; empty: the exchange that needs a block ends
    /// with 503 or a cut. Unfinished input (half heads, half trailers, requests sent ahead, of clients and of
    /// model servers) holds at most 1/4 altogether, and 1/16 while less than 1/8 is free; more: the oldest
    /// of those who hold most goes. A client's first bytes take a small block.
    public var blocksMax = 4_096
    /// Of those who moved none of their bytes, so many are cut in one turn: 1 ms. More: in the next turns.
    public var stalledCutsMax = 64
    /// Pipes for long bodies. All in use: bodies are read and sent, which costs twice as much.
    public var pipesMax = 64
    /// Bytes of request kept so that it can be sent again. More: the request cannot be retried or shielded.
    public var replayBytesMax = 256 << 10
    /// Idle pooled connections per endpoint. More: the oldest closes.
    public var poolIdleMax = 256
    /// Endpoints of versions at weight 0 that are kept connected. More: they connect when first needed.
    public var warmEndpointsMax = 64

    /// A request line, or a field line of a request. Longer: 414 or 431.
    public var lineBytesMax = 16 << 10
    /// A request's head or trailer section. Longer: 431.
    public var headBytesMax = 64 << 10
    /// Fields of a request's head or trailer section. More: 431.
    public var fieldsMax = 128
    /// A response's head or trailer section, and each line of it: a server that Weir chose itself may use all
    /// of a head for one field. Longer: 502 `response_head_too_large`, which is the version's failure.
    public var responseHeadBytesMax = 64 << 10
    /// Fields of a response's head or trailer section. More: as above.
    public var responseFieldsMax = 256

    /// The bounds that the validator keeps to.
    var requestHeads: HeadLimits {
        HeadLimits(lineBytesMax: lineBytesMax, headBytesMax: headBytesMax, fieldsMax: fieldsMax)
    }
    public var responseHeads: HeadLimits {
        HeadLimits(
            lineBytesMax: responseHeadBytesMax, headBytesMax: responseHeadBytesMax,
            fieldsMax: responseFieldsMax)
    }
    /// A head of either kind.
    var anyHeadBytesMax: Int { max(headBytesMax, responseHeadBytesMax) }

    /// From a connection's first head byte (or its accept) to the end of the head. Late: 408.
    public var headerDeadline = Interval.seconds(10)
    /// A request body slower than this over `bodyRateWindow` while we are reading. Slower: 408.
    public var bodyBytesPerSecondMin: UInt64 = 240
    public var bodyRateWindow = Interval.seconds(10)
    /// An idle keep-alive client connection. Late: closed without a word.
    public var keepAliveIdle = Interval.seconds(75)
    /// An idle pooled upstream connection; below the 5 s at which common model servers close theirs.
    public var poolIdle = Interval.seconds(4)
    /// A tunnel (after 101) in which nobody speaks. Late: closed.
    public var tunnelIdle = Interval.seconds(3_600)
    /// From our last reply on a connection we close to giving up on the client's own close.
    public var lingerDeadline = Interval.seconds(2)

    public init() {}

    /// While buffers are short, whoever holds some and has moved no byte for this long is cut.
    public static let stallMax = Interval.seconds(1)
    /// The same while less than 1/8 of the blocks is free.
    public static let stallShort = Interval.millis(250)
    /// How often those are looked for, while buffers are short.
    public static let reliefPeriod = Interval.millis(100)
    /// Connections looked at in one turn to find those: at most 100 us.
    public static let reliefLooksMax: UInt32 = 2_048
    /// Holders of unfinished input that are cut in one turn: as many as its events can have made.
    public static let holderCutsMax = 256
    /// Of those who wait for buffers, so many join the resumed line in one turn.
    public static let starvedPerTurnMax = 1_024
    /// Size of a small block, for unfinished input of a client that is no more than this: an ordinary head.
    /// As many as ordinary ones, 8 MiB. None left, or more bytes: all of them take ordinary blocks.
    public static let smallBlockBytes = 2 << 10
    /// Size of one pool block.
    public static let blockBytes = 16 << 10
    // What one connection may do before the others have their turn, and how long the core may go without
    // asking the poller who they are. A slice is one read and the write of what it brought, or one filling
    // of a pipe: 80 us for the first of a connection, some 250 us while it moves all it can. A connection
    // that has more goes to the back of the resumed line.

    /// Bytes read from a socket at once.
    public static let readBytes = 128 << 10
    /// The same for a heavy connection while 7/8 of the blocks are free. Its peers are woken a quarter as
    /// often as with `readBytes`, and a tunnel's megabyte costs a third less.
    public static let readBytesMax = 512 << 10
    /// The same of a body in chunks: 44,000 of the smallest, which take 5 ms, once.
    public static let chunkedReadBytesMax = 256 << 10
    /// Bytes read at once of a body whose chunks are smaller than `chunkBytesMin` on average: 4 KiB of the
    /// smallest chunks are 680, which cost as much as 128 KiB in one piece.
    public static let fineReadBytes = 4 << 10
    public static let chunkBytesMin = 128
    /// Bytes held for a peer that are sent in one slice; what is left waits in the resumed line.
    public static let flushBytes = 512 << 10
    /// A slice that moved this much, or filled its read, makes the connection a heavy one: its next event
    /// waits in the resumed line, behind the events of those who say little.
    public static let heavyBytes = 16 << 10
    /// How long the resumed line is worked off before the poller is asked again: as long as the events took,
    /// and at least this. Some two slices: with half of it a tunnel moves a tenth less; with twice as much a
    /// neighbour waits as long as HAProxy's.
    public static let lineMin = Interval.micros(400)
    /// Timers that are obeyed in one turn. Each may close a connection or write a reply: 64 are below 1 ms,
    /// and those that are left come with the next turn, which waits for nothing.
    public static let expiriesPerTurnMax = 64
    /// Connections looked at, and closed or cut, in one turn of a core that takes leave: 64 are below 1 ms.
    public static let leavingPerTurnMax = 64
    /// Interim heads (1xx) of one response. More: 502 `upstream_protocol_error`, the version's failure.
    public static let interimHeadsMax: UInt8 = 32

    /// Of a body of which at least this much is still to come, the bytes go through a pipe (splice).
    public static let spliceBytesMin: UInt64 = 64 << 10
    /// Room of a pipe: 16 MiB for all of a core, where an unprivileged user may have 64 (pipe(7)).
    public static let pipeBytes = 256 << 10
    /// Exchanges cut at a drain's deadline of which a core keeps the record. More: they are counted only.
    public static let cutRecordsMax = 100
    /// Events taken from the poller per turn: each is a small message (some 15 us) or a place in the line.
    public static let eventsMax = 256
    /// Slots looked at to find a connection that can close for another, and candidates among which the idlest
    /// is chosen: at most 50 us, and only while the slots are full.
    public static let evictionLooksMax = 1_024
    public static let evictionChoicesMax = 64
    /// A client's connection idle for less is left alone: its request may be on its way.
    public static let evictionIdleMin = Interval.millis(100)
    /// Connections accepted per listener and turn, each with a first read: 16 are a quarter of a millisecond.
    public static let acceptsPerTurnMax = 16
    /// Connections accepted of each listener's backlog before it closes. More: reset by the kernel.
    public static let acceptsAtDrainMax = 64

    /// Copies of exchanges for control that are being made or wait to be read. Full: the copy is dropped,
    /// `weir_taps_dropped_full_total`. What was not drawn leaves half of them alone,
    /// `weir_taps_dropped_reserved_total`. 64 of 144 KiB are 9 MiB, touched only as far as they are used; a
    /// reader that comes every 20 ms takes 3,200 a second of a core.
    public static let tapSlots = 64
    /// Bytes of each head and of each body in a copy. More: cut and flagged.
    public static let tapHeadBytes = 8 << 10
    public static let tapBodyBytes = 64 << 10

    /// Sticky keys whose bad requests count once, over all models and cores; a power of two. Full: every bad
    /// request of a key that found no place counts. 8 MiB, touched only as far as keys fail or are slow.
    public static let keysMax = 1 << 20

    // Bounds of a plan, checked when the config is loaded. The tables that cores index by slot have these
    // sizes; memory behind unused slots is never touched.
    public static let modelsMax = 2_048
    public static let versionsMax = 8_192
    public static let versionsPerModelMax = 32
    public static let endpointsMax = 16_384
    public static let endpointsPerVersionMax = 256
    public static let cohortsPerModelMax = 128
    /// Bounds over all cores that leave each core less than this are counted on a word that the cores share
    /// (`PlaceBoard`), and are exact. Larger ones are divided without a rest; a core that takes more than its
    /// part of the connections then reaches its own bound first.
    public static let sharePerCoreMin = 100

    /// A core's part of a bound over all cores; the parts sum to the bound.
    static func part(of bound: Int, core: Int, of cores: Int) -> Int {
        bound / cores + (core < bound % cores ? 1 : 0)
    }
}

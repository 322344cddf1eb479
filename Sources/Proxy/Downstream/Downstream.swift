// A client's connection. Between requests it owns no buffer and no exchange: an idle connection costs this
// struct and its descriptor. Bytes are held only when a read or write could not be finished.
//
//   idle ──▶ head ──▶ exchange ──▶ idle …          lingering: reply sent, the rest of the input is discarded
//
// Invariant: `exchange` is set exactly in the phase `.exchange`.

import Platform
import Wire

/// What a client's connection is doing.
enum DownstreamPhase: UInt8 {
    /// Nothing of the next request has been read.
    case idle
    /// Part of a head has been read.
    case head
    /// A request is in progress.
    case exchange
    /// The last reply is out and our side is shut; input is discarded until the client closes.
    case lingering
}

/// A client's connection.
struct Downstream: ~Copyable {
    var descriptor: Descriptor
    let peer: IPAddress
    /// `peer` as text, for the heads of all its requests; IPv4 only (0 bytes: written anew each time).
    let peerText: InlineArray<15, UInt8>
    let peerTextCount: UInt8
    var exchange: Slot<Exchange> = .none
    /// Bytes already checked for the end of the head in `input`.
    var scanned: UInt32 = 0
    /// Bytes read that nobody could take yet: part of a head, pipelined requests, body under backpressure.
    var input = ByteQueue()
    /// Bytes of the response that the client has not taken yet.
    var output = ByteQueue()
    /// First byte of the current head.
    var headSince: Instant = .never
    /// When the connection is judged next; `.never` while its exchange's upstream side holds the clock.
    var deadline: Instant = .never
    /// Bytes may wait in the socket.
    var isReadable = true
    /// The client has sent its FIN.
    var isPeerDone = false
    /// Stands in the core's line of connections to be resumed.
    var isResumed = false
    /// Stands in the line of those who wait for buffers.
    var isStarved = false
    /// The socket takes bytes again; those that are held go out when the connection's turn comes.
    var isFlushable = false
    /// Its last slice was a large one: its events wait behind those of others (Limits, `heavyBytes`).
    var isHeavy = false
    /// Close once `output` is empty.
    var closesAfterFlush = false
    /// Lingers before closing, because unread input would turn our close into a reset.
    var lingers = false
    /// Reading stopped for backpressure inside the current body-rate window.
    var wasPaused = false
    var phase: DownstreamPhase = .idle
    /// Bytes of unfinished input that lie in a small block instead of `input` (HolderLine.swift), and which.
    var smallCount: UInt16 = 0
    var smallBlock: UInt32 = BufferPool.none

    init(descriptor: consuming Descriptor, peer: IPAddress) {
        self.descriptor = descriptor
        self.peer = peer
        var text = InlineArray<15, UInt8>(repeating: 0)
        peerTextCount = peer.isIPv4 ? Self.write(peer, to: &text) : 0
        peerText = text
    }

    /// Four decimal numbers: 7...15 bytes.
    private static func write(_ peer: IPAddress, to text: inout InlineArray<15, UInt8>) -> UInt8 {
        withUnsafeMutableBytes(of: &text) { bytes in
            var out = HeadWriter(bytes)
            out.appendDecimal(peer.low &>> 24 & 0xFF)
            out.append(".")
            out.appendDecimal(peer.low &>> 16 & 0xFF)
            out.append(".")
            out.appendDecimal(peer.low &>> 8 & 0xFF)
            out.append(".")
            out.appendDecimal(peer.low & 0xFF)
            return UInt8(out.count)
        }
    }
}

// One keep-alive connection of the load: at most one request is on it. Its state says what the next event
// on the socket means; its receive buffer lies in the generator's pages, one piece per slot.
// Invariant: `intended` is `never` exactly while no request is on the connection.

import Platform
import Wire

/// A connection and the request on it.
struct LoadConnection: ~Copyable {
    let socket: Descriptor
    var phase: Phase
    /// The request's intended send time.
    var intended = Instant.never
    var user: UInt64 = 0
    /// Received bytes that are not used up, from the start of the slot's buffer.
    var filled = 0
    /// How far the head was scanned in vain.
    var scanned = 0
    var status: UInt16 = 0
    var version: Int?
    var id: ExchangeID?
    /// Whether the connection may carry another request after this response.
    var keepsAlive = true

    enum Phase {
        case connecting
        case idle
        /// So many bytes of the request are out.
        case sending(Int)
        case awaitingHead
        case readingLength(UInt64)
        case readingChunks(ChunkedDecoder)
        case readingTrailers
        case readingToClose
    }

    init(_ socket: consuming Descriptor, _ phase: Phase) {
        self.socket = socket
        self.phase = phase
    }

    /// Whether a request is on it that must end as a result.
    var isBusy: Bool { intended != .never }
}

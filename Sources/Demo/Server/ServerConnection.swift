// One client of an embedded model server, and the replies as memory that outlives every send. Both are the
// loop's own: nothing here is touched by another thread.
// Invariant: in `waiting` and `hung` no byte of the next request has been looked at.

import Platform
import Wire

/// A connection and how far its request has come.
struct ServerConnection: ~Copyable {
    let socket: Descriptor
    var phase = Phase.readingHead
    /// Received bytes, from the start of the slot's buffer.
    var filled = 0
    /// Of these, bytes that are used up.
    var used = 0
    var scanned = 0
    var isHealthCheck = false
    var keepsAlive = true
    var reply = Replies.Kind.inference

    enum Phase {
        case readingHead
        case skippingLength(UInt64)
        case skippingChunks(ChunkedDecoder)
        case skippingTrailers
        /// Read whole; the answer is due later.
        case waiting
        /// Read whole; never to be answered.
        case hung
        /// So many bytes of the reply are out.
        case writing(Int)
    }

    init(_ socket: consuming Descriptor) { self.socket = socket }
}

/// The replies at fixed addresses. Owner: one loop, which deallocates them.
struct UnsafeReplies {
    private let texts: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private static let kinds: [Replies.Kind] = [.inference, .failure, .health, .badRequest]

    init(_ replies: Replies) {
        texts = .allocate(capacity: Self.kinds.count)
        for kind in Self.kinds {
            let text = UnsafeMutableRawBufferPointer.allocate(byteCount: replies[kind].count, alignment: 8)
            text.copyBytes(from: replies[kind])
            (texts + Int(kind.rawValue)).initialize(to: UnsafeRawBufferPointer(text))
        }
    }

    subscript(_ kind: Replies.Kind) -> UnsafeRawBufferPointer { texts[Int(kind.rawValue)] }

    func deallocate() {
        for kind in Self.kinds { self[kind].deallocate() }
        texts.deallocate()
    }
}

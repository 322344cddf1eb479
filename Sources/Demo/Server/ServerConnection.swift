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
    var reply = Replies.Index.inference(0)

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
    private let texts: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>

    init(_ replies: Replies) {
        texts = .allocate(capacity: replies.texts.count)
        for (number, bytes) in replies.texts.enumerated() {
            let text = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
            text.copyBytes(from: bytes)
            texts.initializeElement(at: number, to: UnsafeRawBufferPointer(text))
        }
    }

    subscript(_ index: Replies.Index) -> UnsafeRawBufferPointer { texts[index.number] }

    func deallocate() {
        for text in texts { text.deallocate() }
        texts.deallocate()
    }
}

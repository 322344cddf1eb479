// A request on an embedded model server: its head is parsed, its body skipped, its answer sent. Requests
// that came together are served one after the other from the receive buffer.
// Invariant: after `read`, the socket is drained or the connection is closed or it waits for its answer's
// time; in the last case the next read happens when the answer is out.

import Platform
import Wire

extension ServerLoop {
    /// Reads and serves until the socket is drained: that is after a short read, except where the peer has
    /// closed, which an edge reports once and which only another read turns up.
    mutating func read(_ slot: Slot<ServerConnection>, _ readiness: Readiness) {
        guard readiness != .writable else { return }
        let isEnding = !readiness.isDisjoint(with: [.peerClosed, .hangUp, .error])
        let generation = connections.generation(slot)
        while connections.isLive(slot, generation: generation) {
            let connection = connections.pointer(slot)
            compact(slot)
            let filled = connection.pointee.filled
            // A full buffer belongs to a client that pipelines beyond it; it is read on after the answer.
            guard filled < Self.bufferBytes else { return }
            let room = UnsafeMutableRawBufferPointer(
                start: buffers + slot.row * Self.bufferBytes + filled, count: Self.bufferBytes - filled)
            switch connection.pointee.socket.receive(into: room) {
            case .moved(let count):
                connection.pointee.filled += count
                serve(slot)
                if count < room.count, !isEnding { return }
            case .wouldBlock: return
            case .closed, .failed: return close(slot)
            }
        }
    }

    /// Serves what the buffer holds, as far as it goes.
    private mutating func serve(_ slot: Slot<ServerConnection>) {
        let generation = connections.generation(slot)
        while connections.isLive(slot, generation: generation) {
            let connection = connections.pointer(slot)
            let goesOn: Bool
            switch connection.pointee.phase {
            case .readingHead: goesOn = readHead(slot)
            case .skippingLength(let left): goesOn = skip(slot, left)
            case .skippingChunks(let decoder): goesOn = skipChunks(slot, decoder)
            case .skippingTrailers: goesOn = skipTrailers(slot)
            case .waiting, .hung, .writing: goesOn = false
            }
            guard goesOn else { return }
        }
    }

    private func unread(_ slot: Slot<ServerConnection>) -> UnsafeRawBufferPointer {
        let connection = connections.pointer(slot)
        return UnsafeRawBufferPointer(
            start: buffers + slot.row * Self.bufferBytes + connection.pointee.used,
            count: connection.pointee.filled - connection.pointee.used)
    }

    private func compact(_ slot: Slot<ServerConnection>) {
        let connection = connections.pointer(slot)
        guard connection.pointee.used > 0 else { return }
        let start = buffers + slot.row * Self.bufferBytes
        let rest = connection.pointee.filled - connection.pointee.used
        if rest > 0 { start.copyMemory(from: start + connection.pointee.used, byteCount: rest) }
        connection.pointee.filled = rest
        connection.pointee.used = 0
    }

    private mutating func readHead(_ slot: Slot<ServerConnection>) -> Bool {
        let connection = connections.pointer(slot)
        let bytes = unread(slot)
        guard bytes.count > 0 else { return false }
        switch parser.request(bytes.bytes, scanned: connection.pointee.scanned) {
        case .needMore(let scanned):
            connection.pointee.scanned = scanned
            if bytes.count == Self.bufferBytes { answer(slot, .badRequest, keepsAlive: false) }
            return false
        case .refused:
            answer(slot, .badRequest, keepsAlive: false)
            return false
        case .complete(let head):
            connection.pointee.scanned = 0
            connection.pointee.used += head.byteCount
            connection.pointee.keepsAlive = head.keepsAlive
            connection.pointee.isHealthCheck =
                head.method == .get && isHealth(UnsafeRawBufferPointer(rebasing: bytes[head.path.range]))
            return begin(slot, head.framing)
        }
    }

    /// Whether a path asks how the server is, rather than for an inference.
    private func isHealth(_ path: UnsafeRawBufferPointer) -> Bool {
        path.starts(with: StaticString("/v2/health").bytes)
            || path.elementsEqual(StaticString("/healthz").bytes)
    }

    private mutating func begin(_ slot: Slot<ServerConnection>, _ framing: BodyFraming) -> Bool {
        let connection = connections.pointer(slot)
        switch framing {
        case .none, .untilClose:
            decide(slot)
            return true
        case .length(let length): connection.pointee.phase = .skippingLength(length)
        case .chunked: connection.pointee.phase = .skippingChunks(ChunkedDecoder())
        }
        return true
    }

    private mutating func skip(_ slot: Slot<ServerConnection>, _ left: UInt64) -> Bool {
        let connection = connections.pointer(slot)
        let here = UInt64(connection.pointee.filled - connection.pointee.used)
        if here < left {
            connection.pointee.used = connection.pointee.filled
            connection.pointee.phase = .skippingLength(left - here)
            return false
        }
        connection.pointee.used += Int(left)
        decide(slot)
        return true
    }

    private mutating func skipChunks(_ slot: Slot<ServerConnection>, _ decoder: ChunkedDecoder) -> Bool {
        var decoder = decoder
        let connection = connections.pointer(slot)
        let bytes = unread(slot)
        var position = 0
        while true {
            switch decoder.next(bytes.bytes, from: position) {
            case .data(let start, let count): position = start + count
            case .needMore(let consumed):
                connection.pointee.used += consumed
                connection.pointee.phase = .skippingChunks(decoder)
                return false
            case .trailers(let start):
                connection.pointee.used += start
                connection.pointee.phase = .skippingTrailers
                return true
            case .refused:
                answer(slot, .badRequest, keepsAlive: false)
                return false
            }
        }
    }

    private mutating func skipTrailers(_ slot: Slot<ServerConnection>) -> Bool {
        switch parser.trailers(unread(slot).bytes, of: .request) {
        case .needMore: return false
        case .refused:
            answer(slot, .badRequest, keepsAlive: false)
            return false
        case .complete(_, let byteCount):
            connections.pointer(slot).pointee.used += byteCount
            decide(slot)
            return true
        }
    }

    /// The request is whole: answers it now, later, or never.
    private mutating func decide(_ slot: Slot<ServerConnection>) {
        let connection = connections.pointer(slot)
        if connection.pointee.isHealthCheck {
            return answer(slot, .health, keepsAlive: connection.pointee.keepsAlive)
        }
        guard let (reply, delay) = fate() else {
            connection.pointee.phase = .hung
            return
        }
        connection.pointee.reply = reply
        if delay == .zero { return answer(slot, reply, keepsAlive: connection.pointee.keepsAlive) }
        connection.pointee.phase = .waiting
        due.push(
            DueQueue.Entry(
                due: Clock.now() + delay, slot: slot, generation: connections.generation(slot)))
    }

    /// The answer that was put off is due; afterwards, what came meanwhile is served.
    mutating func answer(_ slot: Slot<ServerConnection>) {
        let generation = connections.generation(slot)
        let connection = connections.pointer(slot)
        answer(slot, connection.pointee.reply, keepsAlive: connection.pointee.keepsAlive)
        resume(slot, generation)
    }

    private mutating func resume(_ slot: Slot<ServerConnection>, _ generation: UInt32) {
        guard connections.isLive(slot, generation: generation) else { return }
        let wasFull = connections.pointer(slot).pointee.filled == Self.bufferBytes
        serve(slot)
        if wasFull, connections.isLive(slot, generation: generation) { read(slot, .readable) }
    }

    private mutating func answer(_ slot: Slot<ServerConnection>, _ reply: Replies.Index, keepsAlive: Bool) {
        let connection = connections.pointer(slot)
        connection.pointee.reply = reply
        connection.pointee.keepsAlive = keepsAlive
        connection.pointee.phase = .writing(0)
        send(slot, from: 0)
    }

    /// The socket takes bytes again.
    mutating func write(_ slot: Slot<ServerConnection>) {
        guard case .writing(let sent) = connections.pointer(slot).pointee.phase else { return }
        let generation = connections.generation(slot)
        send(slot, from: sent)
        resume(slot, generation)
    }

    private mutating func send(_ slot: Slot<ServerConnection>, from start: Int) {
        let connection = connections.pointer(slot)
        let text = replies[connection.pointee.reply]
        switch connection.pointee.socket.send(UnsafeRawBufferPointer(rebasing: text[start...])) {
        case .moved(let count) where start + count == text.count:
            connection.pointee.phase = .readingHead
            if !connection.pointee.keepsAlive { close(slot) }
        case .moved(let count): connection.pointee.phase = .writing(start + count)
        case .wouldBlock: connection.pointee.phase = .writing(start)
        case .closed, .failed: close(slot)
        }
    }
}

extension StaticString {
    /// The bytes of a literal.
    fileprivate var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}

// What happens on one connection of the load: connect, send, read the head, read the body, finish.
// Every function leaves the connection in a phase in which it waits for its next event, or removed.
// Invariant: edge-triggered, so a read goes on until the socket gave less than there was room for.
// Source: RFC 9112 sections 6 and 7 for where a response ends.

import Platform
import Wire

extension LoadGenerator {
    /// Starts a connection. Where the system refuses, one waiting request ends with that.
    mutating func connect() {
        switch Socket.connect(address) {
        case .connected(let socket): register(socket)
        case .inProgress(let socket): register(socket)
        case .failed: endOneWaiting(.refused)
        }
    }

    /// The poller says writable when the connection stands, also where it stands already.
    private mutating func register(_ socket: consuming Descriptor) {
        guard let slot = connections.insert(LoadConnection(socket, .connecting)) else { return }
        let token = Token(kind: 1, generation: connections.generation(slot), slot: slot.index)
        let failure = poller.add(
            connections.pointer(slot).pointee.socket, token: token,
            interest: [.readable, .writable, .peerClosed])
        guard failure == nil else {
            connections.remove(slot)
            return endOneWaiting(.refused)
        }
        connecting += 1
        counts.connected += 1
    }

    private mutating func endOneWaiting(_ end: LoadResult.End) {
        guard !queue.isEmpty else { return }
        let intended = queue.pop()
        results.append(
            LoadResult(end: end, version: nil, intended: intended, latency: Clock.now() - intended))
    }

    /// A connection attempt failed; a waiting request shares its fate.
    mutating func refuse(_ slot: Slot<LoadConnection>) {
        connecting -= 1
        connections.remove(slot)
        endOneWaiting(.refused)
    }

    /// Makes a connection available, for a waiting request first.
    mutating func free(_ slot: Slot<LoadConnection>) {
        let connection = connections.pointer(slot)
        connection.pointee.phase = .idle
        connection.pointee.intended = .never
        connection.pointee.filled = 0
        if queue.isEmpty { idle.append(slot) } else { begin(slot, queue.pop()) }
    }

    /// Puts a request on a free connection.
    mutating func begin(_ slot: Slot<LoadConnection>, _ intended: Instant) {
        let connection = connections.pointer(slot)
        busy += 1
        connection.pointee.intended = intended
        connection.pointee.user = plan.request.users > 0 ? users.below(plan.request.users) : 0
        connection.pointee.scanned = 0
        connection.pointee.version = nil
        connection.pointee.id = nil
        send(slot, from: 0)
    }

    mutating func send(_ slot: Slot<LoadConnection>, from start: Int) {
        let connection = connections.pointer(slot)
        plan.request.place(user: connection.pointee.user, in: request)
        switch connection.pointee.socket.send(UnsafeRawBufferPointer(rebasing: request[start...])) {
        case .moved(let count):
            let sent = start + count
            connection.pointee.phase = sent == request.count ? .awaitingHead : .sending(sent)
        case .wouldBlock: connection.pointee.phase = .sending(start)
        case .closed, .failed: finish(slot, .cut)
        }
    }

    /// Reads until the socket is drained: that is after a short read, except where the peer has closed, which
    /// an edge reports once and which only another read turns up.
    mutating func read(_ slot: Slot<LoadConnection>, _ readiness: Readiness) {
        guard readiness != .writable else { return }
        let isEnding = !readiness.isDisjoint(with: [.peerClosed, .hangUp, .error])
        let generation = connections.generation(slot)
        while connections.isLive(slot, generation: generation) {
            let connection = connections.pointer(slot)
            let filled = connection.pointee.filled
            let room = UnsafeMutableRawBufferPointer(
                start: buffers + slot.row * Self.bufferBytes + filled, count: Self.bufferBytes - filled)
            switch connection.pointee.socket.receive(into: room) {
            case .moved(let count):
                connection.pointee.filled += count
                take(slot)
                if count < room.count, !isEnding { return }
            case .wouldBlock: return
            case .closed:
                if case .readingToClose = connection.pointee.phase {
                    finish(slot, .answered(status: connection.pointee.status))
                } else {
                    finish(slot, .cut)
                }
            case .failed: finish(slot, .cut)
            }
        }
    }

    /// Uses up what the buffer holds.
    private mutating func take(_ slot: Slot<LoadConnection>) {
        let connection = connections.pointer(slot)
        switch connection.pointee.phase {
        case .awaitingHead, .sending: takeHead(slot)
        case .readingLength(let left): takeLength(slot, left)
        case .readingChunks(let decoder): takeChunks(slot, decoder, from: 0)
        case .readingTrailers: takeTrailers(slot)
        case .readingToClose: connection.pointee.filled = 0
        case .connecting, .idle: finish(slot, .cut)
        }
    }

    private func bytes(_ slot: Slot<LoadConnection>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: buffers + slot.row * Self.bufferBytes, count: connections.pointer(slot).pointee.filled)
    }

    /// Moves what follows the first `count` bytes to the buffer's start.
    private func consume(_ slot: Slot<LoadConnection>, _ count: Int) {
        let connection = connections.pointer(slot)
        let start = buffers + slot.row * Self.bufferBytes
        let rest = connection.pointee.filled - count
        if rest > 0, count > 0 { start.copyMemory(from: start + count, byteCount: rest) }
        connection.pointee.filled = rest
    }

    private mutating func takeHead(_ slot: Slot<LoadConnection>) {
        let connection = connections.pointer(slot)
        let view = bytes(slot)
        switch parser.response(view.bytes, scanned: connection.pointee.scanned, to: .post) {
        case .needMore(let scanned):
            connection.pointee.scanned = scanned
            if view.count == Self.bufferBytes { finish(slot, .cut) }
        case .refused: finish(slot, .cut)
        case .complete(let head):
            connection.pointee.scanned = 0
            if head.isInterim {
                consume(slot, head.byteCount)
                if connection.pointee.filled > 0 { takeHead(slot) }
                return
            }
            connection.pointee.status = head.status
            connection.pointee.keepsAlive = head.keepsAlive
            connection.pointee.version = version(head, in: view)
            if plan.readsIDs { connection.pointee.id = id(head, in: view) }
            consume(slot, head.byteCount)
            takeBody(slot, head.framing)
        }
    }

    private mutating func takeBody(_ slot: Slot<LoadConnection>, _ framing: BodyFraming) {
        let connection = connections.pointer(slot)
        switch framing {
        case .none: finish(slot, .answered(status: connection.pointee.status))
        case .length(let length): takeLength(slot, length)
        case .chunked: takeChunks(slot, ChunkedDecoder(.response), from: 0)
        case .untilClose:
            connection.pointee.phase = .readingToClose
            connection.pointee.filled = 0
        }
    }

    private mutating func takeLength(_ slot: Slot<LoadConnection>, _ left: UInt64) {
        let connection = connections.pointer(slot)
        let filled = UInt64(connection.pointee.filled)
        if filled < left {
            connection.pointee.phase = .readingLength(left - filled)
            connection.pointee.filled = 0
        } else {
            consume(slot, Int(left))
            finish(slot, .answered(status: connection.pointee.status))
        }
    }

    private mutating func takeChunks(_ slot: Slot<LoadConnection>, _ decoder: ChunkedDecoder, from start: Int)
    {
        var decoder = decoder
        var position = start
        while true {
            switch decoder.next(bytes(slot).bytes, from: position) {
            case .data(let start, let count): position = start + count
            case .needMore(let consumed):
                connections.pointer(slot).pointee.phase = .readingChunks(decoder)
                return consume(slot, consumed)
            case .trailers(let start):
                connections.pointer(slot).pointee.phase = .readingTrailers
                consume(slot, start)
                return takeTrailers(slot)
            case .refused: return finish(slot, .cut)
            }
        }
    }

    private mutating func takeTrailers(_ slot: Slot<LoadConnection>) {
        switch parser.trailers(bytes(slot).bytes, of: .response) {
        case .needMore: return
        case .refused: finish(slot, .cut)
        case .complete(_, let byteCount):
            consume(slot, byteCount)
            finish(slot, .answered(status: connections.pointer(slot).pointee.status))
        }
    }

    /// Which of the plan's versions answered.
    private func version(_ head: ResponseHead, in view: UnsafeRawBufferPointer) -> Int? {
        guard !versionNames.isEmpty, let value = value(of: "x-weir-version", head, in: view) else {
            return nil
        }
        return versionNames.firstIndex { $0.elementsEqual(value) }
    }

    private func id(_ head: ResponseHead, in view: UnsafeRawBufferPointer) -> ExchangeID? {
        guard let value = value(of: "x-weir-id", head, in: view), value.count == ExchangeID.length else {
            return nil
        }
        return ExchangeID(value)
    }

    /// The first field of that name among those that Weir adds.
    private func value(
        of name: String, _ head: ResponseHead, in view: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        for index in 0..<head.fieldCount {
            let field = parser.field(index)
            guard field.known == .weir, field.isNamed(name.utf8Span.span.bytes, in: view.bytes) else {
                continue
            }
            return UnsafeRawBufferPointer(rebasing: view[field.value.range])
        }
        return nil
    }

    /// Ends the request on a connection, and the connection where it cannot carry another.
    mutating func finish(_ slot: Slot<LoadConnection>, _ end: LoadResult.End) {
        let connection = connections.pointer(slot)
        if connection.pointee.isBusy {
            let intended = connection.pointee.intended
            busy -= 1
            connection.pointee.intended = .never
            results.append(
                LoadResult(
                    end: end, version: connection.pointee.version, id: connection.pointee.id,
                    intended: intended, latency: Clock.now() - intended))
        }
        if case .answered = end, connection.pointee.keepsAlive, connection.pointee.filled == 0 {
            return free(slot)
        }
        if case .idle = connection.pointee.phase { idle.removeAll { $0 == slot } }
        connections.remove(slot)
    }
}

// The request on its way: head and first body bytes in one write, then every read as it comes. Bodies with a
// length pass as they are; chunked ones are decoded and encoded anew, so that no peer's framing reaches the
// other. A shadow copy gets the same bytes after the primary has had them.
// Backpressure: what the upstream does not take is held, and the client is not read until it is gone.

import Metrics
import Platform
import Wire

extension Core {
    /// Relays request bytes that lie in the inbox.
    ///
    /// - Parameters:
    ///   - head: bytes of a request head composed at the outbox's start, or 0.
    ///   - message: the head as it was read, if it lies there, then body bytes and whatever follows them (the
    ///     next requests).
    ///   - start: where the body begins in it.
    ///   - isReplay: the bytes were recorded and counted when they first came.
    func relayRequest(
        _ x: Slot<Exchange>, head: Int, _ message: UnsafeRawBufferPointer, from start: Int = 0,
        isReplay: Bool = false
    ) {
        let exchange = exchanges.pointer(x)
        let bytes = UnsafeRawBufferPointer(rebasing: message[start...])
        let taken: Int
        switch exchange.pointee.request.framing {
        case .none, .untilClose:
            taken = 0
            emit(x, head: head, UnsafeRawBufferPointer(rebasing: bytes[..<0]), isReplay: isReplay)
        case .length:
            taken = Int(min(exchange.pointee.request.remaining, UInt64(bytes.count)))
            exchange.pointee.request.advance(by: taken)
            if exchange.pointee.tap != noTap, !isReplay {
                tapRequest(x, UnsafeRawBufferPointer(rebasing: bytes[..<taken]))
            }
            emit(x, head: head, UnsafeRawBufferPointer(rebasing: bytes[..<taken]), isReplay: isReplay)
        case .chunked:
            guard let count = relayChunks(x, head: head, bytes, isReplay: isReplay) else { return }
            taken = count
        }
        if !isReplay {
            exchange.pointee.bytesIn &+= UInt64(taken)
            record(x, UnsafeRawBufferPointer(rebasing: message[..<(start + taken)]))
            guard keepRest(x, UnsafeRawBufferPointer(rebasing: bytes[taken...])) else { return }
        }
        if exchange.pointee.request.isComplete { requestComplete(x) }
    }

    /// Decodes and re-encodes chunks; nil when the exchange ended over them.
    private func relayChunks(
        _ x: Slot<Exchange>, head: Int, _ bytes: UnsafeRawBufferPointer, isReplay: Bool
    ) -> Int? {
        let exchange = exchanges.pointer(x)
        var out = HeadWriter(UnsafeMutableRawBufferPointer(rebasing: outbox[head...]))
        var position = 0
        var chunks = 0
        var isOpen = true
        while isOpen {
            switch nextChunk(&exchange.pointee.request, bytes, from: position) {
            case .data(let start, let count):
                let data = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
                writeChunk(&out, data)
                if exchange.pointee.tap != noTap, !isReplay { tapRequest(x, data) }
                position = start + count
                chunks &+= 1
            case .needMore(let consumed):
                position = consumed
                isOpen = false
            case .trailers(let start):
                position = start
                isOpen = false
                switch requestParser.trailers(
                    bytes.bytes.extracting(start..<bytes.count),
                    scanned: Int(exchange.pointee.request.trailersScanned), of: .request)
                {
                case .complete(let fields, let count):
                    out.appendLastChunk()
                    let rewrite = versions[exchange.pointee.serving].rewrite
                    writeTrailers(&out, requestParser, fields, bytes, from: start, rewrite)
                    position = start + count
                    exchange.pointee.request.isComplete = true
                case .needMore(let scanned):
                    exchange.pointee.request.trailersScanned = UInt32(scanned)
                case .refused(let refusal):
                    refuseBody(x, refusal)
                    return nil
                }
            case .refused(let refusal):
                refuseBody(x, refusal)
                return nil
            }
        }
        exchange.pointee.request.weigh(chunks: chunks, in: bytes.count)
        let body = UnsafeRawBufferPointer(rebasing: outbox[head..<head + out.count])
        emit(x, head: head, body, isReplay: isReplay, isContiguous: true)
        return position
    }

    /// The next stretch of a chunked body. A trailer section that was not whole comes up again.
    func nextChunk(
        _ body: inout BodyProgress, _ bytes: UnsafeRawBufferPointer, from position: Int
    ) -> ChunkEvent {
        if body.isInTrailers { return .trailers(start: position) }
        let event = body.decoder.next(bytes.bytes, from: position)
        if case .trailers = event { body.isInTrailers = true }
        return event
    }

    func writeChunk(_ out: inout HeadWriter, _ data: UnsafeRawBufferPointer) {
        out.appendChunkHeader(count: UInt64(data.count))
        out.append(data)
        out.append("\r\n")
    }

    /// Writes a trailer section's fields and its end.
    ///
    /// - Parameter rewrite: of the version that a request goes to: what it removes from heads or sets there
    ///   passes as a trailer no more than as a field.
    func writeTrailers(
        _ out: inout HeadWriter, _ parser: borrowing HeadParser, _ fields: Int,
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ rewrite: RewriteTable = RewriteTable()
    ) {
        let section = UnsafeRawBufferPointer(rebasing: bytes[start...])
        for i in 0..<fields {
            let field = parser.field(i)
            if field.isHopByHop || isRemoved(field, section, rewrite) { continue }
            out.append(field, of: section.bytes)
        }
        out.append("\r\n")
    }

    /// A body that is no body: the client is told if nothing was said yet, the upstream connection closes.
    private func refuseBody(_ x: Slot<Exchange>, _ refusal: Refusal) {
        if exchanges[x].stage == .responding {
            cancel(x, .clientError)
            return
        }
        releaseUpstream(x, isReusable: false)
        exchanges[x].keepsAlive = false
        replyLocally(x, refusal, outcome: .clientError)
    }

    /// Sends head and body to the primary, then the body to the shadow copy, which has had what is replayed.
    private func emit(
        _ x: Slot<Exchange>, head: Int, _ body: UnsafeRawBufferPointer, isReplay: Bool,
        isContiguous: Bool = false
    ) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.upstream
        if head > 0 {
            if isContiguous {
                sendUpstream(slot, written(head + body.count))
            } else if body.count <= Self.copyMax {
                UnsafeMutableRawBufferPointer(rebasing: outbox[head..<head + body.count])
                    .copyMemory(from: body)
                sendUpstream(slot, written(head + body.count))
            } else {
                sendUpstream(slot, written(head), then: body)
            }
        } else if body.count > 0 {
            sendUpstream(slot, body)
        }
        if exchange.pointee.shadow != .none, !isReplay { tee(exchange.pointee.shadow, body) }
    }

    /// Bodies up to this size are copied behind their head, which is cheaper than a gathered write.
    static let copyMax = 8 << 10

    /// Bytes that belong to the next request wait as input, and so does a trailer section that is not whole;
    /// false when the exchange ended because there are no blocks for its own.
    private func keepRest(_ x: Slot<Exchange>, _ rest: UnsafeRawBufferPointer) -> Bool {
        guard rest.count > 0 else { return true }
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        if keepInput(slot, rest) { return true }
        if exchange.pointee.request.isComplete {
            dropSentAhead(slot)
            return true
        }
        cutUnfinished(slot)
        return false
    }

    /// The whole request has been read; once the upstream has it all, its time runs.
    func requestComplete(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let d = downstreams.pointer(exchange.pointee.downstream)
        if !owesClient(exchange) { d.pointee.deadline = .never }
        if exchange.pointee.shadow != .none { teeComplete(exchange.pointee.shadow) }
        guard exchange.pointee.upstream != .none else { return }
        let u = upstreams.pointer(exchange.pointee.upstream)
        if u.pointee.phase == .busy, !owesServer(exchange) { requestSent(x) }
    }

    /// The upstream has taken the whole request.
    func requestSent(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.stage == .forwarding else { return }
        readClock()
        exchange.pointee.sentAt = now
        armUpstream(
            exchange.pointee.upstream, now + models[exchange.pointee.model].timeouts.firstByte)
    }

    /// Keeps request bytes so that the request can be sent again: while that may happen, and as long as they
    /// stay within bounds.
    func record(_ x: Slot<Exchange>, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isReplayable, !bytes.isEmpty else { return }
        guard mayBeSentAgain(exchange) else {
            exchange.pointee.isReplayable = false
            exchange.pointee.replay.clear(&pool)
            return
        }
        let isWithin = exchange.pointee.replay.count + bytes.count <= limits.replayBytesMax
        if isWithin, canKeepRequests, exchange.pointee.replay.append(bytes, &pool) { return }
        exchange.pointee.isReplayable = false
        exchange.pointee.replay.clear(&pool)
    }

    /// Sends bytes to a model server, keeping what it does not take yet. A failure is found again when the
    /// connection is read: what the server said before it closed comes first.
    func sendUpstream(_ slot: Slot<Upstream>, _ bytes: UnsafeRawBufferPointer) {
        let u = upstreams.pointer(slot)
        guard !u.pointee.isWriteDead, bytes.count > 0 else { return }
        guard u.pointee.phase == .busy, u.pointee.output.isEmpty else {
            if !u.pointee.output.append(bytes, &pool) { buffersFailed(slot) }
            return
        }
        switch u.pointee.descriptor.send(bytes) {
        case .moved(let count):
            if u.pointee.exchange != .none { bytesSent(exchanges.pointer(u.pointee.exchange)) }
            guard count < bytes.count else { return }
            holdUpstream(slot, UnsafeRawBufferPointer(rebasing: bytes[count...]))
        case .wouldBlock:
            holdUpstream(slot, bytes)
        case .closed, .failed:
            writeFailed(slot)
        }
    }

    /// As above for a head and a body that lie apart, in one write.
    func sendUpstream(
        _ slot: Slot<Upstream>, _ head: UnsafeRawBufferPointer, then body: UnsafeRawBufferPointer
    ) {
        let u = upstreams.pointer(slot)
        guard !u.pointee.isWriteDead, u.pointee.phase == .busy, u.pointee.output.isEmpty else {
            sendUpstream(slot, head)
            sendUpstream(slot, body)
            return
        }
        switch u.pointee.descriptor.send(head, then: body) {
        case .moved(let count):
            if u.pointee.exchange != .none { bytesSent(exchanges.pointer(u.pointee.exchange)) }
            if count < head.count { holdUpstream(slot, UnsafeRawBufferPointer(rebasing: head[count...])) }
            let taken = max(0, count - head.count)
            guard taken < body.count else { return }
            holdUpstream(slot, UnsafeRawBufferPointer(rebasing: body[taken...]))
        case .wouldBlock:
            holdUpstream(slot, head)
            holdUpstream(slot, body)
        case .closed, .failed:
            writeFailed(slot)
        }
    }

    /// The kernel has taken bytes of the request. The times of the upstream count from the last ones before
    /// the response began: usually those that made the request whole (`requestSent`).
    func bytesSent(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.hasSent = true
        if exchange.pointee.stage == .forwarding { exchange.pointee.sentAt = now }
    }

    private func holdUpstream(_ slot: Slot<Upstream>, _ bytes: UnsafeRawBufferPointer) {
        let u = upstreams.pointer(slot)
        guard !u.pointee.isWriteDead else { return }
        guard u.pointee.output.append(bytes, &pool) else {
            buffersFailed(slot)
            return
        }
        watchWrites(slot)
        if u.pointee.exchange != .none {
            let model = models.pointer(exchanges[u.pointee.exchange].model)
            armUpstream(slot, now + model.pointee.timeouts.idle)
        }
    }

    /// Nothing more can be sent on the connection; it is read once more and then given up.
    func writeFailed(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        u.pointee.isWriteDead = true
        u.pointee.isReadable = true
        u.pointee.output.clear(&pool)
        resume(upstreamToken(slot))
    }
}

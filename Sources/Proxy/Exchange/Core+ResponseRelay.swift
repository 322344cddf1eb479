// The response on its way: heads (interim ones too) re-serialised, body bytes forwarded at every read,
// whatever their type. A client of HTTP/1.1 gets a length or chunks, so that its connection lives on; one
// of HTTP/1.0 gets the bytes and a close. A truncated upstream body aborts the client's stream and never
// ends it cleanly. Source: RFC 9110 section 15.2, RFC 9112 section 6.3.

import Metrics
import Platform
import Wire

extension Core {
    /// Parses response heads from the first bytes of a response.
    func takeResponse(_ x: Slot<Exchange>, _ slot: Slot<Upstream>, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        let u = upstreams.pointer(slot)
        // An offset, not a shrinking buffer: a buffer that changes while spans of it exist would be boxed.
        var offset = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            switch responseParser.response(
                rest.bytes, scanned: Int(u.pointee.scanned), to: exchange.pointee.method)
            {
            case .needMore(let scanned):
                u.pointee.scanned = UInt32(scanned)
                guard u.pointee.input.append(rest, &pool) else {
                    attemptFailed(x, .localRefusal)
                    return
                }
                holdUpstreamInput(slot)
                return
            case .refused(let refusal):
                attemptFailed(x, refusal.outcome)
                return
            case .complete(let head):
                u.pointee.scanned = 0
                if head.isInterim {
                    exchange.pointee.interimHeads &+= 1
                    guard exchange.pointee.interimHeads <= Limits.interimHeadsMax else {
                        attemptFailed(x, .protocolError)
                        return
                    }
                    guard relayInterim(x, head, rest) else { return }
                    offset += head.byteCount
                    // The first byte that counts is one of the final head.
                    let isEmpty = offset == bytes.count
                    exchange.pointee.firstByteAt = isEmpty ? .never : now
                    if isEmpty { return }
                    continue
                }
                if head.status == 101 {
                    switchProtocols(x, head, rest)
                } else {
                    beginResponse(x, head, rest)
                }
                return
            }
        }
    }

    /// Passes a 1xx head on; false when the exchange ended over it.
    private func relayInterim(_ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer)
        -> Bool
    {
        let exchange = exchanges.pointer(x)
        // A client of HTTP/1.0 knows none. A request sent again has had its own.
        guard exchange.pointee.minorVersion >= 1 else { return true }
        exchange.pointee.awaitsContinue = false
        let count = composeResponse(x, head, bytes)
        guard sendDownstream(exchange.pointee.downstream, written(count)) else {
            cancel(x, .clientCancel)
            return false
        }
        return true
    }

    private func beginResponse(_ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        let isFailure = head.status >= 500
        judge(x, isFailure: isFailure)
        if isFailure, canShield(x) {
            if exchange.pointee.isTapped { tapShielded(x, head, bytes) }
            attemptFailed(x, .upstreamError)
            return
        }
        exchange.pointee.status = head.status
        if !exchange.pointee.isSettled {
            exchange.pointee.outcome =
                isFailure ? .upstreamError : head.status >= 400 ? .clientError : .success
        }
        exchange.pointee.stage = .responding
        exchange.pointee.isReplayable = false
        if exchange.pointee.isTapped { tapResponseHead(x, head, bytes, isFailure: isFailure) }
        if !keepsForTap(exchange) { exchange.pointee.replay.clear(&pool) }
        exchange.pointee.response = BodyProgress(head.framing, of: .response)
        // Some servers close after an error without saying so, and the next request would meet the close.
        exchange.pointee.responseKeepsUpstream = head.keepsAlive && !isFailure
        decideFraming(exchange, head)
        let body = UnsafeRawBufferPointer(rebasing: bytes[head.byteCount...])
        // A response that is whole gives its connection back below, under the pool's own limit.
        if !head.framing.isWhole(in: body.count) {
            armUpstream(exchange.pointee.upstream, now + models[exchange.pointee.model].timeouts.idle)
        }
        let count = composeResponse(x, head, bytes)
        relayResponse(x, head: count, body)
    }

    private func decideFraming(_ exchange: UnsafeMutablePointer<Exchange>, _ head: ResponseHead) {
        switch head.framing {
        case .none, .length:
            exchange.pointee.encodesChunked = false
        case .chunked, .untilClose:
            exchange.pointee.encodesChunked = exchange.pointee.minorVersion >= 1
            if exchange.pointee.minorVersion == 0 { exchange.pointee.keepsAlive = false }
        }
        if isDraining { exchange.pointee.keepsAlive = false }
        if !exchange.pointee.request.isComplete {
            // An early answer: what is left of the request cannot be told from the next one in time.
            exchange.pointee.keepsAlive = false
            downstreams[exchange.pointee.downstream].lingers = true
        }
    }

    /// Relays response bytes that lie in the inbox, behind a head composed at the outbox's start (or 0).
    func relayResponse(_ x: Slot<Exchange>, head: Int, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        var isExcess = false
        let isAlive: Bool
        switch exchange.pointee.response.framing {
        case .none:
            isExcess = !bytes.isEmpty
            isAlive = forward(x, head: head, UnsafeRawBufferPointer(rebasing: bytes[..<0]))
        case .length:
            let count = Int(min(exchange.pointee.response.remaining, UInt64(bytes.count)))
            exchange.pointee.response.advance(by: count)
            isExcess = count < bytes.count
            let data = UnsafeRawBufferPointer(rebasing: bytes[..<count])
            if exchange.pointee.tap != noTap { tapResponse(x, data) }
            isAlive = forward(x, head: head, data)
        case .untilClose:
            if exchange.pointee.tap != noTap { tapResponse(x, bytes) }
            if exchange.pointee.encodesChunked {
                var out = HeadWriter(UnsafeMutableRawBufferPointer(rebasing: outbox[head...]))
                if !bytes.isEmpty { writeChunk(&out, bytes) }
                exchange.pointee.bytesOut &+= UInt64(bytes.count)
                isAlive = sendDownstream(exchange.pointee.downstream, written(head + out.count))
            } else {
                isAlive = forward(x, head: head, bytes)
            }
        case .chunked:
            guard let ending = relayResponseChunks(x, head: head, bytes) else { return }
            isExcess = ending.isExcess
            isAlive = ending.isAlive
        }
        guard isAlive else {
            cancel(x, .clientCancel)
            return
        }
        if isExcess { exchange.pointee.responseKeepsUpstream = false }
        if exchange.pointee.response.isComplete { responseComplete(x) }
    }

    /// Decodes chunks and encodes them anew (or not, for HTTP/1.0); nil when the exchange ended over them.
    private func relayResponseChunks(
        _ x: Slot<Exchange>, head: Int, _ bytes: UnsafeRawBufferPointer
    ) -> (isExcess: Bool, isAlive: Bool)? {
        let exchange = exchanges.pointer(x)
        let encodes = exchange.pointee.encodesChunked
        var out = HeadWriter(UnsafeMutableRawBufferPointer(rebasing: outbox[head...]))
        var position = 0
        var chunks = 0
        var isOpen = true
        while isOpen {
            switch nextChunk(&exchange.pointee.response, bytes, from: position) {
            case .data(let start, let count):
                let data = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
                if encodes { writeChunk(&out, data) } else { out.append(data) }
                if exchange.pointee.tap != noTap { tapResponse(x, data) }
                exchange.pointee.bytesOut &+= UInt64(count)
                position = start + count
                chunks &+= 1
            case .needMore(let consumed):
                position = consumed
                isOpen = false
            case .trailers(let start):
                position = start
                isOpen = false
                let section = bytes.bytes.extracting(start..<bytes.count)
                let scanned = Int(exchange.pointee.response.trailersScanned)
                switch responseParser.trailers(section, scanned: scanned, of: .response) {
                case .complete(let fields, let count):
                    if encodes {
                        out.appendLastChunk()
                        writeTrailers(&out, responseParser, fields, bytes, from: start)
                    }
                    position = start + count
                    exchange.pointee.response.isComplete = true
                case .needMore(let scanned):
                    exchange.pointee.response.trailersScanned = UInt32(scanned)
                case .refused(let refusal):
                    attemptFailed(x, refusal.outcome)
                    return nil
                }
            case .refused:
                attemptFailed(x, .protocolError)
                return nil
            }
        }
        exchange.pointee.response.weigh(chunks: chunks, in: bytes.count)
        let isExcess = exchange.pointee.response.isComplete && position < bytes.count
        if !exchange.pointee.response.isComplete, position < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            let slot = exchange.pointee.upstream
            guard upstreams[slot].input.append(rest, &pool) else {
                attemptFailed(x, .localRefusal)
                return nil
            }
            holdUpstreamInput(slot)
        }
        let isAlive =
            head + out.count == 0 || sendDownstream(exchange.pointee.downstream, written(head + out.count))
        return (isExcess, isAlive)
    }

    /// Sends head and body: in one write where the body is small, in two without a copy where it is not.
    private func forward(_ x: Slot<Exchange>, head: Int, _ body: UnsafeRawBufferPointer) -> Bool {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        exchange.pointee.bytesOut &+= UInt64(body.count)
        guard head > 0 else { return body.isEmpty || sendDownstream(slot, body) }
        guard body.count > Self.copyMax else {
            if !body.isEmpty {
                UnsafeMutableRawBufferPointer(rebasing: outbox[head..<head + body.count])
                    .copyMemory(from: body)
            }
            return sendDownstream(slot, written(head + body.count))
        }
        return sendDownstream(slot, written(head), then: body)
    }

    /// A response that ends with its connection has ended.
    func endUntilClose(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.response.isComplete = true
        if exchange.pointee.encodesChunked {
            var out = HeadWriter(outbox)
            out.appendLastChunk()
            out.append("\r\n")
            guard sendDownstream(exchange.pointee.downstream, written(out.count)) else {
                cancel(x, .clientCancel)
                return
            }
        }
        exchange.pointee.responseKeepsUpstream = false
        responseComplete(x)
    }

    /// The upstream has said everything; the exchange ends when the client has it all. Its time counts from
    /// the last request byte that was sent before the response began.
    func responseComplete(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let isReusable = exchange.pointee.responseKeepsUpstream && exchange.pointee.request.isComplete
        if exchange.pointee.sentAt != .never {
            exchange.pointee.upstreamNanos = (now - exchange.pointee.sentAt).nanos
        }
        settle(x, exchange.pointee.outcome)
        releaseUpstream(x, isReusable: isReusable)
        exchange.pointee.stage = .flushing
        if !owesClient(exchange) { finish(x) }
    }
}

// Shadow copies: the same request to another version, on connections of its own, after the primary has
// had its bytes. A copy is bounded in number, bytes and age and is the first to go when buffers run low;
// nothing it does or fails to do is waited for. Its response is measured and discarded. Invariant: a copy
// that begins is counted once as sent and once as settled or dropped with a reason.

import Metrics
import Platform
import Wire

extension Core {
    /// Decides whether the request is copied, and prepares the copy's head. Nothing is sent yet: the first
    /// `tee`, after the primary's write, opens the connection.
    func startShadow(_ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        let model = models.pointer(exchange.pointee.model)
        let version = model.pointee.shadowVersion
        guard version != .none, version != exchange.pointee.assigned, exchange.pointee.isShadowed else {
            return
        }
        let meter = link.meter(version.row)
        if exchange.pointee.wantsUpgrade { return meter.countShadowDrop(ShadowDrop.notEligible) }
        if case .length(let length) = head.framing, length > UInt64(model.pointee.shadowBodyMax) {
            return meter.countShadowDrop(ShadowDrop.bodyTooLarge)
        }
        if pool.free < limits.blocksMax / 2 { return meter.countShadowDrop(ShadowDrop.buffers) }
        let copy = ShadowCopy(
            exchange: x, model: exchange.pointee.model, version: version, method: head.method,
            bodyBytesMax: model.pointee.shadowBodyMax, sentAt: now,
            giveUpAt: now + model.pointee.shadowAge)
        guard shadows.count < shadows.capacity, takeCopy(exchange.pointee.model),
            let s = shadows.insert(copy)
        else { return meter.countShadowDrop(ShadowDrop.inFlight) }
        exchange.pointee.shadow = s
        var out = HeadWriter(shadowbox)
        writeRequest(&out, x, head, bytes, version: version, isShadow: true)
        guard !out.overflowed else { return dropShadow(s, .notEligible) }
        shadows[s].headCount = UInt32(out.count)
        startPair(x, s)
    }

    /// Sends body bytes, the first time behind the prepared head.
    func tee(_ s: Slot<ShadowCopy>, _ body: UnsafeRawBufferPointer) {
        let copy = shadows.pointer(s)
        copy.pointee.bodyBytes += body.count
        guard copy.pointee.bodyBytes <= copy.pointee.bodyBytesMax else {
            dropShadow(s, .bodyTooLarge)
            return
        }
        guard pool.free >= limits.blocksMax / 2 else {
            dropShadow(s, .buffers)
            return
        }
        if copy.pointee.upstream != .none {
            sendUpstream(copy.pointee.upstream, body)
            return
        }
        guard openShadow(s) else { return }
        let head = Int(copy.pointee.headCount)
        let slot = copy.pointee.upstream
        if body.count <= Self.copyMax {
            if !body.isEmpty {
                UnsafeMutableRawBufferPointer(rebasing: shadowbox[head..<head + body.count])
                    .copyMemory(from: body)
            }
            sendUpstream(slot, UnsafeRawBufferPointer(rebasing: shadowbox[..<(head + body.count)]))
        } else {
            sendUpstream(slot, UnsafeRawBufferPointer(rebasing: shadowbox[..<head]), then: body)
        }
    }

    private func openShadow(_ s: Slot<ShadowCopy>) -> Bool {
        let copy = shadows.pointer(s)
        let endpoint = pickEndpoint(versions.pointer(copy.pointee.version), after: nil, insists: false)
        guard endpoint != .none else {
            dropShadow(s, .noEndpoint)
            return false
        }
        // Its own time begins here, not with the write of its primary.
        readClock()
        let slot: Slot<Upstream>
        switch connection(to: endpoint, isShadow: true) {
        case .open(let found):
            slot = found
        case .refused:
            noteUnreachable(s, endpoint)
            return false
        case .exhausted:
            dropShadow(s, .connections)
            return false
        }
        upstreams[slot].shadow = s
        copy.pointee.upstream = slot
        copy.pointee.sentAt = now
        copy.pointee.writtenAt = now
        if upstreams[slot].phase == .connecting { awaitCopyWrite(s) }
        link.meter(copy.pointee.version.row).countShadowSent()
        timers.schedule(shadowTimers + s.index, at: copy.pointee.giveUpAt)
        return true
    }

    /// The copied request is whole.
    func teeComplete(_ s: Slot<ShadowCopy>) {
        let copy = shadows.pointer(s)
        copy.pointee.isRequestComplete = true
        if copy.pointee.response.isComplete, copy.pointee.hasHead { settleShadow(s, copy.pointee.outcome) }
    }

    /// The primary has ended; a copy whose request is not whole can no longer become so.
    func primaryEnded(_ s: Slot<ShadowCopy>) {
        shadows[s].exchange = .none
        if !shadows[s].isRequestComplete { dropShadow(s, .clientGone) }
    }

    /// Response bytes of a copy: measured, then forgotten.
    func shadowRead(_ s: Slot<ShadowCopy>, _ bytes: UnsafeRawBufferPointer) {
        let copy = shadows.pointer(s)
        var offset = 0
        while !copy.pointee.hasHead {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            let u = upstreams.pointer(copy.pointee.upstream)
            switch responseParser.response(
                rest.bytes, scanned: Int(u.pointee.scanned), to: copy.pointee.method)
            {
            case .needMore(let scanned):
                u.pointee.scanned = UInt32(scanned)
                _ = keepShadowInput(s, rest, from: 0)
                return
            case .refused(let refusal):
                shadowFailed(s, refusal.outcome)
                return
            case .complete(let head):
                u.pointee.scanned = 0
                offset += head.byteCount
                if head.isInterim {
                    copy.pointee.interimHeads &+= 1
                    guard copy.pointee.interimHeads <= Limits.interimHeadsMax else {
                        shadowFailed(s, .protocolError)
                        return
                    }
                    if offset == bytes.count { return }
                    continue
                }
                guard head.status != 101 else {
                    shadowFailed(s, .protocolError)
                    return
                }
                copy.pointee.hasHead = true
                copy.pointee.firstByteAt = now
                copy.pointee.keepsAlive = head.keepsAlive && head.status < 500
                copy.pointee.outcome =
                    head.status >= 500 ? .upstreamError : head.status >= 400 ? .clientError : .success
                copy.pointee.events = Self.events(
                    ofStatus: head.status, method: copy.pointee.method,
                    countsClientErrors: models[copy.pointee.model].countsClientErrors)
                copy.pointee.response = BodyProgress(head.framing, of: .response)
            }
        }
        discard(s, UnsafeRawBufferPointer(rebasing: bytes[offset...]))
    }

    private func discard(_ s: Slot<ShadowCopy>, _ bytes: UnsafeRawBufferPointer) {
        let copy = shadows.pointer(s)
        switch copy.pointee.response.framing {
        case .none:
            if !bytes.isEmpty { copy.pointee.keepsAlive = false }
        case .length:
            let count = min(copy.pointee.response.remaining, UInt64(bytes.count))
            copy.pointee.response.remaining -= count
            if count > 0 { copy.pointee.events.remove(.empty) }
            copy.pointee.response.isComplete = copy.pointee.response.remaining == 0
            if count < UInt64(bytes.count) { copy.pointee.keepsAlive = false }
        case .untilClose:
            if !bytes.isEmpty { copy.pointee.events.remove(.empty) }
            return
        case .chunked:
            guard discardChunks(s, bytes) else { return }
        }
        if copy.pointee.response.isComplete, copy.pointee.isRequestComplete {
            settleShadow(s, copy.pointee.outcome)
        }
    }

    private func discardChunks(_ s: Slot<ShadowCopy>, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let copy = shadows.pointer(s)
        var position = 0
        var chunks = 0
        while true {
            switch nextChunk(&copy.pointee.response, bytes, from: position) {
            case .data(let start, let count):
                position = start + count
                chunks &+= 1
                copy.pointee.events.remove(.empty)
            case .needMore(let consumed):
                copy.pointee.response.weigh(chunks: chunks, in: bytes.count)
                return keepShadowInput(s, bytes, from: consumed)
            case .trailers(let start):
                let section = bytes.bytes.extracting(start..<bytes.count)
                let scanned = Int(copy.pointee.response.trailersScanned)
                switch responseParser.trailers(section, scanned: scanned, of: .response) {
                case .complete(_, let count):
                    copy.pointee.response.isComplete = true
                    if start + count < bytes.count { copy.pointee.keepsAlive = false }
                    return true
                case .needMore(let scanned):
                    copy.pointee.response.trailersScanned = UInt32(scanned)
                    return keepShadowInput(s, bytes, from: start)
                case .refused(let refusal):
                    shadowFailed(s, refusal.outcome)
                    return false
                }
            case .refused:
                shadowFailed(s, .protocolError)
                return false
            }
        }
    }

    private func keepShadowInput(_ s: Slot<ShadowCopy>, _ bytes: UnsafeRawBufferPointer, from position: Int)
        -> Bool
    {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
        let slot = shadows[s].upstream
        if upstreams[slot].input.append(rest, &pool) {
            holdUpstreamInput(slot)
            return true
        }
        dropShadow(s, .buffers)
        return false
    }

    /// The copy's connection ended: the end of a response that is delimited by it, or a failure.
    func shadowFailed(_ s: Slot<ShadowCopy>, _ outcome: Outcome) {
        let copy = shadows.pointer(s)
        if outcome == .connectFailure || outcome == .timeoutConnect {
            let endpoint = upstreams[copy.pointee.upstream].endpoint
            guard !isAnswering(versions.pointer(copy.pointee.version), besides: endpoint) else {
                dropShadow(s, .connections)
                return
            }
        }
        let isEnd =
            outcome == .reset && copy.pointee.hasHead && copy.pointee.response.framing == .untilClose
            && upstreams[copy.pointee.upstream].isPeerDone
        copy.pointee.keepsAlive = false
        settleShadow(s, isEnd ? copy.pointee.outcome : outcome)
    }

    /// The copy found nobody at its endpoint. It is not sent to another one, so where its version has others
    /// it says nothing, as its primary's failed connects do.
    private func noteUnreachable(_ s: Slot<ShadowCopy>, _ endpoint: Slot<EndpointState>) {
        let copy = shadows.pointer(s)
        guard !isAnswering(versions.pointer(copy.pointee.version), besides: endpoint) else {
            dropShadow(s, .connections)
            return
        }
        link.meter(copy.pointee.version.row).countShadowSent()
        copy.pointee.keepsAlive = false
        settleShadow(s, .connectFailure)
    }

    private func settleShadow(_ s: Slot<ShadowCopy>, _ outcome: Outcome) {
        let copy = shadows.pointer(s)
        let meter = link.meter(copy.pointee.version.row)
        meter.settleShadow(outcome, nanos: (now - copy.pointee.sentAt).nanos)
        if copy.pointee.isPaired { settleCopy(s, outcome) }
        freeShadow(s, keepsConnection: copy.pointee.keepsAlive && copy.pointee.isRequestComplete)
    }

    /// Gives a copy up.
    func dropShadow(_ s: Slot<ShadowCopy>, _ reason: ShadowDrop) {
        link.meter(shadows[s].version.row).countShadowDrop(reason)
        if shadows[s].isPaired { giveUpCopy(s, isLate: reason == .aged) }
        freeShadow(s, keepsConnection: false)
    }

    private func freeShadow(_ s: Slot<ShadowCopy>, keepsConnection: Bool) {
        let copy = shadows.pointer(s)
        if copy.pointee.exchange != .none {
            exchanges[copy.pointee.exchange].shadow = .none
        }
        let slot = copy.pointee.upstream
        if slot != .none {
            let u = upstreams.pointer(slot)
            u.pointee.shadow = .none
            let isSound = u.pointee.phase == .busy && !u.pointee.isPeerDone && !u.pointee.isWriteDead
            if keepsConnection, isSound, u.pointee.output.isEmpty, u.pointee.input.isEmpty {
                keepIdle(slot)
            } else {
                closeUpstream(slot)
            }
        }
        timers.cancel(shadowTimers + s.index)
        let model = copy.pointee.model
        models[model].shadowInFlight -= 1
        if models[model].sharesCopies { seat.board.words.places.moveCopies(model, by: -1) }
        shadows.remove(s)
    }

    /// Takes a place among the model's copies in flight, if there is one.
    private func takeCopy(_ slot: Slot<ModelState>) -> Bool {
        let model = models.pointer(slot)
        let bound = model.pointee.shadowInFlightMax
        if model.pointee.sharesCopies {
            guard seat.board.words.places.takeCopy(slot, upTo: Int(bound)) else { return false }
        } else if model.pointee.shadowInFlight >= bound {
            return false
        }
        model.pointee.shadowInFlight += 1
        return true
    }
}

// The client's side of a connection: events, reading, flushing, ending. Reads stop where the next piece has
// no room (backpressure) and start again when the other side has drained; an edge seen meanwhile is kept in
// `isReadable`. Source: RFC 9112 sections 2, 6.3, 9.

import Metrics
import Platform
import Wire

extension Core {
    /// An event of the poller for a client's connection.
    func downstreamReady(_ slot: Slot<Downstream>, _ readiness: Readiness) {
        readClockForEvent()
        let d = downstreams.pointer(slot)
        let isHungUp = readiness.contains(.hangUp)
        if readiness.contains(.error) || isHungUp && !isTunnel(d) {
            downstreamLost(slot)
            return
        }
        // In a tunnel our own end may have come first: the client's last bytes still wait to be read.
        if readiness.contains(.peerClosed) || isHungUp {
            d.pointee.isPeerDone = true
            d.pointee.isReadable = true
            if hasLeft(d) {
                cancel(d.pointee.exchange, .clientCancel)
                return
            }
        }
        if readiness.contains(.readable) { d.pointee.isReadable = true }
        let owed = readiness.contains(.writable) ? bytesOwed(d) : 0
        if d.pointee.isHeavy || owed > Limits.heavyBytes {
            // Much to move: after the small ones.
            if owed > 0 { d.pointee.isFlushable = true }
            if owed > 0 || d.pointee.isReadable { resume(downstreamToken(slot)) }
            return
        }
        if owed > 0 {
            guard flushDownstream(slot) else { return }
        }
        if d.pointee.isReadable { readDownstream(slot) }
    }

    /// What is held for the client.
    private func bytesOwed(_ d: UnsafeMutablePointer<Downstream>) -> Int {
        var count = d.pointee.output.count
        if d.pointee.phase == .exchange {
            let pipe = exchanges[d.pointee.exchange].responsePipe
            if pipe != .none { count += pipes[pipe].held }
        }
        return count
    }

    private func isTunnel(_ d: UnsafeMutablePointer<Downstream>) -> Bool {
        d.pointee.phase == .exchange && exchanges[d.pointee.exchange].stage == .tunnel
    }

    /// Whether the client, whose FIN is here, has left before its answer was complete. What it sent before
    /// the FIN may still be unread; that changes nothing. In a tunnel each direction ends by itself.
    private func hasLeft(_ d: UnsafeMutablePointer<Downstream>) -> Bool {
        guard d.pointee.phase == .exchange else { return false }
        let exchange = exchanges.pointer(d.pointee.exchange)
        switch exchange.pointee.stage {
        case .queued, .forwarding, .responding:
            return !models[exchange.pointee.model].ignoresHalfClose
        // The model server has done its work, and whoever still reads gets the rest of it.
        case .flushing, .tunnel: return false
        }
    }

    /// Continues a connection whose obstacle is gone, or whose turn has come: first what is held, then the
    /// socket.
    func resumeDownstream(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        if d.pointee.isFlushable {
            d.pointee.isFlushable = false
            if bytesOwed(d) > 0 {
                guard flushDownstream(slot) else { return }
            }
        }
        let held = heldCount(d)
        if held > 0, d.pointee.phase == .idle {
            copyHeld(slot)
            clearHeld(slot)
            let generation = downstreams.generation(slot)
            takeHead(slot, held: 0, count: held)
            guard downstreams.isLive(slot, generation: generation) else { return }
        }
        readDownstream(slot)
    }

    /// Reads a slice, unless the bytes have nowhere to go. What is left waits until the others have had their
    /// turn.
    func readDownstream(_ slot: Slot<Downstream>) {
        guard downstreams.isLive(slot) else { return }
        let d = downstreams.pointer(slot)
        guard d.pointee.isReadable, takesInput(d) else { return }
        let generation = downstreams.generation(slot)
        guard let isHeavy = readClientSlice(slot), downstreams.isLive(slot, generation: generation) else {
            return
        }
        d.pointee.isHeavy = isHeavy
        if d.pointee.isReadable { resume(downstreamToken(slot)) }
    }

    /// One read, or one filling of a pipe.
    ///
    /// - Returns: whether it was a large one; nil when nothing was moved.
    private func readClientSlice(_ slot: Slot<Downstream>) -> Bool? {
        let d = downstreams.pointer(slot)
        var size = readSize(isHeavy: d.pointee.isHeavy)
        if d.pointee.phase == .exchange {
            let exchange = exchanges.pointer(d.pointee.exchange)
            let isLong = exchange.pointee.request.remaining >= Limits.spliceBytesMin
            if isLong, let moved = spliceRequest(d.pointee.exchange, slot) {
                return moved > 0 ? moved >= Limits.heavyBytes : nil
            }
            size = exchange.pointee.request.readSize(size)
        }
        guard size > 0 else {
            starve(downstreamToken(slot))
            return nil
        }
        let held = heldCount(d)
        let room = UnsafeMutableRawBufferPointer(rebasing: inbox[held..<held + size])
        switch d.pointee.descriptor.receive(into: room) {
        case .moved(let count):
            d.pointee.isReadable = count == size || d.pointee.isPeerDone
            downstreamRead(slot, held: held, count: held + count)
            return count == size || count >= Limits.heavyBytes
        case .wouldBlock:
            d.pointee.isReadable = false
        case .closed:
            downstreamEnded(slot)
        case .failed:
            downstreamLost(slot)
        }
        return nil
    }

    private func downstreamRead(_ slot: Slot<Downstream>, held: Int, count: Int) {
        let d = downstreams.pointer(slot)
        switch d.pointee.phase {
        case .idle, .head:
            takeHead(slot, held: held, count: count)
        case .exchange:
            if held > 0 {
                // Part of a trailer section, which is parsed whole.
                copyHeld(slot)
                takeHeld(slot)
            }
            let bytes = UnsafeRawBufferPointer(rebasing: inbox[..<count])
            let x = d.pointee.exchange
            if exchanges[x].stage == .tunnel {
                relayToUpstream(x, bytes)
            } else {
                relayRequest(x, head: 0, bytes)
            }
            if held > 0, downstreams.isLive(slot) { holdInput(slot) }
        case .lingering:
            break
        }
    }

    /// Whether what the client sends now has somewhere to go.
    private func takesInput(_ d: UnsafeMutablePointer<Downstream>) -> Bool {
        switch d.pointee.phase {
        case .idle, .head:
            // Replies to pipelined requests leave one by one; the next request waits for the last reply, and
            // what has been read of it stands in line before the socket.
            let isWaiting = d.pointee.phase == .idle && heldCount(d) > 0
            return d.pointee.output.isEmpty && !d.pointee.closesAfterFlush && !isWaiting
        case .lingering:
            return true
        case .exchange:
            let x = exchanges.pointer(d.pointee.exchange)
            guard x.pointee.upstream != .none else { return false }
            switch x.pointee.stage {
            case .queued, .flushing:
                return false
            case .forwarding, .responding:
                guard !x.pointee.request.isComplete else { return false }
            case .tunnel:
                break
            }
            let isClear = !owesServer(x)
            if !isClear { d.pointee.wasPaused = true }
            return isClear
        }
    }

    /// The client closed its side.
    func downstreamEnded(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        d.pointee.isReadable = false
        d.pointee.isPeerDone = true
        switch d.pointee.phase {
        case .idle, .lingering:
            closeDownstream(slot)
        case .head:
            refuse(slot, .incompleteHead)
        case .exchange:
            let x = d.pointee.exchange
            let exchange = exchanges.pointer(x)
            if exchange.pointee.stage == .tunnel {
                tunnelEnded(x, fromClient: true)
            } else if !exchange.pointee.request.isComplete {
                // The body will never be complete: the upstream must not take it for a whole one.
                cancel(x, .clientCancel)
            }
        // Behind a whole request nothing is read before the reply is out: only where `client_half_close`
        // is `ignore` does an exchange outlive its client's FIN.
        }
    }

    /// The connection is gone in both directions.
    func downstreamLost(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        if d.pointee.phase == .exchange {
            cancel(d.pointee.exchange, .clientCancel)
        } else {
            closeDownstream(slot)
        }
    }

    /// Sends bytes to the client, keeping what it does not take. False: the client is gone, and the caller
    /// cancels. The caller holds no other connection's bytes in `outbox` afterwards.
    func sendDownstream(_ slot: Slot<Downstream>, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let d = downstreams.pointer(slot)
        guard d.pointee.output.isEmpty else { return d.pointee.output.append(bytes, &pool) }
        switch d.pointee.descriptor.send(bytes) {
        case .moved(let count):
            if count == bytes.count { return true }
            armDownstream(slot, now + stallLimit(slot))
            return d.pointee.output.append(UnsafeRawBufferPointer(rebasing: bytes[count...]), &pool)
        case .wouldBlock:
            armDownstream(slot, now + stallLimit(slot))
            return d.pointee.output.append(bytes, &pool)
        case .closed, .failed:
            return false
        }
    }

    /// As above for a head and a body that lie apart, in one write.
    func sendDownstream(
        _ slot: Slot<Downstream>, _ head: UnsafeRawBufferPointer, then body: UnsafeRawBufferPointer
    ) -> Bool {
        let d = downstreams.pointer(slot)
        guard d.pointee.output.isEmpty else {
            return sendDownstream(slot, head) && sendDownstream(slot, body)
        }
        var moved = 0
        switch d.pointee.descriptor.send(head, then: body) {
        case .moved(let count):
            if count == head.count + body.count { return true }
            moved = count
        case .wouldBlock: break
        case .closed, .failed: return false
        }
        armDownstream(slot, now + stallLimit(slot))
        let rest = UnsafeRawBufferPointer(rebasing: head[min(moved, head.count)...])
        let left = UnsafeRawBufferPointer(rebasing: body[max(0, moved - head.count)...])
        return d.pointee.output.append(rest, &pool) && d.pointee.output.append(left, &pool)
    }

    /// How long the client may leave our bytes in the socket without taking any.
    func stallLimit(_ slot: Slot<Downstream>) -> Interval {
        let d = downstreams.pointer(slot)
        guard d.pointee.phase == .exchange else { return limits.lingerDeadline }
        return models[exchanges[d.pointee.exchange].model].timeouts.idle
    }

    /// Sends a slice of what is held. False when the connection ended over it.
    private func flushDownstream(_ slot: Slot<Downstream>) -> Bool {
        let d = downstreams.pointer(slot)
        var sent = 0
        while !d.pointee.output.isEmpty {
            guard sent < Limits.flushBytes else {
                d.pointee.isFlushable = true
                resume(downstreamToken(slot))
                return true
            }
            let piece = d.pointee.output.front(pool)
            switch d.pointee.descriptor.send(piece) {
            case .moved(let count):
                d.pointee.output.consume(count, &pool)
                sent += count
                armDownstream(slot, now + stallLimit(slot))
                if count < piece.count { return true }
            case .wouldBlock:
                return true
            case .closed, .failed:
                downstreamLost(slot)
                return false
            }
        }
        if d.pointee.phase == .exchange {
            let exchange = exchanges.pointer(d.pointee.exchange)
            if exchange.pointee.responsePipe != .none {
                guard drainToClient(d.pointee.exchange) else {
                    downstreamLost(slot)
                    return false
                }
                if exchange.pointee.responsePipe != .none { return true }
            }
        }
        return downstreamFlushed(slot)
    }

    /// The client has taken everything: the exchange ends, the upstream may be read again, or we close.
    private func downstreamFlushed(_ slot: Slot<Downstream>) -> Bool {
        let d = downstreams.pointer(slot)
        d.pointee.deadline = .never
        if d.pointee.phase == .exchange {
            let x = d.pointee.exchange
            let exchange = exchanges.pointer(x)
            if exchange.pointee.stage == .flushing {
                let generation = downstreams.generation(slot)
                finish(x)
                return downstreams.isLive(slot, generation: generation)
            }
            if exchange.pointee.stage == .tunnel, exchange.pointee.isServerDone {
                let generation = downstreams.generation(slot)
                passTunnelEnd(x)
                return downstreams.isLive(slot, generation: generation)
            }
            if exchange.pointee.upstream != .none { resumeUpstreamLater(exchange.pointee.upstream) }
            return true
        }
        if d.pointee.closesAfterFlush {
            shutDownstream(slot)
            return false
        }
        return true
    }

    /// Ends the connection after its last reply: at once, or by lingering where input is unread.
    func shutDownstream(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        guard d.pointee.lingers else {
            closeDownstream(slot)
            return
        }
        d.pointee.descriptor.shutdownWrite()
        d.pointee.phase = .lingering
        clearHeld(slot)
        armDownstream(slot, now + limits.lingerDeadline)
        resume(downstreamToken(slot))
    }

    /// Frees the connection and all it holds. Its exchange, if any, was finished before.
    func closeDownstream(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        precondition(d.pointee.exchange == .none, "a connection closes after its exchange")
        clearHeld(slot)
        d.pointee.output.clear(&pool)
        timers.cancel(slot.index)
        downstreams.remove(slot)
        meter.set(.downstreams, downstreams.count)
        if isAcceptPaused { resumeAccepting() }
        if isDraining, downstreams.count == 0 { link.isDrained.store(true, ordering: .releasing) }
    }

    /// Sets when the connection is judged next.
    func armDownstream(_ slot: Slot<Downstream>, _ deadline: Instant) {
        downstreams[slot].deadline = deadline
        timers.schedule(slot.index, at: deadline)
    }
}

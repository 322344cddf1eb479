// The model server's side: events, connecting, flushing, reading. Whatever a server does to its
// connection ends here in one of three ways: bytes for the exchange or the shadow copy, the end of an
// idle connection, or a failed attempt.

import Metrics
import Platform
import Wire

extension Core {
    /// An event of the poller for a connection to a model server.
    func upstreamReady(_ slot: Slot<Upstream>, _ readiness: Readiness) {
        readClockForEvent()
        let u = upstreams.pointer(slot)
        let isBroken = readiness.contains(.error) || readiness.contains(.hangUp)
        if readiness.contains(.peerClosed) || isBroken { u.pointee.isPeerDone = true }
        switch u.pointee.phase {
        case .connecting:
            finishConnecting(slot, readiness)
        case .idle:
            // A close, or bytes that nobody asked for: either way the connection is of no use.
            if readiness.contains(.readable) || u.pointee.isPeerDone { closeIdle(slot) }
        case .busy:
            let owed = readiness.contains(.writable) ? bytesOwed(u) : 0
            let isReadable = readiness.contains(.readable) || u.pointee.isPeerDone
            if isReadable { u.pointee.isReadable = true }
            if u.pointee.isHeavy || owed > Limits.heavyBytes {
                // Much to move: after the small ones.
                if owed > 0 { u.pointee.isFlushable = true }
                if owed > 0 || isReadable { resume(upstreamToken(slot)) }
                return
            }
            if owed > 0 { flushUpstream(slot) }
            if isReadable { readUpstream(slot) }
        }
    }

    /// What is held for the server.
    private func bytesOwed(_ u: UnsafeMutablePointer<Upstream>) -> Int {
        var count = u.pointee.output.count
        if u.pointee.exchange != .none {
            let pipe = exchanges[u.pointee.exchange].requestPipe
            if pipe != .none { count += pipes[pipe].held }
        }
        return count
    }

    /// The connection's turn has come: first what is held, then the socket.
    func resumeUpstream(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        if u.pointee.isFlushable {
            u.pointee.isFlushable = false
            if u.pointee.phase == .busy, bytesOwed(u) > 0 { flushUpstream(slot) }
        }
        readUpstream(slot)
    }

    private func finishConnecting(_ slot: Slot<Upstream>, _ readiness: Readiness) {
        let u = upstreams.pointer(slot)
        if Socket.pendingError(of: u.pointee.descriptor) != nil {
            meter.count(.upstreamConnectFailures)
            upstreamFailed(slot, .connectFailure)
            return
        }
        guard readiness.contains(.writable) else { return }
        let version = endpoints[u.pointee.endpoint].version
        if version != .none {
            link.meter(version.row).record(.connect, nanos: (now - u.pointee.idleSince).nanos)
        }
        if u.pointee.exchange == .none, u.pointee.shadow == .none {
            // Opened to be warm.
            keepIdle(slot)
            return
        }
        u.pointee.phase = .busy
        u.pointee.deadline = .never
        if u.pointee.exchange != .none {
            let exchange = exchanges.pointer(u.pointee.exchange)
            if exchange.pointee.isUnwritten { endWait(exchange) }
        } else {
            endCopyWait(u.pointee.shadow)
        }
        flushUpstream(slot)
        if readiness.contains(.readable), u.pointee.phase == .busy {
            u.pointee.isReadable = true
            readUpstream(slot)
        }
    }

    /// Sends a slice of what is held; when it is gone the client is read again, and a whole request's time
    /// runs.
    private func flushUpstream(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        var sent = 0
        while !u.pointee.output.isEmpty {
            guard sent < Limits.flushBytes else {
                u.pointee.isFlushable = true
                resume(upstreamToken(slot))
                return
            }
            switch u.pointee.output.send(to: u.pointee.descriptor, &pool) {
            case .moved(let count):
                sent += count
                if u.pointee.exchange != .none {
                    let exchange = exchanges.pointer(u.pointee.exchange)
                    bytesSent(exchange)
                    armUpstream(slot, now + models[exchange.pointee.model].timeouts.idle)
                }
            case .wouldBlock:
                watchWrites(slot)
                return
            case .closed, .failed:
                writeFailed(slot)
                return
            }
        }
        if u.pointee.shadow != .none { return }
        guard u.pointee.exchange != .none else { return }
        let exchange = exchanges.pointer(u.pointee.exchange)
        if exchange.pointee.requestPipe != .none {
            drainToServer(u.pointee.exchange)
            if exchange.pointee.requestPipe != .none || u.pointee.isWriteDead { return }
        }
        if exchange.pointee.stage == .tunnel, exchange.pointee.isClientDone {
            passTunnelEnd(u.pointee.exchange)
            return
        }
        if exchange.pointee.request.isComplete { requestSent(u.pointee.exchange) }
        let d = exchange.pointee.downstream
        if downstreams[d].isReadable { resume(downstreamToken(d)) }
    }

    /// Asks for writability where it was not registered from the start: on Unix sockets a registered writer
    /// would be woken by every read of the peer.
    func watchWrites(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        guard !u.pointee.watchesWrites else { return }
        u.pointee.watchesWrites = true
        _ = poller.change(
            u.pointee.descriptor, token: upstreamToken(slot), interest: [.readable, .writable, .peerClosed])
    }

    /// Reads a slice, unless the client takes no more. What is left waits until the others have had their
    /// turn.
    func readUpstream(_ slot: Slot<Upstream>) {
        guard upstreams.isLive(slot) else { return }
        let u = upstreams.pointer(slot)
        if u.pointee.isOutOfBuffers {
            giveUpForBuffers(slot)
            return
        }
        guard u.pointee.isReadable, u.pointee.phase == .busy else { return }
        let generation = upstreams.generation(slot)
        guard let isHeavy = readServerSlice(slot), upstreams.isLive(slot, generation: generation) else {
            return
        }
        u.pointee.isHeavy = isHeavy
        if u.pointee.isReadable, u.pointee.phase == .busy { resume(upstreamToken(slot)) }
    }

    /// One read, or one filling of a pipe.
    ///
    /// - Returns: whether it was a large one; nil when nothing was moved.
    private func readServerSlice(_ slot: Slot<Upstream>) -> Bool? {
        let u = upstreams.pointer(slot)
        var size = readSize(isHeavy: u.pointee.isHeavy)
        if u.pointee.exchange != .none {
            let exchange = exchanges.pointer(u.pointee.exchange)
            guard !owesClient(exchange) else { return nil }
            let isLong = exchange.pointee.response.remaining >= Limits.spliceBytesMin
            if isLong, let moved = spliceResponse(u.pointee.exchange, slot) {
                return moved > 0 ? moved >= Limits.heavyBytes : nil
            }
            size = exchange.pointee.response.readSize(size)
        } else if u.pointee.shadow != .none {
            size = shadows[u.pointee.shadow].response.readSize(size)
        }
        guard size > 0 else {
            starve(upstreamToken(slot))
            return nil
        }
        let held = u.pointee.input.copyOut(to: inbox, pool)
        let room = UnsafeMutableRawBufferPointer(rebasing: inbox[held..<held + size])
        switch u.pointee.descriptor.receive(into: room) {
        case .moved(let count):
            u.pointee.isReadable = count == size || u.pointee.isPeerDone
            u.pointee.input.clear(&pool)
            upstreamRead(slot, UnsafeRawBufferPointer(rebasing: inbox[..<(held + count)]))
            if held > 0, upstreams.isLive(slot) { holdUpstreamInput(slot) }
            return count == size || count >= Limits.heavyBytes
        case .wouldBlock:
            u.pointee.isReadable = false
        case .closed:
            u.pointee.isPeerDone = true
            upstreamEnded(slot)
        case .failed:
            upstreamFailed(slot, .reset)
        }
        return nil
    }

    private func upstreamRead(_ slot: Slot<Upstream>, _ bytes: UnsafeRawBufferPointer) {
        let u = upstreams.pointer(slot)
        if u.pointee.shadow != .none {
            shadowRead(u.pointee.shadow, bytes)
            return
        }
        let x = u.pointee.exchange
        guard x != .none else {
            closeUpstream(slot)
            return
        }
        let exchange = exchanges.pointer(x)
        switch exchange.pointee.stage {
        case .forwarding:
            if exchange.pointee.firstByteAt == .never { exchange.pointee.firstByteAt = now }
            takeResponse(x, slot, bytes)
        case .responding:
            if !exchange.pointee.isBegun { beginEvidence(exchange) }
            armUpstream(slot, now + models[exchange.pointee.model].timeouts.idle)
            relayResponse(x, head: 0, bytes)
        case .tunnel:
            relayToDownstream(x, bytes)
        case .queued, .flushing:
            preconditionFailure("an exchange without a response to come has no upstream")
        }
    }

    /// The server closed its side.
    private func upstreamEnded(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let x = u.pointee.exchange
        if x != .none {
            let exchange = exchanges.pointer(x)
            if exchange.pointee.stage == .tunnel {
                u.pointee.isReadable = false
                tunnelEnded(x, fromClient: false)
                return
            }
            if exchange.pointee.stage == .responding, exchange.pointee.response.framing == .untilClose {
                endUntilClose(x)
                return
            }
        }
        upstreamFailed(slot, .reset)
    }

    /// The connection is of no more use to whoever it serves.
    func upstreamFailed(_ slot: Slot<Upstream>, _ outcome: Outcome) {
        let u = upstreams.pointer(slot)
        if u.pointee.shadow != .none {
            shadowFailed(u.pointee.shadow, outcome)
        } else if u.pointee.exchange != .none {
            attemptFailed(u.pointee.exchange, outcome)
        } else {
            closeUpstream(slot)
        }
    }

    /// Parts the exchange from its upstream connection, which goes back to the pool or closes.
    func releaseUpstream(_ x: Slot<Exchange>, isReusable: Bool) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.upstream
        if slot != .none {
            exchange.pointee.upstream = .none
            let u = upstreams.pointer(slot)
            u.pointee.exchange = .none
            let isBroken = u.pointee.isPeerDone || u.pointee.isWriteDead
            let isSound = u.pointee.phase == .busy && !isBroken && exchange.pointee.requestPipe == .none
            dropRequestPipe(exchange)
            if isReusable, isSound, u.pointee.output.isEmpty, u.pointee.input.isEmpty {
                keepIdle(slot)
            } else {
                closeUpstream(slot)
            }
        }
        leave(x)
    }
}

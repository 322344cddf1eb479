// The time limits, and the line of what events made possible. Every connection, waiting exchange and
// shadow copy has one deadline in the wheel; what a late one means is read from its state, so moving on
// costs a store and nothing is cancelled on the way.

import Metrics
import Platform

extension Core {
    // Timer ids: downstreams, upstreams, exchanges, shadows, one for accepting and one for relief.
    var upstreamTimers: UInt32 { UInt32(limits.downstreamsMax) }
    var exchangeTimers: UInt32 { upstreamTimers + UInt32(limits.upstreamsMax) }
    var shadowTimers: UInt32 { exchangeTimers + UInt32(limits.exchangesMax) }
    var acceptTimer: UInt32 { shadowTimers + UInt32(limits.shadowsMax) }
    var reliefTimer: UInt32 { acceptTimer + 1 }

    /// A timer came up.
    func expire(_ id: UInt32) {
        if id < upstreamTimers {
            expireDownstream(Slot(index: id))
        } else if id < exchangeTimers {
            expireUpstream(Slot(index: id - upstreamTimers))
        } else if id < shadowTimers {
            waitedTooLong(Slot(index: id - exchangeTimers))
        } else if id < acceptTimer {
            dropShadow(Slot(index: id - shadowTimers), .aged)
        } else if id == acceptTimer {
            resumeAccepting()
        } else {
            startRelief()
        }
    }

    private func expireDownstream(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        let deadline = d.pointee.deadline
        guard deadline <= now else {
            if deadline != .never { timers.schedule(slot.index, at: deadline) }
            return
        }
        meter.countTimeout(limit(of: d.pointee.phase))
        d.pointee.deadline = .never
        switch d.pointee.phase {
        case .idle where !d.pointee.output.isEmpty, .lingering:
            d.pointee.descriptor.resetOnClose()
            closeDownstream(slot)
        case .idle:
            closeDownstream(slot)
        case .head:
            refuse(slot, .headerTimeout)
        case .exchange:
            expireExchange(slot)
        }
    }

    private func limit(of phase: DownstreamPhase) -> TimeLimit {
        switch phase {
        case .idle: .keepAlive
        case .head: .header
        case .exchange: .body
        case .lingering: .drain
        }
    }

    /// A client that does not read its response, or sends its body too slowly.
    private func expireExchange(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        let x = d.pointee.exchange
        let exchange = exchanges.pointer(x)
        if owesClient(exchange) {
            d.pointee.descriptor.resetOnClose()
            cancel(x, .clientCancel)
            return
        }
        switch exchange.pointee.stage {
        case .tunnel:
            tunnelIdle(x)
        case .queued, .forwarding, .responding, .flushing:
            guard !exchange.pointee.request.isComplete else { return }
            let came = exchange.pointee.bytesIn - exchange.pointee.windowBytes
            let least = limits.bodyBytesPerSecondMin * limits.bodyRateWindow.millis / 1_000
            // An early answer is under way: the client may well have stopped sending, and the answer has
            // limits of its own.
            let isJudged = exchange.pointee.stage == .forwarding && !d.pointee.wasPaused
            if came >= least || !isJudged {
                openRateWindow(slot, x)
            } else if exchange.pointee.awaitsContinue, exchange.pointee.bytesIn == 0 {
                waitForContinue(slot, x)
            } else {
                releaseUpstream(x, isReusable: false)
                replyLocally(x, .bodyTooSlow, outcome: .timeoutClient)
            }
        }
    }

    /// The client rightly waits: it is the upstream that is slow, under its own limit.
    private func waitForContinue(_ slot: Slot<Downstream>, _ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let limit = exchange.pointee.assignedAt + models[exchange.pointee.model].timeouts.firstByte
        guard now >= limit else {
            openRateWindow(slot, x)
            return
        }
        meter.countTimeout(.firstByte)
        upstreamFailed(exchange.pointee.upstream, .timeoutFirstByte)
    }

    private func expireUpstream(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let deadline = u.pointee.deadline
        guard deadline <= now else {
            if deadline != .never { timers.schedule(upstreamTimers + slot.index, at: deadline) }
            return
        }
        u.pointee.deadline = .never
        switch u.pointee.phase {
        case .idle:
            meter.countTimeout(.poolIdle)
            let endpoint = u.pointee.endpoint
            closeIdle(slot)
            warm(endpoint)
        case .connecting:
            meter.countTimeout(.connect)
            upstreamFailed(slot, .timeoutConnect)
        case .busy:
            guard u.pointee.exchange != .none else { return }
            let exchange = exchanges.pointer(u.pointee.exchange)
            switch exchange.pointee.stage {
            case .forwarding:
                if owesServer(exchange) {
                    meter.countTimeout(.idle)
                    upstreamFailed(slot, .timeoutIdle)
                    return
                }
                // Until the request is whole the client is waited for, under its own time limit.
                guard exchange.pointee.request.isComplete else { return }
                meter.countTimeout(.firstByte)
                upstreamFailed(slot, .timeoutFirstByte)
            case .responding:
                // Silence that our own backpressure caused is not the upstream's.
                if owesClient(exchange) {
                    armUpstream(slot, now + models[exchange.pointee.model].timeouts.idle)
                    return
                }
                meter.countTimeout(.idle)
                upstreamFailed(slot, .timeoutIdle)
            case .queued, .flushing, .tunnel:
                return
            }
        }
    }

    /// Sets when the upstream connection is judged next.
    func armUpstream(_ slot: Slot<Upstream>, _ deadline: Instant) {
        upstreams[slot].deadline = deadline
        timers.schedule(upstreamTimers + slot.index, at: deadline)
    }

    /// Puts a token into the line that is worked off after the turn's events, once.
    func resume(_ token: Token) {
        switch token.kind {
        case TokenKind.downstream:
            let d = downstreams.pointer(Slot(index: token.slot))
            guard !d.pointee.isResumed else { return }
            d.pointee.isResumed = true
        case TokenKind.upstream:
            let u = upstreams.pointer(Slot(index: token.slot))
            guard !u.pointee.isResumed else { return }
            u.pointee.isResumed = true
        case TokenKind.listener:
            guard !listeners.isResumed(Int(token.slot)) else { return }
            listeners.setResumed(Int(token.slot), true)
        default:
            break
        }
        append(token, to: &resumed)
    }

    func resumeUpstreamLater(_ slot: Slot<Upstream>) {
        if upstreams[slot].isReadable { resume(upstreamToken(slot)) }
    }

    /// Lets a token stand in line. A full line first loses the tokens of what has ended meanwhile: what lives
    /// stands in it once, so that it is half empty then.
    func append(_ token: Token, to line: inout ResumeLine) {
        if line.isFull {
            for _ in 0..<line.count {
                guard let old = line.popFirst() else { break }
                if isLive(old) { line.append(old) }
            }
        }
        line.append(token)
    }

    func isLive(_ token: Token) -> Bool {
        switch token.kind {
        case TokenKind.downstream: downstreams.slot(of: token) != nil
        case TokenKind.upstream: upstreams.slot(of: token) != nil
        case TokenKind.exchange: exchanges.slot(of: token) != nil
        default: true
        }
    }

    /// Works off the line, slice by slice, until it is empty or has had its time: as long as the events of
    /// this turn took, and `Limits.lineMin` at least. Then the poller is asked again, so that a request that
    /// came meanwhile is served before the flows in line have their next slices.
    ///
    /// - Parameter woken: when the poller returned.
    func resumeAll(since woken: Instant) {
        feedStarved()
        guard !resumed.isEmpty else { return }
        readClockForEvent()
        let end = now + max(Limits.lineMin, now - woken)
        while let token = resumed.popFirst() {
            readClockForEvent()
            resumeNow(token)
            readClock()
            if now >= end { return }
        }
    }

    private func resumeNow(_ token: Token) {
        switch token.kind {
        case TokenKind.downstream:
            guard let slot = downstreams.slot(of: token) else { return }
            downstreams[slot].isResumed = false
            resumeDownstream(slot)
        case TokenKind.upstream:
            guard let slot = upstreams.slot(of: token) else { return }
            upstreams[slot].isResumed = false
            resumeUpstream(slot)
        case TokenKind.exchange:
            guard let x = exchanges.slot(of: token) else { return }
            redispatch(x)
        default:
            listeners.setResumed(Int(token.slot), false)
            acceptAll(Int(token.slot))
        }
    }

    /// Obeys the timers that are due, as many as a turn allows.
    func expireDue() {
        timers.advance(to: now)
        for _ in 0..<Limits.expiriesPerTurnMax {
            guard let id = timers.popExpired() else { return }
            expire(id)
        }
    }
}

// When buffers run short. What is not needed gives way first (Limits, `blocksMax`), then reads shrink and
// stop: who would have to hold what it reads stands aside. Before that comes to pass, those who hold bytes
// and do not go on are cut: unfinished input beyond its part of the pool, oldest first; then whoever has
// moved none of its bytes for a while. So a crowd of half heads, of clients that never read, or a version
// that hangs over its uploads cannot stop the others until its own time limits do.
// Invariant: an own shortage is never a version's failure.

import Metrics
import Platform

extension Core {
    /// How much may be read at once: less when buffers run low, nothing when what is read could not be held.
    ///
    /// - Parameter isHeavy: the connection's last slice was a large one.
    func readSize(isHeavy: Bool = false) -> Int {
        let free = pool.free
        if isHeavy, free > limits.blocksMax / 8 * 7 { return Limits.readBytesMax }
        if free > limits.blocksMax / 2 { return Limits.readBytes }
        if free > limits.blocksMax / 16 { return Limits.blockBytes }
        return 0
    }

    /// Whether there are buffers for requests that may have to be sent (again). They are freed by responses
    /// only, so they must not take the buffers that reading a response needs.
    var canKeepRequests: Bool { pool.free > limits.blocksMax / 8 * 3 }

    /// Whether those who wait for buffers can go on.
    var canFeedStarved: Bool { !starved.isEmpty && readSize() > 0 }

    /// Puts a connection aside until buffers are free again.
    func starve(_ token: Token) {
        switch token.kind {
        case TokenKind.downstream:
            let d = downstreams.pointer(token.slot)
            guard !d.pointee.isStarved else { return }
            d.pointee.isStarved = true
        default:
            let u = upstreams.pointer(token.slot)
            guard !u.pointee.isStarved else { return }
            u.pointee.isStarved = true
        }
        meter.count(.buffersExhausted)
        append(token, to: &starved)
        scheduleRelief()
    }

    private func scheduleRelief() {
        if !timers.isScheduled(reliefTimer) { timers.schedule(reliefTimer, at: now + Limits.reliefPeriod) }
    }

    /// At the end of a turn: brings unfinished input back to its part of the pool, and looks after the rest
    /// soon if blocks are short.
    func relieveInput() {
        let isShort = pool.free < limits.blocksMax / 4
        if unfinishedBlocks > limits.blocksMax / 16 {
            let part = pool.free < limits.blocksMax / 8 ? limits.blocksMax / 16 : limits.blocksMax / 4
            while unfinishedBlocks > part { cutOldestHolder() }
        }
        if isShort { scheduleRelief() }
    }

    /// Ends what the client began and does not finish, whoever holds much before whoever holds little.
    private func cutOldestHolder() {
        let slot = muchHolders.oldest != noSlot ? muchHolders.oldest : littleHolders.oldest
        precondition(slot != noSlot, "blocks of unfinished input have a holder")
        let d = downstreams.pointer(slot)
        switch d.pointee.phase {
        case .idle, .head:
            // Not lingering: that would read on for whoever sends without end.
            meter.countRefusal(.buffersExhausted)
            let reply = LocalReply.buffersExhausted
            let count = composeReply(
                status: reply.status, reason: reply.reason, keepsAlive: false, isHead: false)
            if d.pointee.output.isEmpty { _ = d.pointee.descriptor.send(written(count)) }
            closeDownstream(slot)
        case .exchange:
            let x = d.pointee.exchange
            let exchange = exchanges.pointer(x)
            meter.countRefusal(.buffersExhausted)
            if exchange.pointee.request.isComplete {
                // What was sent ahead is not answered: the connection ends with the answer due now.
                d.pointee.input.clear(&pool)
                exchange.pointee.keepsAlive = false
                d.pointee.lingers = true
                dropHolding(slot)
            } else {
                d.pointee.descriptor.resetOnClose()
                cancel(x, .localRefusal)
            }
        case .lingering:
            d.pointee.input.clear(&pool)
            dropHolding(slot)
        }
    }

    /// Lets those who wait for buffers go on, where there are some.
    func feedStarved() {
        guard canFeedStarved else { return }
        for _ in 0..<starved.count {
            guard let token = starved.popFirst() else { return }
            guard isLive(token) else { continue }
            switch token.kind {
            case TokenKind.downstream: downstreams.pointer(token.slot).pointee.isStarved = false
            default: upstreams.pointer(token.slot).pointee.isStarved = false
            }
            resume(token)
        }
    }

    /// Buffers were short: if they still are, cuts those who have held some without moving.
    func relieve() {
        let free = pool.free
        guard free < limits.blocksMax / 4 else { return }
        let stall = free < limits.blocksMax / 8 ? Limits.stallShort : Limits.stallMax
        cutStalledUpstreams(stall)
        cutStalledDownstreams(stall)
        scheduleRelief()
    }

    private func cutStalledDownstreams(_ stall: Interval) {
        var slot = downstreams.nextLive(from: 0)
        while let current = slot {
            slot = downstreams.nextLive(from: current + 1)
            let d = downstreams.pointer(current)
            // The deadline was set when the last byte moved.
            let isStalled = now + stallLimit(current) >= d.pointee.deadline + stall
            guard !d.pointee.output.isEmpty, isStalled else { continue }
            d.pointee.descriptor.resetOnClose()
            downstreamLost(current)
        }
    }

    private func cutStalledUpstreams(_ stall: Interval) {
        var slot = upstreams.nextLive(from: 0)
        while let current = slot {
            slot = upstreams.nextLive(from: current + 1)
            let u = upstreams.pointer(current)
            guard u.pointee.phase == .busy, !u.pointee.output.isEmpty else { continue }
            if u.pointee.shadow != noSlot {
                dropShadow(u.pointee.shadow, .buffers)
            } else if u.pointee.exchange != noSlot {
                let idle = models[exchanges.pointer(u.pointee.exchange).pointee.model].pointee.timeouts.idle
                let isStalled = now + idle >= u.pointee.deadline + stall
                if isStalled { upstreamFailed(current, .localRefusal) }
            }
        }
    }

    /// No block was left for bytes that the server has not taken: its stream is broken, by us. The connection
    /// is given up at the end of the turn, because its exchange is in use above on the stack.
    func buffersFailed(_ slot: UInt32) {
        upstreams.pointer(slot).pointee.isOutOfBuffers = true
        writeFailed(slot)
    }

    /// Gives up a connection whose stream we broke.
    func giveUpForBuffers(_ slot: UInt32) {
        let u = upstreams.pointer(slot)
        if u.pointee.shadow != noSlot {
            dropShadow(u.pointee.shadow, .buffers)
        } else {
            upstreamFailed(slot, .localRefusal)
        }
    }
}

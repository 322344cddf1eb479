// When buffers run short. What is not needed gives way first (Limits, `blocksMax`), then reads shrink and
// stop: who would have to hold what it reads stands aside. Before that comes to pass, those who hold bytes
// and do not go on are cut: unfinished input beyond its part of the pool, the oldest of the largest first;
// then whoever has moved none of its bytes for a while. So a crowd of half heads, of clients that never read,
// or a version that hangs over its uploads cannot stop the others until its own time limits do. All of it is
// done in slices, at the end of turns.
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
            let d = downstreams.pointer(Slot(index: token.slot))
            guard !d.pointee.isStarved else { return }
            d.pointee.isStarved = true
        default:
            let u = upstreams.pointer(Slot(index: token.slot))
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

    // MARK: - Unfinished input, and those who do not move

    /// How many blocks unfinished input may hold now.
    private var unfinishedMax: Int {
        pool.free < limits.blocksMax / 8 ? limits.blocksMax / 16 : limits.blocksMax / 4
    }

    /// Whether the next turn has relief to go on with.
    var isRelieving: Bool { reliefLeft > 0 || unfinishedBlocks > unfinishedMax }

    /// At the end of a turn: brings unfinished input back to its part of the pool, goes on looking for those
    /// who do not move, and has them looked for soon where blocks are short.
    func relieve() {
        for _ in 0..<Limits.holderCutsMax {
            guard unfinishedBlocks > unfinishedMax, let holder = heaviestHolder else { break }
            cutHolder(holder)
        }
        if reliefLeft > 0 { searchStalled() }
        if pool.free < limits.blocksMax / 4 { scheduleRelief() }
    }

    /// Ends what a peer began and does not finish.
    private func cutHolder(_ holder: UInt32) {
        let before = unfinishedBlocks
        if holder < upstreamTimers {
            cutUnfinished(Slot(index: holder))
        } else {
            giveUpForBuffers(Slot(index: holder - upstreamTimers))
        }
        precondition(unfinishedBlocks < before, "who is cut gives its blocks back")
    }

    /// As above for a client.
    func cutUnfinished(_ slot: Slot<Downstream>) {
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
            if exchanges[x].request.isComplete {
                dropSentAhead(slot)
            } else {
                meter.countRefusal(.buffersExhausted)
                d.pointee.descriptor.resetOnClose()
                cancel(x, .localRefusal)
            }
        case .lingering:
            clearHeld(slot)
        }
    }

    /// What the client sent ahead is not answered: its connection ends with the answer due now.
    func dropSentAhead(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        meter.countRefusal(.buffersExhausted)
        clearHeld(slot)
        exchanges[d.pointee.exchange].keepsAlive = false
        d.pointee.lingers = true
    }

    /// Lets those who wait for buffers go on, where there are some.
    func feedStarved() {
        guard canFeedStarved else { return }
        for _ in 0..<min(starved.count, Limits.starvedPerTurnMax) {
            guard let token = starved.popFirst() else { return }
            guard isLive(token) else { continue }
            switch token.kind {
            case TokenKind.downstream: downstreams[Slot(index: token.slot)].isStarved = false
            default: upstreams[Slot(index: token.slot)].isStarved = false
            }
            resume(token)
        }
    }

    /// Buffers were short: if they still are, those who have held some without moving are looked for, from
    /// where the last search ended.
    func startRelief() {
        if pool.free < limits.blocksMax / 4, reliefLeft == 0 { reliefLeft = exchangeTimers }
    }

    /// A slice of the search; it ends when everybody was looked at, or when blocks are short no longer.
    private func searchStalled() {
        var cuts = 0
        for _ in 0..<min(reliefLeft, Limits.reliefLooksMax) {
            let free = pool.free
            guard free < limits.blocksMax / 4 else {
                reliefLeft = 0
                return
            }
            let stall = free < limits.blocksMax / 8 ? Limits.stallShort : Limits.stallMax
            let looked = reliefHand
            reliefHand = looked + 1 < exchangeTimers ? looked + 1 : 0
            reliefLeft -= 1
            let isCut =
                looked < upstreamTimers
                ? cutStalledDownstream(Slot(index: looked), stall)
                : cutStalledUpstream(Slot(index: looked - upstreamTimers), stall)
            if isCut { cuts += 1 }
            if cuts == limits.stalledCutsMax { return }
        }
    }

    private func cutStalledDownstream(_ slot: Slot<Downstream>, _ stall: Interval) -> Bool {
        guard downstreams.isLive(slot) else { return false }
        let d = downstreams.pointer(slot)
        // The deadline was set when the last byte moved.
        guard !d.pointee.output.isEmpty, now + stallLimit(slot) >= d.pointee.deadline + stall else {
            return false
        }
        d.pointee.descriptor.resetOnClose()
        downstreamLost(slot)
        return true
    }

    private func cutStalledUpstream(_ slot: Slot<Upstream>, _ stall: Interval) -> Bool {
        guard upstreams.isLive(slot) else { return false }
        let u = upstreams.pointer(slot)
        guard u.pointee.phase == .busy, !u.pointee.output.isEmpty else { return false }
        if u.pointee.shadow != .none {
            dropShadow(u.pointee.shadow, .buffers)
            return true
        }
        guard u.pointee.exchange != .none else { return false }
        let idle = models[exchanges[u.pointee.exchange].model].timeouts.idle
        guard now + idle >= u.pointee.deadline + stall else { return false }
        upstreamFailed(slot, .localRefusal)
        return true
    }

    /// No block was left for bytes that the server has not taken: its stream is broken, by us. The connection
    /// is given up at the end of the turn, because its exchange is in use above on the stack.
    func buffersFailed(_ slot: Slot<Upstream>) {
        upstreams[slot].isOutOfBuffers = true
        writeFailed(slot)
    }

    /// Gives up a connection whose stream we broke.
    func giveUpForBuffers(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        if u.pointee.shadow != .none {
            dropShadow(u.pointee.shadow, .buffers)
        } else {
            upstreamFailed(slot, .localRefusal)
        }
    }
}

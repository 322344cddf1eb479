// When buffers run short. What is not needed gives way first (Limits, `blocksMax`), then reads shrink and
// stop: who would have to hold what it reads stands aside. After a second of that, those who hold bytes
// and have moved none are cut, so that a crowd of clients that never read, or a version that hangs over
// its uploads, cannot stop the others until its own time limits do. Invariant: an own shortage is never a
// version's failure.

import Metrics
import Platform

extension Core {
    /// How much may be read at once: less when buffers run low, nothing when what is read could not be held.
    func readSize() -> Int {
        let free = pool.free
        if free > limits.blocksMax / 4 { return Limits.readBytes }
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
            guard !d.pointee.isResumed else { return }
            d.pointee.isResumed = true
        default:
            let u = upstreams.pointer(token.slot)
            guard !u.pointee.isResumed else { return }
            u.pointee.isResumed = true
        }
        meter.count(.buffersExhausted)
        append(token, to: &starved)
        if !timers.isScheduled(reliefTimer) { timers.schedule(reliefTimer, at: now + Limits.stallMax) }
    }

    /// Buffers were short: if they still are, cuts those who have held some without moving.
    func relieve() {
        guard !starved.isEmpty, readSize() == 0 else { return }
        cutStalledUpstreams()
        cutStalledDownstreams()
        timers.schedule(reliefTimer, at: now + Limits.stallMax)
    }

    private func cutStalledDownstreams() {
        var slot = downstreams.nextLive(from: 0)
        while let current = slot {
            slot = downstreams.nextLive(from: current + 1)
            let d = downstreams.pointer(current)
            // The deadline was set when the last byte moved.
            let isStalled = now + stallLimit(current) >= d.pointee.deadline + Limits.stallMax
            guard !d.pointee.output.isEmpty, isStalled else { continue }
            d.pointee.descriptor.resetOnClose()
            downstreamLost(current)
        }
    }

    private func cutStalledUpstreams() {
        var slot = upstreams.nextLive(from: 0)
        while let current = slot {
            slot = upstreams.nextLive(from: current + 1)
            let u = upstreams.pointer(current)
            guard u.pointee.phase == .busy, !u.pointee.output.isEmpty else { continue }
            if u.pointee.shadow != noSlot {
                dropShadow(u.pointee.shadow, .buffers)
            } else if u.pointee.exchange != noSlot {
                let idle = models[exchanges.pointer(u.pointee.exchange).pointee.model].pointee.timeouts.idle
                let isStalled = now + idle >= u.pointee.deadline + Limits.stallMax
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

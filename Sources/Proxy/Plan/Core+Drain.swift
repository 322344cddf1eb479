// The end of a core: first nothing new is taken and what is idle closes; at the deadline what is still open
// is cut, in a way that no client takes for the end of its answer: a reset, or, where nothing of an answer
// has been sent, a 503. Control decides when; it reads afterwards how many were cut and which.
// Both walk the connections a few at a turn, so that requests in progress go on meanwhile: whoever falls idle
// behind the walk closes by itself, and whoever is ahead of it is met later.
// Invariant: after `isCutOff` a core holds no exchange of a client but those whose 503 is on its way.

import Metrics
import Platform
import Synchronization
import Wire

/// A walk over the client connections of a core that takes leave, by the slot that is next.
enum LeavingWalk: Equatable {
    case none
    /// Closes what is idle.
    case closing(next: Slot<Downstream>)
    /// Cuts whatever is open.
    case cutting(next: Slot<Downstream>)
}

extension Core {
    /// Takes what already waits at the listeners, closes them, and lets connections end as they fall idle.
    func startDraining() {
        guard !isDraining else { return }
        for index in 0..<listeners.count { acceptAll(index, upTo: Limits.acceptsAtDrainMax) }
        isDraining = true
        listeners.close()
        meter.set(.draining, 1)
        leaving = .closing(next: .first)
        if downstreams.count == 0 { link.isDrained.store(true, ordering: .releasing) }
    }

    /// Ends every exchange that is still open, and every connection that has no reply to bring.
    func cutOff() {
        startDraining()
        leaving = .cutting(next: .first)
    }

    /// A turn's part of the walk.
    func leave() {
        for _ in 0..<Limits.leavingPerTurnMax {
            switch leaving {
            case .none: return
            case .closing(let next):
                guard let slot = downstreams.nextLive(from: next) else {
                    leaving = .none
                    return
                }
                leaving = .closing(next: slot.next)
                closeIfIdle(slot)
            case .cutting(let next):
                guard let slot = downstreams.nextLive(from: next) else {
                    leaving = .none
                    link.isCutOff.store(true, ordering: .releasing)
                    return
                }
                leaving = .cutting(next: slot.next)
                cut(slot)
            }
        }
    }

    private func closeIfIdle(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        if d.pointee.phase == .idle, d.pointee.output.isEmpty { closeDownstream(slot) }
    }

    private func cut(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        switch d.pointee.phase {
        case .exchange: cutOffExchange(d.pointee.exchange)
        case .lingering: break
        case .idle, .head:
            if !d.pointee.output.isEmpty { d.pointee.descriptor.resetOnClose() }
            closeDownstream(slot)
        }
    }

    private func cutOffExchange(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let d = downstreams.pointer(exchange.pointee.downstream)
        switch exchange.pointee.stage {
        case .queued, .forwarding:
            // Part of an interim response may be on its way: nothing can be said behind half a head.
            guard d.pointee.output.isEmpty else { break }
            leaveLine(x)
            giveUpCall(x)
            exchange.pointee.keepsAlive = false
            releaseUpstream(x, isReusable: false)
            noteCut(x, .localRefusal, status: LocalReply.draining.status)
            replyLocally(x, .draining, outcome: .localRefusal)
            return
        case .responding, .flushing, .tunnel:
            break
        }
        d.pointee.descriptor.resetOnClose()
        // A failure seen before stays. A version whose answer was whole has been credited with it: what
        // became of the client's copy is the log's alone.
        if !exchange.pointee.outcome.isFailure { exchange.pointee.outcome = .drainCut }
        noteCut(x, exchange.pointee.outcome, status: exchange.pointee.status)
        cancel(x, .drainCut)
    }

    private func noteCut(_ x: Slot<Exchange>, _ outcome: Outcome, status: UInt16) {
        var record = accessRecord(exchanges.pointer(x), texts + x.row)
        record.outcome = outcome
        record.status = status
        link.noteCut(record)
    }
}

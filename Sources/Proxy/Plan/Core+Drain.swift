// The end of a core: first nothing new is taken and what is idle closes; at the deadline what is still open
// is cut, in a way that no client takes for the end of its answer: a reset, or, where nothing of an answer
// has been sent, a 503. Control decides when; it reads afterwards how many were cut and which.
// Invariant: after `cutOff` a core holds no exchange of a client.

import Metrics
import Platform
import Synchronization
import Wire

extension Core {
    /// Takes what already waits at the listeners, closes them, and lets connections end as they fall idle.
    func startDraining() {
        guard !isDraining else { return }
        for index in 0..<listeners.count { acceptAll(index, upTo: Limits.acceptsAtDrainMax) }
        isDraining = true
        listeners.close()
        meter.set(.draining, 1)
        var slot = downstreams.nextLive(from: 0)
        while let current = slot {
            slot = downstreams.nextLive(from: current + 1)
            if downstreams.pointer(current).pointee.phase == .idle,
                downstreams.pointer(current).pointee.output.isEmpty
            {
                closeDownstream(current)
            }
        }
        if downstreams.count == 0 { link.isDrained.store(true, ordering: .releasing) }
    }

    /// Ends every exchange that is still open, and every connection that has no reply to bring.
    func cutOff() {
        startDraining()
        var slot = downstreams.nextLive(from: 0)
        while let current = slot {
            slot = downstreams.nextLive(from: current + 1)
            let d = downstreams.pointer(current)
            if d.pointee.phase == .exchange {
                cutOffExchange(d.pointee.exchange)
            } else if d.pointee.phase != .lingering {
                if !d.pointee.output.isEmpty { d.pointee.descriptor.resetOnClose() }
                closeDownstream(current)
            }
        }
        link.isCutOff.store(true, ordering: .releasing)
    }

    private func cutOffExchange(_ x: UInt32) {
        let exchange = exchanges.pointer(x)
        let d = downstreams.pointer(exchange.pointee.downstream)
        link.noteCut(accessRecord(exchange, texts + Int(x)))
        switch exchange.pointee.stage {
        case .queued, .forwarding:
            // Part of an interim response may be on its way: nothing can be said behind half a head.
            guard d.pointee.output.isEmpty else { break }
            leaveLine(x)
            giveUpCall(x)
            exchange.pointee.keepsAlive = false
            releaseUpstream(x, isReusable: false)
            replyLocally(x, .draining, outcome: .localRefusal)
            return
        case .responding, .flushing, .tunnel:
            break
        }
        d.pointee.descriptor.resetOnClose()
        cancel(x, .localRefusal)
    }
}

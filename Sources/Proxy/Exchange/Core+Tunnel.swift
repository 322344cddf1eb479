// Tunnels: after the upstream's 101, and only then, the two connections become pipes (WebSocket and the
// like). Each direction ends by itself; the exchange ends with the second. Invariant: no byte passes
// before the 101. Source: RFC 9110 section 7.8.

import Metrics
import Platform
import Wire

extension Core {
    /// The upstream agreed to switch protocols.
    func switchProtocols(_ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.wantsUpgrade, exchange.pointee.request.isComplete else {
            attemptFailed(x, .protocolError)
            return
        }
        judge(x, isFailure: false)
        exchange.pointee.status = 101
        exchange.pointee.stage = .tunnel
        exchange.pointee.keepsAlive = false
        exchange.pointee.replay.clear(&pool)
        exchange.pointee.isReplayable = false
        settle(x, .success)
        meter.count(.tunnels)
        let slot = exchange.pointee.upstream
        upstreams[slot].deadline = .never
        armDownstream(exchange.pointee.downstream, now + limits.tunnelIdle)
        let count = composeResponse(x, head, bytes)
        guard sendDownstream(exchange.pointee.downstream, written(count)) else {
            cancel(x, .clientCancel)
            return
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[head.byteCount...])
        if !rest.isEmpty { relayToDownstream(x, rest) }
        guard exchanges.isLive(x), exchange.pointee.upstream == slot else { return }
        sendHeldInput(exchange.pointee.downstream, to: slot)
        resume(downstreamToken(exchange.pointee.downstream))
    }

    /// What the client sent before the switch belongs to the tunnel.
    private func sendHeldInput(_ slot: Slot<Downstream>, to upstream: Slot<Upstream>) {
        let d = downstreams.pointer(slot)
        sendUpstream(upstream, smallInput(d))
        while !d.pointee.input.isEmpty {
            let front = d.pointee.input.front(pool)
            sendUpstream(upstream, front)
            d.pointee.input.consume(front.count, &pool)
        }
        clearHeld(slot)
    }

    func relayToUpstream(_ x: Slot<Exchange>, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.bytesIn &+= UInt64(bytes.count)
        armDownstream(exchange.pointee.downstream, now + limits.tunnelIdle)
        sendUpstream(exchange.pointee.upstream, bytes)
    }

    func relayToDownstream(_ x: Slot<Exchange>, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.bytesOut &+= UInt64(bytes.count)
        armDownstream(exchange.pointee.downstream, now + limits.tunnelIdle)
        if !sendDownstream(exchange.pointee.downstream, bytes) { cancel(x, .clientCancel) }
    }

    /// One side has nothing more to say; the other is told once it has everything.
    func tunnelEnded(_ x: Slot<Exchange>, fromClient: Bool) {
        let exchange = exchanges.pointer(x)
        if fromClient { exchange.pointee.isClientDone = true } else { exchange.pointee.isServerDone = true }
        passTunnelEnd(x)
    }

    /// Hands an end on where nothing is held any more; ends the exchange after the second.
    func passTunnelEnd(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        let d = downstreams.pointer(slot)
        let u = upstreams.pointer(exchange.pointee.upstream)
        if exchange.pointee.isClientDone, u.pointee.output.isEmpty { u.pointee.descriptor.shutdownWrite() }
        if exchange.pointee.isServerDone, d.pointee.output.isEmpty { d.pointee.descriptor.shutdownWrite() }
        guard exchange.pointee.isClientDone, exchange.pointee.isServerDone, u.pointee.output.isEmpty,
            d.pointee.output.isEmpty
        else { return }
        end(x)
        closeDownstream(slot)
    }

    /// Nobody spoke for too long.
    func tunnelIdle(_ x: Slot<Exchange>) {
        let slot = exchanges[x].downstream
        end(x)
        closeDownstream(slot)
    }
}

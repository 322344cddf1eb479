// Accept: connections from the listeners into downstream slots. Each core has its own listening sockets
// (SO_REUSEPORT), so the kernel spreads connections and no core ever wakes for another's.
// Bound: `acceptsPerTurnMax` per listener and turn. Where every slot is taken the idlest connection closes;
// where all are in use, and without a descriptor, accepting pauses, and the kernel's backlog holds the rest.

import Metrics
import Platform

extension Core {
    /// Takes what waits at one listener, as far as its turn goes.
    func acceptAll(_ index: Int, upTo most: Int = Limits.acceptsPerTurnMax) {
        guard index < listeners.count else { return }
        for _ in 0..<most {
            // A place that nobody takes after all is free for the next client.
            guard !downstreams.isFull || evictDownstream() else {
                pauseAccepting()
                return
            }
            switch listeners.accept(index) {
            case .connection(let descriptor, let peer):
                admit(descriptor, peer)
            case .wouldBlock:
                return
            case .failed(let errno):
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: wait for one to close. Others concern one connection.
                if errno.isOutOfDescriptors {
                    pauseAccepting()
                    return
                }
            }
        }
        resume(Token(kind: TokenKind.listener, generation: 0, slot: UInt32(index)))
    }

    private func admit(_ descriptor: consuming Descriptor, _ peer: IPAddress) {
        // TCP_NODELAY is inherited from the listener.
        guard let slot = downstreams.insert(Downstream(descriptor: descriptor, peer: peer)) else { return }
        let d = downstreams.pointer(slot)
        let token = downstreamToken(slot)
        let failure = poller.add(
            d.pointee.descriptor, token: token, interest: [.readable, .writable, .peerClosed])
        guard failure == nil else {
            downstreams.remove(slot)
            return
        }
        meter.count(.accepted)
        meter.set(.downstreams, downstreams.count)
        d.pointee.headSince = now
        armDownstream(slot, now + limits.headerDeadline)
        readDownstream(slot)
    }

    private func pauseAccepting() {
        isAcceptPaused = true
        meter.count(.acceptsPaused)
        timers.schedule(acceptTimer, at: now + .millis(100))
    }

    /// After a pause, or when a place has come free: looks at every listener again, because an edge may
    /// have been missed. Where every slot is still taken, somebody may have been idle for long enough by
    /// now. Not at once: who closed a connection may still use the read buffer, and hold the number of a
    /// slot that must not become another's under its hands.
    func resumeAccepting() {
        guard isAcceptPaused else { return }
        isAcceptPaused = false
        timers.cancel(acceptTimer)
        for index in 0..<listeners.count {
            resume(Token(kind: TokenKind.listener, generation: 0, slot: UInt32(index)))
        }
    }

    func downstreamToken(_ slot: Slot<Downstream>) -> Token {
        Token(kind: TokenKind.downstream, generation: downstreams.generation(slot), slot: slot.index)
    }

    func upstreamToken(_ slot: Slot<Upstream>) -> Token {
        Token(kind: TokenKind.upstream, generation: upstreams.generation(slot), slot: slot.index)
    }
}

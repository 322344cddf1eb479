// Connections to model servers: opened when needed, kept idle in their endpoint's pool (newest first, so
// that few stay warm and the rest age out), closed before the server's own idle limit. Shadows have their
// own. Invariant: a connection is in its pool exactly in the phase `.idle`.

import Metrics
import Platform

/// A connection for a request, or why there is none.
enum Connection {
    /// An upstream slot, connected or connecting.
    case open(UInt32)
    /// The endpoint refused at once.
    case refused
    /// We have no slot or no descriptor left, which is nobody's fault but ours.
    case exhausted
}

extension Core {
    /// An idle connection, or a new one that may still be connecting.
    func connection(to endpoint: UInt32, isShadow: Bool) -> Connection {
        while let slot = takeIdle(endpoint, isShadow: isShadow) {
            let u = upstreams.pointer(slot)
            if !u.pointee.isPeerDone, now - u.pointee.idleSince < limits.poolIdle { return .open(slot) }
            closeUpstream(slot)
        }
        return open(endpoint, isShadow: isShadow)
    }

    /// Opens a connection that belongs to nobody yet.
    func open(_ endpoint: UInt32, isShadow: Bool) -> Connection {
        let state = endpoints[endpoint]
        guard let address = state.pointee.address else { return .refused }
        guard !upstreams.isFull || evictUpstream() else { return .exhausted }
        let phase: UpstreamPhase
        let descriptor: Descriptor
        switch Socket.connect(address) {
        case .connected(let socket):
            phase = .busy
            descriptor = socket
        case .inProgress(let socket):
            phase = .connecting
            descriptor = socket
        case .failed(let errno):
            return errno.isOutOfDescriptors ? .exhausted : .refused
        }
        let upstream = Upstream(
            descriptor: descriptor, endpoint: endpoint, phase: phase, isShadow: isShadow,
            isUnix: state.pointee.isUnix, openedAt: now)
        guard let slot = upstreams.insert(upstream) else { return .exhausted }
        let u = upstreams.pointer(slot)
        let interest: Readiness =
            u.pointee.watchesWrites || phase == .connecting
            ? [.readable, .writable, .peerClosed] : [.readable, .peerClosed]
        guard poller.add(u.pointee.descriptor, token: upstreamToken(slot), interest: interest) == nil else {
            upstreams.remove(slot)
            return .exhausted
        }
        meter.count(.upstreamConnects)
        meter.set(.upstreams, upstreams.count)
        if phase == .connecting { armUpstream(slot, now + connectLimit(endpoint)) }
        return .open(slot)
    }

    private func connectLimit(_ endpoint: UInt32) -> Interval {
        let version = endpoints[endpoint].pointee.version
        guard version != noSlot else { return .seconds(1) }
        return models[versions[version].pointee.model].pointee.timeouts.connect
    }

    /// Unlinks and returns the newest idle connection.
    private func takeIdle(_ endpoint: UInt32, isShadow: Bool) -> UInt32? {
        let state = endpoints[endpoint]
        let slot = isShadow ? state.pointee.shadowPool.newest : state.pointee.pool.newest
        guard slot != noSlot else { return nil }
        delist(slot)
        let u = upstreams.pointer(slot)
        u.pointee.phase = .busy
        meter.count(.upstreamReused)
        return slot
    }

    /// Puts a connection back; the oldest makes room when the pool is full.
    func keepIdle(_ slot: UInt32) {
        let u = upstreams.pointer(slot)
        let state = endpoints[u.pointee.endpoint]
        guard state.pointee.isPlanned else {
            closeUpstream(slot)
            return
        }
        if state.pointee.warming == slot { state.pointee.warming = noSlot }
        u.pointee.phase = .idle
        u.pointee.exchange = noSlot
        u.pointee.shadow = noSlot
        u.pointee.idleSince = now
        u.pointee.scanned = 0
        armUpstream(slot, now + limits.poolIdle)
        // The last step: a full pool closes its oldest, which may be this one.
        enlist(slot)
    }

    private func enlist(_ slot: UInt32) {
        let u = upstreams.pointer(slot)
        let state = endpoints[u.pointee.endpoint]
        var pool = u.pointee.isShadow ? state.pointee.shadowPool : state.pointee.pool
        u.pointee.poolPrevious = noSlot
        u.pointee.poolNext = pool.newest
        if pool.newest != noSlot { upstreams.pointer(pool.newest).pointee.poolPrevious = slot }
        pool.newest = slot
        if pool.oldest == noSlot { pool.oldest = slot }
        pool.count += 1
        let excess = pool.count > Int32(limits.poolIdleMax) ? pool.oldest : noSlot
        store(pool, state, isShadow: u.pointee.isShadow)
        if excess != noSlot { closeIdle(excess) }
    }

    private func delist(_ slot: UInt32) {
        let u = upstreams.pointer(slot)
        let state = endpoints[u.pointee.endpoint]
        var pool = u.pointee.isShadow ? state.pointee.shadowPool : state.pointee.pool
        let next = u.pointee.poolNext
        let previous = u.pointee.poolPrevious
        if previous == noSlot {
            pool.newest = next
        } else {
            upstreams.pointer(previous).pointee.poolNext = next
        }
        if next == noSlot {
            pool.oldest = previous
        } else {
            upstreams.pointer(next).pointee.poolPrevious = previous
        }
        pool.count -= 1
        u.pointee.poolNext = noSlot
        u.pointee.poolPrevious = noSlot
        store(pool, state, isShadow: u.pointee.isShadow)
    }

    private func store(
        _ pool: ConnectionPool, _ state: UnsafeMutablePointer<EndpointState>, isShadow: Bool
    ) {
        if isShadow { state.pointee.shadowPool = pool } else { state.pointee.pool = pool }
    }

    /// Closes a connection that lies in the pool.
    func closeIdle(_ slot: UInt32) {
        delist(slot)
        closeUpstream(slot)
    }

    /// Frees a connection that is in no pool.
    func closeUpstream(_ slot: UInt32) {
        let u = upstreams.pointer(slot)
        let endpoint = endpoints[u.pointee.endpoint]
        if endpoint.pointee.warming == slot { endpoint.pointee.warming = noSlot }
        u.pointee.input.clear(&pool)
        stopHoldingUpstream(slot)
        u.pointee.output.clear(&pool)
        timers.cancel(upstreamTimers + slot)
        upstreams.remove(slot)
        meter.set(.upstreams, upstreams.count)
    }
}

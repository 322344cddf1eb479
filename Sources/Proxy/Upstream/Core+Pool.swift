// Connections to model servers: opened when needed, kept idle in their endpoint's pool (newest first, so
// that few stay warm and the rest age out), closed before the server's own idle limit. Shadows have their
// own. Invariant: a connection is in its pool exactly in the phase `.idle`.

import Metrics
import Platform

/// A connection for a request, or why there is none.
enum Connection {
    /// An upstream slot, connected or connecting.
    case open(Slot<Upstream>)
    /// The endpoint refused at once.
    case refused
    /// We have no slot or no descriptor left, which is nobody's fault but ours.
    case exhausted
}

extension Core {
    /// An idle connection, or a new one that may still be connecting.
    func connection(to endpoint: Slot<EndpointState>, isShadow: Bool) -> Connection {
        while let slot = takeIdle(endpoint, isShadow: isShadow) {
            let u = upstreams.pointer(slot)
            if !u.pointee.isPeerDone, now - u.pointee.idleSince < limits.poolIdle { return .open(slot) }
            closeUpstream(slot)
        }
        return open(endpoint, isShadow: isShadow)
    }

    /// Opens a connection that belongs to nobody yet.
    func open(_ endpoint: Slot<EndpointState>, isShadow: Bool) -> Connection {
        let state = endpoints.pointer(endpoint)
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

    private func connectLimit(_ endpoint: Slot<EndpointState>) -> Interval {
        let version = endpoints[endpoint].version
        guard version != .none else { return .seconds(1) }
        return models[versions[version].model].timeouts.connect
    }

    /// Unlinks and returns the newest idle connection.
    private func takeIdle(_ endpoint: Slot<EndpointState>, isShadow: Bool) -> Slot<Upstream>? {
        let state = endpoints.pointer(endpoint)
        let slot = isShadow ? state.pointee.shadowPool.newest : state.pointee.pool.newest
        guard slot != .none else { return nil }
        delist(slot)
        let u = upstreams.pointer(slot)
        u.pointee.phase = .busy
        meter.count(.upstreamReused)
        return slot
    }

    /// Puts a connection back; the oldest makes room when the pool is full.
    func keepIdle(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let state = endpoints.pointer(u.pointee.endpoint)
        guard state.pointee.isPlanned else {
            closeUpstream(slot)
            return
        }
        if state.pointee.warming == slot { state.pointee.warming = .none }
        u.pointee.phase = .idle
        u.pointee.exchange = .none
        u.pointee.shadow = .none
        u.pointee.idleSince = now
        u.pointee.scanned = 0
        armUpstream(slot, now + limits.poolIdle)
        // The last step: a full pool closes its oldest, which may be this one.
        enlist(slot)
    }

    private func enlist(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let state = endpoints.pointer(u.pointee.endpoint)
        var pool = u.pointee.isShadow ? state.pointee.shadowPool : state.pointee.pool
        u.pointee.poolPrevious = .none
        u.pointee.poolNext = pool.newest
        if pool.newest != .none { upstreams[pool.newest].poolPrevious = slot }
        pool.newest = slot
        if pool.oldest == .none { pool.oldest = slot }
        pool.count += 1
        let excess = pool.count > Int32(limits.poolIdleMax) ? pool.oldest : .none
        store(pool, state, isShadow: u.pointee.isShadow)
        if excess != .none { closeIdle(excess) }
    }

    private func delist(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let state = endpoints.pointer(u.pointee.endpoint)
        var pool = u.pointee.isShadow ? state.pointee.shadowPool : state.pointee.pool
        let next = u.pointee.poolNext
        let previous = u.pointee.poolPrevious
        if previous == .none {
            pool.newest = next
        } else {
            upstreams[previous].poolNext = next
        }
        if next == .none {
            pool.oldest = previous
        } else {
            upstreams[next].poolPrevious = previous
        }
        pool.count -= 1
        u.pointee.poolNext = .none
        u.pointee.poolPrevious = .none
        store(pool, state, isShadow: u.pointee.isShadow)
    }

    private func store(
        _ pool: ConnectionPool, _ state: UnsafeMutablePointer<EndpointState>, isShadow: Bool
    ) {
        if isShadow { state.pointee.shadowPool = pool } else { state.pointee.pool = pool }
    }

    /// Closes a connection that lies in the pool.
    func closeIdle(_ slot: Slot<Upstream>) {
        delist(slot)
        closeUpstream(slot)
    }

    /// Frees a connection that is in no pool.
    func closeUpstream(_ slot: Slot<Upstream>) {
        let u = upstreams.pointer(slot)
        let endpoint = endpoints.pointer(u.pointee.endpoint)
        if endpoint.pointee.warming == slot { endpoint.pointee.warming = .none }
        u.pointee.input.clear(&pool)
        stopHoldingUpstream(slot)
        u.pointee.output.clear(&pool)
        timers.cancel(upstreamTimers + slot.index)
        upstreams.remove(slot)
        meter.set(.upstreams, upstreams.count)
    }
}

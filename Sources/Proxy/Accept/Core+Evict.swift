// Room where every slot is taken: the connection that has done nothing for longest closes for a new one, as a
// full server of requests that wait to be asked is no reason to refuse one that asks.
// Theory: an exact order of idleness would cost every request a store or two. A hand goes around the slots
// instead, as in a clock page replacement, and takes the idlest of those that it passes; that costs nothing
// until the slots are full. Invariant: a connection with an exchange is never touched.

import Metrics
import Platform

extension Core {
    /// Closes a client's connection to make room: one that only waits for its client's close, else an idle
    /// one, else one whose head does not come to its end. False: all that were looked at are in use, or
    /// came just now.
    func evictDownstream() -> Bool {
        var best: (slot: Slot<Downstream>, group: Int, since: Instant)?
        var found = 0
        for _ in 0..<min(downstreams.count, Limits.evictionLooksMax) where found < Limits.evictionChoicesMax {
            guard let slot = downstreams.nextLive(from: downstreamHand) ?? downstreams.nextLive(from: .first)
            else { break }
            downstreamHand = slot.next
            guard let (group, since) = idleness(slot) else { continue }
            // A head may take its time on the way; one that stalls has no claim to the place.
            let least = group == 2 ? Limits.stallMax : Limits.evictionIdleMin
            guard since + least <= now else { continue }
            found += 1
            if let best, (best.group, best.since) <= (group, since) { continue }
            best = (slot, group, since)
        }
        guard let best else { return false }
        meter.count(.downstreamsEvicted)
        closeDownstream(best.slot)
        return true
    }

    /// What a client's connection that could go does, least needed first, and since when; nil: it is in use.
    private func idleness(_ slot: Slot<Downstream>) -> (group: Int, since: Instant)? {
        let d = downstreams.pointer(slot)
        switch d.pointee.phase {
        case .exchange: return nil
        case .lingering: return (0, Self.begin(of: limits.lingerDeadline, to: d.pointee.deadline))
        case .head: return (2, d.pointee.headSince)
        case .idle:
            let isWaiting = d.pointee.isResumed || d.pointee.isStarved
            guard d.pointee.output.isEmpty, heldCount(d) == 0, !isWaiting else { return nil }
            let isNew = d.pointee.deadline == d.pointee.headSince + limits.headerDeadline
            let answered = Self.begin(of: limits.keepAliveIdle, to: d.pointee.deadline)
            return (1, isNew ? d.pointee.headSince : answered)
        }
    }

    /// When a time limit that ends at `end` began to run.
    private static func begin(of limit: Interval, to end: Instant) -> Instant {
        Instant(nanos: end.nanos - min(end.nanos, limit.nanos))
    }

    /// Closes a pooled connection to some model server to make room for one that a request needs now.
    func evictUpstream() -> Bool {
        var best: (slot: Slot<Upstream>, since: Instant)?
        var found = 0
        for _ in 0..<min(upstreams.count, Limits.evictionLooksMax) where found < Limits.evictionChoicesMax {
            guard let slot = upstreams.nextLive(from: upstreamHand) ?? upstreams.nextLive(from: .first)
            else { break }
            upstreamHand = slot.next
            let u = upstreams.pointer(slot)
            guard u.pointee.phase == .idle else { continue }
            found += 1
            if let best, best.since <= u.pointee.idleSince { continue }
            best = (slot, u.pointee.idleSince)
        }
        guard let best else { return false }
        meter.count(.upstreamsEvicted)
        closeIdle(best.slot)
        return true
    }
}

// The waiting line of a version that has as many requests in flight as it may: first in, first out,
// through the exchange slots, bounded in number and time. Invariant: a request in line holds its bytes as
// its connection's unread input, and nothing else.

import Metrics
import Platform
import Wire

extension Core {
    /// Appends the exchange to the line of its serving version.
    func joinLine(_ x: UInt32) {
        let exchange = exchanges.pointer(x)
        let version = versions[exchange.pointee.serving]
        exchange.pointee.stage = .queued
        exchange.pointee.isWaiting = true
        exchange.pointee.nextWaiting = noSlot
        if version.pointee.waitingTail == noSlot {
            version.pointee.waitingHead = x
        } else {
            exchanges.pointer(version.pointee.waitingTail).pointee.nextWaiting = x
        }
        version.pointee.waitingTail = x
        version.pointee.waiting += 1
        timers.schedule(exchangeTimers + x, at: now + version.pointee.queueTimeout)
    }

    /// Calls those in front as long as there are places; each keeps its place until it is sent.
    func callNext(_ version: UnsafeMutablePointer<VersionState>) {
        while version.pointee.waitingHead != noSlot,
            version.pointee.inFlight + version.pointee.called < version.pointee.inFlightMax
        {
            let next = version.pointee.waitingHead
            leaveLine(next)
            exchanges.pointer(next).pointee.isCalled = true
            version.pointee.called += 1
            resume(exchangeToken(next))
        }
    }

    /// Gives back the place that was kept for the exchange.
    func giveUpCall(_ x: UInt32) {
        exchanges.pointer(x).pointee.isCalled = false
        versions[exchanges.pointer(x).pointee.serving].pointee.called -= 1
    }

    /// Takes the exchange out of its line, wherever it stands.
    func leaveLine(_ x: UInt32) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isWaiting else { return }
        let version = versions[exchange.pointee.serving]
        var previous = noSlot
        var current = version.pointee.waitingHead
        while current != x {
            precondition(current != noSlot, "an exchange that waits stands in its version's line")
            previous = current
            current = exchanges.pointer(current).pointee.nextWaiting
        }
        let next = exchange.pointee.nextWaiting
        if previous == noSlot {
            version.pointee.waitingHead = next
        } else {
            exchanges.pointer(previous).pointee.nextWaiting = next
        }
        if version.pointee.waitingTail == x { version.pointee.waitingTail = previous }
        version.pointee.waiting -= 1
        exchange.pointee.isWaiting = false
        exchange.pointee.nextWaiting = noSlot
        timers.cancel(exchangeTimers + x)
    }

    /// The line did not move in time.
    func waitedTooLong(_ x: UInt32) {
        guard exchanges.pointer(x).pointee.isWaiting else { return }
        leaveLine(x)
        replyLocally(x, .queueTimeout, outcome: .localRefusal)
    }

    /// Sends an exchange whose bytes are held: from the input if it was never sent, else from its replay.
    func redispatch(_ x: UInt32) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.stage == .queued, !exchange.pointee.isWaiting else { return }
        let d = downstreams.pointer(exchange.pointee.downstream)
        let isReplay = !exchange.pointee.isHeld
        let count: Int
        if isReplay {
            count = exchange.pointee.replay.copyOut(to: inbox, pool)
        } else {
            count = d.pointee.input.copyOut(to: inbox, pool)
            d.pointee.input.clear(&pool)
            exchange.pointee.isHeld = false
        }
        let bytes = UnsafeRawBufferPointer(rebasing: inbox[..<count])
        guard case .complete(let head) = requestParser.request(bytes.bytes, scanned: 0) else {
            preconditionFailure("a head that was parsed once parses again")
        }
        exchange.pointee.request = BodyProgress(head.framing, of: .request)
        let client = downstreamToken(exchange.pointee.downstream)
        dispatch(x, head, bytes, isReplay: isReplay)
        // What the client sent while the exchange stood still was an edge that nobody took.
        guard downstreams.isLive(client.slot, generation: client.generation) else { return }
        if downstreams.pointer(client.slot).pointee.isReadable { resume(client) }
    }
}

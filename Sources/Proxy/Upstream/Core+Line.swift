// Places in flight, and the waiting line of a version that has as many requests in flight as it may: first
// in, first out, through the exchange slots, bounded in number and time. Where the bound is shared among
// the cores (PlaceBoard), the first in line that has waited longest goes first, whichever core it is on.
// Invariants: a request in line holds its bytes as its connection's unread input, and nothing else; while
// `sharesPlaces`, exactly `inFlight + called` of this core are on the board, and while `sharesLine`,
// `waiting`.

import Metrics
import Platform
import Wire

extension Core {
    // MARK: - Places

    /// Takes a place in flight of the version, if there is one.
    func takePlace(_ slot: Slot<VersionState>) -> Bool {
        let version = versions.pointer(slot)
        let bound = version.pointee.inFlightMax
        if version.pointee.sharesPlaces { return seat.board.words.places.take(slot, upTo: Int(bound)) }
        return version.pointee.inFlight + version.pointee.called < bound
    }

    /// Gives a place back and lets the next one in line go.
    func freePlace(_ slot: Slot<VersionState>) {
        if versions[slot].sharesPlaces { seat.board.words.places.move(slot, by: -1) }
        callNext(slot)
    }

    /// Turns the place that was kept for the exchange into one in flight; false: it was not called.
    func answerCall(_ x: Slot<Exchange>) -> Bool {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isCalled else { return false }
        exchange.pointee.isCalled = false
        versions[exchange.pointee.serving].called -= 1
        return true
    }

    /// Gives back the place that was kept for the exchange, if it was called.
    func giveUpCall(_ x: Slot<Exchange>) {
        if answerCall(x) { freePlace(exchanges[x].serving) }
    }

    // MARK: - The line

    /// Whether a request waits for a place, on this core or on any that counts with it.
    func hasLine(_ slot: Slot<VersionState>) -> Bool {
        let version = versions.pointer(slot)
        if version.pointee.sharesPlaces { return seat.board.words.places.waiting(slot) > 0 }
        return version.pointee.waiting > 0
    }

    /// Takes a place in the version's line, if there is one and the line can move at all.
    func takeWaiting(_ slot: Slot<VersionState>) -> Bool {
        let version = versions.pointer(slot)
        guard version.pointee.inFlightMax > 0 else { return false }
        let bound = version.pointee.waitingMax
        if version.pointee.sharesLine { return seat.board.words.places.enqueue(slot, upTo: Int(bound)) }
        return version.pointee.waiting < bound
    }

    /// Gives back a place in line that nobody stands on.
    func giveUpWaiting(_ slot: Slot<VersionState>) {
        if versions[slot].sharesLine { seat.board.words.places.moveWaiting(slot, by: -1) }
    }

    /// Tells the other cores since when the first request in line has waited.
    func publishFirst(_ slot: Slot<VersionState>) {
        let version = versions.pointer(slot)
        let first = version.pointee.waitingHead
        let isFirst = version.pointee.sharesPlaces && first != .none
        let since = isFirst ? exchanges[first].assignedAt.nanos : 0
        seat.board.words.places.publish(first: since, slot, core: seat.index)
    }

    /// Appends the exchange to the line of its serving version.
    func joinLine(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let version = versions.pointer(exchange.pointee.serving)
        exchange.pointee.stage = .queued
        exchange.pointee.isWaiting = true
        exchange.pointee.nextWaiting = .none
        if version.pointee.waitingTail == .none {
            version.pointee.waitingHead = x
        } else {
            exchanges[version.pointee.waitingTail].nextWaiting = x
        }
        version.pointee.waitingTail = x
        version.pointee.waiting += 1
        timers.schedule(exchangeTimers + x.index, at: now + version.pointee.queueTimeout)
        guard version.pointee.sharesPlaces else { return }
        publishFirst(exchange.pointee.serving)
        // Another core may have freed a place before it could see this request.
        callNext(exchange.pointee.serving)
    }

    /// Calls those in front as long as there are places; each keeps its place until it is sent.
    func callNext(_ slot: Slot<VersionState>) {
        let version = versions.pointer(slot)
        guard version.pointee.sharesPlaces else {
            while version.pointee.waitingHead != .none, takePlace(slot) { callFirst(version) }
            return
        }
        let bound = Int(version.pointee.inFlightMax)
        while hasLine(slot), seat.board.words.places.inFlight(slot) < bound,
            let core = seat.board.words.places.oldest(slot)
        {
            guard core == seat.index else {
                // It takes what it can and calls the next core.
                seat.board.words.places.call(core, slot)
                return
            }
            if takePlace(slot) { callFirst(version) }
        }
    }

    private func callFirst(_ version: UnsafeMutablePointer<VersionState>) {
        let next = version.pointee.waitingHead
        leaveLine(next)
        exchanges[next].isCalled = true
        version.pointee.called += 1
        resume(exchangeToken(next))
    }

    /// Looks at the lines for which other cores have freed places.
    func takeCalls() {
        seat.board.words.places.drainCalls(seat.index)
        for group in 0..<PlaceBoard.callGroups {
            var words = seat.board.words.places.takeGroup(seat.index, group)
            while words != 0 {
                let word = group * 64 + words.trailingZeroBitCount
                words &= words - 1
                var bits = seat.board.words.places.takeCalls(seat.index, word: word)
                while bits != 0 {
                    let row = word * 64 + bits.trailingZeroBitCount
                    bits &= bits - 1
                    if row < versions.count { callNext(Slot(row: row)) }
                }
            }
        }
    }

    /// Takes the exchange out of its line, wherever it stands.
    func leaveLine(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.isWaiting else { return }
        let version = versions.pointer(exchange.pointee.serving)
        var previous = Slot<Exchange>.none
        var current = version.pointee.waitingHead
        while current != x {
            precondition(current != .none, "an exchange that waits stands in its version's line")
            previous = current
            current = exchanges[current].nextWaiting
        }
        let next = exchange.pointee.nextWaiting
        if previous == .none {
            version.pointee.waitingHead = next
        } else {
            exchanges[previous].nextWaiting = next
        }
        if version.pointee.waitingTail == x { version.pointee.waitingTail = previous }
        version.pointee.waiting -= 1
        exchange.pointee.isWaiting = false
        exchange.pointee.nextWaiting = .none
        timers.cancel(exchangeTimers + x.index)
        giveUpWaiting(exchange.pointee.serving)
        if previous == .none, version.pointee.sharesPlaces { publishFirst(exchange.pointee.serving) }
    }

    /// The line did not move in time.
    func waitedTooLong(_ x: Slot<Exchange>) {
        guard exchanges[x].isWaiting else { return }
        leaveLine(x)
        refuseUnsent(x, .queueTimeout, .overloaded)
    }

    /// Sends an exchange whose bytes are held: from the input if it was never sent, else from its replay.
    func redispatch(_ x: Slot<Exchange>) {
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
        guard let slot = downstreams.slot(of: client) else { return }
        if downstreams[slot].isReadable { resume(client) }
    }
}

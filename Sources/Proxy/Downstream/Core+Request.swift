// From bytes to an exchange: parse the head, refuse what is wrong, find the model, have it assigned, and
// hand it to Upstream. Invariant: everything that is read from the head is read here, while its bytes lie
// in the inbox.

import Metrics
import Platform
import Synchronization
import Wire

extension Core {
    /// Parses the head in the inbox.
    ///
    /// - Parameters:
    ///   - held: how many of the bytes are held (at the inbox's start they are not yet copied).
    ///   - count: all bytes of the message so far.
    func takeHead(_ slot: Slot<Downstream>, held: Int, count: Int) {
        let d = downstreams.pointer(slot)
        let fresh = UnsafeRawBufferPointer(rebasing: inbox[held..<count])
        if held > 0 {
            // Without a line end in the new bytes nothing can have become complete: the head is not copied
            // again for every dripped byte.
            guard count > limits.headBytesMax || contains(fresh, 0x0A) else {
                keepHead(slot, fresh)
                return
            }
            copyHeld(slot)
        }
        let bytes = UnsafeRawBufferPointer(rebasing: inbox[..<count])
        switch requestParser.request(bytes.bytes, scanned: Int(d.pointee.scanned)) {
        case .needMore(let scanned):
            d.pointee.scanned = UInt32(scanned)
            keepHead(slot, fresh)
        case .refused(let refusal):
            refuse(slot, refusal)
        case .complete(let head):
            if held > 0 { clearHeld(slot) }
            d.pointee.scanned = 0
            begin(slot, head, bytes)
        }
    }

    private func keepHead(_ slot: Slot<Downstream>, _ fresh: UnsafeRawBufferPointer) {
        let d = downstreams.pointer(slot)
        if d.pointee.phase == .idle {
            d.pointee.phase = .head
            d.pointee.headSince = now
            armDownstream(slot, now + limits.headerDeadline)
        }
        if !keepInput(slot, fresh) { refuse(slot, .buffersExhausted) }
    }

    private func contains(_ bytes: UnsafeRawBufferPointer, _ byte: UInt8) -> Bool {
        for b in bytes where b == byte { return true }
        return false
    }

    /// A whole head: makes the exchange and sends it on.
    private func begin(_ slot: Slot<Downstream>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) {
        let d = downstreams.pointer(slot)
        let started = d.pointee.phase == .head ? d.pointee.headSince : now
        d.pointee.phase = .idle
        d.pointee.deadline = .never
        guard let index = assign.route(head, bytes: bytes.bytes), let modelSlots else {
            meter.count(.unrouted)
            refuse(slot, .noModelMatches, isHead: head.method == .head)
            return
        }
        let modelSlot = modelSlots[index]
        let model = models.pointer(modelSlot)
        let switches = seat.board.words.switches[modelSlot.row].load(ordering: .acquiring)
        let caller = assign.caller(
            peer: d.pointee.peer, head: head, fields: requestParser, bytes: bytes.bytes)
        let assignment = assign.assign(
            index, head: head, fields: requestParser, bytes: bytes.bytes, caller: caller,
            switches: Switches(word: switches), random: &random)
        guard assignment.hasVersion, let versionSlots = model.pointee.versions else {
            refuse(slot, .noVersion, isHead: head.method == .head)
            return
        }
        let version = versionSlots[Int(assignment.version)]
        var exchange = Exchange(
            downstream: slot, model: modelSlot, assigned: version, serving: version,
            client: caller.client, isTrusted: caller.isTrusted,
            startTick: Tick(monotonicNanos: now.nanos), reason: assignment.reason, method: head.method,
            minorVersion: head.minorVersion, keepsAlive: head.keepsAlive && !isDraining,
            wantsUpgrade: head.upgrade, request: BodyProgress(head.framing, of: .request),
            startedAt: started, assignedAt: now, writtenAt: now)
        exchange.awaitsContinue = head.expectsContinue
        exchange.weightPPM = assignment.weightPPM
        exchange.epoch = model.pointee.epoch
        // Without a draw, or against a cut, the exchange is no evidence for a comparison by weight.
        exchange.isPinned = !assignment.isRandomised || assignment.reason == .cut
        exchange.keyHash = assignment.keyHash
        exchange.isShadowed = assignment.matchesShadow && drawsShadow(model)
        if model.pointee.isTapped { drawTap(&exchange, model, head) }
        guard let x = exchanges.insert(exchange) else {
            refuse(slot, .exchangesExhausted, isHead: head.method == .head)
            return
        }
        notePath(x, head, bytes)
        d.pointee.phase = .exchange
        d.pointee.exchange = x
        startEvidence(x)
        refillRetries(model)
        // The FIN came with the request, or before one of several in a row was taken up.
        if d.pointee.isPeerDone, !model.pointee.ignoresHalfClose { return cancel(x, .clientCancel) }
        if !head.request(isComplete: bytes.count) { openRateWindow(slot, x) }
        dispatch(x, head, bytes, isReplay: false)
    }

    private func drawsShadow(_ model: UnsafeMutablePointer<ModelState>) -> Bool {
        let ppm = model.pointee.shadowPPM
        return ppm >= 1_000_000 || ppm > 0 && random.below(1_000_000) < UInt64(ppm)
    }

    /// Copies what the access log will want, while the head is at hand.
    private func notePath(_ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) {
        let exchange = exchanges.pointer(x)
        let capacity = 176
        let start = Int(head.path.start)
        let count = min(Int(head.path.count), capacity)
        exchange.pointee.isPathCut = Int(head.path.count) > capacity
        exchange.pointee.pathCount = UInt8(count)
        withUnsafeMutableBytes(of: &texts[x.row].path) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
        }
    }

    /// Starts watching how fast the body arrives.
    func openRateWindow(_ slot: Slot<Downstream>, _ x: Slot<Exchange>) {
        exchanges[x].windowBytes = exchanges[x].bytesIn
        downstreams[slot].wasPaused = false
        armDownstream(slot, now + limits.bodyRateWindow)
    }
}

extension RequestHead {
    /// Whether the bytes read so far hold the whole request.
    func request(isComplete count: Int) -> Bool {
        framing.isWhole(in: count - byteCount)
    }
}

extension BodyFraming {
    /// Whether so many bytes after the head hold the whole body.
    func isWhole(in count: Int) -> Bool {
        switch self {
        case .none: true
        case .length(let length): UInt64(count) >= length
        case .chunked, .untilClose: false
        }
    }
}

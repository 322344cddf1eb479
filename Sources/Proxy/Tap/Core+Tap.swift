// Copies of exchanges for control, made as the bytes pass. Whether an exchange is copied is decided at its
// begin (drawn, or the next recent one of its version) or at its failure, which may be late: then the request
// is taken from what is kept for a retry, and what is no longer there is flagged as cut. The copy belongs to
// the assigned version; of a shielded failure the failing response is kept and not the one that replaced it.
//
// Bounds: a slot's regions and the model's own limit for bodies. No slot free: dropped and counted, and the
// exchange goes on as if nobody had asked. Upgrades and shadow copies are not tapped. Bodies are stored
// without chunk framing. A copy never changes what is sent, nor when.

import Metrics
import Platform
import Wire

/// No tap.
let noTap = UInt8.max

extension Core {
    /// At the begin of a request to a tapped model: whether its bytes are to be copied.
    func drawTap(_ exchange: inout Exchange, _ model: UnsafeMutablePointer<ModelState>, _ head: RequestHead) {
        guard !head.upgrade else { return }
        exchange.isTapped = true
        exchange.headCount = UInt32(head.byteCount)
        let ppm = model.pointee.tapPPM
        if ppm >= 1_000_000 || ppm > 0 && random.below(1_000_000) < UInt64(ppm) {
            exchange.tapTraits.insert(.drawn)
        }
        let version = versions.pointer(exchange.assigned)
        if model.pointee.tapRecentEvery < .forever, version.pointee.tapDueAt <= now {
            version.pointee.tapDueAt = now + model.pointee.tapRecentEvery
            exchange.tapTraits.insert(.recent)
        }
    }

    /// The request is sent for the first time: its copy begins with its head.
    func startTap(_ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) {
        guard !exchanges[x].tapTraits.isEmpty, openTap(x) != nil else { return }
        fill(x, .requestHead, UnsafeRawBufferPointer(rebasing: bytes[..<head.byteCount]))
    }

    /// The exchange's record, with a slot for it where it has none yet; nil: there is no slot for it.
    private func openTap(_ x: Slot<Exchange>) -> UnsafeMutablePointer<TapRecord>? {
        let exchange = exchanges.pointer(x)
        if exchange.pointee.tap != noTap { return link.taps.record(exchange.pointee.tap) }
        let traits = exchange.pointee.tapTraits
        guard let slot = taps.take(link.taps, traits) else {
            meter.count(traits.contains(.drawn) ? .tapsDroppedFull : .tapsDroppedReserved)
            // A failure may find a slot later, but then it is no draw.
            exchange.pointee.tapTraits = []
            return nil
        }
        exchange.pointee.tap = slot
        let record = link.taps.record(slot)
        record.initialize(to: TapRecord())
        record.pointee.bodyMax = models[exchange.pointee.model].tapBodyMax
        return record
    }

    /// Copies what fits behind what a region has; the rest is flagged as cut.
    private func fill(_ x: Slot<Exchange>, _ region: TapRing.Region, _ bytes: UnsafeRawBufferPointer) {
        let slot = exchanges[x].tap
        let record = link.taps.record(slot)
        let target = link.taps.region(slot, region)
        switch region {
        case .requestHead:
            if !append(bytes, to: target, &record.pointee.requestHead, max: target.count) {
                record.pointee.traits.insert(.requestHeadCut)
            }
        case .requestBody:
            let max = Int(record.pointee.bodyMax)
            if !append(bytes, to: target, &record.pointee.requestBody, max: max) {
                record.pointee.traits.insert(.requestBodyCut)
            }
        case .responseHead:
            if !append(bytes, to: target, &record.pointee.responseHead, max: target.count) {
                record.pointee.traits.insert(.responseHeadCut)
            }
        case .responseBody:
            let max = Int(record.pointee.bodyMax)
            if !append(bytes, to: target, &record.pointee.responseBody, max: max) {
                record.pointee.traits.insert(.responseBodyCut)
            }
        }
    }

    /// False: not all of it had room.
    private func append(
        _ bytes: UnsafeRawBufferPointer, to region: UnsafeMutableRawBufferPointer, _ count: inout UInt32,
        max bound: Int
    ) -> Bool {
        let start = Int(count)
        let taken = min(bytes.count, max(0, min(bound, region.count) - start))
        if taken > 0 {
            UnsafeMutableRawBufferPointer(rebasing: region[start..<start + taken])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<taken]))
            count = UInt32(start + taken)
        }
        return taken == bytes.count
    }

    // MARK: As bytes pass

    /// Content of the request; the caller has seen that the exchange has a tap.
    func tapRequest(_ x: Slot<Exchange>, _ content: UnsafeRawBufferPointer) { fill(x, .requestBody, content) }

    /// Content of the response; the caller has seen that the exchange has a tap.
    func tapResponse(_ x: Slot<Exchange>, _ content: UnsafeRawBufferPointer) {
        guard link.taps.record(exchanges[x].tap).pointee.isResponseOpen else { return }
        fill(x, .responseBody, content)
    }

    /// The head of a final response to a tapped exchange; a failing one makes a copy of any.
    func tapResponseHead(
        _ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer, isFailure: Bool
    ) {
        let exchange = exchanges.pointer(x)
        if isFailure { tapFailure(x) }
        guard exchange.pointee.tap != noTap else { return }
        let record = link.taps.record(exchange.pointee.tap)
        guard record.pointee.responseStatus == 0 else { return }
        record.pointee.responseStatus = head.status
        record.pointee.responded = exchange.pointee.serving.index
        record.pointee.isResponseOpen = true
        fill(x, .responseHead, UnsafeRawBufferPointer(rebasing: bytes[..<head.byteCount]))
    }

    /// A failing response that the client will not see: what came of it with its head is kept.
    func tapShielded(_ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer) {
        tapResponseHead(x, head, bytes, isFailure: true)
        let exchange = exchanges.pointer(x)
        guard exchange.pointee.tap != noTap else { return }
        let record = link.taps.record(exchange.pointee.tap)
        guard record.pointee.isResponseOpen else { return }
        record.pointee.isResponseOpen = false
        let body = BodyProgress(head.framing, of: .response)
        let isWhole = fill(
            x, .responseBody, body, UnsafeRawBufferPointer(rebasing: bytes[head.byteCount...]))
        if !isWhole { record.pointee.traits.insert(.responseBodyCut) }
    }

    // MARK: Failures

    /// Whether the request stays at hand while its response passes, in case that fails: a small one, while
    /// buffers are not short.
    func keepsForTap(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.isTapped && exchange.pointee.tap == noTap && canKeepRequests
            && exchange.pointee.replay.count <= Limits.blockBytes
    }

    /// A failure of the assigned version: if there is no copy yet, one is made of what is kept for a retry.
    func tapFailure(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.tapTraits.insert(.failed)
        guard exchange.pointee.tap == noTap, !exchange.pointee.replay.isEmpty else { return }
        tapKept(x, exchange.pointee.replay)
    }

    /// As `tapFailure` for a request that is answered by Weir and was never sent: it lies in the input.
    func tapHeld(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        exchange.pointee.tapTraits.insert(.failed)
        guard exchange.pointee.tap == noTap else { return }
        tapKept(x, downstreams[exchange.pointee.downstream].input)
    }

    /// Copies a request from the queue that it lies in, head first, from its first byte on.
    private func tapKept(_ x: Slot<Exchange>, _ queue: ByteQueue) {
        let exchange = exchanges.pointer(x)
        guard openTap(x) != nil else { return }
        var body = BodyProgress(exchange.pointee.request.framing, of: .request)
        var isOpen = true
        let head = Int(exchange.pointee.headCount)
        var offset = 0
        // The outbox is free here: whoever composed into it has sent it.
        while offset < queue.count, isOpen {
            let piece = UnsafeMutableRawBufferPointer(rebasing: outbox[..<min(outbox.count, 64 << 10)])
            let wanted = offset < head ? min(piece.count, head - offset) : piece.count
            let room = UnsafeMutableRawBufferPointer(rebasing: piece[..<wanted])
            let count = queue.copyOut(from: offset, to: room, pool)
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<count])
            if offset < head {
                fill(x, .requestHead, bytes)
            } else {
                isOpen = !fillBody(x, .requestBody, &body, bytes)
            }
            offset += count
        }
    }

    /// Copies content out of raw body bytes; true when that was all of it.
    private func fill(
        _ x: Slot<Exchange>, _ region: TapRing.Region, _ body: BodyProgress, _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        var body = body
        return fillBody(x, region, &body, bytes)
    }

    private func fillBody(
        _ x: Slot<Exchange>, _ region: TapRing.Region, _ body: inout BodyProgress,
        _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        switch body.framing {
        case .none:
            return true
        case .untilClose:
            fill(x, region, bytes)
            return false
        case .length:
            let count = Int(min(body.remaining, UInt64(bytes.count)))
            fill(x, region, UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            body.remaining -= UInt64(count)
            return body.remaining == 0
        case .chunked:
            var position = 0
            while true {
                switch nextChunk(&body, bytes, from: position) {
                case .data(let start, let count):
                    fill(x, region, UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
                    position = start + count
                case .needMore: return false
                case .trailers, .refused: return true
                }
            }
        }
    }

    // MARK: The end

    /// The exchange ends: its copy is completed and handed over. A failure of which nothing was kept is
    /// handed over with its start line.
    func endTap(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        if exchange.pointee.outcome.isFailure { tapFailure(x) }
        if exchange.pointee.tap == noTap {
            guard exchange.pointee.tapTraits.contains(.failed), openTap(x) != nil else { return }
            writeStartLine(x)
        }
        let slot = exchange.pointee.tap
        let record = link.taps.record(slot)
        describe(exchange, record)
        exchange.pointee.tap = noTap
        link.taps.offer(slot)
        meter.count(.taps)
    }

    private func writeStartLine(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.tap
        var out = HeadWriter(link.taps.region(slot, .requestHead))
        out.append(Self.word(exchange.pointee.method))
        out.append(" ")
        withUnsafeBytes(of: &texts[x.row].path) { path in
            out.append(UnsafeRawBufferPointer(rebasing: path[..<Int(exchange.pointee.pathCount)]))
        }
        out.append(" HTTP/1.1\r\n\r\n")
        let record = link.taps.record(slot)
        record.pointee.requestHead = UInt32(out.count)
        record.pointee.traits.insert(.requestHeadCut)
        if exchange.pointee.bytesIn > 0 { record.pointee.traits.insert(.requestBodyCut) }
    }

    private static func word(_ method: Wire.Method) -> StaticString {
        switch method {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .connect: "CONNECT"
        case .other: "OTHER"
        }
    }

    private func describe(
        _ exchange: UnsafeMutablePointer<Exchange>, _ record: UnsafeMutablePointer<TapRecord>
    ) {
        let total = now - exchange.pointee.startedAt
        record.pointee.wallMicros = Clock.wallMicros() &- total.micros
        record.pointee.startTick = exchange.pointee.startTick
        record.pointee.totalMicros = Self.micros(total.nanos)
        record.pointee.upstreamMicros = Self.micros(exchange.pointee.upstreamNanos)
        if exchange.pointee.firstByteAt != .never, exchange.pointee.sentAt != .never {
            record.pointee.firstByteMicros = Self.micros(
                (exchange.pointee.firstByteAt - exchange.pointee.sentAt).nanos)
        }
        record.pointee.bytesIn = exchange.pointee.bytesIn
        record.pointee.bytesOut = exchange.pointee.bytesOut
        record.pointee.client = exchange.pointee.client
        record.pointee.model = exchange.pointee.model.index
        record.pointee.assigned = exchange.pointee.assigned.index
        record.pointee.answered = exchange.pointee.serving.index
        record.pointee.weightPPM = exchange.pointee.weightPPM
        record.pointee.status = exchange.pointee.status
        record.pointee.core = UInt16(truncatingIfNeeded: seat.index)
        record.pointee.attempts = exchange.pointee.attempts
        record.pointee.outcome = exchange.pointee.outcome
        record.pointee.reason = exchange.pointee.reason
        record.pointee.isRandomised = !exchange.pointee.isPinned
        record.pointee.isShielded = exchange.pointee.isShielded
        record.pointee.traits.formUnion(exchange.pointee.tapTraits)
        if !exchange.pointee.request.isComplete || isShort(exchange, record) {
            record.pointee.traits.insert(.requestBodyCut)
        }
        if record.pointee.isResponseOpen, !exchange.pointee.response.isComplete {
            record.pointee.traits.insert(.responseBodyCut)
        }
    }

    /// Whether less of the request is here than its length says: what came after a late copy was not kept.
    private func isShort(
        _ exchange: UnsafeMutablePointer<Exchange>, _ record: UnsafeMutablePointer<TapRecord>
    ) -> Bool {
        guard case .length(let length) = exchange.pointee.request.framing else { return false }
        return UInt64(record.pointee.requestBody) < length
    }
}

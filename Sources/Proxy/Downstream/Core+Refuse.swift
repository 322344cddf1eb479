// Local replies: what Weir answers by itself, with a status, a one-line JSON reason and a defined end of
// the connection. A refused head closes the connection: what follows it cannot be framed. Source: RFC
// 9112 section 9.6.

import Metrics
import Platform
import Wire

extension Core {
    /// Refuses before an exchange exists, and closes: also where the head was sound, because a body or
    /// pipelined requests may follow it.
    func refuse(_ slot: Slot<Downstream>, _ reply: LocalReply, isHead: Bool = false) {
        meter.countRefusal(reply.cause)
        refuse(slot, status: reply.status, reason: reply.reason, isHead: isHead)
    }

    /// Refuses what the validator refused.
    func refuse(_ slot: Slot<Downstream>, _ refusal: Refusal) {
        meter.countRefusal(refusal.countedCause)
        refuse(slot, status: refusal.status, reason: refusal.cause.label, isHead: false)
    }

    private func refuse(_ slot: Slot<Downstream>, status: UInt16, reason: StaticString, isHead: Bool) {
        let d = downstreams.pointer(slot)
        clearHeld(slot)
        d.pointee.phase = .idle
        d.pointee.closesAfterFlush = true
        d.pointee.lingers = true
        let count = composeReply(status: status, reason: reason, keepsAlive: false, isHead: isHead)
        guard sendDownstream(slot, written(count)) else {
            closeDownstream(slot)
            return
        }
        if d.pointee.output.isEmpty { shutDownstream(slot) }
    }

    /// The first bytes of the outbox.
    func written(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: outbox[..<count])
    }

    /// Writes a whole local reply into the outbox.
    ///
    /// - Returns: its bytes.
    func composeReply(
        status: UInt16, reason: StaticString, keepsAlive: Bool, isHead: Bool, minorVersion: UInt8 = 1
    ) -> Int {
        var out = HeadWriter(outbox)
        out.append("HTTP/1.1 ")
        out.appendDecimal(UInt64(status))
        out.append(" ")
        out.append(Self.phrase(status))
        out.append("\r\ncontent-type: application/json\r\ncontent-length: ")
        // {"error":"…"} and a line end.
        out.appendDecimal(UInt64(reason.utf8CodeUnitCount + 13))
        if status == 503 || status == 429 { out.append("\r\nretry-after: 1") }
        // What a model's servers take is not known here: all but what is refused for every one.
        if status == 405 { out.append("\r\nallow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH") }
        if !keepsAlive {
            out.append("\r\nconnection: close")
        } else if minorVersion == 0 {
            out.append("\r\nconnection: keep-alive")
        }
        out.append("\r\n\r\n")
        if !isHead {
            out.append("{\"error\":\"")
            out.append(reason)
            out.append("\"}\n")
        }
        return out.count
    }

    private static func phrase(_ status: UInt16) -> StaticString {
        switch status {
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Error"
        }
    }

    /// Ends an exchange that has sent nothing to its client with a reply of our own.
    func replyLocally(_ x: Slot<Exchange>, _ reply: LocalReply, outcome: Outcome) {
        meter.countRefusal(reply.cause)
        replyLocally(x, status: reply.status, reason: reply.reason, outcome: outcome)
    }

    /// Ends an exchange over a body that the validator refused.
    func replyLocally(_ x: Slot<Exchange>, _ refusal: Refusal, outcome: Outcome) {
        meter.countRefusal(refusal.countedCause)
        replyLocally(x, status: refusal.status, reason: refusal.cause.label, outcome: outcome)
    }

    private func replyLocally(_ x: Slot<Exchange>, status: UInt16, reason: StaticString, outcome: Outcome) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        let d = downstreams.pointer(slot)
        if exchange.pointee.isHeld {
            if exchange.pointee.isTapped, outcome.isFailure { tapHeld(x) }
            dropHeld(exchange, d)
        }
        if !exchange.pointee.request.isComplete {
            exchange.pointee.keepsAlive = false
            d.pointee.lingers = true
        }
        settle(x, outcome)
        exchange.pointee.status = status
        exchange.pointee.stage = .flushing
        let count = composeReply(
            status: status, reason: reason, keepsAlive: exchange.pointee.keepsAlive,
            isHead: exchange.pointee.method == .head, minorVersion: exchange.pointee.minorVersion)
        guard sendDownstream(slot, written(count)) else {
            cancel(x, .clientCancel)
            return
        }
        if d.pointee.output.isEmpty { finish(x) }
    }

    /// Takes a request that was never sent out of the input, so that it is not taken for the next one.
    private func dropHeld(
        _ exchange: UnsafeMutablePointer<Exchange>, _ d: UnsafeMutablePointer<Downstream>
    ) {
        exchange.pointee.isHeld = false
        let head = Int(exchange.pointee.headCount)
        switch exchange.pointee.request.framing {
        case .none:
            d.pointee.input.consume(head, &pool)
        case .length(let length) where length <= UInt64(d.pointee.input.count - head):
            d.pointee.input.consume(head + Int(length), &pool)
            exchange.pointee.request.isComplete = true
        case .length, .chunked, .untilClose:
            d.pointee.input.clear(&pool)
        }
    }
}

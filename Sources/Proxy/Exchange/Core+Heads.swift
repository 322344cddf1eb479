// Heads on their way out: re-serialised from what one validator accepted, never passed on as they came.
// Hop-by-hop fields (and those that Connection names) stay behind; what the sidecar vouches for is written
// anew. Source: RFC 9110 sections 7.6.1 and 7.6.3, RFC 9112 section 3.
// Bound: the outbox holds three heads and more than one read. A response's head grows by less than a
// kilobyte; a request's may grow by what the config adds, and one that no longer fits is refused whole.

import Metrics
import Platform
import Wire

extension Core {
    /// Writes the request head for a version into the outbox.
    ///
    /// - Returns: its bytes; nil when it does not fit, and then nothing of it may be sent.
    func composeRequest(
        _ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, version: Slot<VersionState>
    ) -> Int? {
        var out = HeadWriter(outbox)
        writeRequest(&out, x, head, bytes, version: version, isShadow: false)
        return out.overflowed ? nil : out.count
    }

    /// Writes the head of a request, for the primary or for a shadow copy.
    func writeRequest(
        _ out: inout HeadWriter, _ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer,
        version: Slot<VersionState>, isShadow: Bool
    ) {
        let exchange = exchanges.pointer(x)
        let rewrite = versions[version].rewrite
        let passes = passesAsItCame(head, rewrite)
        if !passes { writeRequestLine(&out, head, bytes, rewrite) }
        let found = writeRequestFields(&out, x, head, bytes, rewrite, isShadow: isShadow, passes)
        if case .chunked = head.framing { out.append("transfer-encoding: chunked\r\n") }
        if exchange.pointee.wantsUpgrade, !isShadow { writeUpgrade(&out, head, bytes) }
        out.append("x-forwarded-for: ")
        if found.contains(.forwardedFor) { writeForwardedFor(&out, head, bytes) }
        writeAddress(&out, downstreams.pointer(exchange.pointee.downstream))
        if !found.contains(.forwardedProto) { out.append("\r\nx-forwarded-proto: http") }
        if !found.contains(.forwardedHost) {
            out.append("\r\nx-forwarded-host: ")
            out.append(piece(bytes, head.authority))
        }
        if !found.contains(.requestID) {
            out.append("\r\nx-request-id: ")
            writeID(&out, x)
        }
        if isShadow { out.append("\r\nx-weir-shadow: 1") }
        out.append("\r\n")
        if rewrite.added.count > 0 { out.append(rewrite.added) }
        out.append("\r\n")
    }

    /// Whether request line and Host leave as they came. A target in absolute form has an authority of its
    /// own, and HTTP/1.0 may have none at all.
    private func passesAsItCame(_ head: RequestHead, _ rewrite: RewriteTable) -> Bool {
        head.minorVersion == 1 && head.form == .origin && rewrite.host.count == 0
            && !rewrite.path.isPlanned
    }

    private func writeRequestLine(
        _ out: inout HeadWriter, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, _ rewrite: RewriteTable
    ) {
        out.append(piece(bytes, head.methodName))
        out.append(" ")
        writeTarget(&out, head, bytes, rewrite)
        out.append(" HTTP/1.1\r\nhost: ")
        out.append(rewrite.host.count > 0 ? rewrite.host : piece(bytes, head.authority))
        out.append("\r\n")
    }

    /// The fields of which the sidecar writes its own unless a trusted caller sent them.
    private struct Found: OptionSet {
        let rawValue: UInt8
        static let forwardedFor = Found(rawValue: 1)
        static let forwardedProto = Found(rawValue: 2)
        static let forwardedHost = Found(rawValue: 4)
        static let requestID = Found(rawValue: 8)
    }

    /// Writes the fields that pass, in their order.
    @inline(__always)
    private func writeRequestFields(
        _ out: inout HeadWriter, _ x: Slot<Exchange>, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer,
        _ rewrite: RewriteTable, isShadow: Bool, _ passesLine: Bool
    ) -> Found {
        let exchange = exchanges.pointer(x)
        let isTrusted = exchange.pointee.isTrusted
        var found: Found = []
        // The line ends with " HTTP/1.1" CRLF.
        let line = passesLine ? Int(head.methodName.start)..<head.target.end &+ 11 : 0..<0
        var run = HeadRun(line: line)
        for i in 0..<head.fieldCount {
            let field = requestParser.field(i)
            switch field.known {
            case .host where !passesLine:
                continue
            case .transferEncoding, .connection, .keepAlive, .proxyConnection, .upgrade, .weir, .lookalike:
                continue
            case .forwarded where !isTrusted, .forwardedPort where !isTrusted, .expect where isShadow:
                continue
            case .te:
                guard asksForTrailers(piece(bytes, field.value)) else { continue }
                run.flush(bytes, to: &out)
                out.append("te: trailers\r\n")
                continue
            case .forwardedFor:
                found.insert(.forwardedFor)
                continue
            case .forwardedProto:
                guard isTrusted else { continue }
                found.insert(.forwardedProto)
            case .forwardedHost:
                guard isTrusted else { continue }
                found.insert(.forwardedHost)
            case .idempotencyKey:
                exchange.pointee.hasIdempotencyKey = true
            case .requestID:
                guard !found.contains(.requestID) else { continue }
                found.insert(.requestID)
                if !isShadow { noteID(x, piece(bytes, field.value)) }
            default:
                break
            }
            if field.isHopByHop || isRemoved(field, bytes, rewrite) { continue }
            let isLast = i &+ 1 == head.fieldCount
            let next = isLast ? head.byteCount &- 2 : Int(requestParser.field(i &+ 1).name.start)
            run.pass(field, next: next, of: bytes, to: &out)
        }
        run.flush(bytes, to: &out)
        return found
    }

    /// What came of the list so far; several lines are one list (RFC 9110 section 5.3).
    private func writeForwardedFor(
        _ out: inout HeadWriter, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer
    ) {
        for i in 0..<head.fieldCount {
            let field = requestParser.field(i)
            guard field.known == .forwardedFor, !field.value.isEmpty else { continue }
            out.append(piece(bytes, field.value))
            out.append(", ")
        }
    }

    private func writeTarget(
        _ out: inout HeadWriter, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, _ rewrite: RewriteTable
    ) {
        if head.form == .asterisk {
            out.append("*")
            return
        }
        rewrite.path.write(piece(bytes, head.path), to: &out)
        if head.hasQuery {
            out.append("?")
            out.append(piece(bytes, head.query))
        }
    }

    /// Whether the version's rewrite takes the field out.
    func isRemoved(_ field: Field, _ bytes: UnsafeRawBufferPointer, _ rewrite: RewriteTable) -> Bool {
        guard let removed = rewrite.removed else { return false }
        for i in 0..<rewrite.removedCount where field.isNamed(removed[i].bytes, in: bytes.bytes) {
            return true
        }
        return false
    }

    private func asksForTrailers(_ value: UnsafeRawBufferPointer) -> Bool {
        // "trailers" as one little-endian word, in any case of letters.
        value.count == 8
            && value.loadUnaligned(as: UInt64.self) | 0x2020_2020_2020_2020 == 0x7372_656C_6961_7274
    }

    @inline(__always)
    private func writeField(_ out: inout HeadWriter, _ field: Field, _ bytes: UnsafeRawBufferPointer) {
        out.append(field, of: bytes.bytes)
    }

    private func writeUpgrade(_ out: inout HeadWriter, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer) {
        out.append("connection: upgrade\r\n")
        for i in 0..<head.fieldCount {
            let field = requestParser.field(i)
            if field.known == .upgrade { writeField(&out, field, bytes) }
        }
    }

    private func writeAddress(_ out: inout HeadWriter, _ d: UnsafeMutablePointer<Downstream>) {
        let known = Int(d.pointee.peerTextCount)
        if known > 0 {
            withUnsafeBytes(of: d.pointee.peerText) { text in
                out.append(UnsafeRawBufferPointer(rebasing: text[..<known]))
            }
            return
        }
        let address = d.pointee.peer
        let count = address == .none ? 0 : address.writeText(into: addressbox)
        if count == 0 {
            out.append("unknown")
        } else {
            out.append(UnsafeRawBufferPointer(rebasing: addressbox[..<count]))
        }
    }

    private func noteID(_ x: Slot<Exchange>, _ id: UnsafeRawBufferPointer) {
        let count = min(id.count, 48)
        exchanges[x].requestIDCount = UInt8(count)
        withUnsafeMutableBytes(of: &texts[x.row].requestID) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: id[..<count]))
        }
    }

    /// The id of a request that came without one: 32 hexadecimal digits, the same on every attempt.
    private func writeID(_ out: inout HeadWriter, _ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        if exchange.pointee.requestIDCount == 0 {
            withUnsafeMutableBytes(of: &texts[x.row].requestID) { target in
                var id = HeadWriter(UnsafeMutableRawBufferPointer(rebasing: target[..<32]))
                id.appendHex(random.next(), digits: 16)
                id.appendHex(random.next(), digits: 16)
            }
            exchange.pointee.requestIDCount = 32
        }
        withUnsafeBytes(of: &texts[x.row].requestID) { id in
            out.append(UnsafeRawBufferPointer(rebasing: id[..<Int(exchange.pointee.requestIDCount)]))
        }
    }

    /// Writes the head of a response for the client into the outbox.
    ///
    /// - Returns: its bytes.
    func composeResponse(_ x: Slot<Exchange>, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer) -> Int {
        let exchange = exchanges.pointer(x)
        var out = HeadWriter(outbox)
        // "HTTP/1.1 200 " and the reason, which some servers leave out with its space.
        let passesLine = head.minorVersion == 1 && head.reason.start == 13
        if !passesLine {
            out.append("HTTP/1.1 ")
            out.appendDecimal(UInt64(head.status))
            out.append(" ")
            out.append(piece(bytes, head.reason))
            out.append("\r\n")
        }
        var run = HeadRun(line: passesLine ? 0..<head.reason.end &+ 2 : 0..<0)
        for i in 0..<head.fieldCount {
            let field = responseParser.field(i)
            if field.isHopByHop || field.known == .weir { continue }
            let isLast = i &+ 1 == head.fieldCount
            let next = isLast ? head.byteCount &- 2 : Int(responseParser.field(i &+ 1).name.start)
            run.pass(field, next: next, of: bytes, to: &out)
        }
        run.flush(bytes, to: &out)
        if head.status == 101 {
            writeSwitch(&out, head, bytes)
        } else if head.status >= 200 {
            if exchange.pointee.encodesChunked { out.append("transfer-encoding: chunked\r\n") }
            writeStamp(&out, exchange)
            if !exchange.pointee.keepsAlive {
                out.append("connection: close\r\n")
            } else if exchange.pointee.minorVersion == 0 {
                out.append("connection: keep-alive\r\n")
            }
        }
        out.append("\r\n")
        return out.count
    }

    private func writeSwitch(_ out: inout HeadWriter, _ head: ResponseHead, _ bytes: UnsafeRawBufferPointer) {
        out.append("connection: upgrade\r\n")
        for i in 0..<head.fieldCount {
            let field = responseParser.field(i)
            if field.known == .upgrade { writeField(&out, field, bytes) }
        }
    }

    /// The version that answered, and the id from which the assignment can be read back.
    private func writeStamp(_ out: inout HeadWriter, _ exchange: UnsafeMutablePointer<Exchange>) {
        let model = models.pointer(exchange.pointee.model)
        if model.pointee.sendsVersion { out.append(versions[exchange.pointee.serving].versionLine) }
        if model.pointee.sendsID {
            out.append("x-weir-id: ")
            let id = ExchangeID(
                version: versions[exchange.pointee.assigned].nameHash,
                weightPPM: exchange.pointee.weightPPM,
                // By the clock of this moment: `now` is as old as the turn, and an outcome's slot follows
                // from this time.
                startMillis: (Clock.wallMicros() &- (Clock.now() - exchange.pointee.assignedAt).micros)
                    / 1_000,
                isPinned: exchange.pointee.isPinned, salt: UInt16(truncatingIfNeeded: random.next()))
            id.write(to: &out, key: seat.idKey)
            out.append("\r\n")
        }
        if model.pointee.sendsEpoch {
            out.append("x-weir-epoch: ")
            out.appendDecimal(UInt64(exchange.pointee.epoch))
            out.append("\r\n")
        }
    }

    /// A slice of what was read.
    @inline(__always)
    func piece(_ bytes: UnsafeRawBufferPointer, _ slice: Slice) -> UnsafeRawBufferPointer {
        // Bound: the parser made the slice from these very bytes.
        precondition(slice.end <= bytes.count)
        return UnsafeRawBufferPointer(rebasing: bytes[slice.range])
    }
}

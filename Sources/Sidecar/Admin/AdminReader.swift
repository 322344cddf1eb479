// Bytes from an admin connection to requests, one at a time, and answers back to bytes. No socket, no clock:
// the server owns those. The same strict parser as the data plane's, with smaller bounds.
//
// Invariant: any bytes give requests or one refusal, after which the connection is closed; what is kept is
// bounded by the head's and the path's body's maximum and one read.

import Control
import Wire

/// The receiving side of one admin connection.
struct AdminReader {
    static let limits = HeadLimits(lineBytesMax: 8 << 10, headBytesMax: 16 << 10, fieldsMax: 64)
    static let bodyBytesMax = 64 << 10

    /// What the bytes so far amount to.
    enum Step: Equatable {
        case needMore
        /// The client waits for "100 Continue" before it sends the body.
        case sendContinue
        case request(AdminRequest, keepsAlive: Bool)
        /// To be answered and then closed.
        case refused(AdminResponse)
    }

    private var bytes: [UInt8] = []
    private var scanned = 0
    private var open: Open?

    /// A request whose head is read and whose body is not.
    private struct Open {
        var request: AdminRequest
        var keepsAlive: Bool
        var framing: BodyFraming
        var decoder = ChunkedDecoder()
        var isContinueDue: Bool
        var inTrailers = false
    }

    /// Whether a request has begun and is not complete.
    var isInRequest: Bool { open != nil || !bytes.isEmpty }

    mutating func take(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }

    /// The next step; to be called until it says `needMore`.
    mutating func next(_ parser: inout HeadParser, peer: AdminPeer) -> Step {
        if open == nil, let step = head(&parser, peer) { return step }
        guard open != nil else { return .needMore }
        return body(&parser)
    }

    private mutating func head(_ parser: inout HeadParser, _ peer: AdminPeer) -> Step? {
        switch parser.request(bytes.span.bytes, scanned: scanned) {
        case .needMore(let seen):
            scanned = seen
            return .needMore
        case .refused(let refusal):
            return .refused(
                .refusal(
                    Int(refusal.status), "the request is not HTTP as RFC 9112 has it: \(refusal.cause.label)")
            )
        case .complete(let head):
            scanned = 0
            guard let request = request(head, parser, peer) else {
                return .refused(.refusal(400, "a header field that may come once came twice, or is not text"))
            }
            let most = Self.bodyBytesMax(request.path)
            if case .length(let count) = head.framing, count > most { return .refused(Self.tooLarge(most)) }
            bytes.removeFirst(head.byteCount)
            open = Open(
                request: request, keepsAlive: head.keepsAlive, framing: head.framing,
                isContinueDue: head.expectsContinue)
            return nil
        }
    }

    private static func tooLarge(_ most: Int) -> AdminResponse {
        .refusal(413, "a body may have \(most) bytes")
    }

    /// Feedback comes in batches.
    private static func bodyBytesMax(_ path: String) -> Int {
        path == AdminRoutes.feedback ? FeedbackBatch.bodyBytesMax : bodyBytesMax
    }

    private func text(_ slice: Slice) -> String? { String(validating: bytes[slice.range], as: UTF8.self) }

    /// nil when a field that decides who may ask is doubled or unreadable.
    private func request(_ head: RequestHead, _ parser: borrowing HeadParser, _ peer: AdminPeer)
        -> AdminRequest?
    {
        guard let method = text(head.methodName), let path = text(head.path),
            let authority = text(head.authority)
        else { return nil }
        var request = AdminRequest(
            method: method, path: path, host: AdminRoutes.host(ofAuthority: authority), contentType: nil,
            accept: nil, origin: nil, fetchSite: nil, body: [], peer: peer)
        for i in 0..<head.fieldCount {
            let field = parser.field(i)
            guard let name = text(field.name)?.lowercased(), let value = text(field.value) else { return nil }
            switch name {
            case "content-type":
                guard request.contentType == nil else { return nil }
                request.contentType = AdminRoutes.mediaType(value)
            case "origin":
                guard request.origin == nil else { return nil }
                request.origin = value
            case "sec-fetch-site":
                guard request.fetchSite == nil else { return nil }
                request.fetchSite = value
            case "accept": request.accept = request.accept.map { $0 + ", " + value } ?? value
            default: break
            }
        }
        return request
    }

    private mutating func body(_ parser: inout HeadParser) -> Step {
        // Taken out, so that the body grows in place: a copy would make every byte of a slow client cost it
        // all.
        guard var current = open.take() else { return .needMore }
        switch current.framing {
        case .none, .untilClose: return finish(current)
        case .length(let count):
            let missing = Int(count) - current.request.body.count
            let taken = min(missing, bytes.count)
            current.request.body.append(contentsOf: bytes.prefix(taken))
            bytes.removeFirst(taken)
            return taken == missing ? finish(current) : wait(current)
        case .chunked: return chunks(current, &parser)
        }
    }

    private mutating func chunks(_ unfinished: Open, _ parser: inout HeadParser) -> Step {
        var current = unfinished
        while !current.inTrailers {
            switch current.decoder.next(bytes.span.bytes, from: 0) {
            case .data(let start, let count):
                let most = Self.bodyBytesMax(current.request.path)
                guard current.request.body.count + count <= most else { return .refused(Self.tooLarge(most)) }
                current.request.body.append(contentsOf: bytes[start..<(start + count)])
                bytes.removeFirst(start + count)
            case .needMore(let consumed):
                bytes.removeFirst(consumed)
                return wait(current)
            case .trailers(let start):
                bytes.removeFirst(start)
                current.inTrailers = true
            case .refused(let refusal):
                return .refused(
                    .refusal(Int(refusal.status), "the body is malformed: \(refusal.cause.label)"))
            }
        }
        switch parser.trailers(bytes.span.bytes, scanned: 0, of: .request) {
        case .complete(_, let count):
            bytes.removeFirst(count)
            return finish(current)
        case .needMore: return wait(current)
        case .refused(let refusal):
            return .refused(
                .refusal(Int(refusal.status), "the trailers are malformed: \(refusal.cause.label)"))
        }
    }

    private mutating func wait(_ current: Open) -> Step {
        let isContinueDue = current.isContinueDue
        open = current
        open?.isContinueDue = false
        return isContinueDue ? .sendContinue : .needMore
    }

    private mutating func finish(_ current: Open) -> Step {
        open = nil
        return .request(current.request, keepsAlive: current.keepsAlive)
    }
}

extension AdminResponse {
    static let continueBytes = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// The response on the wire.
    func bytes(toHead isHead: Bool, keepsAlive: Bool) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
        head += "content-type: \(contentType)\r\ncontent-length: \(body.count)\r\n"
        head += "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        if let allow { head += "allow: \(allow)\r\n" }
        if let seconds = retryAfterSeconds { head += "retry-after: \(seconds)\r\n" }
        if !keepsAlive { head += "connection: close\r\n" }
        return Array((head + "\r\n").utf8) + (isHead ? [] : body)
    }
}

extension AdminRoutes {
    /// "application/json" of "Application/JSON; charset=utf-8".
    static func mediaType(_ value: String) -> String {
        var type = value.prefix { $0 != ";" }.lowercased()
        while type.last == " " || type.last == "\t" { type.removeLast() }
        return type
    }
}

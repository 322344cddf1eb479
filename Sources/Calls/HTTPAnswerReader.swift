// Reads one answer from a connection: interim heads passed over, the body by its framing, all within bounds.
// Place: the last step of `HTTPClient.send`. Invariant: nothing that a peer sends traps or grows beyond the
// bounds; bytes after the end of the answer are left alone.
// Source: RFC 9112 sections 4, 6 and 7; RFC 9110 section 15.2 for interim answers.

import Platform
import Wire

/// The reader of one answer.
struct HTTPAnswerReader {
    /// Interim answers (1xx) before the final one; a peer that sends more has no end in mind.
    static let interimsMax = 8

    private let method: Wire.Method
    private let bodyBytesMax: Int
    private let cuts: Bool
    private let isHeadOnly: Bool
    private var bytes: [UInt8] = []

    init(_ request: HTTPRequest, bodyBytesMax: Int, cuts: Bool, isHeadOnly: Bool = false) {
        self.isHeadOnly = isHeadOnly
        method =
            switch request.method {
            case .get: .get
            case .post: .post
            case .put: .put
            case .patch: .patch
            case .delete: .delete
            }
        self.bodyBytesMax = bodyBytesMax
        self.cuts = cuts
    }

    mutating func read(_ connection: HTTPConnection) throws(HTTPFailure) -> HTTPAnswer {
        let (head, fields) = try readHead(connection)
        var answer = HTTPAnswer(status: Int(head.status), fields: fields, body: [])
        if isHeadOnly, answer.isSuccess { return answer }
        do throws(HTTPFailure) {
            answer.body = try readBody(connection, head.framing)
        } catch {
            // The status has been said; the body would only have said why.
            guard isHeadOnly, error.stage != .cancelled else { throw error }
        }
        return answer
    }

    private mutating func readBody(
        _ connection: HTTPConnection, _ framing: BodyFraming
    ) throws(HTTPFailure) -> [UInt8] {
        switch framing {
        case .none: []
        case .length(let count): try readBody(connection, UInt64(count))
        case .untilClose: try readBody(connection, nil)
        case .chunked: try readChunks(connection)
        }
    }

    private mutating func readHead(
        _ connection: HTTPConnection
    ) throws(HTTPFailure) -> (ResponseHead, [(name: String, value: String)]) {
        var parser = HeadParser(limits: HeadLimits())
        var interims = 0
        var scanned = 0
        while true {
            let known = bytes
            switch parser.response(known.span.bytes, scanned: scanned, to: method) {
            case .complete(let head) where head.isInterim:
                interims += 1
                guard interims <= Self.interimsMax else {
                    throw connection.failure(.answer, "sends one interim answer after another")
                }
                bytes.removeFirst(head.byteCount)
                scanned = 0
            case .complete(let head):
                guard !head.upgrade else {
                    throw connection.failure(.answer, "answers with another protocol")
                }
                let fields = (0..<head.fieldCount).map { i in
                    let field = parser.field(i)
                    return (
                        name: String(decoding: known[field.name.range], as: UTF8.self).lowercased(),
                        value: String(decoding: known[field.value.range], as: UTF8.self)
                    )
                }
                bytes.removeFirst(head.byteCount)
                return (head, fields)
            case .needMore(let upTo):
                scanned = upTo
                let more = try connection.read()
                if more.isEmpty {
                    let what = bytes.isEmpty ? "without an answer" : "inside its answer's head"
                    throw connection.failure(.answer, "closed the connection \(what)")
                }
                bytes += more
            case .refused(let refusal):
                throw connection.failure(
                    .answer,
                    "does not answer in HTTP/1.1 (\(refusal.cause.label)): it sent "
                        + "\"\(HTTPAnswer.excerpt(known.prefix(60)))\"")
            }
        }
    }

    /// A body of `count` bytes, or up to the end of the connection.
    private mutating func readBody(
        _ connection: HTTPConnection, _ count: UInt64?
    ) throws(HTTPFailure) -> [UInt8] {
        if let count, count > UInt64(bodyBytesMax), !cuts { throw tooLong(connection) }
        let wanted = count.map { Int(clamping: $0) } ?? Int.max
        while bytes.count < wanted {
            if bytes.count > bodyBytesMax { break }
            let more = try connection.read()
            if more.isEmpty {
                guard count == nil else { throw cutShort(connection) }
                return try bounded(bytes, connection)
            }
            bytes += more
        }
        return try bounded(Array(bytes.prefix(wanted)), connection)
    }

    private mutating func readChunks(_ connection: HTTPConnection) throws(HTTPFailure) -> [UInt8] {
        var decoder = ChunkedDecoder(.response)
        var body: [UInt8] = []
        var piece = bytes
        var at = 0
        while true {
            let known = piece
            switch decoder.next(known.span.bytes, from: at) {
            case .data(let start, let count):
                body += known[start..<(start + count)]
                at = start + count
                if body.count > bodyBytesMax { return try bounded(body, connection) }
            case .needMore:
                piece = try connection.read()
                at = 0
                if piece.isEmpty { throw cutShort(connection) }
            case .trailers:
                // Nobody asks for trailers; the connection goes with the answer.
                return body
            case .refused(let refusal):
                throw connection.failure(.answer, "sends a broken chunked body (\(refusal.cause.label))")
            }
        }
    }

    private func bounded(_ body: [UInt8], _ connection: HTTPConnection) throws(HTTPFailure) -> [UInt8] {
        if body.count <= bodyBytesMax { return body }
        guard cuts else { throw tooLong(connection) }
        return Array(body.prefix(bodyBytesMax))
    }

    private func tooLong(_ connection: HTTPConnection) -> HTTPFailure {
        connection.failure(.answer, "sends more than \(bodyBytesMax) bytes")
    }

    private func cutShort(_ connection: HTTPConnection) -> HTTPFailure {
        connection.failure(.answer, "closed the connection inside its answer's body")
    }
}

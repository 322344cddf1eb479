// HTTP messages as a test reads them: a second, independent and deliberately simple reading of the wire, so
// that the data plane is not judged by its own parser.
// Place: what origins see of requests and clients of responses. Source: RFC 9112 sections 6 and 7.
// Invariant: `bytes` are the message exactly as it came.

/// A request or a response as read from a socket.
struct Message: Sendable {
    var start: String
    /// In order, names as they came.
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var trailers: [(name: String, value: String)] = []
    /// Sizes of the chunks where the body came chunked.
    var chunks: [Int] = []
    /// The head with its empty line.
    var head: String
    /// Body bytes that had come with the last byte of the head.
    var bodyBytesWithHead = 0
    /// The number of the connection at its origin.
    var connection = 0

    /// The value of the first field with this name.
    subscript(_ name: String) -> String? { all(name).first }

    func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    var text: String { String(decoding: body, as: UTF8.self) }
    /// Of a request.
    var method: String { String(start.prefix { $0 != " " }) }
    var target: String { String(start.split(separator: " ").dropFirst().first ?? "") }
    /// Of a response.
    var status: Int { Int(start.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    /// The reason in a local reply: {"error":"reason"}.
    var reason: String? {
        guard text.hasPrefix("{\"error\":\""), text.hasSuffix("\"}\n") else { return nil }
        return String(text.dropFirst(10).dropLast(3))
    }

    init(head: String) throws {
        self.head = head
        // A line end is one Character.
        let lines = head.dropLast(2).split(separator: "\r\n", omittingEmptySubsequences: false).map(
            String.init)
        start = lines.first ?? ""
        fields = try lines.dropFirst().map(Self.field)
    }

    static func field(_ line: String) throws -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else { throw PeerFailure.odd("field line <\(line)>") }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        return (String(line[..<colon]), String(value))
    }
}

extension Peer {
    /// Reads a whole request; nil when the other side ends before its first byte.
    func request() throws -> Message? {
        guard var message = try requestHead() else { return nil }
        message.bodyBytesWithHead = buffer.count
        try readBody(of: &message, untilClose: false)
        message.connection = number
        notes?.add(message)
        return message
    }

    /// Reads a request's head only.
    func requestHead() throws -> Message? {
        if buffer.isEmpty, try !more("a request") { return nil }
        return try Message(head: take(through: "\r\n\r\n"))
    }

    /// Reads a whole final response; interim ones before it are dropped.
    func response(to method: String = "GET") throws -> Message {
        while true {
            var message = try responseHead()
            if message.status / 100 == 1, message.status != 101 { continue }
            let isBare = method == "HEAD" || [101, 204, 304].contains(message.status)
            if !isBare { try readBody(of: &message, untilClose: true) }
            return message
        }
    }

    /// Reads a response's head only, interim or final.
    func responseHead() throws -> Message {
        let message = try Message(head: take(through: "\r\n\r\n"))
        guard message.start.hasPrefix("HTTP/1.") else { throw PeerFailure.odd(message.head) }
        return message
    }

    private func readBody(of message: inout Message, untilClose: Bool) throws {
        if let coding = message["transfer-encoding"] {
            guard coding == "chunked" else { throw PeerFailure.odd("coding \(coding)") }
            while let chunk = try chunk() {
                message.body += chunk
                message.chunks.append(chunk.count)
            }
            message.trailers = try trailers()
        } else if let length = message["content-length"] {
            guard let count = Int(length) else { throw PeerFailure.odd("length \(length)") }
            message.body = try take(count)
        } else if untilClose {
            message.body = try takeAll()
        }
    }

    /// Reads one chunk; nil for the last one.
    func chunk() throws -> [UInt8]? {
        let line = try take(through: "\r\n")
        guard let count = Int(line.dropLast(1), radix: 16) else { throw PeerFailure.odd("chunk <\(line)>") }
        if count == 0 { return nil }
        let data = try take(count)
        guard try take(2) == [13, 10] else { throw PeerFailure.odd("end of a chunk") }
        return data
    }

    /// Reads a trailer section with its empty line.
    func trailers() throws -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        while true {
            let line = try take(through: "\r\n")
            if line == "\r\n" { return fields }
            fields.append(try Message.field(String(line.dropLast(1))))
        }
    }
}

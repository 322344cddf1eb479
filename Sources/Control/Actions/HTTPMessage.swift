// What is asked and what is answered: values around `HTTPClient`, and the failures with their sentences.
// Invariant: a failure's text names the origin only; targets, field values and bodies may hold secrets and
// stand in no text.

import Payload
import Platform

/// One request.
public struct HTTPRequest: Sendable {
    /// The methods that sinks need.
    public enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    public var method: Method
    public var url: HTTPURL
    /// Sent in this order, behind Host, User-Agent, Connection and Content-Length. Names in lower case.
    public var fields: [(name: String, value: String)]
    public var body: [UInt8]

    public init(
        _ method: Method, _ url: HTTPURL, fields: [(name: String, value: String)] = [], body: [UInt8] = []
    ) {
        self.method = method
        self.url = url
        self.fields = fields
        self.body = body
    }
}

/// A whole answer.
public struct HTTPAnswer: Sendable {
    /// 200...599.
    public var status: Int
    /// In the order received; names in lower case, values as sent.
    public var fields: [(name: String, value: String)]
    public var body: [UInt8]

    public var isSuccess: Bool { (200..<300).contains(status) }
    public var text: String { String(decoding: body, as: UTF8.self) }
    /// The body as JSON; nil when it is none.
    public var json: JSON? { try? JSON(parsing: body) }

    /// The first field of that lower-case name.
    public func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The body's beginning on one line, for journal and log.
    public var excerpt: String { Self.excerpt(body) }

    /// Up to 300 bytes of text on one line.
    static func excerpt(_ bytes: some Collection<UInt8>) -> String {
        ForeignText.line(bytes: bytes, bytesMax: 300)
    }
}

/// Why there is no answer.
public struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// How far the call came.
    public enum Stage: String, Sendable, Hashable {
        case request, resolve, connect, tls, send, receive, answer
        /// A time limit ran out.
        case timeout
        /// Whoever called wants it no more.
        case cancelled
    }

    public var stage: Stage
    /// Scheme, host and port.
    public var origin: String
    /// A clause that follows the origin: "refused the connection".
    public var reason: String

    public var description: String { "\(origin) \(reason)" }
}

// What is asked and what is answered: values around `HTTPClient`, and the failures with their sentences.
// Invariant: a failure's text names the origin only; targets, field values and bodies may hold secrets and
// stand in no text.

import Payload
import Platform

/// One request.
package struct HTTPRequest: Sendable {
    /// The methods that sinks need.
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    package var method: Method
    package var url: HTTPURL
    /// Sent in this order, behind Host, User-Agent, Connection and Content-Length. Names in lower case.
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]

    package init(
        _ method: Method, _ url: HTTPURL, fields: [(name: String, value: String)] = [], body: [UInt8] = []
    ) {
        self.method = method
        self.url = url
        self.fields = fields
        self.body = body
    }
}

/// A whole answer.
package struct HTTPAnswer: Sendable {
    /// 200...599.
    package var status: Int
    /// In the order received; names in lower case, values as sent.
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]

    package var isSuccess: Bool { (200..<300).contains(status) }
    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The first field of that lower-case name.
    package func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The body's beginning on one line, for journal and log.
    package var excerpt: String { Self.excerpt(body) }

    /// Up to 300 bytes of text on one line.
    package static func excerpt(_ bytes: some Collection<UInt8>) -> String {
        ForeignText.line(bytes: bytes, bytesMax: 300)
    }
}

/// Why there is no answer.
package struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// How far the call came.
    package enum Stage: String, Sendable, Hashable {
        case request, resolve, connect, tls, send, receive, answer
        /// A time limit ran out.
        case timeout
        /// Whoever called wants it no more.
        case cancelled
    }

    package var stage: Stage
    /// Scheme, host and port.
    package var origin: String
    /// A clause that follows the origin: "refused the connection".
    package var reason: String

    package var description: String { "\(origin) \(reason)" }
}

// The answer to a request to the admin API, as a value: decided without a socket, written by whoever has one.
// Place: what `ControlLoop` replies to a verb, and what the routes answer themselves.
// Invariant: every status that is used has its reason phrase here.

import Payload

/// An answer of the admin API.
package struct AdminResponse: Sendable, Equatable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]
    /// For 405.
    package var allow: String?
    /// For 503 where coming back helps.
    package var retryAfterSeconds: Int?

    package init(status: Int, contentType: String, body: [UInt8], allow: String? = nil) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.allow = allow
    }

    package static func text(_ status: Int, _ text: String) -> AdminResponse {
        AdminResponse(
            status: status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }

    package static func json(_ status: Int, _ value: JSON) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: Array((value.text + "\n").utf8))
    }

    /// A refusal with one sentence that says what to do.
    package static func refusal(_ status: Int, _ sentence: String) -> AdminResponse {
        .json(status, ["error": .string(sentence)])
    }

    /// The reason phrase of a status that the admin API uses.
    package static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Internal Server Error"
        }
    }
}

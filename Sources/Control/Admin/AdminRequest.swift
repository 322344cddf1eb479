// One request to the admin API and its answer, after the bytes have been parsed: values that the routes
// work on without a socket.
// Invariant: a field that decides who may ask stands here once, or the request never came this far.

import Payload

/// A request to the admin API.
struct AdminRequest: Sendable, Equatable {
    /// Upper-case.
    var method: String
    var path: String
    /// Host without port, lower-case; brackets of IPv6 kept off.
    var host: String
    /// Media type without parameters, lower-case.
    var contentType: String?
    var accept: String?
    var origin: String?
    /// `Sec-Fetch-Site`, which browsers set and pages cannot.
    var fetchSite: String?
    var body: [UInt8]
    var peer: AdminPeer
}

/// Who is at the other end of an admin connection.
struct AdminPeer: Sendable, Hashable {
    /// "uid 1000 pid 4242 over the Unix socket" or "127.0.0.1".
    var description: String
    var isUnixSocket: Bool
    /// The address that the connection came in on, when it is an IP address.
    var localHost: String?
}

/// An answer of the admin API.
struct AdminResponse: Sendable, Equatable {
    var status: Int
    var contentType: String
    var body: [UInt8]
    /// For 405.
    var allow: String?
    /// For 503 where coming back helps.
    var retryAfterSeconds: Int?

    init(status: Int, contentType: String, body: [UInt8], allow: String? = nil) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.allow = allow
    }

    static func text(_ status: Int, _ text: String) -> AdminResponse {
        AdminResponse(
            status: status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }

    static func json(_ status: Int, _ value: JSON) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: Array((value.text + "\n").utf8))
    }

    /// A refusal with one sentence that says what to do.
    static func refusal(_ status: Int, _ sentence: String) -> AdminResponse {
        .json(status, ["error": .string(sentence)])
    }

    /// The reason phrase of a status that the admin API uses.
    static func phrase(_ status: Int) -> String {
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

// One request to the admin API, after the bytes have been parsed: a value that the routes work on without a
// socket.
// Place: between the reader of an admin connection and `AdminRoutes`; the answer is an `AdminResponse`.
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

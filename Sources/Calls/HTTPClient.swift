// One HTTP/1.1 request and its answer, blocking, for threads that may wait: webhooks, registries, pre-flight
// checks, the Kubernetes API. One connection per call, http or https, every wait under a deadline, every
// length bounded, redirects not followed: where a sink has moved is for the config to say.
//
// Resolving a name blocks as long as the system's resolver takes, outside the deadline; so only threads that
// delay nobody call this. Invariant: an answer is whole, or there is a failure (or it was cut at a bound the
// caller chose). Source: RFC 9112; the parser is Wire's.

import Platform
import Wire

/// Calls HTTP servers.
package struct HTTPClient: Sendable {
    /// Until the connection and, for https, the TLS session stand.
    package var connectWithin = Interval.seconds(5)
    /// The whole call, connecting included, name resolution not.
    package var answerWithin = Interval.seconds(10)
    /// A longer body is a failure, or the end of reading where `cutsLongBodies` says so.
    package var bodyBytesMax = 1 << 20
    /// Whether a body is read up to `bodyBytesMax` only and the rest does not matter.
    package var cutsLongBodies = false
    /// Whether the head decides: of a 2xx no body is read, and of another answer what comes of it in time.
    package var wantsHeadOnly = false
    /// Where to connect instead of to the URL's host; Host still names that one.
    package var address: SocketAddress?
    /// PEM file of the certification authorities to trust, read at every call; nil: the system's store.
    package var caFile: String?
    /// Asked ten times a second while the call waits; true ends it.
    package var isCancelled: @Sendable () -> Bool = { false }

    package init() {}

    /// Sends the request and reads the answer.
    package func send(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPAnswer {
        let head = try head(of: request)
        let addresses: [SocketAddress] = if let address { [address] } else { try resolved(request) }
        let deadline = Clock.now() + answerWithin
        let connection = try connect(request, addresses, deadline)
        if request.url.isSecure {
            try connection.secure(host: request.url.host, caFile: caFile, until: connectBy(deadline))
        }
        connection.deadline = deadline
        // A server may answer before it has read everything, and close: its answer is what counts.
        let sending = connection.write(head + request.body)
        var reader = HTTPAnswerReader(
            request, bodyBytesMax: bodyBytesMax, cuts: cutsLongBodies, isHeadOnly: wantsHeadOnly)
        do throws(HTTPFailure) {
            return try reader.read(connection)
        } catch {
            throw sending ?? error
        }
    }

    private func resolved(_ request: HTTPRequest) throws(HTTPFailure) -> [SocketAddress] {
        do throws(ResolveFailure) {
            return try Socket.resolve(host: request.url.host, port: request.url.port)
        } catch {
            throw failure(request, .resolve, "has no address: \(error.reason)")
        }
    }

    private func connectBy(_ deadline: Instant) -> Instant { min(deadline, Clock.now() + connectWithin) }

    /// The first address that takes the connection; each has its share of the time that is left.
    private func connect(
        _ request: HTTPRequest, _ addresses: [SocketAddress], _ deadline: Instant
    ) throws(HTTPFailure) -> HTTPConnection {
        let end = connectBy(deadline)
        var last = failure(request, .connect, "has no address")
        for (i, address) in addresses.enumerated() {
            let share = (end - Clock.now()).nanos / UInt64(addresses.count - i)
            do throws(HTTPFailure) {
                return try HTTPConnection(
                    address, origin: request.url.origin, until: Clock.now() + Interval(nanos: share),
                    isCancelled: isCancelled)
            } catch {
                if error.stage == .cancelled { throw error }
                last = error
            }
        }
        throw last
    }

    private func failure(_ request: HTTPRequest, _ stage: HTTPFailure.Stage, _ reason: String) -> HTTPFailure
    {
        HTTPFailure(stage: stage, origin: request.url.origin, reason: reason)
    }

    private func head(of request: HTTPRequest) throws(HTTPFailure) -> [UInt8] {
        var text = "\(request.method.rawValue) \(request.url.target) HTTP/1.1\r\n"
        text += "host: \(request.url.authority)\r\nuser-agent: weir/\(Release.version)\r\n"
        text += "connection: close\r\n"
        if !request.body.isEmpty || request.method != .get {
            text += "content-length: \(request.body.count)\r\n"
        }
        for field in request.fields {
            // A newline in a secret must not become a field of its own.
            guard field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 }) else {
                throw failure(
                    request, .request,
                    "was not called: the value for \(field.name) has a control character in it")
            }
            text += "\(field.name): \(field.value)\r\n"
        }
        return Array((text + "\r\n").utf8)
    }
}

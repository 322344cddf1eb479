// What a load is: where it goes, how often, with which request, and for how long an answer is awaited.
// Values only, so that a plan can be printed, compared and repeated: the same seed asks the same questions
// at the same intended times.

import Platform

/// An open-loop load: arrivals keep to their schedule whatever the answers do.
public struct LoadPlan: Sendable {
    /// Who is asked.
    public var target: SocketAddress
    public var arrivals: Arrivals
    /// Requests per second, above 0.
    public var ratePerSecond: Double
    /// Connections kept alive at most; an arrival that finds none free waits, and its wait counts.
    public var connectionsMax: Int
    /// From the intended send time to the last byte of the answer.
    public var timeout: Interval
    public var seed: UInt64
    public var request: RequestTemplate
    /// Values of `x-weir-version` that results are told apart by, at most 64.
    public var versions: [String]
    /// Whether results carry the answer's `x-weir-id`.
    public var readsIDs: Bool

    /// How arrivals are spread over time.
    public enum Arrivals: Sendable, Hashable {
        /// Independent of each other: exponential gaps, as many users make.
        case poisson
        /// Equal gaps, as a batch job makes.
        case regular
    }

    public init(
        target: SocketAddress, ratePerSecond: Double, request: RequestTemplate,
        arrivals: Arrivals = .poisson, connectionsMax: Int = 256, timeout: Interval = .seconds(10),
        seed: UInt64 = 1, versions: [String] = [], readsIDs: Bool = false
    ) {
        precondition(ratePerSecond > 0 && ratePerSecond <= 10_000_000, "a rate above 0")
        precondition(connectionsMax > 0 && connectionsMax <= 65_536, "1…65536 connections")
        precondition(versions.count <= 64, "at most 64 versions")
        self.target = target
        self.arrivals = arrivals
        self.ratePerSecond = ratePerSecond
        self.connectionsMax = connectionsMax
        self.timeout = timeout
        self.seed = seed
        self.request = request
        self.versions = versions
        self.readsIDs = readsIDs
    }
}

/// The bytes of a request, with one field in it that tells users apart.
public struct RequestTemplate: Sendable, Hashable {
    let bytes: [UInt8]
    /// Offset of the ten digits of `x-user-id`; nil without users.
    let userOffset: Int?
    let users: UInt64

    /// - Parameters:
    ///   - path: with its query, as it stands in the request line.
    ///   - body: sent with its length and as JSON; empty: no body and no such fields.
    ///   - users: `x-user-id: u0000000000` and so on, drawn evenly from so many users; 0 leaves it out.
    public init(method: String, path: String, host: String, body: [UInt8] = [], users: UInt64 = 0) {
        precondition(users < 10_000_000_000, "a user's number has ten digits")
        var bytes = Array("\(method) \(path) HTTP/1.1\r\nhost: \(host)\r\naccept: */*\r\n".utf8)
        if users > 0 {
            bytes += Array("x-user-id: u".utf8)
            userOffset = bytes.count
            bytes += Array("0000000000\r\n".utf8)
        } else {
            userOffset = nil
        }
        if !body.isEmpty {
            bytes += Array("content-type: application/json\r\ncontent-length: \(body.count)\r\n".utf8)
        }
        bytes += Array("\r\n".utf8)
        bytes += body
        self.bytes = bytes
        self.users = users
    }

    /// Writes a user's number into a copy of the bytes.
    func place(user: UInt64, in copy: UnsafeMutableRawBufferPointer) {
        guard let userOffset else { return }
        var rest = user
        for digit in (userOffset..<userOffset + 10).reversed() {
            copy[digit] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        }
    }
}

// The text of addresses. Printing and parsing are exact inverses: `T(String(describing: x)) == x`. The
// accepted grammar is strict, because an address that reads in two ways routes in two ways.
// Source: RFC 4291 section 2.2, RFC 5952.

import CLinux
import Glibc

extension IPAddress: LosslessStringConvertible {
    /// Dotted IPv4 (`127.0.0.1`), or IPv6 as in RFC 4291 section 2.2 (`::1`, `::ffff:127.0.0.1`) without
    /// brackets or zone.
    public init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if text.utf8.contains(0) {
            return nil
        } else if inet_pton(AF_INET, text, &v4) == 1 {
            self.init(ipv4: UInt32(bigEndian: v4.s_addr))
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            self = withUnsafeBytes(of: v6) { bytes in
                IPAddress(
                    high: UInt64(bigEndian: bytes.load(as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.load(fromByteOffset: 8, as: UInt64.self)))
            }
        } else {
            return nil
        }
    }

    /// Dotted for IPv4, the canonical form of RFC 5952 for IPv6.
    public var description: String {
        withUnsafeTemporaryAllocation(byteCount: Self.textBytesMax, alignment: 1) { text in
            String(decoding: text[..<writeText(into: text)], as: UTF8.self)
        }
    }

    /// Room for the longest text and a NUL (INET6_ADDRSTRLEN).
    public static let textBytesMax = 46

    /// Writes `description` without making a String and returns its length in bytes.
    /// - Precondition: `text` has room for `textBytesMax` bytes (a NUL is written behind the text).
    public func writeText(into text: UnsafeMutableRawBufferPointer) -> Int {
        guard text.count >= Self.textBytesMax, let start = text.baseAddress else {
            preconditionFailure("an address needs \(Self.textBytesMax) bytes of room")
        }
        let characters = start.assumingMemoryBound(to: CChar.self)
        if isIPv4 {
            var v4 = in_addr(s_addr: UInt32(truncatingIfNeeded: low).bigEndian)
            inet_ntop(AF_INET, &v4, characters, socklen_t(Self.textBytesMax))
        } else {
            var v6 = (high.bigEndian, low.bigEndian)
            inet_ntop(AF_INET6, &v6, characters, socklen_t(Self.textBytesMax))
        }
        return strlen(characters)
    }
}

extension SocketAddress: LosslessStringConvertible {
    /// `127.0.0.1:9001`, `[::1]:80` or `unix:/run/x.sock`. Host names are not resolved here.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
            self = .unix(path: path)
            return
        }
        guard let (host, port) = Self.split(text), let address = IPAddress(host) else { return nil }
        guard text.hasPrefix("[") == host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        self = .ip(address, port: port)
    }

    /// An IPv4 address, mapped ones too, prints dotted.
    public var description: String {
        switch self {
        case .ip(let address, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Splits `host:port`; brackets around the host are taken off. Nil when there is no port in 0…65535
    /// written in plain digits without leading zeros. The host is not looked at, so it may be a name.
    public static func split(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = text[text.index(after: colon)...]
        guard let port = UInt16(digits), String(port) == digits else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            return nil
        }
        return host.isEmpty ? nil : (String(host), port)
    }
}

// Where to listen, where to connect, whom to trust. Names are resolved here, while the file is read, so that
// a name that does not resolve is a problem with a line and column and no core ever waits for DNS. The texts
// of addresses are Platform's; what is added here are names, bounds and what was probably meant.

import Platform
import Proxy

/// Looks a host name up: every address it has, in the order of preference, with the port put in.
package typealias NameResolver = (_ host: String, _ port: UInt16) -> Result<[SocketAddress], NameFailure>

/// Why a name has no address, as a half sentence.
package struct NameFailure: Error, Hashable, Sendable {
    package var reason: String
    package init(reason: String) { self.reason = reason }
}

extension Kind where Value == [SocketAddress] {
    /// `10.0.0.1:80`, `[::1]:80`, `unix:/run/model.sock` or `name:80`. A name with several addresses stands
    /// for all of them, but only for the IPv4 ones where it has any: model servers on `localhost` rarely
    /// listen on both.
    static func addresses(port: PortRule) -> Kind {
        let expected = "an address: host:port, [IPv6]:port or unix:/path"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.mismatch(expected: expected) }
            if text.hasPrefix("unix:") { return unix(text, node) }
            guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
                let number = UInt16(text[text.index(after: colon)...])
            else { return node.mismatch(expected: expected, suggestion: meant(text, port)) }
            if number == 0, port == .notZero { return node.mismatch(expected: "a port from 1 to 65535") }
            if let literal = SocketAddress(text) { return [literal] }
            let host = String(text[..<colon])
            guard isHostName(host) else {
                return node.mismatch(expected: expected, suggestion: meant(text, port))
            }
            switch node.reading.addresses(of: host, port: number) {
            case .success(let found):
                let ipv4 = found.filter { if case .ip(let ip, _) = $0 { ip.isIPv4 } else { false } }
                return ipv4.isEmpty ? found : ipv4
            case .failure(let failure):
                node.reading.report(
                    node.place, "the name does not resolve (\(failure.reason)):", value: host,
                    expected: "a name with an address")
                return nil
            }
        }
    }

    private static func unix(_ text: String, _ node: NodeReader) -> [SocketAddress]? {
        let path = String(text.dropFirst("unix:".count))
        // sockaddr_un holds 108 bytes, the last of them zero.
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count <= 107, !path.utf8.contains(0) else {
            return node.mismatch(expected: "unix: and an absolute path of at most 107 bytes")
        }
        return [.unix(path: path)]
    }

    /// Letters, digits, hyphens, underscores and dots, and not all digits and dots: that would be a bad IP.
    private static func isHostName(_ host: String) -> Bool {
        let isAllowed = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        let last = host.split(separator: ".").last ?? ""
        return isAllowed && host.utf8.count <= 253 && !last.allSatisfy { ("0"..."9").contains($0) }
    }

    /// What was probably meant by a text that is no address.
    private static func meant(_ text: String, _ port: PortRule) -> String? {
        for scheme in ["http://", "https://", "tcp://", "grpc://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count).prefix { $0 != "/" }
            return rest.contains(":") ? String(rest) : nil
        }
        if text.hasPrefix("/") { return "unix:" + text }
        let host = port == .any ? "0.0.0.0" : "127.0.0.1"
        let digits = text.hasPrefix("*:") ? text.dropFirst(2) : text.drop { $0 == ":" }
        return UInt16(digits).map { "\(host):\($0)" }
    }
}

/// Whether port 0, "any free port", makes sense.
enum PortRule {
    case any, notZero
}

extension Kind where Value == SocketAddress {
    /// One address; of a name with several, the first.
    static var listenAddress: Kind {
        let kind = Kind<[SocketAddress]>.addresses(port: .any)
        return Kind(expected: kind.expected) { node in node.read(kind)?.first }
    }
}

extension Kind where Value == AddressRange {
    /// `10.0.0.0/8`, `fd00::/8`, or one address. Bits behind the prefix must be zero.
    static var addressRange: Kind {
        let expected = "an address or a block such as 10.0.0.0/8 or fd00::/8"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.mismatch(expected: expected) }
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let base = IPAddress(String(parts[0])) else {
                return node.mismatch(expected: expected)
            }
            let isShort = !parts[0].contains(":")
            let width = isShort ? 32 : 128
            let bits = parts.count == 1 ? width : prefix(parts[1])
            guard let bits, bits <= width else { return node.mismatch(expected: expected) }
            let range = AddressRange(base: base, prefixBits: bits + (isShort ? 96 : 0))
            let first = range.first
            guard first == base else {
                return node.mismatch(
                    expected: "no bits behind the prefix", suggestion: "\(first)/\(bits)")
            }
            return range
        }
    }

    private static func prefix(_ text: Substring) -> Int? {
        let isNumber = (1...3).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        return isNumber ? Int(text) : nil
    }
}

extension AddressRange {
    /// The lowest address of the block.
    var first: IPAddress {
        let highBits = min(prefixBits, 64)
        let lowBits = max(prefixBits - 64, 0)
        let high = highBits == 0 ? 0 : base.high & (UInt64.max << UInt64(64 - highBits))
        let low = lowBits == 0 ? 0 : base.low & (UInt64.max << UInt64(64 - lowBits))
        return IPAddress(high: high, low: low)
    }

    /// `10.0.0.0/8`, as a config writes it.
    var text: String {
        base.isIPv4 && prefixBits >= 96 ? "\(base)/\(prefixBits - 96)" : "\(base)/\(prefixBits)"
    }
}

extension SocketAddress {
    /// Whether a connection to it ends at a listener on `listener`.
    func isServed(by listener: SocketAddress) -> Bool {
        guard case .ip(let own, let ownPort) = listener, case .ip(let ip, let port) = self else {
            return self == listener
        }
        let isWildcard = own == IPAddress(ipv4: 0) || own == .none
        return ownPort == port && (own == ip || isWildcard && isLocal)
    }

    /// Whether only this machine can reach it.
    var isLocal: Bool {
        switch self {
        case .unix: true
        case .ip(let ip, _):
            ip.isIPv4 ? ip.low >> 24 & 0xFF == 127 : ip == IPAddress(high: 0, low: 1)
        }
    }
}

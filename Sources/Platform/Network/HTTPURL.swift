// The URL of a sink: scheme, host, port and target, checked once, when the config is read. No user:password
// part is taken, because URLs end up in files that many may read; secrets come from files of their own.
// Source: RFC 3986 for the form, RFC 9110 section 4.2 for http and https.

/// An absolute `http://` or `https://` URL.
public struct HTTPURL: Sendable, Hashable {
    public let isSecure: Bool
    /// A lower-case name, an IPv4 address, or an IPv6 address without brackets.
    public let host: String
    public let port: UInt16
    /// Path and query as sent in the request line; starts with "/".
    public let target: String

    /// Why a text is no such URL, as what was expected.
    public struct Malformed: Error, Sendable, Hashable {
        public var expected: String
    }

    public init(_ text: String) throws(Malformed) {
        let lowered = text.lowercased()
        let isSecure = lowered.hasPrefix("https://")
        guard isSecure || lowered.hasPrefix("http://") else {
            throw Malformed(expected: "a URL that starts with http:// or https://")
        }
        guard text.utf8.count <= 4_096, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Malformed(expected: "a URL of ASCII letters without spaces, at most 4096 bytes")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        guard !rest.contains("#") else { throw Malformed(expected: "a URL without #") }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else {
            throw Malformed(expected: "a URL without user and password; secrets come from files")
        }
        let tail = rest.dropFirst(authority.count)
        self.isSecure = isSecure
        (host, port) = try Self.split(authority, standard: isSecure ? 443 : 80)
        target = tail.hasPrefix("/") ? String(tail) : "/" + tail
    }

    private static func split(
        _ authority: Substring, standard: UInt16
    ) throws(Malformed) -> (String, UInt16) {
        let host: Substring
        var port: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":"), IPAddress(String(host)) != nil else {
                throw Malformed(expected: "an IPv6 address in brackets, perhaps with :port")
            }
            port = after.isEmpty ? nil : after.dropFirst()
        } else {
            host = authority.prefix { $0 != ":" }
            let after = authority.dropFirst(host.count)
            port = after.isEmpty ? nil : after.dropFirst()
            let isName = host.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D
                    || byte == 0x2E || byte == 0x5F
            }
            guard !host.isEmpty, host.utf8.count <= 253, isName else {
                throw Malformed(expected: "a host name or an address after the scheme")
            }
        }
        guard let port else { return (host.lowercased(), standard) }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port), number > 0
        else { throw Malformed(expected: "a port from 1 to 65535") }
        return (host.lowercased(), number)
    }

    /// The URL with another target behind the path of this one, without its query: `/api` under
    /// `https://h/base/` is `https://h/base/api`.
    public func appending(_ more: String) -> HTTPURL {
        var base = target.prefix { $0 != "?" }
        while base.hasSuffix("/") { base = base.dropLast() }
        return HTTPURL(isSecure: isSecure, host: host, port: port, target: base + more)
    }

    private init(isSecure: Bool, host: String, port: UInt16, target: String) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.target = target
    }

    /// Host and port as the Host field has them: the scheme's own port is left out.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Scheme, host and port: what logs, status and the journal may show, because paths of webhooks are
    /// often secrets.
    public var origin: String { (isSecure ? "https://" : "http://") + authority }
}

extension HTTPURL {
    /// A text as part of a path or a query: everything but unreserved characters as %XX (RFC 3986, 2.3).
    public static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: out.append(byte)
            default: out += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

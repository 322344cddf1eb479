// Addresses as values: where to listen, where to connect, who called. Parsing and printing are exact
// inverses; resolving names is Control's business, at load time, never a core's.
// Invariant: an IPv4 address has one form, the mapped one, whoever it came from.

/// An IP address as 128 bits; IPv4 is kept in the mapped range ::ffff:0:0/96, so one comparison serves both.
@frozen public struct IPAddress: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter host: an IPv4 address in host byte order.
    @inlinable public init(ipv4 host: UInt32) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(host))
    }

    /// The unspecified address, which stands for "a peer on a Unix socket".
    @inlinable public static var none: IPAddress { IPAddress(high: 0, low: 0) }

    @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
}

/// An endpoint of a socket.
public enum SocketAddress: Hashable, Sendable {
    case ip(IPAddress, port: UInt16)
    case unix(path: String)
}

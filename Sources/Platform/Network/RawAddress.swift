// A socket address in the kernel's form, prepared once so that a connect on the request path converts
// nothing. IPv4 addresses leave the mapped range here and become AF_INET.
// Invariant: `length` bytes of `storage` are a complete address of its family. Source: ip(7), unix(7).

import CLinux
import Glibc

/// A `sockaddr` with its length, ready for bind and connect. Trivially copyable.
@frozen public struct RawAddress: Sendable {
    @usableFromInline var storage: sockaddr_storage
    @usableFromInline var length: socklen_t

    /// Nil only when a Unix path is empty, holds a NUL, or is longer than the kernel's 107 bytes.
    public init?(_ address: SocketAddress) {
        storage = sockaddr_storage()
        switch address {
        case .ip(let address, let port):
            length = Self.fill(&storage, address, port)
        case .unix(let path):
            guard let count = Self.fill(&storage, path) else { return nil }
            length = count
        }
    }

    /// Longest path of a Unix socket in bytes: `sun_path` less the closing NUL.
    public static let pathBytesMax = 107

    /// AF_INET, AF_INET6 or AF_UNIX.
    @inlinable var family: Int32 { Int32(storage.ss_family) }

    private static func fill(
        _ storage: inout sockaddr_storage, _ address: IPAddress, _ port: UInt16
    ) -> socklen_t {
        withUnsafeMutableBytes(of: &storage) { bytes in
            guard address.isIPv4 else {
                var v6 = sockaddr_in6()
                v6.sin6_family = sa_family_t(AF_INET6)
                v6.sin6_port = port.bigEndian
                withUnsafeMutableBytes(of: &v6.sin6_addr) {
                    $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
                    $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
                }
                bytes.storeBytes(of: v6, as: sockaddr_in6.self)
                return socklen_t(MemoryLayout<sockaddr_in6>.size)
            }
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            v4.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
            bytes.storeBytes(of: v4, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
    }

    private static func fill(_ storage: inout sockaddr_storage, _ path: String) -> socklen_t? {
        let text = Array(path.utf8)
        guard !text.isEmpty, text.count <= pathBytesMax, !text.contains(0) else { return nil }
        storage.ss_family = sa_family_t(AF_UNIX)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            // `sun_path` starts at offset 2 and has 108 bytes; the storage (128 bytes) is zeroed.
            UnsafeMutableRawBufferPointer(rebasing: bytes[2...]).copyBytes(from: text)
            return socklen_t(2 + text.count + 1)
        }
    }
}

extension IPAddress {
    /// The address in what accept(2) or getsockname(2) filled in; `.none` for anything but IP.
    @inlinable init(_ storage: borrowing sockaddr_storage) {
        self = withUnsafeBytes(of: storage) { bytes in
            switch Int32(bytes.load(as: sa_family_t.self)) {
            case AF_INET:
                IPAddress(ipv4: UInt32(bigEndian: bytes.load(fromByteOffset: 4, as: UInt32.self)))
            case AF_INET6:
                IPAddress(
                    high: UInt64(bigEndian: bytes.load(fromByteOffset: 8, as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.load(fromByteOffset: 16, as: UInt64.self)))
            default:
                .none
            }
        }
    }
}

extension SocketAddress {
    /// The address that the kernel filled in, or nil for a family that Weir does not speak.
    init?(_ storage: sockaddr_storage, length: socklen_t) {
        switch Int32(storage.ss_family) {
        case AF_INET, AF_INET6:
            let port = withUnsafeBytes(of: storage) {
                UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))
            }
            self = .ip(IPAddress(storage), port: port)
        case AF_UNIX:
            self = .unix(
                path: withUnsafeBytes(of: storage) { bytes in
                    let end = min(max(Int(length), 2), bytes.count)
                    return String(decoding: bytes[2..<end].prefix { $0 != 0 }, as: UTF8.self)
                })
        default:
            return nil
        }
    }
}

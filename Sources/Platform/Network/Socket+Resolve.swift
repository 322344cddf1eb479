// Names to addresses through the system's resolver. It blocks, so only Control calls it, while it loads a
// configuration; a core never sees a name.
// Source: getaddrinfo(3); the order of the addresses is that of RFC 6724.

import CLinux
import Glibc

/// A host name that gave no address.
public struct ResolveFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public let host: String
    /// The resolver's reason, as in `Name or service not known`.
    public let reason: String

    public var description: String { "resolve \(host): \(reason)" }
}

extension Socket {
    /// The addresses of a host in the order of RFC 6724, each once; a numeric address stands for itself.
    /// Blocks for as long as the system's resolver takes.
    public static func resolve(host: String, port: UInt16) throws(ResolveFailure) -> [SocketAddress] {
        if let address = IPAddress(host) { return [.ip(address, port: port)] }
        guard !host.isEmpty, !host.utf8.contains(0) else {
            throw ResolveFailure(host: host, reason: "not a host name")
        }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, nil, &hints, &list)
        guard result == 0 else {
            let cause = errno
            let reason =
                result == EAI_SYSTEM ? "\(Errno(code: cause))" : String(cString: gai_strerror(result))
            throw ResolveFailure(host: host, reason: reason)
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = list
        while let info = entry {
            entry = info.pointee.ai_next
            var storage = sockaddr_storage()
            // The resolver hands out sockaddr_in and sockaddr_in6 only; both fit the storage.
            let bytes = min(Int(info.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            memcpy(&storage, info.pointee.ai_addr, bytes)
            let address = SocketAddress.ip(IPAddress(storage), port: port)
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }
}

// A listener whose queue is full: the kernel drops further connects, so that they stay undecided.

import Platform
import Testing

@testable import Proxy

/// Holds its queue full for as long as it lives.
final class FullListener {
    let address: SocketAddress
    private let listener: Descriptor
    private var fillers: [Peer] = []

    init() throws {
        let listener = try Socket.listen(.loopback, backlog: 0, reusePort: false)
        let bound = Socket.localAddress(of: listener)
        let address = try #require(bound)
        let raw = try #require(RawAddress(address))
        self.listener = listener
        self.address = address
        for _ in 0..<8 {
            switch Socket.connect(raw) {
            case .connected(let socket): fillers.append(Peer(socket))
            case .inProgress(let socket): fillers.append(Peer(socket))
            case .failed: break
            }
        }
    }
}

// What the poller hands back. A token says which kind of thing, in which slot, and in which life of that
// slot, so that an event for a connection that ended earlier in the same turn is recognised and dropped.
// Source: epoll_ctl(2) for the 64 bits of user data and the bits of readiness.

import CLinux

/// The name of a registration: 8 bits kind, 24 bits generation, 32 bits slot.
@frozen public struct Token: Hashable, Sendable {
    public var bits: UInt64

    @inlinable public init(bits: UInt64) { self.bits = bits }

    /// - Parameter generation: of the slot, as `Slab.generation` gives it; the lower 24 bits count.
    @inlinable public init(kind: UInt8, generation: UInt32, slot: UInt32) {
        bits = UInt64(kind) << 56 | UInt64(generation & Self.generationMask) << 32 | UInt64(slot)
    }

    @inlinable public var kind: UInt8 { UInt8(truncatingIfNeeded: bits >> 56) }
    @inlinable public var generation: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & Self.generationMask }
    @inlinable public var slot: UInt32 { UInt32(truncatingIfNeeded: bits) }

    /// The bits of a generation that a token can carry.
    @inlinable public static var generationMask: UInt32 { 0xFF_FFFF }
}

/// What a descriptor is ready for, and what to watch it for: the bits of epoll(7).
@frozen public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32

    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// EPOLLIN.
    @inlinable public static var readable: Readiness { Readiness(rawValue: 0x001) }
    /// EPOLLOUT.
    @inlinable public static var writable: Readiness { Readiness(rawValue: 0x004) }
    /// EPOLLERR; always watched.
    @inlinable public static var error: Readiness { Readiness(rawValue: 0x008) }
    /// EPOLLHUP, both directions are closed; always watched.
    @inlinable public static var hangUp: Readiness { Readiness(rawValue: 0x010) }
    /// EPOLLRDHUP: the peer has finished sending, bytes may still wait to be read.
    @inlinable public static var peerClosed: Readiness { Readiness(rawValue: 0x2000) }
}

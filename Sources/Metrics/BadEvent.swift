// What speaks against a version: the kinds of bad events that requests are counted by, and the sets of them
// that a sticky key's table remembers. The kinds are the same for stable and candidate, and none of them
// blames anybody by itself: the same traffic gives the same shares, and rules look for a difference.
// Invariant: a failure has every kind of event, as it is slow by every threshold: while one version fails,
// the other must not look worse for the answers that it still gives.

/// How a request can be bad beside being slow. Raw values are bits' and words' positions.
@frozen public enum BadEvent: Int, CaseIterable, Sendable, Hashable, Codable {
    /// Its outcome blames the version.
    case failure
    /// It was answered, with a status that is not 2xx: 3xx and 4xx. Upgrades (101) are no such answers.
    case rejected
    /// The client went away before the end of the answer, of a request that was sent.
    case cancelled
    /// It was answered with 2xx and without a byte of body, where there may be one: not to HEAD, not 204 or
    /// 205.
    case empty
}

/// Bad events of a request. Where a sticky key, not a request, is the coin of a comparison by weight, they
/// count once per key. Bits 0..<`ArmCounts.fastSlots`: slower than the slot's threshold; then the kinds of
/// `BadEvent`, then for each of these whether the key has had one in this minute already.
@frozen public struct KeyEvents: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A kind of event alone.
    @inlinable public init(_ event: BadEvent) { rawValue = 1 << UInt64(6 &+ event.rawValue) }
    /// Said of an event that is no news: the key has had one of this kind in this minute already.
    @inlinable public init(lately event: BadEvent) { rawValue = 1 << UInt64(10 &+ event.rawValue) }

    @inlinable public static var failure: KeyEvents { KeyEvents(rawValue: 1 << 6) }
    @inlinable public static var rejected: KeyEvents { KeyEvents(rawValue: 1 << 7) }
    @inlinable public static var cancelled: KeyEvents { KeyEvents(rawValue: 1 << 8) }
    @inlinable public static var empty: KeyEvents { KeyEvents(rawValue: 1 << 9) }
    @inlinable public static var failedLately: KeyEvents { KeyEvents(rawValue: 1 << 10) }

    /// What a failure counts as: every kind of event.
    @inlinable public static var failed: KeyEvents { KeyEvents(rawValue: 0b1111 << 6) }
    /// Every event there is.
    @inlinable public static var all: KeyEvents { KeyEvents(rawValue: 1 << 10 - 1) }
    /// Of these the ones that are told apart by minute: all but slowness.
    @inlinable public static var kinds: KeyEvents { failed }

    /// A request slower than a slot's threshold.
    @inlinable public static func slow(_ slot: Int) -> KeyEvents { KeyEvents(rawValue: 1 << UInt64(slot)) }

    /// For each kind of event here that the key has had it in this minute already.
    @inlinable public var lately: KeyEvents {
        KeyEvents(rawValue: (rawValue & KeyEvents.kinds.rawValue) << 4)
    }
}

extension Outcome {
    /// What an outcome alone says of a request, where its status and its body are not known.
    @inlinable public var events: KeyEvents {
        switch self {
        case .success, .timeoutClient, .localRefusal, .drainCut, .noEndpoint, .overloaded: []
        case .clientError: .rejected
        case .clientCancel: .cancelled
        case .upstreamError, .grpcError, .connectFailure, .reset, .timeoutConnect, .timeoutFirstByte,
            .timeoutIdle, .cutMidStream, .protocolError, .responseHeadTooLarge:
            .failed
        }
    }
}

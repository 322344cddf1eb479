// What is known of a copied exchange beside its bytes: a fixed-size value that lies in the slot with them.
// The core that owns the exchange fills it; after the hand-over only control's reader looks at it.
// Invariant: plain bytes only, no reference; the counts never pass the regions of `TapRing`.

import Metrics
import Platform

/// Why an exchange was copied, and what of it did not fit.
public struct TapTraits: OptionSet, Sendable, Hashable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Drawn by the core's own random word, whatever its version and its outcome. These samples, and no
    /// others, are a fair picture of the traffic: estimates use nothing else.
    public static let drawn = TapTraits(rawValue: 1)
    /// Taken so that the last exchanges of every version are at hand, also of one with little traffic.
    public static let recent = TapTraits(rawValue: 2)
    /// Taken because it failed.
    public static let failed = TapTraits(rawValue: 4)
    /// The request's head, or its body, is not here as a whole.
    public static let requestHeadCut = TapTraits(rawValue: 8)
    public static let requestBodyCut = TapTraits(rawValue: 16)
    /// The response's head, or its body, is not here as a whole.
    public static let responseHeadCut = TapTraits(rawValue: 32)
    public static let responseBodyCut = TapTraits(rawValue: 64)
}

/// What is known of a copied exchange.
public struct TapRecord: Sendable {
    /// When the request began, microseconds since 1970.
    public var wallMicros: UInt64 = 0
    /// The bucket of evidence that the exchange counts in.
    public var startTick = Tick(number: 0)
    /// Microseconds; `.max` where the time did not come to be.
    public var totalMicros: UInt32 = .max
    public var upstreamMicros: UInt32 = .max
    public var firstByteMicros: UInt32 = .max
    /// Body bytes read from the client, and sent to it: of the exchange, not of the copy.
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var client: IPAddress = .none
    /// Model slot.
    public var model: UInt32 = .max
    /// Version slots: assigned by the plan (the sample is this one's), the one that the client's answer came
    /// from, and the one whose response is in the sample (`.max`: none is). The last two differ where a
    /// candidate's failing response was shielded: then that one is kept, and not what stable said instead.
    public var assigned: UInt32 = .max
    public var answered: UInt32 = .max
    public var responded: UInt32 = .max
    /// The assigned version's weight in force.
    public var weightPPM: UInt32 = 0
    /// Sent to the client; 0 when nothing was sent.
    public var status: UInt16 = 0
    /// Of the response in the sample; 0 when there is none.
    public var responseStatus: UInt16 = 0
    public var core: UInt16 = 0
    public var attempts: UInt8 = 0
    /// What the assigned version was charged with.
    public var outcome: Outcome = .success
    public var reason: AssignmentReason = .random
    /// Whether a draw by weight or sticky key gave the version, so that versions can be compared.
    public var isRandomised = false
    public var isShielded = false
    public var traits: TapTraits = []

    // Bytes in the slot's regions.
    var requestHead: UInt32 = 0
    var requestBody: UInt32 = 0
    var responseHead: UInt32 = 0
    var responseBody: UInt32 = 0
    // While the core fills the slot: bytes of a body that may be kept, and whether more bytes of the response
    // belong to it.
    var bodyMax: UInt32 = 0
    var isResponseOpen = false

    public init() {}
}

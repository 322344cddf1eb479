// One exchange as the access log sees it: a fixed-size value, so that a core hands it over by copying bytes
// into a ring and formats nothing. Control turns records into JSON lines on another thread.
// Invariant: plain bytes only, no reference; a record is complete when it enters the ring.

import Metrics
import Platform

/// What the access log knows of one exchange.
public struct AccessRecord: Sendable {
    /// When the response ended, microseconds since 1970.
    public var wallMicros: UInt64 = 0
    /// Microseconds; `.max` where the time did not come to be.
    public var totalMicros: UInt32 = .max
    public var upstreamMicros: UInt32 = .max
    public var firstByteMicros: UInt32 = .max
    /// Body bytes read from the client, and sent to it.
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var client: IPAddress = .none
    public var model: UInt32 = .max
    /// Version slots: assigned by the plan, and the one that answered in the end.
    public var assigned: UInt32 = .max
    public var answered: UInt32 = .max
    /// Status sent to the client; 0 when nothing was sent.
    public var status: UInt16 = 0
    public var core: UInt16 = 0
    public var attempts: UInt8 = 0
    public var outcome: Outcome = .success
    /// What came of the first attempt that was made: the evidence.
    public var firstAttempt: Outcome = .success
    public var reason: AssignmentReason = .random
    public var isShielded: Bool = false
    /// Index of the method in `Method`'s raw values.
    public var method: UInt8 = 0
    public var requestIDCount: UInt8 = 0
    public var pathCount: UInt8 = 0
    /// Whether the path was longer than fits.
    public var isPathCut: Bool = false
    public var requestID = InlineArray<48, UInt8>(repeating: 0)
    public var path = InlineArray<176, UInt8>(repeating: 0)

    public init() {}
}

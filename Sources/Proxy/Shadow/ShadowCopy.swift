// A copy of a request on its way to a shadow version. It shares nothing with the primary but a link that is
// cut when either ends: the primary never waits for it, and its response goes nowhere.
//
// Invariant: whatever happens to a copy is counted once, as answered, failed or dropped with a reason.

import Metrics
import Platform
import Wire

/// A copy of a request on its way to a shadow version.
struct ShadowCopy {
    /// The primary's exchange while it lives.
    var exchange: Slot<Exchange>
    /// Set by the first write.
    var upstream: Slot<Upstream> = .none
    var model: Slot<ModelState>
    var version: Slot<VersionState>
    var method: Wire.Method
    /// Bytes of the head that is prepared in the core's shadow box until the first write.
    var headCount: UInt32 = 0
    var bodyBytes = 0
    var bodyBytesMax: Int
    var isRequestComplete = false
    /// The head of the final response has been read.
    var hasHead = false
    var interimHeads: UInt8 = 0
    var keepsAlive = true
    var outcome: Outcome = .success
    /// What is bad about the answer so far.
    var events: KeyEvents = []
    /// Counts beside its primary, and has not yet.
    var isPaired = false
    var pairedAt: Instant = .never
    /// As of its primary: the evidence knows that it waits for its connection, and since when its latency
    /// counts.
    var isUnwritten = false
    var writtenAt: Instant = .never
    /// The primary's sticky key, or 0.
    var keyHash: UInt64 = 0
    var firstByteAt: Instant = .never
    var response = BodyProgress(.none, of: .response)
    var sentAt: Instant
    var giveUpAt: Instant
}

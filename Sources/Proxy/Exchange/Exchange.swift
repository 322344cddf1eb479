// One request and its response, from the first byte read to the outcome recorded: the hub between a
// downstream and an upstream end. Ends are slots, never references; closing one side clears the other's link.
//
//   queued ──▶ forwarding ──▶ responding ──▶ flushing ──▶ finished
//      ▲            │  │                 └──▶ tunnel ──────▲
//      └── retry ───┘  └── failed before the first byte: local reply
//
// An exchange has two ends of its own. Its *evidence* is what came of the first attempt that was really made
// at an endpoint of the version it was assigned to: what guardrails compare, the same event for stable and
// candidates. Its *outcome* is what came of the request: the user's view, after retries; a shielded failure
// and what was not sent at all stay the outcome, because another version answered.
// Invariant: each is settled exactly once, the evidence first, for the version assigned.

import Metrics
import Platform
import Wire

/// Where an exchange stands.
enum ExchangeStage: UInt8 {
    /// Waits for a place at the version, or to be sent again; the request lies in `replay`.
    case queued
    /// The request is on its way upstream; no byte of the final response has gone to the client.
    case forwarding
    /// The final head has gone to the client.
    case responding
    /// The response is complete; its last bytes wait for the client to read.
    case flushing
    /// After 101: bytes both ways.
    case tunnel
}

/// What a request of stable is to the comparison of candidates by copies.
enum PairState: UInt8 {
    /// No pair, or its own side is settled.
    case none
    /// Not settled; the copy counts, or has counted.
    case open
    /// Not settled; the copy was given up before either side was known, and neither counts.
    case void
}

/// How far a message body has come, on the side it is read from.
struct BodyProgress {
    var framing: BodyFraming
    var decoder: ChunkedDecoder
    /// Bytes still to come where the framing has a length.
    var remaining: UInt64
    /// The last chunk is read; the trailer section is not.
    var isInTrailers = false
    /// Its last chunks were small ones: reads are small, too (Limits, `fineReadBytes`).
    var isFine = false
    /// Bytes of the trailer section that were looked at.
    var trailersScanned: UInt32 = 0
    var isComplete: Bool

    init(_ framing: BodyFraming, of kind: MessageKind) {
        self.framing = framing
        decoder = ChunkedDecoder(kind)
        switch framing {
        case .none:
            remaining = 0
            isComplete = true
        case .length(let count):
            remaining = count
            isComplete = count == 0
        case .chunked, .untilClose:
            remaining = 0
            isComplete = false
        }
    }

    /// How much of it may be read at once, of the `size` that buffers allow.
    func readSize(_ size: Int) -> Int {
        if isFine { return min(size, Limits.fineReadBytes) }
        if case .chunked = framing { return min(size, Limits.chunkedReadBytesMax) }
        return size
    }

    /// Looks at how small the chunks of a read were.
    mutating func weigh(chunks: Int, in bytes: Int) {
        guard bytes >= Limits.fineReadBytes else { return }
        // Bound: a chunk has a byte at least.
        isFine = chunks &* Limits.chunkBytesMin > bytes
    }

    /// Notes that bytes of a body with a length have gone by.
    mutating func advance(by count: Int) {
        remaining -= UInt64(count)
        isComplete = remaining == 0
    }
}

/// One request and its response.
struct Exchange {
    // Links.
    var downstream: Slot<Downstream>
    var upstream: Slot<Upstream> = .none
    var shadow: Slot<ShadowCopy> = .none
    /// Next in the version's waiting line.
    var nextWaiting: Slot<Exchange> = .none
    /// Pipes that hold body bytes which the server or the client has not taken yet.
    var requestPipe: Slot<SplicePipe> = .none
    var responsePipe: Slot<SplicePipe> = .none

    // Assignment. Slots outlive plans; indices into a plan do not.
    var model: Slot<ModelState>
    var assigned: Slot<VersionState>
    var serving: Slot<VersionState>
    var endpoint: Slot<EndpointState> = .none
    var weightPPM: UInt32 = 0
    /// The model's epoch at assignment: the answer of a version withdrawn since carries the one it was part
    /// of.
    var epoch: UInt32 = 0
    /// The caller, behind trusted peers.
    var client: IPAddress
    var isTrusted: Bool
    var startTick: Tick
    var reason: AssignmentReason

    var stage: ExchangeStage = .queued
    var method: Wire.Method
    var minorVersion: UInt8
    var attempts: UInt8 = 0
    /// Interim heads of this attempt.
    var interimHeads: UInt8 = 0
    var status: UInt16 = 0
    /// What the assigned version is charged with once that is known.
    var outcome: Outcome = .success
    /// What came of the first attempt once that is known.
    var evidence: Outcome = .success
    /// A request body or head byte of this attempt was accepted by the kernel.
    var hasSent = false
    /// This attempt is no evidence, whatever comes of it: see `Core.isSickInBothArms`.
    var saysNothing = false
    /// The last attempt found nobody at its endpoint.
    var hasConnectFailed = false
    var isSettled = false
    /// Its evidence is settled.
    var hasEvidence = false
    /// The evidence knows that its response is on its way.
    var isBegun = false
    /// The evidence knows that it waits, in line or for a connection.
    var isUnwritten = false
    var isPinned = false
    var isShielded = false
    var keepsAlive: Bool
    var hasIdempotencyKey = false
    var wantsUpgrade: Bool
    /// The client holds its body back until an interim response comes.
    var awaitsContinue = false
    /// Nothing of the request was sent: all that has been read of it is the client's unread input again.
    var isHeld = false
    /// The request can still be sent again from `replay`.
    var isReplayable = true
    /// The response goes out chunked (its length is unknown and the client speaks HTTP/1.1).
    var encodesChunked = false
    /// Counts in the serving version's and endpoint's requests in flight.
    var isInFlight = false
    var isWaiting = false
    /// Left the line; a place is kept for it until it is sent.
    var isCalled = false
    /// A shadow copy was drawn for it.
    var isShadowed = false
    /// Its place in a comparison with its copy.
    var pair = PairState.none
    /// Its model is tapped; why it is to be copied, and the slot of the copy.
    var isTapped = false
    var tapTraits: TapTraits = []
    var tap = noTap
    /// The upstream connection outlives the response.
    var responseKeepsUpstream = false
    var isClientDone = false
    var isServerDone = false

    /// Bytes of the request's head as it was read.
    var headCount: UInt32 = 0
    var request: BodyProgress
    var response = BodyProgress(.none, of: .response)
    /// The raw request as read, from its first head byte on, while it is replayable.
    var replay = ByteQueue()

    // Times.
    var startedAt: Instant
    var assignedAt: Instant
    /// Since when the latency of its evidence counts: when it was written to a connected socket.
    var writtenAt: Instant
    /// When the last request byte was sent; with an early answer, the last one before it.
    var sentAt: Instant = .never
    /// When the first byte of the final response head came.
    var firstByteAt: Instant = .never
    var upstreamNanos: UInt64 = .max
    /// When request and copy began as a pair.
    var pairedAt: Instant = .never
    /// Body bytes read when the current rate window opened.
    var windowBytes: UInt64 = 0

    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var keyHash: UInt64 = 0

    // For the access log.
    var pathCount: UInt8 = 0
    var requestIDCount: UInt8 = 0
    var isPathCut = false
}

/// What the access log wants of a head, in a row beside the exchanges: it is neither cleared nor moved with
/// them, and only the bytes that the exchange counts are its own.
struct ExchangeTexts: BitwiseCopyable {
    var path: InlineArray<176, UInt8>
    var requestID: InlineArray<48, UInt8>
}

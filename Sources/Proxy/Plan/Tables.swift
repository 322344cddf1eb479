// What a core keeps per slot: models, versions and endpoints with their counters, pools and the settings
// of the obeyed plan, compiled to bytes and numbers. Slots outlive plans, so exchanges in progress keep
// their footing while weights and rules change; what the plan no longer names keeps its counters only.
// Invariant: all pointers into a plan's arena are replaced in the same step that replaces the arena.

import Metrics
import Platform

/// What a request's head loses and gains on its way to a version.
struct RewriteTable {
    var path = PathRewrite()
    /// Replaces Host where not empty.
    var host = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Whole field lines.
    var added = UnsafeRawBufferPointer(start: nil, count: 0)
    var removed: UnsafeMutablePointer<UnsafeRawBufferPointer>?
    var removedCount = 0
}

/// A model on one core.
struct ModelState {
    var isPlanned = false
    var stable: Slot<VersionState> = .none
    var versions: UnsafeMutablePointer<Slot<VersionState>>?
    var versionCount = 0
    var timeouts = Timeouts()
    var retries = RetryPlan()
    var shields = true
    var ignoresHalfClose = false
    var countsClientErrors = false
    var sendsVersion = false
    var sendsID = false
    var sendsEpoch = false
    var epoch: UInt32 = 0
    var keyRound: UInt64 = 0
    var shadowVersion: Slot<VersionState> = .none
    var shadowPPM: UInt32 = 0
    var shadowBodyMax = 0
    var shadowInFlightMax: Int32 = 0
    var shadowAge = Interval.zero
    var isShadowCompared = false
    var shadowInFlight: Int32 = 0
    /// Its copies count on the board as well: the bound over all cores is too small to be divided.
    var sharesCopies = false
    var isTapped = false
    var tapPPM: UInt32 = 0
    var tapBodyMax: UInt32 = 0
    var tapRecentEvery = Interval.forever
    /// Retry budget in millionths of a retry.
    var retryTokens: Int64 = ModelState.retryTokensMax
    var refilledAt: Instant = .never

    /// A hundred retries may come at once before the share of requests binds.
    static let retryTokensMax: Int64 = 100_000_000
}

/// A version on one core.
struct VersionState {
    var isPlanned = false
    var model: Slot<ModelState> = .none
    var weightPPM: UInt32 = 0
    /// Held at weight 0, with its connections warm.
    var staysWarm = false
    var endpoints: UnsafeMutablePointer<Slot<EndpointState>>?
    var endpointCount = 0
    var inFlight: Int32 = 0
    var inFlightMax: Int32 = 0
    /// What is in flight or called here counts on the board as well, and so does what waits: the bounds over
    /// all cores are too small to be divided. Otherwise the bounds are this core's part of them.
    var sharesPlaces = false
    var sharesLine = false
    var waitingHead: Slot<Exchange> = .none
    var waitingTail: Slot<Exchange> = .none
    var waiting: Int32 = 0
    /// Places kept for requests that were called from the line and are not sent yet.
    var called: Int32 = 0
    var waitingMax: Int32 = 0
    var queueTimeout = Interval.zero
    var slowStart = Interval.zero
    var ejection = EjectionPlan()
    var rewrite = RewriteTable()
    /// `x-weir-version: NAME` as a field line.
    var versionLine = UnsafeRawBufferPointer(start: nil, count: 0)
    var nameHash: UInt32 = 0
    /// When the next exchange is copied so that a recent one is at hand.
    var tapDueAt = Instant(nanos: 0)
}

/// An endpoint on one core: its pools and what real requests said of it.
struct EndpointState {
    var isPlanned = false
    var isUnix = false
    var isChecked = false
    var version: Slot<VersionState> = .none
    var address: RawAddress?
    var inFlight: Int32 = 0
    var failuresInRow: Int32 = 0
    /// What came of its last request: an ejection that ends does not change it.
    var hasFailedLast = false
    /// It was ejected and has answered well to nobody since.
    var isSick = false
    var ejections: Int32 = 0
    var ejectedUntil = Instant(nanos: 0)
    /// When the ejection began, and how many checks the endpoint had passed by then.
    var ejectedAt = Instant(nanos: 0)
    var passesAtEjection: UInt32 = 0
    /// When it last became usable again; slow start counts from here.
    var returnedAt = Instant(nanos: 0)
    var wasHealthy = true
    /// Keeps an idle connection though nothing may need it.
    var staysWarm = false
    /// The connection that is being opened for that.
    var warming: Slot<Upstream> = .none
    var pool = ConnectionPool()
    var shadowPool = ConnectionPool()
}

/// The idle connections of an endpoint, newest first.
struct ConnectionPool {
    var newest: Slot<Upstream> = .none
    var oldest: Slot<Upstream> = .none
    var count: Int32 = 0
}

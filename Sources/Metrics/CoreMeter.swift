// One core: what it counts about itself and about traffic that never became a version's. Enums index the
// words, so that a new counter is a new case and nothing else.
// Invariant: the core is the only writer; a snapshot is a sum over cores and may be a moment old.

/// Counters of a core; each grows only.
public enum CoreCounter: UInt8, CaseIterable, Sendable {
    // The first eight share the line that every exchange and every turn touches.
    case turns
    /// Requests that were given a version.
    case requests
    /// Responses written, our own refusals included.
    case responses
    case upstreamReused
    case accessRecords
    case accepted
    case upstreamConnects
    /// Accepts put off because no slot was free.
    case acceptsPaused
    case upstreamConnectFailures
    /// Requests that no model matched.
    case unrouted
    /// Access records lost because the ring to control was full.
    case accessRecordsDropped
    /// Turns that ran out of buffer blocks.
    case buffersExhausted
    case tunnels
    case ejections
    case plansAdopted
    /// Copies of exchanges handed to control.
    case taps
    /// Drawn copies lost because no slot was free, and others because half of the slots are kept for drawn
    /// ones.
    case tapsDroppedFull
    case tapsDroppedReserved
    /// Body bytes that went from socket to socket inside the kernel.
    case splicedBytes
    /// Idle connections closed to make room for others.
    case downstreamsEvicted
    case upstreamsEvicted

    /// The counter's word in metric names, without prefix and `_total`.
    public var label: String {
        switch self {
        case .turns: "turns"
        case .requests: "requests"
        case .responses: "responses"
        case .upstreamReused: "upstream_reused"
        case .accepted: "accepted"
        case .upstreamConnects: "upstream_connects"
        case .acceptsPaused: "accepts_paused"
        case .upstreamConnectFailures: "upstream_connect_failures"
        case .unrouted: "unrouted"
        case .accessRecords: "access_records"
        case .accessRecordsDropped: "access_records_dropped"
        case .buffersExhausted: "buffers_exhausted"
        case .tunnels: "tunnels"
        case .ejections: "ejections"
        case .plansAdopted: "plans_adopted"
        case .taps: "taps"
        case .tapsDroppedFull: "taps_dropped_full"
        case .tapsDroppedReserved: "taps_dropped_reserved"
        case .splicedBytes: "spliced_bytes"
        case .downstreamsEvicted: "downstreams_evicted"
        case .upstreamsEvicted: "upstreams_evicted"
        }
    }
}

/// Gauges of a core, set or moved by it alone.
public enum CoreGauge: UInt8, CaseIterable, Sendable {
    case downstreams
    case upstreams
    case exchanges
    case shadows
    case buffersFree
    case planEpoch
    case draining

    /// The gauge's word in metric names.
    public var label: String {
        switch self {
        case .downstreams: "downstreams"
        case .upstreams: "upstreams"
        case .exchanges: "exchanges"
        case .shadows: "shadows"
        case .buffersFree: "buffers_free"
        case .planEpoch: "plan_epoch"
        case .draining: "draining"
        }
    }
}

/// Why we answered a request ourselves.
public enum RefusalCause: UInt8, CaseIterable, Sendable {
    /// 400: not HTTP as the RFC has it.
    case malformed
    /// 408
    case headerTimeout
    case bodyTimeout
    /// 413, 414, 431
    case bodyTooLarge
    case targetTooLong
    case headTooLarge
    /// 405, 501, 505
    case notImplemented
    case version
    /// 404: no model matches.
    case noModel
    /// 502: the upstream's answer was unusable, or there was none.
    case badUpstream
    /// 503
    case noEndpoint
    case overloaded
    case exchangesExhausted
    case upstreamsExhausted
    case buffersExhausted
    case draining
    /// 504
    case upstreamTimeout

    /// The cause's word in metrics.
    public var label: String {
        switch self {
        case .malformed: "malformed"
        case .headerTimeout: "header_timeout"
        case .bodyTimeout: "body_timeout"
        case .bodyTooLarge: "body_too_large"
        case .targetTooLong: "target_too_long"
        case .headTooLarge: "head_too_large"
        case .notImplemented: "not_implemented"
        case .version: "version"
        case .noModel: "no_model"
        case .badUpstream: "bad_upstream"
        case .noEndpoint: "no_endpoint"
        case .overloaded: "overloaded"
        case .exchangesExhausted: "exchanges_exhausted"
        case .upstreamsExhausted: "upstream_connections_exhausted"
        case .buffersExhausted: "buffers_exhausted"
        case .draining: "draining"
        case .upstreamTimeout: "upstream_timeout"
        }
    }
}

/// Which time limit of a core ran out.
public enum TimeLimit: UInt8, CaseIterable, Sendable {
    case header
    case body
    case connect
    case firstByte
    case idle
    case keepAlive
    case poolIdle
    case drain

    /// The limit's word in metrics.
    public var label: String {
        switch self {
        case .header: "header"
        case .body: "body"
        case .connect: "connect"
        case .firstByte: "first_byte"
        case .idle: "idle"
        case .keepAlive: "keep_alive"
        case .poolIdle: "pool_idle"
        case .drain: "drain"
        }
    }
}

/// A view onto `byteCount` zeroed bytes of the caller; the core writes, any thread reads.
@frozen public struct CoreMeter: Sendable {
    @usableFromInline let words: Words

    /// Bytes of a meter: eight bytes for each word, rounded up to lines so that no two cores share one.
    public static let byteCount = 1_024
    // Word 0: counters (line 0 is the hot one); 32: gauges; 48: refusals; 80: time limits.
    @usableFromInline static let gaugeWord = 32
    @usableFromInline static let refusalWord = 48
    @usableFromInline static let limitWord = 80

    /// - Parameter memory: `byteCount` zeroed bytes, 64-byte aligned, alive as long as any copy of this view.
    @inlinable public init(at memory: UnsafeMutableRawPointer) { words = Words(at: memory) }

    @inlinable public func count(_ counter: CoreCounter, _ amount: UInt64 = 1) {
        words.add(Int(counter.rawValue), amount)
    }

    @inlinable public func set(_ gauge: CoreGauge, _ value: Int) {
        words.store(Self.gaugeWord &+ Int(gauge.rawValue), UInt64(bitPattern: Int64(value)))
    }

    /// Moves a gauge by `change`, which may be negative.
    @inlinable public func move(_ gauge: CoreGauge, by change: Int) {
        words.add(Self.gaugeWord &+ Int(gauge.rawValue), UInt64(bitPattern: Int64(change)))
    }

    @inlinable public func countRefusal(_ cause: RefusalCause) {
        words.add(Self.refusalWord &+ Int(cause.rawValue))
    }

    @inlinable public func countTimeout(_ limit: TimeLimit) {
        words.add(Self.limitWord &+ Int(limit.rawValue))
    }

    /// Adds this core's numbers to `snapshot`. Any thread.
    public func read(into snapshot: inout CoreMeterSnapshot) {
        for index in snapshot.counters.indices { snapshot.counters[index] &+= words.load(index) }
        for index in snapshot.gauges.indices {
            snapshot.gauges[index] &+= Int(Int64(bitPattern: words.load(Self.gaugeWord + index)))
        }
        for index in snapshot.refusals.indices {
            snapshot.refusals[index] &+= words.load(Self.refusalWord + index)
        }
        for index in snapshot.timeouts.indices {
            snapshot.timeouts[index] &+= words.load(Self.limitWord + index)
        }
    }
}

/// The cores' numbers at one moment, summed.
public struct CoreMeterSnapshot: Sendable, Hashable {
    public var counters = [UInt64](repeating: 0, count: CoreCounter.allCases.count)
    public var gauges = [Int](repeating: 0, count: CoreGauge.allCases.count)
    public var refusals = [UInt64](repeating: 0, count: RefusalCause.allCases.count)
    public var timeouts = [UInt64](repeating: 0, count: TimeLimit.allCases.count)

    public init() {}

    public subscript(_ counter: CoreCounter) -> UInt64 { counters[Int(counter.rawValue)] }
    public subscript(_ gauge: CoreGauge) -> Int { gauges[Int(gauge.rawValue)] }
    public subscript(_ cause: RefusalCause) -> UInt64 { refusals[Int(cause.rawValue)] }
    public subscript(_ limit: TimeLimit) -> UInt64 { timeouts[Int(limit.rawValue)] }

    /// The sum of several cores' meters.
    public static func sum(_ meters: [CoreMeter]) -> CoreMeterSnapshot {
        var snapshot = CoreMeterSnapshot()
        for meter in meters { meter.read(into: &snapshot) }
        return snapshot
    }
}

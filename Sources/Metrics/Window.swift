// A rolling window over one version's cumulative counts: what has ended during the last so many ticks. For
// the rules that are written over windows ("error rate above 2 % over 5 minutes") and for live figures.
//
// The window's content is the newest reading less the reading at its beginning. Only the beginning has to
// move: what each slice of time added is kept as its non-empty bins, and a slice that falls out of the
// window is added to the beginning. So an observation costs nothing but at the turn of a slice, and ten
// minutes of a histogram are kilobytes.
// Owner: whoever makes it; a value without sharing.

/// One version's cumulative counts at some moment, as windows want them.
public struct WindowReading: Sendable, Hashable {
    /// Exchanges assigned.
    public var started: UInt64
    /// Exchanges ended that count: excluded outcomes are left out.
    public var requests: UInt64
    /// Those whose first attempt failed by the version's fault, whatever a retry did for the user.
    public var failures: UInt64
    /// Those that their clients left before the end; they are not among `requests`.
    public var cancelled: UInt64
    /// One of the times of all exchanges ended.
    public var latency: HistogramSnapshot

    public init(
        started: UInt64, requests: UInt64, failures: UInt64, cancelled: UInt64 = 0, latency: HistogramSnapshot
    ) {
        self.started = started
        self.requests = requests
        self.failures = failures
        self.cancelled = cancelled
        self.latency = latency
    }

    /// What a version's snapshot says, with the time `kind` as the latency.
    public init(_ snapshot: VersionMeterSnapshot, latency kind: TimeKind) {
        self.init(
            started: snapshot.counts.started, requests: snapshot.counts.counted,
            failures: snapshot.counts.failedFirst, cancelled: snapshot.counts[.clientCancel],
            latency: snapshot[kind])
    }

    /// What was counted between `earlier` and this reading.
    func since(_ earlier: WindowReading) -> WindowReading {
        var latency = latency
        latency.subtract(earlier.latency)
        return WindowReading(
            started: Self.grown(earlier.started, started),
            requests: Self.grown(earlier.requests, requests),
            failures: Self.grown(earlier.failures, failures),
            cancelled: Self.grown(earlier.cancelled, cancelled), latency: latency)
    }

    private static func grown(_ earlier: UInt64, _ now: UInt64) -> UInt64 {
        now > earlier ? now - earlier : 0
    }
}

/// What one version did during the last `ticks` ticks.
public struct Window: Sendable {
    /// Length of a slice; the window moves by whole slices.
    private let ticksPerSlice: UInt64
    /// Newest slice last; at most `slicesMax - 1` whole slices beside the one under way.
    private var whole: [Slice] = []
    private let slicesMax: UInt64
    /// The reading where the window begins, the one where the current slice began, and the newest.
    private var beginning: WindowReading?
    private var sliceBeginning: WindowReading?
    private var newest: WindowReading?
    private var slice: UInt64 = 0
    private var firstTick = Tick(number: 0)
    private var lastTick = Tick(number: 0)

    /// What one slice of time added.
    fileprivate struct Slice: Sendable {
        var number: UInt64
        var started: UInt64
        var requests: UInt64
        var failures: UInt64
        var cancelled: UInt64
        var sumNanos: UInt64
        var bins: [(bin: UInt16, count: UInt64)]
    }

    /// - Parameters:
    ///   - ticks: the window's length, 1 or more.
    ///   - slices: into how many slices it is cut at least, as far as it has ticks. The window holds between
    ///     `ticks - ticks / slices` and `ticks` ticks, never more.
    public init(ticks: Int, slices: Int = 60) {
        precondition(ticks > 0 && slices > 0, "a window is at least a tick and a slice long")
        // The longest slice that divides the window, so that whole slices make up the window.
        let longest = max(1, ticks / slices)
        let length = (1...longest).last { ticks % $0 == 0 } ?? 1
        ticksPerSlice = UInt64(length)
        slicesMax = UInt64(ticks / length)
    }

    /// Takes in the version's cumulative counts as they are at `now`. The first reading is where counting
    /// begins; what happened before is not in the window.
    ///
    /// - Parameter now: never earlier than in the call before.
    public mutating func observe(_ reading: WindowReading, at now: Tick) {
        let number = now.number / ticksPerSlice
        defer {
            newest = reading
            lastTick = now
        }
        guard let sliceBeginning, let newest else {
            beginning = reading
            sliceBeginning = reading
            slice = number
            firstTick = now
            return
        }
        guard number > slice else { return }
        // What came since the last reading belongs to the slice that this reading ends in part; it is
        // counted into the earlier one, so it leaves the window early rather than late.
        let added = newest.since(sliceBeginning)
        whole.append(Self.slice(slice, added))
        self.sliceBeginning = newest
        slice = number
        let oldest = number >= slicesMax ? number - slicesMax + 1 : 0
        let expired = whole.prefix { $0.number < oldest }
        for slice in expired { beginning?.move(past: slice) }
        whole.removeFirst(expired.count)
        firstTick = max(firstTick, Tick(number: oldest * ticksPerSlice))
    }

    private static func slice(_ number: UInt64, _ added: WindowReading) -> Slice {
        var bins: [(bin: UInt16, count: UInt64)] = []
        for (bin, count) in added.latency.counts.enumerated() where count != 0 {
            bins.append((UInt16(bin), count))
        }
        return Slice(
            number: number, started: added.started, requests: added.requests, failures: added.failures,
            cancelled: added.cancelled, sumNanos: added.latency.sumNanos, bins: bins)
    }

    /// What is in the window; nil before the first reading.
    public var content: WindowReading? {
        guard let beginning, let newest else { return nil }
        return newest.since(beginning)
    }

    /// The window's part that has been observed, in ticks; less than its length until it has filled.
    public var observedTicks: UInt64 { lastTick.number - min(firstTick.number, lastTick.number) }
}

extension WindowReading {
    fileprivate mutating func move(past slice: Window.Slice) {
        started &+= slice.started
        requests &+= slice.requests
        failures &+= slice.failures
        cancelled &+= slice.cancelled
        latency.move(sumNanos: slice.sumNanos, bins: slice.bins)
    }
}

extension HistogramSnapshot {
    /// Adds a slice's bins.
    mutating func move(sumNanos: UInt64, bins: [(bin: UInt16, count: UInt64)]) {
        for (bin, added) in bins {
            counts[Int(bin)] &+= added
            count &+= added
        }
        self.sumNanos &+= sumNanos
    }
}

// A model's rolling windows: for the rules that are written over windows, for the latency reference, and for
// the live figures of the status page. Read once a second, because a reading touches every histogram bin.
// Invariant: all windows of all versions are read at the same instants, so that pairs can be compared.

import Metrics
import Rollout

/// Rolling windows per version.
struct ModelFigures {
    /// What "recently" means for the latency reference and for stable's rate before a cut.
    static let recentTicks = 6_000
    /// What "now" means for rates and quantiles shown to people.
    static let liveTicks = 100
    private static let ticksPerReading: UInt64 = 10

    /// By version, then by window length. A window that has been read holds some 100 KB of bins, so those of
    /// a model that rests are let go.
    private var windows: [[Int: Window]]
    private let empty: [[Int: Window]]
    private let stable: Int
    private var lastReading: Tick?

    init(specs: [GuardrailSpec], versions: Int, stable: Int) {
        var lengths: Set = [Self.liveTicks]
        for spec in specs { lengths.formUnion(spec.windowLengths) }
        func windows(_ lengths: Set<Int>) -> [Int: Window] {
            var own: [Int: Window] = [:]
            for ticks in lengths {
                own[ticks] = Window(ticks: ticks, slices: min(60, max(1, ticks / Int(Self.ticksPerReading))))
            }
            return own
        }
        var all = Array(repeating: windows(lengths), count: versions)
        all[stable] = windows(lengths.union([Self.recentTicks]))
        empty = all
        self.windows = all
        self.stable = stable
    }

    /// Begins anew with the next reading.
    mutating func forget() {
        guard lastReading != nil else { return }
        windows = empty
        lastReading = nil
    }

    /// Takes a reading of every version when a second has passed since the last one.
    mutating func observe(_ meters: [[VersionMeter]], at now: Tick) {
        if let last = lastReading, now.number < last.number + Self.ticksPerReading { return }
        lastReading = now
        for version in meters.indices {
            let reading = Self.reading(meters[version])
            for ticks in windows[version].keys { windows[version][ticks]?.observe(reading, at: now) }
        }
    }

    /// Counts and the one histogram that windows need, summed over cores.
    private static func reading(_ meters: [VersionMeter]) -> WindowReading {
        var counts = VersionCounts()
        var latency = HistogramSnapshot()
        for meter in meters {
            meter.read(into: &counts)
            meter.histogram(WatchedModel.judged).snapshot(into: &latency)
        }
        return WindowReading(
            started: counts.started, requests: counts.counted, failures: counts.failed, latency: latency)
    }

    /// Stable's last ten minutes.
    var recent: WindowReading? { windows[stable][Self.recentTicks]?.content }

    /// A version's last ten seconds.
    func liveWindow(_ version: Int) -> Window? { windows[version][Self.liveTicks] }

    /// Candidate and stable over the same window, for rules over windows.
    func pair(candidate: Int, stable: Int, _ query: WindowQuery) -> WindowPair? {
        guard let a = windows[candidate][query.ticks]?.content,
            let b = windows[stable][query.ticks]?.content
        else { return nil }
        return WindowPair(candidate: WindowArm(a, query.quantile), stable: WindowArm(b, query.quantile))
    }
}

extension WindowArm {
    fileprivate init(_ content: WindowReading, _ quantile: Double?) {
        self.init(
            requests: Int(clamping: content.requests), failures: Int(clamping: content.failures),
            latencyMicros: quantile.flatMap { content.latency.quantile($0) })
    }
}
